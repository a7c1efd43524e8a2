"""The source of VBA macros in a project of [MS-OVBA]: decompression (2.4.1) and the list of modules (2.3.4.2).

Written out here because the library for it, oletools, depends on a package under the GPL.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_CHUNK_BYTES = 4096
_MODULE_NAME, _STREAM_NAME, _OFFSET, _END_OF_MODULE, _CODE_PAGE, _VERSION = 0x19, 0x1A, 0x31, 0x2B, 0x03, 0x09
MAX_SOURCE_BYTES = 64 * 1024 * 1024


class DamagedProjectError(Exception):
    """The project does not follow its format."""


@dataclass(frozen=True, slots=True)
class Module:
    """One module: the name of its stream and where in that the compressed source begins."""

    name: str
    stream: str
    offset: int
    codec: str


def modules(directory: bytes) -> list[Module]:
    """Return what the decompressed `dir` stream lists. Raises DamagedProjectError."""
    found: list[Module] = []
    codec, name, stream, offset = "cp1252", "", "", 0
    for kind, content in _records(directory):
        if kind == _CODE_PAGE and len(content) == 2:
            codec = f"cp{struct.unpack('<H', content)[0]}"
        elif kind == _MODULE_NAME:
            name = decoded(content, codec)
        elif kind == _STREAM_NAME:
            stream = decoded(content, codec)
        elif kind == _OFFSET and len(content) == 4:
            (offset,) = struct.unpack("<L", content)
        elif kind == _END_OF_MODULE:
            found.append(Module(name or stream, stream or name, offset, codec))
            name, stream, offset = "", "", 0
    return found


def _records(directory: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 6 <= len(directory):
        kind, size = struct.unpack_from("<HL", directory, position)
        if kind == _VERSION:  # its size field says 4, its content is 6 bytes
            size = 6
        position += 6
        if position + size > len(directory):
            raise DamagedProjectError
        yield kind, directory[position : position + size]
        position += size


def decoded(text: bytes, codec: str) -> str:
    """Decode by the project's code page; by Windows-1252 if that is unknown here."""
    try:
        return text.decode(codec, "replace")
    except LookupError:
        return text.decode("cp1252", "replace")


def decompress(data: bytes) -> bytes:
    """Return the content of a compressed container. Raises DamagedProjectError."""
    if not data.startswith(b"\x01"):
        raise DamagedProjectError
    out = bytearray()
    position = 1
    while position + 2 <= len(data):
        (header,) = struct.unpack_from("<H", data, position)
        size = (header & 0x0FFF) + 3
        if (header >> 12) & 0x7 != 0b011:
            raise DamagedProjectError
        chunk = data[position + 2 : position + size]
        out += _expanded(chunk) if header & 0x8000 else chunk[:_CHUNK_BYTES]
        if len(out) > MAX_SOURCE_BYTES:
            raise DamagedProjectError
        position += size
    return bytes(out)


def _expanded(chunk: bytes) -> bytes:
    out = bytearray()
    position = 0
    while position < len(chunk):
        flags = chunk[position]
        position += 1
        for bit in range(8):
            if position >= len(chunk):
                break
            if flags >> bit & 1:
                position = _copy(chunk, position, out)
            else:
                out.append(chunk[position])
                position += 1
    return bytes(out)


def _copy(chunk: bytes, position: int, out: bytearray) -> int:
    """Do one copy token (2.4.1.3.19): its split between offset and length depends on how much is out."""
    if position + 2 > len(chunk) or not out or len(out) > _CHUNK_BYTES:
        raise DamagedProjectError
    (token,) = struct.unpack_from("<H", chunk, position)
    offset_bits = max((len(out) - 1).bit_length(), 4)
    length = (token & (0xFFFF >> offset_bits)) + 3
    offset = (token >> (16 - offset_bits)) + 1
    if offset > len(out):
        raise DamagedProjectError
    for _ in range(length):
        out.append(out[-offset])
    return position + 2


def sources(directory: bytes, read_stream: Callable[[str], bytes | None]) -> Iterator[tuple[str, bytes | None]]:
    """Yield name and source, as UTF-8, of each module; None where it cannot be read. Raises DamagedProjectError.

    `read_stream` returns a stream beside the `dir` stream by its name, or None.
    """
    for module in modules(decompress(directory)):
        stream = read_stream(module.stream)
        try:
            source = decompress(stream[module.offset :]) if stream is not None else None
        except DamagedProjectError:
            source = None
        yield module.name, decoded(source, module.codec).encode() if source is not None else None
