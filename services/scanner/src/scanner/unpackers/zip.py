"""zip archives and everything built on them (APPNOTE.TXT 6.3): documents, packages, applications."""

from __future__ import annotations

import struct
import zipfile
from dataclasses import dataclass
from typing import BinaryIO

from scanner.unpackers.base import GapReason, Sink, read_chunks
from scanner.unpackers.signs import Sign
from scanner.unpackers.zip_encryption import DAMAGE, EncryptedMembers, whole_member

_LOCAL_HEADER = struct.Struct("<4s2xHH4xLLLHH")
_LOCAL_MAGIC = b"PK\x03\x04"
_END_MAGIC = b"PK\x05\x06"
_ENTRY_MAGIC = b"PK\x01\x02"
_END64_MAGIC = b"PK\x06\x06"
_END_BYTES = 22
_COUNT_MASK = 0xFFFF
_ENCRYPTED_FLAG = 0x1
_SIZES_FOLLOW_FLAG = 0x8
_IN_ZIP64_EXTRA = 0xFFFFFFFF
# Data descriptors, padding and other small change between members; larger ranges are looked at.
_SLACK_BYTES = 64
_MACRO_SHEETS = "xl/macrosheets/"


@dataclass(frozen=True, slots=True)
class _Extent:
    """Where in the file a member's header and data lie; `lies` if header and directory disagree."""

    start: int
    end: int
    member: zipfile.ZipInfo
    lies: bool = False


class ZipUnpacker:
    """Opens what the central directory lists, and the ranges that it does not list."""

    name = "zip"
    labels = frozenset({
        "apk", "docx", "dotx", "epub", "jar", "maff", "msix", "npz", "nupkg", "odp", "ods", "odt", "ooxml",
        "pptx", "pytorch", "visio", "xlsb", "xlsx", "xpi", "zip", "3mf",
    })  # fmt: skip
    # A document built on zip is its parts and nothing else; what of it can act is in a part.
    whole = labels

    def recognises(self, head: bytes, tail: bytes) -> bool:
        """Whether it begins as a zip archive, or ends as one: archives are read from their end.

        A picture or program with an archive behind it is both at the same time.
        """
        return head.startswith((_LOCAL_MAGIC, _END_MAGIC)) or ends_as_archive(tail)

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- members bring their own names
        """Store every member that is not a folder, then the bytes between and around them."""
        try:
            archive = zipfile.ZipFile(source)
        except (*DAMAGE, NotImplementedError):
            sink.gap(GapReason.ERROR, "The directory of the zip archive cannot be read: it is damaged or cut off.")
            return
        with archive:
            extents = sorted(
                (_extent(member, source) for member in archive.infolist()),
                key=lambda extent: (extent.start, extent.end),
            )
            end = 0
            trial = EncryptedMembers(source, sink.passwords)
            for extent in extents:
                if extent.start < end:
                    sink.gap(
                        GapReason.ERROR, "Members of the zip archive overlap; all but the first were not unpacked."
                    )
                    continue
                if extent.lies:
                    sink.gap(GapReason.ERROR, "The header of a zip member contradicts the directory.")
                end = extent.end
                self._store(archive, extent.member, trial, sink)
            if _told_members(source) not in {len(extents) & _COUNT_MASK, _COUNT_MASK}:
                sink.gap(GapReason.ERROR, "The zip archive tells another number of members than its directory has.")
            self._store_unlisted(source, [*extents, _directory_extent(archive, source)], sink)

    def _store(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, trial: EncryptedMembers, sink: Sink) -> None:
        if member.filename.endswith("/") and member.compress_size == 0:
            return
        sink.check_room()
        if _MACRO_SHEETS in member.filename.lower():
            sink.sign(Sign.XLM_MACRO)  # also sheets that no unpacker can read
        if member.flag_bits & _ENCRYPTED_FLAG:
            trial.store(member, sink)
            return
        try:
            handle = archive.open(member)
        except NotImplementedError:
            sink.gap(
                GapReason.UNSUPPORTED,
                f"A member uses zip compression method {member.compress_type}, which cannot be read.",
            )
            return
        except DAMAGE:
            sink.gap(GapReason.ERROR, "A member of the zip archive is damaged, cut off or contradicts the directory.")
            return
        with handle:
            blame = "The member is damaged, cut off or not as large as the directory says."
            sink.store(member.filename, "zip member", whole_member(handle, member.file_size), DAMAGE, blame)  # type: ignore[arg-type]  # typeshed: IO[bytes]

    def _store_unlisted(self, source: BinaryIO, extents: list[_Extent], sink: Sink) -> None:
        """Look at the ranges that no member claims: a place to hide a file from directory readers."""
        end = 0
        for extent in extents:
            if extent.start - end >= _SLACK_BYTES and _has_content(source, end, extent.start):
                self._store_range(source, end, extent.start, sink)
            end = max(end, extent.end)
        size = source.seek(0, 2)
        if size - end >= _SLACK_BYTES and _has_content(source, end, size):
            self._store_range(source, end, size, sink)

    def _store_range(self, source: BinaryIO, start: int, end: int, sink: Sink) -> None:
        source.seek(start)
        name = f"bytes {start} to {end}"
        sink.store(
            name,
            "not listed in zip directory",
            read_chunks(source, end - start),
            (OSError,),
            "The file could not be read.",
        )


