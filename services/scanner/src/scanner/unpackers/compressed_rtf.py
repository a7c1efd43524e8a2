"""Compressed RTF ([MS-OXRTFCP]), in which Outlook keeps the bodies of mails."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from scanner.unpackers.base import Sink

MAX_BODY_BYTES = 16 * 1024 * 1024
_HEADER = struct.Struct("<LL4sL")
_COMPRESSED, _PLAIN = b"LZFu", b"MELA"
_WINDOW_BYTES = 4096
# What every window begins with, 2.1.2.1.
_START = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans Serif"
    rb"SymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)


class _DamagedRtfError(Exception):
    """The data end before they say so, or are larger than what is read."""


def store_rtf_body(compressed: bytes, sink: Sink) -> None:
    """Store the body of a mail that is kept as compressed RTF, as far as it can be read."""
    blame = "The compressed body of the mail is damaged or too large."
    sink.store("body.rtf", "mail body", _decompressed(compressed), (_DamagedRtfError,), blame)


def _decompressed(data: bytes) -> Iterator[bytes]:
    """Yield the document. Raises _DamagedRtfError."""
    if len(data) < _HEADER.size:
        raise _DamagedRtfError
    _, size, kind, _ = _HEADER.unpack_from(data)
    if kind == _PLAIN:
        yield data[_HEADER.size : _HEADER.size + size]
        return
    if kind != _COMPRESSED:
        raise _DamagedRtfError
    out = bytearray(_START)
    try:
        whole = _inflate(data, out)
    except IndexError:
        whole = False
    yield bytes(out[len(_START) :])
    if not whole:
        raise _DamagedRtfError


def _inflate(data: bytes, out: bytearray) -> bool:
    """Write the document behind the start of the window; False if it is over the limit. Raises IndexError."""
    # What was written so far serves as the window; a place in it is counted round in 4,096 bytes.
    position = _HEADER.size
    while len(out) <= MAX_BODY_BYTES:
        control = data[position]
        position += 1
        for bit in range(8):
            if not control >> bit & 1:
                out.append(data[position])
                position += 1
                continue
            reference = data[position] << 8 | data[position + 1]
            position += 2
            place, length = reference >> 4, (reference & 0xF) + 2
            back = (len(out) - place) % _WINDOW_BYTES
            if back == 0:
                return True
            for _ in range(length):
                # Before the start the window is empty.
                out.append(out[-back] if back <= len(out) else 0)
    return False
