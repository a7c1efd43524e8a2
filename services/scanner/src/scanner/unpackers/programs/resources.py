"""Resources of PE files (Microsoft's PE Format, "The .rsrc Section"): those that hold a file.

Read here and not by lief, which copies every one: a hostile table tells of the same megabytes thousands of times.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from scanner.unpackers.base import GapReason, Sink
from scanner.unpackers.encodings import FILE_MAGICS, payload_of
from scanner.unpackers.programs.facts import Section, printable

MAX_ENTRIES = 20_000
"""Of the directories of types, names and languages together."""
MAX_FILES = 200
MAX_TEXT_BYTES = 16 * 1024 * 1024
_TYPES = {
    1: "CURSOR", 2: "BITMAP", 3: "ICON", 4: "MENU", 5: "DIALOG", 6: "STRING", 7: "FONTDIR", 8: "FONT",
    9: "ACCELERATOR", 10: "RCDATA", 11: "MESSAGETABLE", 12: "GROUP_CURSOR", 14: "GROUP_ICON", 16: "VERSION",
    17: "DLGINCLUDE", 19: "PLUGPLAY", 20: "VXD", 21: "ANICURSOR", 22: "ANIICON", 23: "HTML", 24: "MANIFEST",
}  # fmt: skip
# The others have a form of their own, so that text in them is no file; a program or archive is one anywhere.
_RCDATA, _HTML = 10, 23
_LEVELS = 3
_NAME_CHARACTERS = 40
_IN_TABLE = 1 << 31
_SECTOR_BYTES = 512
_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Resource:
    """A range of the file; `path` is its type, its name and its language, as the table numbers them."""

    path: tuple[int, ...]
    start: int
    end: int

    @property
    def free(self) -> bool:
        """Whether only the program knows what it holds."""
        return self.path[0] not in _TYPES or self.path[0] in {_RCDATA, _HTML}


def store_resources(data: bytes, sections: list[Section], address: int, sink: Sink) -> None:
    """Store what looks like a file in the resources whose table is loaded at `address`."""
    table = _Table(data, sections, address)
    looked_at, files = 0, 0
    for one in _distinct(table.resources()):
        if one.start < looked_at:
            sink.gap(GapReason.ERROR, "Resources of the program overlap; all but the first were not looked at.")
            continue
        looked_at = one.end
        content = _file_in(data[one.start : one.end], sink, free=one.free)
        if content is None:
            continue
        if files == MAX_FILES:
            sink.gap(GapReason.LIMIT_REACHED, f"The program carries more than {MAX_FILES} files in its resources.")
            break
        files += 1
        name = table.name(one)
        sink.store(name, f"resource {name}", [content], (), "")
    if table.full:
        detail = f"The tables of resources have more than {MAX_ENTRIES} entries; the rest was not looked at."
        sink.gap(GapReason.LIMIT_REACHED, detail)
    if table.damaged:
        sink.gap(GapReason.ERROR, "The resources of the program speak of parts that the file does not have.")


def _distinct(resources: Iterator[Resource]) -> list[Resource]:
    """Return each range once, in the order of the file; what is free under one of its names counts as free."""
    by_range = {(one.start, one.end): one for one in sorted(resources, key=lambda one: one.free)}
    return [one for _, one in sorted(by_range.items())]


def _file_in(content: bytes, sink: Sink, *, free: bool) -> bytes | None:
    """Return the file that the resource holds, by what decoded content is kept for; None if it looks like none."""
    if content.startswith(FILE_MAGICS):
        return content
    if not free:
        return None
    if len(content) > MAX_TEXT_BYTES:
        detail = f"Resources over {MAX_TEXT_BYTES >> 20} MiB that begin as no known file were not looked at."
        sink.gap(GapReason.LIMIT_REACHED, detail)
        return None
    return payload_of(content)


class _Table:
    """Directories of types, of names and of languages."""

    def __init__(self, data: bytes, sections: list[Section], address: int) -> None:
        self._data = data
        self._sections = sorted(sections, key=lambda one: one.address)
        self._entries = 0
        self._seen: set[int] = set()
        self.damaged = False
        """Whether something is not where it is told to be."""
        self.full = False
        """Whether there is more than was read."""
        self._start = next(iter(self._place(address, 1)), len(data))

    def resources(self) -> Iterator[Resource]:
        """Yield those that have bytes in the file."""
        for path, position in self._leaves(0, ()):
            entry = self._read("<LL", position)
            place = self._place(*entry) if entry else ()
            if place:
                yield Resource(path, *place)

    def name(self, resource: Resource) -> str:
        """Return its type and name, e.g. `RCDATA/101`."""
        kind = resource.path[0]
        return "/".join([_TYPES.get(kind) or self._text(kind), *map(self._text, resource.path[1:2])])

    def _leaves(self, position: int, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], int]]:
        counts = self._read("<12xHH", position)
        if counts is None or position in self._seen or len(path) == _LEVELS:
            self.damaged = True
            return
        self._seen.add(position)
        for number in range(sum(counts)):
            if self._entries == MAX_ENTRIES:
                self.full = True
                return
            self._entries += 1
            entry = self._read("<LL", position + 16 + 8 * number)
            if entry is None:
                return
            name, target = entry
            if target & _IN_TABLE:
                yield from self._leaves(target - _IN_TABLE, (*path, name))
            else:
                yield (*path, name), target

    def _text(self, name: int) -> str:
        if not name & _IN_TABLE:
            return str(name)
        position = name - _IN_TABLE
        (length,) = self._read("<H", position) or (0,)
        start = self._start + position + 2
        text = self._data[start : start + 2 * min(length, _NAME_CHARACTERS + 1)].decode("utf-16-le", "replace")
        return printable(text.replace("/", "_"), _NAME_CHARACTERS)

    def _read(self, form: str, position: int) -> tuple[int, ...] | None:
        start = self._start + position
        if start + struct.calcsize(form) > len(self._data):
            self.damaged = True
            return None
        return struct.unpack_from(form, self._data, start)

    def _place(self, address: int, size: int) -> tuple[int, int] | tuple[()]:
        """Return the range of the file; none where the loader puts zeros, as for what packers unpack at the start."""
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
        self.damaged |= size > room or end > len(self._data)
        return (start, min(end, len(self._data))) if start < min(end, len(self._data)) else ()