def ends_as_archive(tail: bytes) -> bool:
    """Whether the last bytes of a file are the end of a zip archive."""
    position = tail.rfind(_END_MAGIC)
    if position < 0 or len(tail) - position < _END_BYTES:
        return False
    directory_size, _, comment_size = struct.unpack_from("<LLH", tail, position + 12)
    if position + _END_BYTES + comment_size != len(tail):
        return False
    start = position - directory_size
    return start < 0 or tail.startswith((_ENTRY_MAGIC, _END_MAGIC, _END64_MAGIC), start)


def _extent(member: zipfile.ZipInfo, source: BinaryIO) -> _Extent:
    """Read a member's local header, which other readers may believe instead of the directory."""
    start = member.header_offset
    source.seek(max(start, 0))
    header = source.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(_LOCAL_MAGIC):
        return _Extent(start, start + _LOCAL_HEADER.size + member.compress_size, member, lies=True)
    _, flags, method, crc, packed, unpacked, name_size, extra_size = _LOCAL_HEADER.unpack(header)
    lies = method != member.compress_type or (flags ^ member.flag_bits) & _ENCRYPTED_FLAG != 0
    if not flags & _SIZES_FOLLOW_FLAG and _IN_ZIP64_EXTRA not in {packed, unpacked}:
        lies = lies or (crc, packed, unpacked) != (member.CRC, member.compress_size, member.file_size)
    end = start + _LOCAL_HEADER.size + name_size + extra_size + member.compress_size
    return _Extent(start, end, member, lies)


def _directory_extent(archive: zipfile.ZipFile, source: BinaryIO) -> _Extent:
    """Return the range of central directory, end record and comment."""
    size = source.seek(0, 2)
    tail_start = max(0, size - _END_BYTES - 0xFFFF)
    source.seek(tail_start)
    found = source.read().rfind(_END_MAGIC)
    end = tail_start + found + _END_BYTES + len(archive.comment) if found >= 0 else size
    return _Extent(archive.start_dir, end, zipfile.ZipInfo())


def _told_members(source: BinaryIO) -> int:
    """Return the number of members in the end record, of which the lower 16 bits are kept; all set with zip64."""
    size = source.seek(0, 2)
    source.seek(max(0, size - _END_BYTES - 0xFFFF))
    tail = source.read()
    found = tail.rfind(_END_MAGIC)
    return int(struct.unpack_from("<H", tail, found + 10)[0]) if found >= 0 else _COUNT_MASK


def _has_content(source: BinaryIO, start: int, end: int) -> bool:
    source.seek(start)
    return any(chunk.strip(b"\0") for chunk in read_chunks(source, end - start))
