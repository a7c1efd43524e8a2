"""From byte offsets to line numbers, for showing evidence to people."""

from __future__ import annotations

from bisect import bisect_left


class LineIndex:
    """Answers in which line of a text a byte lies; lines end with LF and count from 1."""

    def __init__(self, text: bytes) -> None:
        self._ends: list[int] = []
        position = text.find(b"\n")
        while position >= 0:
            self._ends.append(position)
            position = text.find(b"\n", position + 1)

    def line_of(self, offset: int) -> int:
        """Return the line of the byte at `offset`."""
        return bisect_left(self._ends, offset) + 1
