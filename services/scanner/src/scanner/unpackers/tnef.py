"""TNEF ([MS-OXTNEF]), the winmail.dat of Outlook: attachments and bodies of a mail.

A file is a row of attributes. Some of them are lists of MAPI properties, which hold names, bodies and attachments, too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from scanner.unpackers.base import GapReason, Sink, read_chunks
from scanner.unpackers.compressed_rtf import store_rtf_body
from scanner.unpackers.rest import store_from

MAX_ATTRIBUTES = 10_000
MAX_PROPERTIES = 10_000
MAX_LIST_BYTES = 64 * 1024 * 1024
_MAGIC = b"\x78\x9f\x3e\x22"
_HEADER_BYTES = 6
_ATTRIBUTE = struct.Struct("<BLL")
_CHECKSUM_BYTES = 2
_LEVELS = {1, 2}
_SLACK_BYTES = 64
_MAX_NAME_BYTES = 4096
_BODY, _MESSAGE_LIST = 0x0002800C, 0x00069003
_ATTACHMENT_START, _ATTACHMENT_DATA, _ATTACHMENT_TITLE = 0x00069002, 0x0006800F, 0x00018010
_ATTACHMENT_LIST = 0x00069005
_OF_ATTACHMENTS = {_ATTACHMENT_DATA, _ATTACHMENT_TITLE, _ATTACHMENT_LIST}

# Property types of [MS-OXCDATA] 2.11.1: bytes of a value, rounded up to four.
_FIXED_SIZES = {
    0x00: 0, 0x01: 0, 0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8,
    0x48: 16,
}  # fmt: skip
_OBJECT, _STRING8, _UNICODE, _BINARY = 0x0D, 0x1E, 0x1F, 0x0102
_SEVERAL = 0x1000
_FIRST_NAMED = 0x8000
_PROPERTY_BODY, _PROPERTY_RTF, _PROPERTY_HTML = 0x1000, 0x1009, 0x1013
_PROPERTY_DATA, _PROPERTY_NAME, _PROPERTY_LONG_NAME = 0x3701, 0x3704, 0x3707
_INTERFACE_BYTES = 16


@dataclass(frozen=True, slots=True)
class _Attribute:
    tag: int
    start: int
    size: int


@dataclass(slots=True)
class _Attachment:
    """The attributes of one attachment."""

    data: list[_Attribute] = field(default_factory=list)
    titles: list[_Attribute] = field(default_factory=list)
    lists: list[_Attribute] = field(default_factory=list)


class TnefUnpacker:
    """Makes attachments and bodies children. What else Outlook says of a mail is not looked at."""

    name = "tnef"
    labels: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether it begins with the format's signature."""
        return head.startswith(_MAGIC)

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- attachments bring their own names
        """Store bodies, attachments and what follows the attributes."""
        _Reading(source, sink).read()


