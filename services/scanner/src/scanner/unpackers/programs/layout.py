"""Where the addresses of a loaded PE lie in its file."""

from __future__ import annotations

import struct
from bisect import bisect_right

from scanner.unpackers.programs.facts import Section

_SECTOR_BYTES = 512
_PAGE_BYTES = 4096


class Layout:
    """The bytes of the file by address and by position; `damaged` when something was not where it was told to be."""

    def __init__(self, data: bytes, sections: list[Section]) -> None:
        self.data = data
        self.damaged = False
        self._sections = sorted(sections, key=lambda one: one.address)

    def read(self, form: str, start: int) -> tuple[int, ...] | None:
        """Return the numbers at a position of the file, in the form of `struct`; None where it ends before."""
        if start + struct.calcsize(form) > len(self.data):
            self.damaged = True
            return None
        return struct.unpack_from(form, self.data, start)

    def place(self, address: int, size: int) -> tuple[int, int] | tuple[()]:
        """Return start and end in the file; nothing where the loader puts zeros, as for what packers unpack later."""
        before = bisect_right(self._sections, address, key=lambda one: one.address)
        section = self._sections[before - 1] if before else None
        if section is None or not section.holds(address):
            self.damaged = True
            return ()
        # The loader reads whole sectors, except of programs that lie in memory as they lie in the file.
        offset = section.offset if section.offset == section.address else section.offset & -_SECTOR_BYTES
        inside = address - section.address
        room = -(-max(section.memory_bytes, section.size_bytes) // _PAGE_BYTES) * _PAGE_BYTES - inside
        start, end = offset + inside, offset + inside + min(size, section.size_bytes - inside)
        self.damaged |= size > room or end > len(self.data)
        return (start, min(end, len(self.data))) if start < min(end, len(self.data)) else ()
