"""OneNote sections ([MS-ONESTORE]): the files attached to a page."""

from __future__ import annotations

import struct
from typing import BinaryIO

from scanner.unpackers.base import GapReason, Sink, read_bounded

MAX_PARSED_BYTES = 256 * 1024 * 1024
_SECTION_ID = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3")
# FileDataStoreObject, 2.6.13: this, the length of the data in 8 bytes, 12 bytes unused, the data.
_FILE_ID = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")
_DATA_OFFSET = 36


class OneNoteUnpacker:
    """Makes every attached file a child. Text and ink are not looked at."""

    name = "onenote"
    labels = frozenset({"one"})
    whole: frozenset[str] = frozenset()

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether it begins with the identifier of a section."""
        return head.startswith(_SECTION_ID)

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- the files have no names here
        """Store the attached files in their order."""
        data = read_bounded(source, MAX_PARSED_BYTES, "read as a OneNote section", sink)
        position, number = data.find(_FILE_ID), 0
        while position >= 0:
            number += 1
            header = data[position + 16 : position + 24]
            size = struct.unpack("<Q", header)[0] if len(header) == 8 else 0
            start = position + _DATA_OFFSET
            if start + size > len(data):
                sink.gap(GapReason.ERROR, "A file attached to the OneNote section is cut off.")
            sink.store(f"attachment {number}", "OneNote attachment", [data[start : start + size]], (), "")
            position = data.find(_FILE_ID, position + 16)
