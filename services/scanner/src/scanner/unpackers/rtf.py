"""RTF documents (Rich Text Format 1.9.1): embedded objects, fields, templates, what follows the document.

Office reads far more than what it writes, so this reader does, too: digits may stand apart, between control words
and in nested groups, the first word may be cut short. It reads in pieces and keeps only what it collects.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from typing import BinaryIO

from scanner.unpackers.base import CHUNK_BYTES, GapReason, Sink
from scanner.unpackers.embedded_object import EmbeddedObject, read_object, store_package
from scanner.unpackers.office_part import is_remote, store_fields
from scanner.unpackers.rest import store_from
from scanner.unpackers.signs import Sign

MAX_TOKENS = 10_000_000
MAX_OBJECT_BYTES = 64 * 1024 * 1024
_MAX_TEXT_CHARACTERS = 64 * 1024
_MAX_FIELDS = 1000
_MAX_OPEN = 100
_SLACK_BYTES = 64
_LONGEST_TOKEN_BYTES = 300
_TOKEN = re.compile(rb"([{}])|\\([A-Za-z]{1,255})(-?[0-9]{1,20})?[ ]?|\\'([0-9A-Fa-f]{0,2})|\\([^A-Za-z'])|([^\\{}]+)")
_NO_DIGITS = bytes(set(range(256)) - set(b"0123456789abcdefABCDEF"))
_COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# {0002CE02-0000-0000-C000-000000000046}, by which Office chooses the program whatever the class is called.
_EQUATION_EDITOR = bytes.fromhex("02ce020000000000c000000000000046")
_TEXTS = frozenset({b"fldinst", b"objclass", b"template"})
# Those whose text does not count for the group around them.
_DESTINATIONS = frozenset(
    b"annotation atnauthor author background bkmkend bkmkstart buptim category colorschememapping colortbl comment "
    b"company creatim datafield datastore do doccomm docvar falt filetbl fldrslt fontemb fonttbl footer footerf "
    b"footerl footerr footnote formfield ftncn ftnsep ftnsepc generator header headerf headerl headerr info "
    b"keywords levelnumbers leveltext listname listoverridetable listtable manager nextfile nonshppict objalias "
    b"objname objsect objtime oldcprops operator panose picprop pict pn pntext pntxta pntxtb printim private "
    b"revtbl revtim rxe shp shpinst shppict shprslt shptxt sn sp stylesheet subject sv tc themedata title txe "
    b"userprops xe".split()
)


class RtfUnpacker:
    """Makes objects, dynamic fields and what follows the document children. Text and pictures are not looked at."""

    name = "rtf"
    labels = frozenset({"rtf"})
    whole: frozenset[str] = frozenset()

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        r"""Whether it begins as RTF; Office is content with `{\rt`."""
        return head.lstrip()[:4].lower() == b"{\\rt"

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- the finds are numbered
        """Store the finds and tell the signs."""
        document = _Document(_Tokens(source), sink)
        document.read()
        _store_rest(source, document.end, sink)


def _store_rest(source: BinaryIO, end: int | None, sink: Sink) -> None:
    if end is None:
        return
    source.seek(end)
    rest = source.read(CHUNK_BYTES)
    if len(rest.strip(b"\0\r\n\t ")) > _SLACK_BYTES:
        store_from(source, end, "trailing data", "after RTF", sink)


class _Tokens:
    """Cuts a file into braces, control words, symbols and text."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._buffer = b""
        self._place = 0
        self._before = 0
        self.cut = False
        """Whether bytes are announced behind the end of the file."""

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._before + self._place

    def next(self) -> re.Match[bytes] | None:
        """Return the next token; None at the end. Text may come in several."""
        if len(self._buffer) - self._place < _LONGEST_TOKEN_BYTES:
            self._refill()
        match = _TOKEN.match(self._buffer, self._place)
        if match is not None:
            self._place = match.end()
        return match

    def raw(self, size: int) -> Iterator[bytes]:
        """Yield that many bytes as they are."""
        while size > 0:
            if self._place == len(self._buffer):
                self._refill()
            chunk = self._buffer[self._place : self._place + size]
            if not chunk:
                self.cut = True
                return
            self._place += len(chunk)
            size -= len(chunk)
            yield chunk

    def _refill(self) -> None:
        self._before += self._place
        self._buffer = self._buffer[self._place :] + self._source.read(CHUNK_BYTES)
        self._place = 0


