"""What scripts carry encoded in the forms of `encoded_forms`, and deflated data inside them.

Each find is a child of its own, which is searched in its turn, so layers come off one by one. Only
what looks like text, a program or an archive once decoded is kept: most runs of base64 are keys,
hashes and pictures. What Microsoft's Script Encoder wrote is marked as such.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, NamedTuple

from scanner.unpackers.base import GapReason, Sink, read_bounded
from scanner.unpackers.encoded_forms import decoded_forms, recoded, rot13, uses_rot13, uuencoded_files
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

_SEALS = (b"__pyarmor__", b"@Zend", b"ionCube", b"sg_load", b"phpshield_load")
_SEALED = re.compile(
    rb"__pyarmor__\s{0,9}\(\s{0,9}__name__"
    rb"|^\s{0,99}<\?php\s{0,9}(?:@Zend;|//\s?[0-9A-Fa-f]{4,8}\s[^\0]{0,999}?ionCube Loader)"
    rb"|\b(?:sg_load|phpshield_load)\s{0,9}\(\s{0,9}['\"]"
)
_ENCRYPTED = re.compile(
    rb"(?m)^-----BEGIN (?:PGP MESSAGE|AGE ENCRYPTED FILE|PKCS ?#?7|CMS)[^-\r\n]{0,40}-----\r?\n"
    rb"(?:[^\r\n]{0,200}\r?\n){0,9}?[A-Za-z0-9+/]{40}"
)
_OTHER_FILES = re.compile(
    rb"(?m)^\(This file must be converted with BinHex[^\r\n]{0,40}\)\s{0,9}:|^=ybegin [^\r\n]{0,200}name="
)

_JOINED_LITERALS = re.compile(rb"""(['"])\s{0,100}(?:[+.&]|\.\.)\s{0,100}(?:_\s{0,100})?\1""")

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

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:
        """Store each distinct find, up to a number."""
        if self._runs:
            text = as_utf8(read_bounded(source, MAX_SEARCHED_BYTES, "searched for encoded content", sink))
        else:
            text = as_utf8(source.read(MAX_SEARCHED_PLAIN_BYTES))
            _tell_what_is_closed(text, sink)
        seen = {text}
        scripts = [_Find("Script Encoder", script) for script in decoded_scripts(text)]
        if self._runs and text.count(MARK) > len(scripts):
            sink.gap(GapReason.UNSUPPORTED, "A part by the Script Encoder could not be decoded.")
        source_text = _source_text(text, name, sink) if self._runs else ()
        finds = _finds(_JOINED_LITERALS.sub(b"", text))
        for encoding, content, name_inside in chain(scripts, source_text, _files(text), finds):
            if content in seen:
                continue
            if len(seen) > MAX_FOUND:
                detail = "The script has more encoded parts than the limit allows; the rest was not decoded."
                sink.gap(GapReason.LIMIT_REACHED, detail)
                return
            suffix = ".ps1" if encoding == "encoded command" else ""
            sink.store(name_inside or f"{encoding} {len(seen)}{suffix}", f"decoded from {encoding}", [content], (), "")
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


class _Find(NamedTuple):
    encoding: str
    content: bytes
    name: str = ""
    """What the text calls it."""


def _source_text(text: bytes, name: str, sink: Sink) -> Iterator[_Find]:
    """Yield what a script is to an interpreter that decodes it first; say what is closed to us."""
    if any(sign in text for sign in _SEALS) and _SEALED.search(text):
        sink.gap(GapReason.ENCRYPTED, "The script is sealed (by PyArmor, ionCube, SourceGuardian or the like).")
    try:
        source = recoded(text)
    except (LookupError, ValueError):
        if name.lower().endswith((".py", ".pyw")):
            sink.gap(GapReason.UNSUPPORTED, "The source is in an encoding that could not be decoded.")
    else:
        if source is not None:
            yield _Find("source encoding", source)


def _tell_what_is_closed(text: bytes, sink: Sink) -> None:
    """Say which files, as mails carry them in text, could not be opened."""
    if _ENCRYPTED.search(text):
        sink.gap(GapReason.ENCRYPTED, "A message in it is encrypted or sealed (PGP, S/MIME, age) and was not opened.")
    if _OTHER_FILES.search(text):
        sink.gap(GapReason.UNSUPPORTED, "A file in BinHex or yEnc was not decoded.")


def _files(text: bytes) -> Iterator[_Find]:
    return (_Find("uuencoding", content, name) for name, content in uuencoded_files(text))


def _finds(text: bytes) -> Iterator[_Find]:
    turns = uses_rot13(text)
    for encoding, data, any_ascii in decoded_forms(text):
        content = payload_of(data, any_ascii=any_ascii)
        if content is not None:
            yield _Find(encoding, content)
            if turns:
                yield _Find(f"{encoding} and ROT13", rot13(content))


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


ENCODINGS = EncodingsUnpacker("encodings", LABELS, runs=True)
PLAIN_TEXT = EncodingsUnpacker("encodings in plain text", frozenset({"pem", "txt"}), runs=False)
