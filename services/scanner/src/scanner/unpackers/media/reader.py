"""Reads numbers and jumps, within limits, for the functions that look for the end of a format."""

from __future__ import annotations

import re
import struct
from typing import BinaryIO

from scanner.unpackers.base import CHUNK_BYTES

SLACK_BYTES = 16
"""What writers leave behind the end, or leave out of it."""
MAX_PARTS = 1_000_000


class DamagedError(Exception):
    """It cannot be told where the file ends."""


class Reader:
    """Reads what is there, and counts: the formats have parts of parts, and each part costs time."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.size = source.seek(0, 2)
        self.position = source.seek(0)
        self._parts = 0

    def seek(self, position: int) -> int:
        """Go to a place and return it; a little behind the end of the file is its end. Raises DamagedError."""
        self._parts += 1
        if self.size < position <= self.size + SLACK_BYTES:
            position = self.size
        if not 0 <= position <= self.size or self._parts > MAX_PARTS:
            raise DamagedError
        self.position = self._source.seek(position)
        return position

    def skip(self, size: int) -> int:
        """Go on by so many bytes. Raises DamagedError."""
        return self.seek(self.position + size)

    def read(self, size: int) -> bytes:
        """Return so many bytes. Raises DamagedError."""
        data = self._source.read(size)
        if len(data) < size:
            raise DamagedError
        self.position += size
        return data

    def take(self, form: str) -> tuple[int, ...]:
        """Return the numbers that come next. Raises DamagedError."""
        return struct.unpack(form, self.read(struct.calcsize(form)))

    def at(self, position: int, form: str) -> tuple[int, ...]:
        """Return the numbers at a place, and go on behind them. Raises DamagedError."""
        self.seek(position)
        return self.take(form)

    def peek(self, size: int) -> bytes:
        """Return up to so many of the next bytes, and stay."""
        data = self._source.read(size)
        self._source.seek(self.position)
        return data

    def find(self, pattern: re.Pattern[bytes]) -> None:
        """Go to the next match of a pattern of two bytes. Raises DamagedError."""
        last = b""
        while chunk := self._source.read(CHUNK_BYTES):
            match = pattern.search(last + chunk)
            if match is not None:
                self.seek(self.position - len(last) + match.start())
                return
            self.position += len(chunk)
            last = chunk[-1:]
        raise DamagedError
