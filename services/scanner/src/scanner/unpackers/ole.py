"""OLE compound files ([MS-CFB]): old Office documents, macro projects, Outlook messages, MSI packages.

Every stream is a child, so that rules and models see it whole. What acts is told apart: macro
sources, packaged files, attachments; encryption, Excel 4.0 macros and DDE fields by their records.
"""

from __future__ import annotations

import re
import struct
from typing import Any, BinaryIO

from scanner.unpackers.base import GapReason, Sink, read_chunks
from scanner.unpackers.compressed_rtf import store_rtf_body
from scanner.unpackers.embedded_object import store_package
from scanner.unpackers.libraries import library
from scanner.unpackers.office_encryption import store_decrypted
from scanner.unpackers.office_part import is_remote
from scanner.unpackers.signs import Sign
from scanner.unpackers.spreadsheet import store_macros
from scanner.unpackers.spreadsheet.workbook import Workbook
from scanner.unpackers.vba import DamagedProjectError, sources

MAX_STREAMS = 5000
_SECTOR_SHIFTS, _MINI_SECTOR_SHIFT = (b"\x09\0", b"\x0c\0"), b"\x06\0"
MAX_STREAM_BYTES = 64 * 1024 * 1024
_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_DAMAGE = (OSError, ValueError, IndexError, KeyError, struct.error, TypeError, AttributeError, OverflowError)
# Property streams of [MS-OXMSG]: data of an attachment, its long and its short name, the bodies.
_ATTACHED_DATA = re.compile(r"__substg1\.0_3701(0102|000D)$")
_ATTACHED_NAMES = ("__substg1.0_3707001F", "__substg1.0_3707001E", "__substg1.0_3704001F", "__substg1.0_3704001E")
_MAIL_BODIES = {
    "__substg1.0_10130102": "body.html",
    "__substg1.0_1013001F": "body.html",
    "__substg1.0_1000001F": "body.txt",
    "__substg1.0_10090102": "body.rtf",
}
_WORD_ENCRYPTED = 0x0100
_PACKAGE_SIZE_BYTES = 4
# headerToken of [MS-PPT] 2.3.2.
_SLIDES_ENCRYPTED = b"\xdf\xc4\xd1\xf3"
# {79EAC9E0-BAF9-11CE-8C82-00AA004BA90B} of [MS-OSHARED] 2.3.7.6: what follows is a size and an address.
_URL_MONIKER = bytes.fromhex("e0c9ea79f9bace118c8200aa004ba90b")
_MAX_ADDRESS_BYTES = 4096
# A field of a Word document begins with 0x13.
_DDE_FIELD = re.compile(rb"(?i)\x13\0?(?:\s\0?){0,20}D\0?D\0?E\0?(?:A\0?U\0?T\0?O\0?)?\s")


class OleUnpacker:
    """Opens compound files. Streams have formats of their own, so it is never whole."""

    name = "ole"
    labels = frozenset({"doc", "hwp", "msi", "outlook", "ppt", "thumbsdb", "xls"})
    whole: frozenset[str] = frozenset()

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether it begins with the format's signature."""
        return head.startswith(_MAGIC)

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- streams bring their own names
        """Store macros, packaged files and attachments, then every stream as it is."""
        olefile = library("olefile")
        header = source.read(34)
        # olefile believes any sector size and would ask for that much memory.
        if header[30:32] not in _SECTOR_SHIFTS or header[32:34] != _MINI_SECTOR_SHIFT:
            sink.gap(GapReason.ERROR, "The header of the compound file is damaged.")
            return
        source.seek(0)
        try:
            container = olefile.OleFileIO(source)
        except _DAMAGE:  # its own errors are OSErrors
            sink.gap(GapReason.ERROR, "The compound file is damaged or cut off.")
            return
        reading = _Reading(container, sink)
        reading.read()
        if reading.encrypted and not store_decrypted(source, sink):
            sink.gap(GapReason.ENCRYPTED, "The Office document is encrypted and no password given fits.")


