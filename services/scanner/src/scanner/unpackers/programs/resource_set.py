"""Sets of .NET resources: the files in one, as they lie in programs and in `.resources` files.

The format is told by the sources of .NET alone (System.Resources.ResourceReader and its Extensions). Byte arrays and
streams stand as they are. Of objects that are built by deserialising the array at the end is read ([MS-NRBF] 2.4.3.3),
where pictures and streams keep their bytes; of those that are built from bytes, the bytes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO

from scanner.unpackers.base import GapReason, Sink, read_bounded, seven_bit_number
from scanner.unpackers.programs.facts import printable
from scanner.unpackers.programs.layout import Layout
from scanner.unpackers.programs.resources import MAX_ENTRIES, MAX_FILES, RESOURCE_SET_MAGIC, file_in

MAX_PARSED_BYTES = 64 * 1024 * 1024
_VERSIONS = (1, 2)
_BYTES, _STREAM = 0x20, 0x21
_BUILT_FROM_BYTES = (b"\x02", b"\x04")
"""By a type converter, by a constructor."""
_NUMBER_BYTES = 5
_NAME_CHARACTERS = 40
_ALIGNMENT = 8
# Record, object, length, type of the elements; what ends the message follows the array.
_ARRAY = re.compile(rb"\x0f[\0-\xff]{4}([\0-\xff]{4})\x02")
_MESSAGE_END = b"\x0b"


class ResourceSetUnpacker:
    """Opens a set. Its texts and numbers are what only the program understands, so it is never whole."""

    name = "resource set"
    labels: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether it begins with the magic number."""
        return head.startswith(RESOURCE_SET_MAGIC)

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- resources have their own names
        """Store what looks like a file, as of the other resources of programs."""
        resources = _ResourceSet(read_bounded(source, MAX_PARSED_BYTES, "searched for resources", sink))
        files = 0
        for resource, value in resources.values():
            content = file_in(value, sink, free=True)
            if content is None:
                continue
            if files == MAX_FILES:
                sink.gap(GapReason.LIMIT_REACHED, f"There are more than {MAX_FILES} files in the set of resources.")
                break
            files += 1
            sink.store(resource, f"resource {resource}", [content], (), "")
        if resources.full:
            detail = f"The set has more than {MAX_ENTRIES} resources; the rest was not looked at."
            sink.gap(GapReason.LIMIT_REACHED, detail)
        if resources.layout.damaged:
            sink.gap(GapReason.ERROR, "The set of resources is damaged or cut off.")


class _ResourceSet:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.layout = Layout(data, [])
        self.full = False
        """Whether there is more than was read."""

    def values(self) -> Iterator[tuple[str, bytes]]:
        """Yield names and bytes of the resources that hold bytes, in the order of the file."""
        places = self._places()
        for start, end in pairwise([*places, len(self._data)]):
            kind, position = self._number(start)
            if kind in {_BYTES, _STREAM}:
                (size,) = self.layout.read("<L", position) or (0,)
                self.layout.damaged |= position + 4 + size > end
                yield places[start], self._data[position + 4 : min(position + 4 + size, end)]
            elif kind > _STREAM or self._version == 1:
                yield places[start], self._within(position, end)

    def _within(self, position: int, end: int) -> bytes:
        """Return the bytes of which an object is built; empty if it is not known how."""
        if self._data.startswith(_BUILT_FROM_BYTES, position):
            size, start = self._number(position + 1)
            if start + size == end:
                return self._data[start:end]
        return _last_array(self._data[position:end])

    def _places(self) -> dict[int, str]:
        """Return the positions of the values in their order, with their names."""
        (skipped,) = self.layout.read("<8xL", 0) or (0,)
        self._version, count, types = self.layout.read("<LLL", 12 + skipped) or (0, 0, 0)
        if self._version not in _VERSIONS or count * 8 > len(self._data) or types > MAX_ENTRIES:
            self.layout.damaged = True
            return {}
        position = 24 + skipped
        for _ in range(types):
            size, position = self._number(position)
            position += size
        position += -position % _ALIGNMENT + 4 * count  # behind the hashes of the names
        names = position + 4 * count + 4
        (values,) = self.layout.read("<L", names - 4) or (0,)
        self.full = count > MAX_ENTRIES
        places = {}
        for number in range(min(count, MAX_ENTRIES)):
            (offset,) = self.layout.read("<L", position + 4 * number) or (0,)
            name, start = self._named(names + offset)
            places[values + start] = name
        return dict(sorted(places.items()))

    def _named(self, position: int) -> tuple[str, int]:
        size, start = self._number(position)
        text = self._data[start : start + min(size, 2 * _NAME_CHARACTERS + 2)].decode("utf-16-le", "replace")
        (offset,) = self.layout.read("<L", start + size) or (0,)
        return printable(text.replace("/", "_"), _NAME_CHARACTERS), offset

    def _number(self, position: int) -> tuple[int, int]:
        """Return a number and where it ends; 0 where none ends in time."""
        number, end = seven_bit_number(self._data, position, _NUMBER_BYTES)
        if end > len(self._data) or self._data[end - 1] >= 0x80:
            self.layout.damaged = True
            return 0, position
        return number, end


def _last_array(value: bytes) -> bytes:
    """Return the array of bytes with which a serialised object ends; empty if it does not."""
    for match in _ARRAY.finditer(value):
        (size,) = struct.unpack("<L", match.group(1))
        if match.end() + size + 1 == len(value) and value.endswith(_MESSAGE_END):
            return value[match.end() : -1]
    return b""
