"""First bytes that a binary format must have, to confirm what the type model says.

The model guesses from learned looks and calls, for example, some compiled modules a picture.
A picture is covered by rules because nothing runs it, so the guess alone must not make
anything clean. Sources: the formats' specifications.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

Check = Callable[[bytes], bool]


def _starts(*signatures: bytes) -> Check:
    return lambda head: head.startswith(signatures)


def _at(offset: int, *signatures: bytes) -> Check:
    return lambda head: head.startswith(signatures, offset)


def _is_bitmap(head: bytes) -> bool:
    header_sizes = {12, 40, 52, 56, 64, 108, 124}
    return head.startswith(b"BM") and len(head) >= 18 and struct.unpack_from("<L", head, 14)[0] in header_sizes


def _is_icon(head: bytes) -> bool:
    if len(head) < 22 or not head.startswith((b"\0\0\1\0", b"\0\0\2\0")):
        return False
    count, first_offset = struct.unpack_from("<H", head, 4)[0], struct.unpack_from("<L", head, 18)[0]
    return count > 0 and bool(first_offset >= 6 + 16 * count)


def _is_mp3(head: bytes) -> bool:
    return head.startswith(b"ID3") or (len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2)


def is_translation(head: bytes) -> bool:
    """Whether it is a Machine Object file of gettext, whose two tables follow one another.

    Source: https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html
    """
    order = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}.get(head[:4])
    if order is None or len(head) < 28:
        return False
    revision, count, originals, translations = struct.unpack_from(f"{order}4L", head, 4)
    return revision in {0, 1, 0x10001} and originals in {28, 48} and translations == originals + 8 * count


def is_beam(head: bytes) -> bool:
    """Whether it is a compiled module of Erlang, in the variant of IFF that it has for that.

    Source: https://www.erlang.org/doc/man/beam_lib.html
    """
    return head.startswith(b"FOR1") and head.startswith(b"BEAM", _RIFF_FORM)


def is_printer_settings(content: bytes) -> bool:
    """Whether it is the DEVMODE of a printer, which workbooks and slides carry along.

    Source: https://learn.microsoft.com/en-us/windows/win32/api/wingdi/ns-wingdi-devmodew
    """
    if len(content) < 72:
        return False
    version, _, size, extra = struct.unpack_from("<4H", content, 64)
    return version in {0x0400, 0x0401} and 156 <= size <= 220 and 0 <= len(content) - size - extra <= 4


def is_layout_cache(content: bytes) -> bool:
    """Whether it is what Writer of LibreOffice keeps of the layout: its version and one record of all the rest.

    Source: https://github.com/LibreOffice/core/blob/master/sw/source/core/layout/laycache.cxx
    """
    begins = content.startswith(b"\x01\0") and content.startswith(b"\0p", 3)
    return begins and int.from_bytes(content[5:8], "little") == len(content) - 4


_RIFF_FORM = 8
_METAFILE_FORM = 40
_BOX_TYPE = 4
_MATROSKA = _starts(b"\x1a\x45\xdf\xa3")
_MPEG4 = _at(_BOX_TYPE, b"ftyp")

SIGNATURES: dict[str, Check] = {
    "3gp": _MPEG4,
    "bmp": _is_bitmap,
    "devmode": is_printer_settings,
    "emf": lambda head: head.startswith(b"\1\0\0\0") and head.startswith(b" EMF", _METAFILE_FORM),
    "flac": _starts(b"fLaC"),
    "flv": _starts(b"FLV\x01"),
    "gif": _starts(b"GIF87a", b"GIF89a"),
    "icns": _starts(b"icns"),
    "ico": _is_icon,
    "jp2": _starts(b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
    "jpeg": _starts(b"\xff\xd8\xff"),
    "layout-cache": is_layout_cache,
    "midi": _starts(b"MThd"),
    "mkv": _MATROSKA,
    "mo": is_translation,
    "mp3": _is_mp3,
    "mp4": _MPEG4,
    "ogg": _starts(b"OggS"),
    "otf": _starts(b"OTTO"),
    "png": _starts(b"\x89PNG\r\n\x1a\n"),
    "psd": _starts(b"8BPS"),
    "qt": _at(_BOX_TYPE, b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"),
    "tiff": _starts(b"II*\0", b"MM\0*"),
    "ttf": _starts(b"\0\1\0\0", b"true", b"ttcf"),
    "wav": lambda head: head.startswith(b"RIFF") and head.startswith(b"WAVE", _RIFF_FORM),
    "webm": _MATROSKA,
    "webp": lambda head: head.startswith(b"RIFF") and head.startswith(b"WEBP", _RIFF_FORM),
    "wmf": _starts(b"\xd7\xcd\xc6\x9a", b"\1\0\t\0", b"\2\0\t\0"),
    "woff": _starts(b"wOFF"),
    "woff2": _starts(b"wOF2"),
}


def contradicts(label: str, head: bytes) -> bool:
    """Whether the first bytes rule the content type out; False for types that no signature confirms."""
    check = SIGNATURES.get(label)
    return check is not None and not check(head)
