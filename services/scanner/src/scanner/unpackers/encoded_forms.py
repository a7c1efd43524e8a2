"""How text carries bytes: base64, hex, escapes, character codes, and the rarer forms of scripts that hide.

The rarer ones are tried only where the text has what undoes them, because anything could be read backwards.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Callable, Iterator
from encodings import normalize_encoding
from encodings.aliases import aliases
from typing import NamedTuple


class Decoded(NamedTuple):
    """What a part of a text stands for."""

    encoding: str
    content: bytes
    any_ascii: bool = False
    """Whether ASCII bytes are so unlikely to come out by chance that they are text, whatever they say."""


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

_REVERSES = (b"::-1", b":: -1", b"strrev", b"reverse", b"[-1..-")
_REVERSED = re.compile(
    rb"""(?ix) str(?:rev|reverse)\s*\(\s*(?:"([^"\r\n]{12,})"|'([^'\r\n]{12,})')
    | (?:"([^"\r\n]{12,})"|'([^'\r\n]{12,})')\s*(?:\[\s*::\s*-\s*1\s*\]|\.split\s*\(\s*(?:""|'')\s*\)\s*\.\s*reverse)"""
)
_ROTATES = (b"rot13", b"rot_13", b"rot-13")
_ROTATED = re.compile(
    rb"""(?ix) (?:str_rot13|codecs\.(?:de|en)code)\s*\(\s*(?:"([^"\r\n]{12,})"|'([^'\r\n]{12,})')
    | (?:"([^"\r\n]{12,})"|'([^'\r\n]{12,})')\s*\.\s*(?:de|en)code\s*\(\s*['"]rot"""
)
_ROT13 = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", b"NOPQRSTUVWXYZABCDEFGHIJKLMnopqrstuvwxyzabcdefghijklm"
)
_USES_BASE32 = (b"b32", b"base32")
_BASE32 = re.compile(rb"[A-Z2-7]{24,}")
_USES_BASE85 = (b"b85", b"base85")
_BASE85 = re.compile(rb"[0-9A-Za-z!#$%&()*+;<=>?@^_`{|}~-]{20,}")
_USES_ASCII85 = (b"a85", b"ascii85")
_ASCII85 = re.compile(rb"""(?<=")[!#-\[\]-uz]{20,}(?=")|(?<=')[!-&(-\[\]-uz]{20,}(?=')""")

_INVISIBLE = re.compile(rb"(?:\xf3\xa0[\x84-\x86][\x80-\xbf]|\xf3\xa0\x87[\x80-\xaf]|\xef\xb8[\x80-\x8f]){12,}")
_HAS_INVISIBLE = (b"\xf3\xa0", b"\xef\xb8")
_FIRST_SELECTOR, _LATER_SELECTORS = 0xFE00, 0xE0100

_UUENCODED = re.compile(
    rb"(?m)^begin [0-7]{3,4} (?P<name>[^\r\n]{1,200})\r?\n"
    rb"(?P<lines>(?:[!-M][ -`]{1,64}\r?\n){1,100000})(?:[ `]\r?\n)?end"
)
# https://docs.python.org/3/reference/lexical_analysis.html#encoding-declarations
_DECLARED_CODING = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_FIRST_LINES_BYTES = 4096
_NOT_ASCII = frozenset({
    "cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1140", "raw_unicode_escape", "unicode_escape", "utf_7",
})  # fmt: skip
for _name in _NOT_ASCII:
    codecs.lookup(_name)  # the sandbox cannot load them any more
# Python takes no source in the first ones, and the last ones take the square of the time.
_NEVER_A_SOURCE = frozenset({
    "base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "uu_codec", "zlib_codec", "utf_16", "utf_16_be",
    "utf_16_le", "utf_32", "utf_32_be", "utf_32_le", "idna", "punycode",
})  # fmt: skip
_DIALECT = re.compile("^x_|_[ie]$")
"""Of the names that mails use: not registered, or with a direction of writing."""
_ASCII = re.compile("utf_8|latin_1|iso_?8859_1|iso_latin_1|cp[0-9]+$|koi8_|mac_|palmos$")


def decoded_forms(text: bytes) -> Iterator[Decoded]:
    """Yield what each part that may be encoded stands for; most of it means nothing."""
    lower = text.lower()
    for form in _FORMS:
        if not form.needs or any(sign in lower for sign in form.needs):
            for match in form.pattern.finditer(text):
                yield Decoded(form.encoding, form.decode(match), form.any_ascii)


