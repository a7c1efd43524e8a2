"""Writes small PE, ELF and Mach-O files for the tests. They hold no code: nothing in them would run."""

from __future__ import annotations

import struct
from dataclasses import dataclass

CODE, DATA, WRITABLE_CODE, RESOURCES = 0x60000020, 0xC0000040, 0xE0000020, 0x40000040
"""Characteristics of PE sections."""
Resources = dict[tuple[int | str, int | str], bytes | tuple[int, int]]
"""By type and name: the content, or an address and a size that are told whatever is there."""
_PAGE, _FILE_ALIGNMENT = 0x1000, 0x200
_OPTIONAL_HEADER_BYTES = 240
_ELF_HEADER_BYTES, _ELF_SEGMENT_BYTES = 64, 56
_ELF_BASE = 0x400000
_IN_TABLE = 1 << 31


@dataclass(frozen=True)
class PeSection:
    """One section; `flags` are its characteristics."""

    name: str
    content: bytes
    flags: int = CODE


def pe(
    sections: list[PeSection],
    imports: dict[str, list[str]] | None = None,
    *,
    entry: int | None = None,
    overlay: bytes = b"",
    characteristics: int = 0x22,
    directories: dict[int, tuple[int, int]] | None = None,
    resources: Resources | None = None,
) -> bytes:
    """Return a 64-bit program; `entry` is an address, default the start of the first section.

    Imports and resources become the last sections; `directories` are further entries of the data directory.
    """
    sections = list(sections)
    tables = dict(directories or {})
    if imports is not None:
        address = _next_address(sections)
        sections.append(PeSection(".idata", _import_table(imports, address), DATA))
        tables[1] = (address, 20 * (len(imports) + 1))
    if resources is not None:
        address = _next_address(sections)
        content = resource_table(resources, address)
        sections.append(PeSection(".rsrc", content, RESOURCES))
        tables[2] = (address, len(content))
    headers_size = _aligned(64 + 24 + _OPTIONAL_HEADER_BYTES + 40 * len(sections), _FILE_ALIGNMENT)
    table, body, address = b"", b"", _PAGE
    for one in sections:
        size = _aligned(len(one.content), _FILE_ALIGNMENT)
        place = (len(one.content), address, size, headers_size + len(body))
        table += struct.pack("<8sLLLL12xL", one.name.encode(), *place, one.flags)
        body += one.content.ljust(size, b"\0")
        address += _PAGE * _pages(one.content)
    coff = struct.pack("<4sHHLLLHH", b"PE\0\0", 0x8664, len(sections), 0, 0, 0, _OPTIONAL_HEADER_BYTES, characteristics)
    optional = struct.pack(
        "<HBBLLLLLQLLHHHHHHLLLLHHQQQQLL",
        0x20B, 14, 0, 0, 0, 0, _PAGE if entry is None else entry, _PAGE, 0x140000000, _PAGE, _FILE_ALIGNMENT,
        6, 0, 0, 0, 6, 0, 0, address, headers_size, 0, 3, 0x8160, 1 << 20, _PAGE, 1 << 20, _PAGE, 0, 16,
    )  # fmt: skip
    optional += b"".join(struct.pack("<LL", *tables.get(number, (0, 0))) for number in range(16))
    dos = struct.pack("<2s58xL", b"MZ", 64)
    return (dos + coff + optional + table).ljust(headers_size, b"\0") + body + overlay


def _import_table(imports: dict[str, list[str]], address: int) -> bytes:
    """Descriptors, then for each library its name, its functions' names and the two lists that point at them."""
    position = 20 * (len(imports) + 1)
    descriptors, data = b"", b""

    def put(content: bytes) -> int:
        nonlocal data
        place = address + position + len(data)
        data += content.ljust(_aligned(len(content), 8), b"\0")
        return place

    for library, functions in imports.items():
        names = [put(b"\0\0" + name.encode() + b"\0") for name in functions]
        thunks = struct.pack(f"<{len(names) + 1}Q", *names, 0)
        descriptors += struct.pack("<LLLLL", put(thunks), 0, 0, put(library.encode() + b"\0"), put(thunks))
    return descriptors + bytes(20) + data


def resource_table(resources: Resources, address: int) -> bytes:
    """Return a section for this address: directories of types, names and languages, entries, names, contents."""
    kinds = list(dict.fromkeys(kind for kind, _ in resources))
    names_at = 16 + 8 * len(kinds)
    languages_at = names_at + sum(16 + 8 * sum(one == kind for one, _ in resources) for kind in kinds)
    entries_at = languages_at + 24 * len(resources)
    strings_at = entries_at + 16 * len(resources)
    strings, contents = b"", b""
    for text in {part: None for key in resources for part in key if isinstance(part, str)}:
        strings += _counted(text)
    contents_at = _aligned(strings_at + len(strings), 8)

    def label(name: int | str) -> int:
        if isinstance(name, int):
            return name
        return _IN_TABLE | (strings_at + strings.index(_counted(name)))

    types, names, languages, entries = _directory_header(len(kinds)), b"", b"", b""
    for kind in kinds:
        of_kind = {name: content for (one, name), content in resources.items() if one == kind}
        types += struct.pack("<LL", label(kind), _IN_TABLE | (names_at + len(names)))
        names += _directory_header(len(of_kind))
        for name, content in of_kind.items():
            names += struct.pack("<LL", label(name), _IN_TABLE | (languages_at + len(languages)))
            languages += _directory_header(1) + struct.pack("<LL", 1033, entries_at + len(entries))
            if isinstance(content, bytes):
                place = (address + contents_at + len(contents), len(content))
                contents += content.ljust(_aligned(len(content), 8), b"\0")
            else:
                place = content
            entries += struct.pack("<LLLL", *place, 0, 0)
    return (types + names + languages + entries + strings).ljust(contents_at, b"\0") + contents


