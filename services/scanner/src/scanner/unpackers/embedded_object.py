"""Objects as OLE 1.0 stores them ([MS-OLEDS] 2.2), and the packages in which it carries files of any kind.

Found in RTF as hexadecimal digits, packages also in compound files.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from scanner.declared import RUN_BY_DOUBLE_CLICK, DeclaredName
from scanner.unpackers.base import Sink
from scanner.unpackers.signs import Sign

_LINKED, _EMBEDDED = 1, 2
_MAX_NAME_BYTES = 4096


@dataclass(frozen=True, slots=True)
class EmbeddedObject:
    """One object: its class, where it is linked to, its content."""

    class_name: str
    topic: str
    content: bytes
    """Empty of a link."""
    linked: bool
    cut: bool
    """Whether the header tells more content than there is."""


def read_object(data: bytes) -> EmbeddedObject | None:
    """Read an object; None if it is none."""
    fields = _Fields(data, 4)  # the version, which Office does not look at
    try:
        kind = fields.number()
        class_name, topic, _ = fields.name(), fields.name(), fields.name()
        if kind == _LINKED:
            return EmbeddedObject(class_name, topic, b"", linked=True, cut=False)
        size = fields.number()
    except (struct.error, ValueError):
        return None
    if kind != _EMBEDDED:
        return None
    content = data[fields.position : fields.position + size]
    return EmbeddedObject(class_name, topic, content, linked=False, cut=len(content) < size)


def store_package(package: bytes, sink: Sink) -> bool:
    """Store the file in a package; False if it is another embedding.

    A package is flags, then label and path, each ended by zero, a command, the data with its size.
    """
    try:
        label_end = package.index(b"\0", 2)
        path_end = package.index(b"\0", label_end + 1)
        (command_size,) = struct.unpack_from("<L", package, path_end + 5)
        start = path_end + 9 + command_size
        (size,) = struct.unpack_from("<L", package, start)
    except (ValueError, struct.error):
        return False
    name = package[2:label_end].decode("cp1252", "replace")
    if DeclaredName.of(name).extension in RUN_BY_DOUBLE_CLICK:
        sink.sign(Sign.PROGRAM_ATTACHED)
    sink.store(name or "package", "packaged object", [package[start + 4 : start + 4 + size]], (), "")
    return True


class _Fields:
    """Reads numbers and names one after another. Raises struct.error, ValueError."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self.position = position

    def number(self) -> int:
        (value,) = struct.unpack_from("<L", self._data, self.position)
        self.position += 4
        return int(value)

    def name(self) -> str:
        size = self.number()
        if size > _MAX_NAME_BYTES:
            raise ValueError
        raw = self._data[self.position : self.position + size]
        self.position += size
        return raw.partition(b"\0")[0].decode("cp1252", "replace")