class _Reading:
    def __init__(self, container: Any, sink: Sink) -> None:
        self._container = container
        self._sink = sink
        self.encrypted = False

    def read(self) -> None:
        paths = self._container.listdir(streams=True, storages=False)
        if len(paths) > MAX_STREAMS:
            self._sink.gap(GapReason.LIMIT_REACHED, "The compound file has more streams than the limit allows.")
        if self._container.parsing_issues:
            self._sink.gap(GapReason.ERROR, "The structure of the compound file is damaged.")
        for path in paths[:MAX_STREAMS]:
            content = self._content(path)
            if content is not None:
                self._take_apart(path, content)
                self._sink.store("/".join(path), "OLE stream", [content], (), "")

    def _content(self, path: list[str]) -> bytes | None:
        try:
            size = self._container.get_size(path)
            with self._container.openstream(path) as stream:
                content = b"".join(read_chunks(stream, min(size, MAX_STREAM_BYTES)))
        except _DAMAGE:
            self._sink.gap(GapReason.ERROR, "A stream of the compound file is damaged or cut off.")
            return None
        if size > MAX_STREAM_BYTES:
            self._sink.gap(
                GapReason.LIMIT_REACHED, f"Of a stream only the first {MAX_STREAM_BYTES >> 20} MiB were read."
            )
        return content

    def _take_apart(self, path: list[str], content: bytes) -> None:
        last = path[-1]
        if last.lower() == "dir" and content.startswith(b"\x01"):
            self._store_macros(path[:-1], content)
        elif last.lower() == "\x01ole10native":
            store_package(content[_PACKAGE_SIZE_BYTES:], self._sink)  # of another embedding the stream is a child
        elif last.lower() == "\x01ole":
            self._look_at_link(content)
        elif _ATTACHED_DATA.match(last):
            self._store_attachment(path[:-1], content)
        elif last in _MAIL_BODIES:
            self._store_body(last, content)
        elif last == "EncryptedPackage":
            self.encrypted = True
        elif last in {"Workbook", "Book"}:
            self._look_at_workbook(content)
        elif last == "WordDocument":
            self._look_at_word(content)
        elif last == "Current User":
            self.encrypted = self.encrypted or content[12:16] == _SLIDES_ENCRYPTED

    def _store_macros(self, folder: list[str], directory: bytes) -> None:
        def read_stream(name: str) -> bytes | None:
            path = [*folder, name]
            return self._content(path) if self._container.exists(path) else None

        try:
            for name, source in sources(directory, read_stream):
                if source is None:
                    self._sink.gap(GapReason.ERROR, "The source of a macro module is damaged or missing.")
                elif source.strip():
                    self._sink.store(f"{name}.vba", "VBA macro", [source], (), "")
        except DamagedProjectError:
            self._sink.gap(GapReason.ERROR, "The macro project is damaged.")

    def _store_attachment(self, folder: list[str], content: bytes) -> None:
        for stream in _ATTACHED_NAMES:
            if self._container.exists([*folder, stream]):
                raw = self._content([*folder, stream]) or b""
                name = raw.decode("utf-16-le" if stream.endswith("F") else "cp1252", "replace").rstrip("\0")
                break
        else:
            name = "attachment"
        self._sink.store(name or "attachment", "mail attachment", [content], (), "")

    def _store_body(self, stream: str, content: bytes) -> None:
        name = _MAIL_BODIES[stream]
        if name == "body.rtf":
            store_rtf_body(content, self._sink)
        else:
            text = content.decode("utf-16-le", "replace").encode() if stream.endswith("001F") else content
            self._sink.store(name, "mail body", [text], (), "")

    def _look_at_link(self, content: bytes) -> None:
        """Look at where the object of a link is loaded from."""
        found = content.find(_URL_MONIKER)
        if found >= 0:
            start = found + len(_URL_MONIKER) + 4
            if is_remote(content[start : start + _MAX_ADDRESS_BYTES].decode("utf-16-le", "replace")):
                self._sink.sign(Sign.REMOTE_OBJECT)

    def _look_at_workbook(self, content: bytes) -> None:
        """Take out macros, and look for encryption."""
        workbook = Workbook(content)
        store_macros(workbook, self._sink)
        self.encrypted = self.encrypted or workbook.encrypted
        if workbook.has_macros and workbook.older:
            self._sink.gap(GapReason.UNSUPPORTED, "Macros of Excel before version 97 are not read.")

    def _look_at_word(self, content: bytes) -> None:
        """Look at the flags of [MS-DOC] 2.5.2 and for DDE in the text."""
        if len(content) > 12 and struct.unpack_from("<H", content, 10)[0] & _WORD_ENCRYPTED:
            self.encrypted = True
        if _DDE_FIELD.search(content):
            self._sink.sign(Sign.DDE_FIELD)