class _Reading:
    def __init__(self, source: BinaryIO, sink: Sink) -> None:
        self._source = source
        self._sink = sink

    def read(self) -> None:
        attachments: list[_Attachment] = []
        for attribute in self._attributes():
            if attribute.tag == _ATTACHMENT_START or (attribute.tag in _OF_ATTACHMENTS and not attachments):
                attachments.append(_Attachment())
            if attribute.tag == _BODY:
                self._store(attribute, "body.txt", "mail body")
            elif attribute.tag == _MESSAGE_LIST:
                self._store_bodies(attribute)
            elif attribute.tag == _ATTACHMENT_DATA:
                attachments[-1].data.append(attribute)
            elif attribute.tag == _ATTACHMENT_TITLE:
                attachments[-1].titles.append(attribute)
            elif attribute.tag == _ATTACHMENT_LIST:
                attachments[-1].lists.append(attribute)
        for attachment in attachments:
            self._store_attachment(attachment)

    def _attributes(self) -> Iterator[_Attribute]:
        """Yield the attributes as far as they hold together, then look at what is left."""
        size = self._source.seek(0, 2)
        position = _HEADER_BYTES
        for _ in range(MAX_ATTRIBUTES):
            self._source.seek(position)
            header = self._source.read(_ATTRIBUTE.size)
            if len(header) < _ATTRIBUTE.size or header[0] not in _LEVELS:
                break
            _, tag, length = _ATTRIBUTE.unpack(header)
            start = position + _ATTRIBUTE.size
            position = start + length + _CHECKSUM_BYTES
            if position > size:
                self._sink.gap(GapReason.ERROR, "The TNEF file is damaged or cut off.")
            yield _Attribute(tag, start, min(length, size - start))
        else:
            self._sink.gap(GapReason.LIMIT_REACHED, "The TNEF file has more attributes than the limit allows.")
        self._store_rest(position, size)

    def _store_rest(self, position: int, size: int) -> None:
        if position >= size:
            return
        self._sink.gap(GapReason.ERROR, "Data that is not part of the TNEF file follows it.")
        if size - position > _SLACK_BYTES:
            store_from(self._source, position, "trailing data", "after TNEF", self._sink)

    def _store(self, attribute: _Attribute, name: str, origin: str) -> None:
        self._source.seek(attribute.start)
        content = read_chunks(self._source, attribute.size)
        self._sink.store(name, origin, content, (OSError,), "The file could not be read.")

    def _read(self, attribute: _Attribute, limit: int) -> bytes:
        self._source.seek(attribute.start)
        return self._source.read(min(attribute.size, limit))

    def _properties(self, attribute: _Attribute) -> dict[int, tuple[int, bytes]]:
        """Return type and value of those properties that matter, by number."""
        if attribute.size > MAX_LIST_BYTES:
            detail = f"Of a list of properties only the first {MAX_LIST_BYTES >> 20} MiB were read."
            self._sink.gap(GapReason.LIMIT_REACHED, detail)
        found: dict[int, tuple[int, bytes]] = {}
        try:
            for number, kind, value in _properties(self._read(attribute, MAX_LIST_BYTES)):
                found.setdefault(number, (kind, value))
        except (struct.error, ValueError):
            self._sink.gap(GapReason.ERROR, "A list of properties in the TNEF file is damaged or too long.")
        return found

    def _store_bodies(self, attribute: _Attribute) -> None:
        properties = self._properties(attribute)
        for number, name in ((_PROPERTY_BODY, "body.txt"), (_PROPERTY_HTML, "body.html")):
            if number in properties:
                kind, value = properties[number]
                text = value.decode("utf-16-le", "replace").encode() if kind == _UNICODE else value
                self._sink.store(name, "mail body", [text.rstrip(b"\0")], (), "")
        if _PROPERTY_RTF in properties:
            store_rtf_body(properties[_PROPERTY_RTF][1], self._sink)

    def _store_attachment(self, attachment: _Attachment) -> None:
        names = [
            self._read(title, _MAX_NAME_BYTES).rstrip(b"\0").decode("cp1252", "replace") for title in attachment.titles
        ]
        contents = []
        for one in attachment.lists:
            properties = self._properties(one)
            if _PROPERTY_LONG_NAME in properties:
                names.insert(0, _text(*properties[_PROPERTY_LONG_NAME]))
            if _PROPERTY_NAME in properties:
                names.append(_text(*properties[_PROPERTY_NAME]))
            if _PROPERTY_DATA in properties:
                kind, value = properties[_PROPERTY_DATA]
                # Of an object the first bytes say by which interface it is opened: a message or a compound file.
                contents.append(value[_INTERFACE_BYTES:] if kind == _OBJECT else value)
        name = next((name for name in names if name), "attachment")
        for data in attachment.data:
            self._store(data, name, "mail attachment")
        for content in contents:
            self._sink.store(name, "mail attachment", [content], (), "")


def _text(kind: int, value: bytes) -> str:
    return value.decode("utf-16-le" if kind == _UNICODE else "cp1252", "replace").rstrip("\0")


def _properties(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, type and value of the single properties without fixed size. Raises struct.error, ValueError."""
    (count,) = struct.unpack_from("<L", data)
    position, values = 4, 0
    for _ in range(count):
        kind, number = struct.unpack_from("<HH", data, position)
        position += 4
        if number >= _FIRST_NAMED:
            position = _after_name(data, position)
        single = kind & ~_SEVERAL
        repeated = 1
        if kind & _SEVERAL or single not in _FIXED_SIZES:
            (repeated,) = struct.unpack_from("<L", data, position)
            position += 4
        values += 1 + repeated
        if values > 2 * MAX_PROPERTIES:
            raise ValueError
        if single in _FIXED_SIZES:
            position += repeated * _FIXED_SIZES[single]
            continue
        for _ in range(repeated):
            start, position = _extent(data, position)
            yield number, kind, data[start:position]
            position += -(position - start) % 4


def _after_name(data: bytes, position: int) -> int:
    """Return where a property's name ends: a set, then a number or a text."""
    position += 16
    is_text, number = struct.unpack_from("<LL", data, position)
    position += 8
    return position + -(-number // 4) * 4 if is_text else position


def _extent(data: bytes, position: int) -> tuple[int, int]:
    """Return start and end of a value with its size before it. Raises struct.error, ValueError."""
    (size,) = struct.unpack_from("<L", data, position)
    if position + 4 + size > len(data):
        raise ValueError
    return position + 4, position + 4 + size