def managed_header(address: int, resources: list[bytes]) -> bytes:
    """Return a section for this address: a .NET header and its resources; directory 14 leads to it."""
    table = b""
    for content in resources:
        table += (struct.pack("<L", len(content)) + content).ljust(_aligned(4 + len(content), 8), b"\0")
    return struct.pack("<LHHLLLLLL40x", 72, 2, 5, 0, 0, 1, 0, address + 72, len(table)) + table


def resource_set(values: dict[str, tuple[int, bytes]], version: int = 2) -> bytes:
    """Return a set of .NET resources: by name, the number of the type and how the value is written."""
    names, data, positions = b"", b"", b""
    for name, (kind, value) in values.items():
        positions += struct.pack("<L", len(names))
        text = name.encode("utf-16-le")
        names += _seven_bits(len(text)) + text + struct.pack("<L", len(data))
        data += _seven_bits(kind) + value
    readers = _seven_bits(14) + b"ResourceReader" + _seven_bits(18) + b"RuntimeResourceSet"
    header = struct.pack("<4sLL", b"\xce\xca\xef\xbe", 1, len(readers)) + readers
    header += struct.pack("<LLL", version, len(values), 1) + _seven_bits(11) + b"System.Demo"
    header += b"PADPADP"[: -len(header) % 8] + bytes(4 * len(values)) + positions
    return header + struct.pack("<L", len(header) + 4 + len(names)) + names + data


def counted_bytes(content: bytes) -> bytes:
    """Return a byte array or stream as a set of resources holds it."""
    return struct.pack("<L", len(content)) + content


def serialised_bytes(content: bytes) -> bytes:
    """Return an array of bytes as .NET serialises it ([MS-NRBF])."""
    return struct.pack("<BLlLL", 0, 1, -1, 1, 0) + struct.pack("<BLLB", 15, 1, len(content), 2) + content + b"\x0b"


def _seven_bits(number: int) -> bytes:
    low = bytearray()
    while number > 0x7F:
        low.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*low, number])


def _counted(text: str) -> bytes:
    return struct.pack("<H", len(text)) + text.encode("utf-16-le")


def _directory_header(entries: int) -> bytes:
    return struct.pack("<LLHHHH", 0, 0, 0, 0, 0, entries)


def elf(segments: list[tuple[bytes, str]], *, entry: int = 0, overlay: bytes = b"", kind: int = 2) -> bytes:
    """Return a 64-bit program without sections; `entry` is an offset in the first segment.

    Each segment is its content and its rights, e.g. `rx`.
    """
    headers_size = _ELF_HEADER_BYTES + _ELF_SEGMENT_BYTES * len(segments)
    table, body = b"", b""
    for number, (content, rights) in enumerate(segments):
        flags = sum({"r": 4, "w": 2, "x": 1}[right] for right in rights)
        address = _ELF_BASE + 0x100000 * number
        offset, size = headers_size + len(body), len(content)
        table += struct.pack("<LLQQQQQQ", 1, flags, offset, address, address, size, size, _PAGE)
        body += content
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack(
        "<HHLQQQLHHHHHH", kind, 62, 1, _ELF_BASE + entry, _ELF_HEADER_BYTES, 0, 0, _ELF_HEADER_BYTES,
        _ELF_SEGMENT_BYTES, len(segments), 64, 0, 0,
    )  # fmt: skip
    return header + table + body + overlay


def macho(text: bytes, *, rights: int = 5, libraries: tuple[str, ...] = ()) -> bytes:
    """Return a 64-bit program of one segment with one section, that loads these libraries."""
    commands = [_dylib(name) for name in libraries]
    size = 32 + 72 + 80 + 24 + sum(map(len, commands))
    segment = struct.pack(
        "<LL16sQQQQLLLL", 0x19, 72 + 80, b"__TEXT", 1 << 32, 0x4000, 0, size + len(text), 7, rights, 1, 0
    )
    section = struct.pack(
        "<16s16sQQLLLLLLLL", b"__text", b"__TEXT", (1 << 32) + size, len(text), size, 0, 0, 0, 0x80000400, 0, 0, 0
    )
    commands = [segment + section, struct.pack("<LLQQ", 0x80000028, 24, size, 0), *commands]
    header = struct.pack("<LLLLLLLL", 0xFEEDFACF, 0x0100000C, 0, 2, len(commands), size - 32, 0x85, 0)
    return header + b"".join(commands) + text


def fat_macho(programs: list[bytes]) -> bytes:
    """Return one file with several programs, said to be for ARM64 and x86-64 in turn."""
    table, body = struct.pack(">LL", 0xCAFEBABE, len(programs)), b""
    for number, program in enumerate(programs):
        processor = (0x0100000C, 0x01000007)[number % 2]
        start = _aligned(_PAGE + len(body), _PAGE)
        body = body.ljust(start - _PAGE, b"\0") + program[:4] + struct.pack("<L", processor) + program[8:]
        table += struct.pack(">LLLLL", processor, 0, start, len(program), 12)
    return table.ljust(_PAGE, b"\0") + body


def _dylib(name: str) -> bytes:
    raw = name.encode() + b"\0"
    size = _aligned(24 + len(raw), 8)
    return struct.pack("<LLLLLL", 0xC, size, 24, 0, 0x10000, 0x10000) + raw.ljust(size - 24, b"\0")


def _aligned(size: int, to: int) -> int:
    return -(-size // to) * to


def _next_address(sections: list[PeSection]) -> int:
    return _PAGE * (1 + sum(_pages(one.content) for one in sections))


def _pages(content: bytes) -> int:
    return max(1, _aligned(len(content), _PAGE) // _PAGE)
