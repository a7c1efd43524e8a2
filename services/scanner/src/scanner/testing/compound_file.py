"""Writes OLE compound files ([MS-CFB], version 3) and VBA projects ([MS-OVBA]) for the tests."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import pairwise

_SECTOR, _MINI, _CUTOFF = 512, 64, 4096
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


@dataclass
class _Folder:
    folders: dict[str, _Folder] = field(default_factory=dict)
    streams: dict[str, bytes] = field(default_factory=dict)


class _Writer:
    def __init__(self) -> None:
        self.sectors: list[bytes] = []
        self.chain: list[int] = []
        self.mini = b""
        self.mini_chain: list[int] = []
        self.entries: list[list[object]] = []

    def put(self, data: bytes) -> int:
        count = -(-len(data) // _SECTOR)
        first = len(self.sectors)
        for number in range(count):
            self.sectors.append(data[number * _SECTOR : (number + 1) * _SECTOR].ljust(_SECTOR, b"\0"))
            self.chain.append(first + number + 1 if number + 1 < count else _END)
        return first if count else _END

    def put_stream(self, data: bytes) -> int:
        if len(data) >= _CUTOFF or not data:
            return self.put(data)
        first, count = len(self.mini_chain), -(-len(data) // _MINI)
        self.mini += data.ljust(count * _MINI, b"\0")
        self.mini_chain += [first + number + 1 if number + 1 < count else _END for number in range(count)]
        return first

    def entry(self, name: str, kind: int, start: int, size: int) -> int:
        self.entries.append([name, kind, _FREE, _FREE, start, size])
        return len(self.entries) - 1

    def fill(self, folder: _Folder) -> int:
        """Write what is inside, one right of the other; return the first entry's number."""
        numbers = [self.entry(name, 2, self.put_stream(data), len(data)) for name, data in folder.streams.items()]
        for name, inner in folder.folders.items():
            number = self.entry(name, 1, 0, 0)
            self.entries[number][3] = self.fill(inner)
            numbers.append(number)
        for left, right in pairwise(numbers):
            self.entries[left][2] = right
        return numbers[0] if numbers else _FREE


def compound_file(streams: dict[str, bytes]) -> bytes:
    """Return a file with these streams; `/` in a name separates folders."""
    root = _Folder()
    for path, data in streams.items():
        folder = root
        *parents, last = path.split("/")
        for parent in parents:
            folder = folder.folders.setdefault(parent, _Folder())
        folder.streams[last] = data
    writer = _Writer()
    writer.entry("Root Entry", 5, _END, 0)
    writer.entries[0][3] = writer.fill(root)
    writer.entries[0][4:] = [writer.put(writer.mini), len(writer.mini)]
    mini_fat = writer.put(_numbers(writer.mini_chain))
    directory = writer.put(b"".join(_entry(*entry) for entry in writer.entries))  # type: ignore[arg-type]  # by construction
    return _with_fat(writer, directory, mini_fat)


def _entry(name: str, kind: int, right: int, child: int, start: int, size: int) -> bytes:
    raw = name.encode("utf-16-le")
    head = raw.ljust(64, b"\0") + struct.pack("<HBBLLL", len(raw) + 2, kind, 1, _FREE, right, child)
    return head + bytes(36) + struct.pack("<LQ", start, size)


def _numbers(values: list[int]) -> bytes:
    data = struct.pack(f"<{len(values)}L", *values)
    return data + b"\xff" * (-len(data) % _SECTOR)


def _with_fat(writer: _Writer, directory: int, mini_fat: int) -> bytes:
    count = len(writer.sectors) // 127 + 1
    first = len(writer.sectors)
    fat = _numbers([*writer.chain, *([_FAT] * count)])
    header = struct.pack(
        "<8s16xHHHHH6xLLLLLLLLLL",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6,
        0, count, directory, 0, _CUTOFF, mini_fat, -(-len(writer.mini_chain) // 128), _END, 0, first,
    )  # fmt: skip
    return header.ljust(_SECTOR, b"\xff") + b"".join(writer.sectors) + fat


def ovba_compressed(data: bytes) -> bytes:
    """Return a container of one chunk of literals; for at most 3500 bytes."""
    tokens = b"".join(b"\0" + data[start : start + 8] for start in range(0, len(data), 8))
    return b"\x01" + struct.pack("<H", len(tokens) - 1 | 0xB000) + tokens


def vba_project(modules: dict[str, str], folder: str = "Macros") -> dict[str, bytes]:
    """Return the streams of a project with these modules."""

    def record(kind: int, content: bytes) -> bytes:
        return struct.pack("<HL", kind, len(content)) + content

    directory = record(3, struct.pack("<H", 1252)) + struct.pack("<HL", 9, 4) + bytes(6)
    streams = {}
    for name, source in modules.items():
        raw = name.encode("cp1252")
        directory += record(0x19, raw) + record(0x1A, raw) + record(0x31, struct.pack("<L", 5)) + record(0x2B, b"")
        streams[f"{folder}/VBA/{name}"] = b"p-cod" + ovba_compressed(source.encode("cp1252"))
    return {f"{folder}/VBA/dir": ovba_compressed(directory), **streams}
