"""What scripts carry encoded: base64, hex, escapes, character codes, and deflated data inside them.

Each find is a child of its own, which is searched in its turn, so layers come off one by one. Only
what looks like text, a program or an archive once decoded is kept: most runs of base64 are keys,
hashes and pictures. What Microsoft's Script Encoder wrote is marked as such.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import BinaryIO

from scanner.unpackers.base import GapReason, Sink, read_bounded
from scanner.unpackers.script_encoder import MARK, decoded_scripts

MAX_SEARCHED_BYTES = 16 * 1024 * 1024
MAX_SEARCHED_PLAIN_BYTES = 1024 * 1024
MAX_FOUND = 64
_MAX_INFLATED_BYTES = 16 * 1024 * 1024
_MIN_TEXT_BYTES = 12
# An empty gzip file has as many. Programs that write formats have their first bytes as constants.
_MIN_FILE_BYTES = 20
_MIN_DOUBTFUL_BYTES = 64
_CONTROLS = bytes(code for code in range(0x20) if code not in b"\t\r\n\f")
_HIGH = bytes(range(0x80, 0x100))
SNIFFED_BYTES = 2000
FILE_MAGICS = (
    b"MZ", b"\x7fELF", b"PK\x03\x04", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0",
    b"MSCF\0\0\0\0", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"%PDF-", b"{\\rtf", b"L\0\0\0\x01\x14\x02\0",
    b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe",
)  # fmt: skip
_ZLIB_HEADERS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")

_JOINED_LITERALS = re.compile(rb"""(['"])\s{0,100}(?:[+.&]|\.\.)\s{0,100}(?:_\s{0,100})?\1""")
_COMMAND = re.compile(rb"""(?i)[-/]e(?:nc|ncodedcommand|c)?[\s:]{1,20}['"]?([A-Za-z0-9+/]{8,}={0,2})""")
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/_-]{20,}(?:\\?\r?\n[ \t]{0,16})?)+={0,2}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){16,}")
_ESCAPES = re.compile(rb"""(?:(?:\\x[0-9a-fA-F]{2}|\\u00[0-9a-fA-F]{2}|%[0-9a-fA-F]{2})[^\\%"'\r\n]{0,8}){8,}""")
_ONE_ESCAPE = re.compile(rb"(?:\\x|\\u00|%)([0-9a-fA-F]{2})")
_NUMBER = rb"(?:0x[0-9a-fA-F]{1,2}|&H[0-9a-fA-F]{1,2}|[0-9]{1,3})"
_NUMBERS = re.compile(_NUMBER + rb"(?:\s{0,4},\s{0,4}" + _NUMBER + rb"){11,}")
_CHARACTERS = re.compile(
    rb"(?i)(?:(?:chr[bw]?\$?\s{0,2}\(|\[char\]\s{0,2}\(?)\s{0,2}" + _NUMBER + rb"\s{0,2}\)?[\s+.&,'\"_]{0,8}){4,}"
)
_ONE_NUMBER = re.compile(_NUMBER)

LABELS = frozenset({
    "asp", "autohotkey", "autoit", "batch", "coffeescript", "erb", "groovy", "hta", "html", "internetshortcut",
    "javascript", "jinja", "jsx", "lua", "mht", "perl", "php", "powershell", "python", "ruby", "scriptwsf", "shell",
    "svg", "tcl", "tsx", "twig", "typescript", "vba", "vbe", "vue", "xml",
})  # fmt: skip


class EncodingsUnpacker:
    """Finds encoded text, programs and archives in text.

    Of a script everything must be searched, or it is a gap. Nothing runs plain text, so of that the
    beginning is enough: it is opened because decoded scripts are often taken for it.
    """

    whole: frozenset[str] = frozenset()

    def __init__(self, name: str, labels: frozenset[str], *, runs: bool) -> None:
        self.name = name
        self.labels = labels
        self._runs = runs

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- scripts have no magic number
        """Return False: only the content type tells."""
        return False

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- the finds are numbered
        """Store each distinct find, up to a number."""
        if self._runs:
            text = as_utf8(read_bounded(source, MAX_SEARCHED_BYTES, "searched for encoded content", sink))
        else:
            text = as_utf8(source.read(MAX_SEARCHED_PLAIN_BYTES))
        seen = {text}
        encoded = [("Script Encoder", script) for script in decoded_scripts(text)]
        if self._runs and text.count(MARK) > len(encoded):
            sink.gap(GapReason.UNSUPPORTED, "A part by the Script Encoder could not be decoded.")
        for encoding, content in chain(encoded, _finds(_JOINED_LITERALS.sub(b"", text))):
            if content in seen:
                continue
            if len(seen) > MAX_FOUND:
                detail = "The script has more encoded parts than the limit allows; the rest was not decoded."
                sink.gap(GapReason.LIMIT_REACHED, detail)
                return
            suffix = ".ps1" if encoding == "encoded command" else ""
            sink.store(f"{encoding} {len(seen)}{suffix}", f"decoded from {encoding}", [content], (), "")
            seen.add(content)


