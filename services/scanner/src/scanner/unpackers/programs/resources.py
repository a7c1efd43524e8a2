"""Resources of PE files: those that hold a file.

The table of Windows is told in Microsoft's PE Format ("The .rsrc Section"), that of .NET in ECMA-335, II.24.2.4 and
II.25.3.3. Both are read here and not by lief, which copies every resource: a hostile table tells of the same megabytes
thousands of times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice

from scanner.unpackers.base import GapReason, Sink
from scanner.unpackers.encodings import FILE_MAGICS, payload_of
from scanner.unpackers.programs.facts import Facts, printable
from scanner.unpackers.programs.layout import Layout

MAX_ENTRIES = 20_000
"""Of the directories of types, names and languages together."""
MAX_FILES = 200
RESOURCE_SET_MAGIC = b"\xce\xca\xef\xbe"
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
_MANAGED_TABLE = 24
"""Where the .NET header tells address and size of its resources."""
_MANAGED_ALIGNMENT = 8


@dataclass(frozen=True, slots=True)
class Resource:
    """A range of the file."""

    name: str
    start: int
    end: int
    free: bool
    """Whether only the program knows what it holds."""


def store_resources(data: bytes, facts: Facts, sink: Sink) -> None:
    """Store what looks like a file in the resources of Windows and of .NET."""
    layout = Layout(data, facts.sections)
    table = _Table(layout)
    managed = list(islice(_managed(layout, facts.managed_at), MAX_ENTRIES + 1))
    looked_at, files = 0, 0
    for one in _distinct([*table.resources(facts.resources_at), *managed]):
        if one.start < looked_at:
            sink.gap(GapReason.ERROR, "Resources of the program overlap; all but the first were not looked at.")
            continue
        looked_at = one.end
        content = file_in(data[one.start : one.end], sink, free=one.free)
        if content is None:
            continue
        if files == MAX_FILES:
            sink.gap(GapReason.LIMIT_REACHED, f"The program carries more than {MAX_FILES} files in its resources.")
            break
        files += 1
        sink.store(one.name, f"resource {one.name}", [content], (), "")
    if table.full or len(managed) > MAX_ENTRIES:
        detail = f"The tables of resources have more than {MAX_ENTRIES} entries; the rest was not looked at."
        sink.gap(GapReason.LIMIT_REACHED, detail)
    if layout.damaged:
        sink.gap(GapReason.ERROR, "The resources of the program speak of parts that the file does not have.")


def _distinct(resources: list[Resource]) -> list[Resource]:
    """Return each range once, in the order of the file; what is free under one of its names counts as free."""
    by_range = {(one.start, one.end): one for one in sorted(resources, key=lambda one: one.free)}
    return [one for _, one in sorted(by_range.items())]


def file_in(content: bytes, sink: Sink, *, free: bool) -> bytes | None:
    """Return the file that the resource holds, by what decoded content is kept for; None if it looks like none."""
    if content.startswith((*FILE_MAGICS, RESOURCE_SET_MAGIC)):
        return content
    if not free:
        return None
    if len(content) > MAX_TEXT_BYTES:
        detail = f"Resources over {MAX_TEXT_BYTES >> 20} MiB that begin as no known file were not looked at."
        sink.gap(GapReason.LIMIT_REACHED, detail)
        return None
    return payload_of(content)


def _managed(layout: Layout, header: int) -> Iterator[Resource]:
    """Yield the resources of .NET in their order, as compilers write them; their names stand elsewhere."""
    place = layout.place(header, _MANAGED_TABLE + 8) if header else ()
    table = layout.read("<LL", place[0] + _MANAGED_TABLE) if place else None
    place = layout.place(*table) if table and any(table) else ()
    if not place:
        return
    first, end = place
    position = first
    for number in count(1):
        length = layout.read("<L", position) if position + 4 <= end else None
        if length is None:
            return
        start, stop = position + 4, position + 4 + length[0]
        layout.damaged |= stop > end
        yield Resource(f".NET/{number}", start, min(stop, end), free=True)
        position = stop + (first - stop) % _MANAGED_ALIGNMENT


class _Table:
    """Directories of types, of names and of languages."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._start = 0
        self._entries = 0
        self._seen: set[int] = set()
        self.full = False
        """Whether there is more than was read."""

    def resources(self, address: int) -> Iterator[Resource]:
        """Yield those that have bytes in the file; the first directory is at an address, 0 if there is none."""
        table = self._layout.place(address, 1) if address else ()
        if not table:
            return
        self._start = table[0]
        for path, position in self._leaves(0, ()):
            entry = self._read("<LL", position)
            place = self._layout.place(*entry) if entry else ()
            if place:
                kind = path[0]
                free = kind not in _TYPES or kind in {_RCDATA, _HTML}
                name = "/".join([_TYPES.get(kind) or self._text(kind), *map(self._text, path[1:2])])
                yield Resource(name, *place, free)

    def _leaves(self, position: int, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], int]]:
        counts = self._read("<12xHH", position)
        if counts is None or position in self._seen or len(path) == _LEVELS:
            self._layout.damaged = True
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
        text = self._layout.data[start : start + 2 * min(length, _NAME_CHARACTERS + 1)].decode("utf-16-le", "replace")
        return printable(text.replace("/", "_"), _NAME_CHARACTERS)

    def _read(self, form: str, position: int) -> tuple[int, ...] | None:
        return self._layout.read(form, self._start + position)