class _Text:
    """The text of one group."""

    def __init__(self, kind: bytes) -> None:
        self.kind = kind
        self._pieces: list[str] = []
        self._size = 0
        self._replaced = 0

    def add(self, text: bytes) -> None:
        """Add text, less what stands there only for readers that know no Unicode."""
        taken = text[self._replaced :]
        self._replaced -= min(self._replaced, len(text))
        self._put(taken.translate(None, b"\r\n").decode("cp1252", "replace"))

    def add_character(self, number: int) -> None:
        self._put(chr(number & 0xFFFF))
        self._replaced = 1

    def _put(self, text: str) -> None:
        if self._size < _MAX_TEXT_CHARACTERS:
            self._pieces.append(text)
            self._size += len(text)

    def whole(self) -> str:
        return "".join(self._pieces)[:_MAX_TEXT_CHARACTERS]


class _Digits:
    """Bytes written as hexadecimal digits."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._half = b""

    def add(self, text: bytes) -> None:
        digits = self._half + text.translate(None, _NO_DIGITS)
        whole = len(digits) // 2 * 2
        self.data += binascii.unhexlify(digits[:whole])
        self._half = digits[whole:]

    def add_raw(self, chunk: bytes) -> None:
        self._half = b""
        self.data += chunk

    def drop_half(self) -> None:
        self._half = b""


class _Object:
    """The data of one object, read as Office reads it and, in case that is no object, with all digits there are."""

    def __init__(self) -> None:
        self._strict = _Digits()
        self._loose = _Digits()
        self.skipped_from: int | None = None
        """Depth of a group inside, the text of which does not count."""
        self.full = False

    def add(self, text: bytes) -> None:
        self._loose.add(text)
        if self.skipped_from is None:
            self._strict.add(text)
        self._check()

    def add_raw(self, chunk: bytes) -> None:
        self._loose.add_raw(chunk)
        if self.skipped_from is None:
            self._strict.add_raw(chunk)
        self._check()

    def _check(self) -> None:
        self.full = self.full or len(self._loose.data) >= MAX_OBJECT_BYTES

    def drop_half(self) -> None:
        r"""Forget a single digit, as Office does at `\'`."""
        self._strict.drop_half()

    def readings(self) -> tuple[bytes, ...]:
        return tuple(dict.fromkeys((bytes(self._strict.data), bytes(self._loose.data))))


class _Document:
    """Walks the tokens of a document."""

    def __init__(self, tokens: _Tokens, sink: Sink) -> None:
        self._tokens = tokens
        self._sink = sink
        self._depth = 0
        self._open: list[tuple[int, _Text | _Object]] = []
        self._starred = False
        self._objects = 0
        self._fields: list[str] = []
        self.end: int | None = None
        """Where the document ends in the file."""

    def read(self) -> None:
        """Store what is found and tell the signs."""
        for _ in range(MAX_TOKENS):
            token = self._tokens.next()
            if token is None:
                break
            self._take(token)
        else:
            self._sink.gap(GapReason.LIMIT_REACHED, "The RTF document has more words than the limit allows.")
        if self._depth > 0 or self._tokens.cut:
            self._sink.gap(GapReason.ERROR, "The RTF document is damaged or cut off.")
        self._close_above(-1)
        store_fields(self._fields, self._sink)

    def _take(self, token: re.Match[bytes]) -> None:
        brace, word, parameter, code, symbol, text = token.groups()
        starred, self._starred = self._starred, symbol == b"*"
        if brace == b"{":
            self._depth += 1
        elif brace:
            self._depth = max(0, self._depth - 1)
            self._close_above(self._depth)
            if self._depth == 0 and self.end is None:
                self.end = self._tokens.position
        elif word:
            self._take_word(word.lower(), int(parameter or 0), starred=starred)
        elif text:
            self._add(text)
        elif code is not None:
            self._take_code(code)
        elif symbol in {b"\\", b"{", b"}"} and isinstance(self._collector, _Text):
            self._add(symbol)

    @property
    def _collector(self) -> _Text | _Object | None:
        return self._open[-1][1] if self._open else None

    def _add(self, text: bytes) -> None:
        collector = self._collector
        if isinstance(collector, _Text) or (collector is not None and not collector.full):
            collector.add(text)

    def _take_code(self, code: bytes) -> None:
        collector = self._collector
        if isinstance(collector, _Object):
            collector.drop_half()
        elif collector is not None and len(code) == 2:
            collector.add(binascii.unhexlify(code))

    def _take_word(self, word: bytes, parameter: int, *, starred: bool) -> None:
        collector = self._collector
        if word == b"bin":
            self._take_raw(parameter)
        elif word == b"objdata" or word in _TEXTS:
            if len(self._open) < _MAX_OPEN:
                self._open.append((self._depth, _Object() if word == b"objdata" else _Text(word)))
        elif word in {b"objupdate", b"objautlink"}:
            self._sink.sign(Sign.OBJECT_UPDATE)
        elif isinstance(collector, _Text):
            if word == b"u":
                collector.add_character(parameter)
        elif collector is not None and (starred or word in _DESTINATIONS) and self._depth > self._open[-1][0]:
            collector.skipped_from = collector.skipped_from or self._depth

    def _take_raw(self, parameter: int) -> None:
        # Office takes the number as one of 32 bits with a sign.
        size = parameter & 0x7FFFFFFF if not parameter & 0x80000000 else 0
        collector = self._collector
        for chunk in self._tokens.raw(size):
            if isinstance(collector, _Object) and not collector.full:
                collector.add_raw(chunk)

    def _close_above(self, depth: int) -> None:
        while self._open and self._open[-1][0] > depth:
            _, collector = self._open.pop()
            if isinstance(collector, _Text):
                self._finish_text(collector.kind, collector.whole().strip())
            else:
                self._finish_object(collector)
        left = self._collector
        if isinstance(left, _Object) and left.skipped_from is not None and left.skipped_from > depth:
            left.skipped_from = None

    def _finish_text(self, kind: bytes, text: str) -> None:
        if kind == b"template" and is_remote(text):
            self._sink.sign(Sign.REMOTE_TEMPLATE)
        elif kind == b"objclass":
            self._look_at_class(text)
        elif kind == b"fldinst" and len(self._fields) < _MAX_FIELDS:
            self._fields.append(text)

    def _look_at_class(self, name: str) -> None:
        if name.lower().startswith("equation."):
            self._sink.sign(Sign.EQUATION_OBJECT)

    def _finish_object(self, collected: _Object) -> None:
        readings = collected.readings()
        if collected.full:
            detail = f"Of an object in the RTF document only the first {MAX_OBJECT_BYTES >> 20} MiB were read."
            self._sink.gap(GapReason.LIMIT_REACHED, detail)
        for reading in readings:
            found = read_object(reading)
            if found is not None:
                self._store(found, reading)
                return
        largest = max(readings, key=len)
        if largest:
            start = largest.find(_COMPOUND_FILE)
            self._store_content(largest[max(0, start) :])

    def _store(self, found: EmbeddedObject, data: bytes) -> None:
        self._look_at_class(found.class_name)
        if found.linked:
            if is_remote(found.topic):
                self._sink.sign(Sign.REMOTE_OBJECT)
            self._store_content(data)
        elif found.class_name.lower() != "package" or not store_package(found.content, self._sink):
            self._store_content(found.content)
        if found.cut:
            self._sink.gap(GapReason.ERROR, "An object in the RTF document is cut off.")

    def _store_content(self, content: bytes) -> None:
        if content.startswith(_COMPOUND_FILE) and _EQUATION_EDITOR in content:
            self._sink.sign(Sign.EQUATION_OBJECT)
        self._objects += 1
        self._sink.store(f"object {self._objects}", "object in RTF", [content], (), "")