def utf16_codec(data: bytes) -> str | None:
    """Return the codec of UTF-16 text, told by its mark or by where its zero bytes stand; None for all else."""
    sample = data[:SNIFFED_BYTES]
    told = len(sample) > 3
    if data.startswith(b"\xff\xfe") or (told and sample[1::2].count(0) > len(sample) * 0.4):
        return "utf-16-le"
    if data.startswith(b"\xfe\xff") or (told and sample[0::2].count(0) > len(sample) * 0.4):
        return "utf-16-be"
    return None


def as_utf8(data: bytes) -> bytes:
    """Return UTF-16 text, with or without its mark, as UTF-8; everything else as it is."""
    codec = utf16_codec(data)
    if codec is None:
        return data
    return data.decode(codec, "replace").removeprefix("\ufeff").encode("utf-8", "replace")


def _finds(text: bytes) -> Iterator[tuple[str, bytes]]:
    for encoding, pattern, decode in _ENCODINGS:
        for match in pattern.finditer(text):
            content = payload_of(decode(match), any_ascii=pattern in {_COMMAND, _BASE64})
            if content is not None:
                yield encoding, content


def payload_of(data: bytes, *, any_ascii: bool = False) -> bytes | None:
    """Return the data once inflated and brought to UTF-8, or None if it looks like no text, program or archive.

    With `any_ascii` 64 bytes without a high bit are text, whatever they say. Base64 of other things has such bits;
    tables of small numbers have none.
    """
    if len(data) >= _MIN_FILE_BYTES and data.startswith(FILE_MAGICS):
        return data
    text = _as_text(data, any_ascii=any_ascii)
    if text is not None:
        return text
    inflated = _inflate(data)
    if inflated is None:
        return None
    return inflated if inflated.startswith(FILE_MAGICS) else _as_text(inflated, any_ascii=any_ascii)


def _as_text(data: bytes, *, any_ascii: bool) -> bytes | None:
    text = as_utf8(data)
    if any_ascii and len(text) >= _MIN_DOUBTFUL_BYTES and text.isascii() and b"\0" not in text:
        return text
    controls = len(text) - len(text.translate(None, _CONTROLS))
    if len(text) < _MIN_TEXT_BYTES or controls > len(text) * 0.02:
        return None
    try:
        characters = text.decode("utf-8")
    except UnicodeDecodeError:  # in an older encoding, or cut in the middle of a character
        ascii_bytes = len(text.translate(None, _HIGH))  # of random bytes every second one is
        return text if len(text) >= _MIN_DOUBTFUL_BYTES and ascii_bytes >= len(text) * 0.8 else None
    letters = sum(1 for character in characters if character.isalpha())
    return text if letters >= len(characters) * 0.4 else None


def _inflate(data: bytes) -> bytes | None:
    inflater = zlib.decompressobj(15 if data.startswith(_ZLIB_HEADERS) else -15)
    try:
        out = inflater.decompress(data, _MAX_INFLATED_BYTES)
    except zlib.error:
        return None
    return out if len(out) >= _MIN_TEXT_BYTES else None


def _from_base64(run: bytes) -> bytes:
    clean = re.sub(rb"[\\\s=]", b"", run).translate(bytes.maketrans(b"-_", b"+/"))
    whole = len(clean) - (len(clean) % 4 == 1)
    return base64.b64decode(clean[:whole] + b"=" * (-whole % 4))


def _from_hex(match: re.Match[bytes]) -> bytes:
    return binascii.unhexlify(match.group())


def _from_escapes(match: re.Match[bytes]) -> bytes:
    return _ONE_ESCAPE.sub(lambda one: bytes([int(one.group(1), 16)]), match.group())


def _from_numbers(match: re.Match[bytes]) -> bytes:
    numbers = (_number(one) for one in _ONE_NUMBER.findall(match.group()))
    return bytes(number for number in numbers if number < 256)


def _number(text: bytes) -> int:
    digits = text[2:] if text[1:2] in {b"x", b"X", b"h", b"H"} else text
    return int(digits, 10 if digits is text else 16)


_Decode = Callable[[re.Match[bytes]], bytes]
_ENCODINGS: tuple[tuple[str, re.Pattern[bytes], _Decode], ...] = (
    ("encoded command", _COMMAND, lambda match: _from_base64(match.group(1))),
    ("base64", _BASE64, lambda match: _from_base64(match.group())),
    ("hex", _HEX, _from_hex),
    ("escapes", _ESCAPES, _from_escapes),
    ("character codes", _CHARACTERS, _from_numbers),
    ("character codes", _NUMBERS, _from_numbers),
)
ENCODINGS = EncodingsUnpacker("encodings", LABELS, runs=True)
PLAIN_TEXT = EncodingsUnpacker("encodings in plain text", frozenset({"txt"}), runs=False)