def uuencoded_files(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of the files that stand uuencoded in a text, as mails once carried them."""
    for match in _UUENCODED.finditer(text):
        try:
            content = b"".join(map(binascii.a2b_uu, match["lines"].splitlines()))
        except binascii.Error:
            continue
        yield match["name"].decode("utf-8", "replace"), content


def rot13(text: bytes) -> bytes:
    """Return the text with each Latin letter moved by 13 places."""
    return text.translate(_ROT13)


def uses_rot13(text: bytes) -> bool:
    """Whether a script may move letters by 13 places."""
    lower = text.lower()
    return any(sign in lower for sign in _ROTATES)


def recoded(text: bytes) -> bytes | None:
    """Return what Python reads where the first two lines declare an encoding in which ASCII is something else.

    None if none is declared or ASCII is ASCII in it. Raises LookupError for an encoding that is not known here,
    ValueError for text that is none in it.
    """
    first_lines = text[:_FIRST_LINES_BYTES].splitlines()[:2]
    declared = next(filter(None, map(_DECLARED_CODING.match, first_lines)), None)
    return read_as(declared[1].decode("ascii", "replace"), text) if declared else None


def read_as(encoding: str, text: bytes) -> bytes | None:
    """Return a text in UTF-8 if ASCII is something else in its encoding, None if ASCII is ASCII.

    Raises LookupError for an encoding that is not known here, ValueError for text that is none in it.
    """
    given = _DIALECT.sub("", normalize_encoding(encoding.lower()))
    name = aliases.get(given, given)
    if name == "rot_13":
        return rot13(text)
    if name in _NOT_ASCII:
        return text.decode(name).encode("utf-8", "surrogatepass")
    if name in _NEVER_A_SOURCE or not (name in aliases.values() or _ASCII.match(name)):
        raise LookupError(name)
    return None


def _from_base64(run: bytes) -> bytes:
    clean = re.sub(rb"[\\\s=]", b"", run).translate(bytes.maketrans(b"-_", b"+/"))
    whole = len(clean) - (len(clean) % 4 == 1)
    return base64.b64decode(clean[:whole] + b"=" * (-whole % 4))


def _from_base32(run: bytes) -> bytes:
    whole = len(run) - {1: 1, 3: 1, 6: 1}.get(len(run) % 8, 0)
    return base64.b32decode(run[:whole] + b"=" * (-whole % 8))


def _or_nothing(decode: Callable[[bytes], bytes], run: bytes) -> bytes:
    try:
        return decode(run)
    except ValueError:
        return b""


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


def _from_invisible(match: re.Match[bytes]) -> bytes:
    """Of variation selectors, of which there are 256, as many as of bytes."""
    codes = [ord(character) for character in match.group().decode("utf-8")]
    return bytes(code - _FIRST_SELECTOR if code < _LATER_SELECTORS else code - _LATER_SELECTORS + 16 for code in codes)


def _literal(match: re.Match[bytes]) -> bytes:
    return next(group for group in match.groups() if group is not None)


class _Form(NamedTuple):
    encoding: str
    pattern: re.Pattern[bytes]
    decode: Callable[[re.Match[bytes]], bytes]
    needs: tuple[bytes, ...] = ()
    """One of which a script has that undoes it, in small letters."""
    any_ascii: bool = False
    """As of what is decoded."""


_FORMS = (
    _Form("encoded command", _COMMAND, lambda match: _from_base64(match.group(1)), any_ascii=True),
    _Form("base64", _BASE64, lambda match: _from_base64(match.group()), any_ascii=True),
    _Form("hex", _HEX, _from_hex),
    _Form("escapes", _ESCAPES, _from_escapes),
    _Form("character codes", _CHARACTERS, _from_numbers),
    _Form("character codes", _NUMBERS, _from_numbers),
    _Form("invisible characters", _INVISIBLE, _from_invisible, _HAS_INVISIBLE),
    _Form("reversed base64", _BASE64, lambda match: _from_base64(match.group()[::-1]), _REVERSES),
    _Form("reversed text", _REVERSED, lambda match: _literal(match)[::-1], _REVERSES),
    _Form("ROT13", _ROTATED, lambda match: rot13(_literal(match)), _ROTATES),
    _Form("base64 of ROT13", _BASE64, lambda match: rot13(_from_base64(match.group())), _ROTATES),
    _Form("ROT13 of base64", _BASE64, lambda match: _from_base64(rot13(match.group())), _ROTATES),
    _Form("base32", _BASE32, lambda match: _from_base32(match.group()), _USES_BASE32),
    _Form("base85", _BASE85, lambda match: _or_nothing(base64.b85decode, match.group()), _USES_BASE85),
    _Form("ASCII85", _ASCII85, lambda match: _or_nothing(base64.a85decode, match.group()), _USES_ASCII85),
)
