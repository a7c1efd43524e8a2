"""Programs (PE, ELF, Mach-O): facts of their headers, files in their resources, and what follows them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, BinaryIO

from scanner.unpackers.base import GapReason, Sink
from scanner.unpackers.libraries import library
from scanner.unpackers.programs import elf, macho, pe
from scanner.unpackers.programs.resources import store_resources
from scanner.unpackers.zip import ends_as_archive

MAX_PARSED_BYTES = 128 * 1024 * 1024
_ELF_MAGIC = b"\x7fELF"
_MACHO_MAGICS = (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe")
_FAT_MAGIC = b"\xca\xfe\xba\xbe"
# Java classes begin alike; what is the number of programs here is their version there, 45 or more.
_MOST_PROGRAMS = 20
# Certificates and tables are aligned; less than this is no place to hide a file.
_SLACK_BYTES = 64
_TAIL_BYTES = 66_000
# Archives, disc images and what installers carry: their data is no riddle.
_KNOWN_DATA = (
    b"PK\x03\x04", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"MSCF", b"hsqs", b"\x1f\x8b\x08", b"\xfd7zXZ\0",
    b"BZh", b"\x28\xb5\x2f\xfd", b";!@Install@!UTF-8!", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"zlb\x1a", b"idska32\x1a",
)  # fmt: skip
_NULLSOFT, _NULLSOFT_OFFSET = b"\xef\xbe\xad\xdeNullsoftInst", 4


class ProgramUnpacker:
    """Tells the facts and stores what the program carries. Code is not looked at, so it is never whole."""

    name = "program"
    labels = frozenset({
        "ax", "cpl", "dll", "dylib", "elf", "exe", "ko", "macho", "ocx", "pebin", "rll", "scr", "so", "sys",
    })  # fmt: skip
    whole: frozenset[str] = frozenset()

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether the magic numbers are where they belong."""
        return _reader(head) is not None

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- the name does not matter
        """Tell the facts of the headers, store what is behind the program and the files in its resources."""
        data = source.read(MAX_PARSED_BYTES + 1)
        if len(data) > MAX_PARSED_BYTES:
            sink.gap(GapReason.LIMIT_REACHED, f"Headers of programs over {MAX_PARSED_BYTES >> 20} MiB are not read.")
            return
        reader = _reader(data)
        if reader is None:
            return  # the type model's guess; what it is instead is not known either
        lief = library("lief")
        try:
            read = reader.read(lief, data)
        except (SystemError, UnicodeDecodeError, ValueError):  # lief on numbers and names that it does not know
            read = None
        if read is None:
            sink.gap(GapReason.ERROR, "The headers of the program are damaged or cut off.")
            return
        facts, unloaded = read
        if facts.damaged:
            sink.gap(GapReason.ERROR, "The headers of the program speak of parts that the file does not have.")
        ranges = [(start, end) for start, end in unloaded if end - start > _SLACK_BYTES and any(data[start:end])]
        overlay = sum(end - start for start, end in ranges)
        known = bool(ranges) and all(_is_known(data[start:end]) for start, end in ranges)
        sink.program(facts.told() | {"overlay_bytes": overlay, "overlay_known": known})
        if not ends_as_archive(data[-_TAIL_BYTES:]):  # else the zip unpacker opens it, from the end of the file
            _store(data, ranges, sink)
        store_resources(data, facts, sink)


def _reader(head: bytes) -> Any:
    if head.startswith(b"MZ") and _has_pe_header(head):
        return pe
    if head.startswith(_ELF_MAGIC):
        return elf
    programs = int.from_bytes(head[4:8], "big")
    if head.startswith(_MACHO_MAGICS) or (head.startswith(_FAT_MAGIC) and 0 < programs < _MOST_PROGRAMS):
        return macho
    return None


def _has_pe_header(head: bytes) -> bool:
    if len(head) < 64:
        return False
    (position,) = struct.unpack_from("<L", head, 60)
    return head.startswith(b"PE\0\0", position)


def _is_known(data: bytes) -> bool:
    return data.startswith(_KNOWN_DATA) or data.startswith(_NULLSOFT, _NULLSOFT_OFFSET)


def _store(data: bytes, ranges: Iterable[tuple[int, int]], sink: Sink) -> None:
    for start, end in ranges:
        sink.store(f"bytes {start} to {end}", "behind the program", [data[start:end]], (), "")
