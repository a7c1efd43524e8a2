"""Windows shortcuts ([MS-SHLLINK]): the command line they start, and what hides behind the structure."""

from __future__ import annotations

import re
import struct
from typing import BinaryIO

from scanner.unpackers.base import GapReason, Sink, read_bounded
from scanner.unpackers.rest import not_of_the_type
from scanner.unpackers.signs import Sign

MAX_PARSED_BYTES = 64 * 1024 * 1024
_HEADER_BYTES = 0x4C
_CLASS_ID = bytes.fromhex("0114020000000000c000000000000046")
_HAS_TARGET_IDS, _HAS_LINK_INFO, _IS_UNICODE = 0x1, 0x2, 0x80
_STRINGS = ((0x4, "description"), (0x8, "path"), (0x10, "folder"), (0x20, "arguments"), (0x40, "icon"))
_ENVIRONMENT_BLOCK = 0xA0000001
_SLACK_BYTES = 16
_INTERPRETER = re.compile(
    r"(?i)\b(cmd|powershell|pwsh|mshta|wscript|cscript|rundll32|regsvr32|certutil|bitsadmin|msiexec|forfiles|conhost"
    r"|bash|wsl|curl|schtasks|wmic|ftp)(\.exe)?\b"
)


class ShortcutUnpacker:
    """Makes the command line of a shortcut a child."""

    name = "shortcut"
    labels = frozenset({"lnk"})
    whole: frozenset[str] = frozenset()

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether it begins with the header's size and class."""
        return head.startswith(b"L\0\0\0" + _CLASS_ID)

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- the finds are named here
        """Store the command line and what follows the last structure."""
        data = read_bounded(source, MAX_PARSED_BYTES, "read as a shortcut", sink)
        if not self.recognises(data, b""):
            sink.gap(GapReason.UNSUPPORTED, not_of_the_type(self.name))
            return
        link = _Link(data)
        try:
            link.read()
        except (struct.error, IndexError):
            sink.gap(GapReason.ERROR, "The shortcut is damaged or cut off.")
        command = " ".join(part for part in (link.target, link.strings.get("arguments", "")) if part)
        if _INTERPRETER.search(command):
            sink.sign(Sign.LNK_INTERPRETER)
        if command:
            sink.store("command line.cmd", "command line of shortcut", [command.encode("utf-8", "replace")], (), "")
        if len(data) - link.end > _SLACK_BYTES:
            sink.store("trailing data", "after shortcut", [data[link.end :]], (), "")


class _Link:
    """Reads the structures one after another; what was read before damage is kept."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.end = min(_HEADER_BYTES, len(data))
        self.strings: dict[str, str] = {}
        self.paths: list[str] = []

    @property
    def target(self) -> str:
        """What is started, as told by whichever structure tells it."""
        return " ".join(dict.fromkeys((*self.paths, self.strings.get("path", "")))).strip()

    def read(self) -> None:
        """Raises struct.error, IndexError for damage."""
        (flags,) = struct.unpack_from("<L", self._data, 20)
        if flags & _HAS_TARGET_IDS:
            size = self._sized("<H", 0)
            self.paths += _names(self._data[self.end - size : self.end])
        if flags & _HAS_LINK_INFO:
            start = self.end
            self._sized("<L", 4)
            (local_path,) = struct.unpack_from("<L", self._data, start + 16)
            if local_path:
                self.paths.append(
                    self._data[start + local_path : self.end].partition(b"\0")[0].decode("cp1252", "replace")
                )
        for flag, label in _STRINGS:
            if flags & flag:
                self.strings[label] = self._string(unicode=bool(flags & _IS_UNICODE))
        self._extra_blocks()

    def _sized(self, form: str, included: int) -> int:
        """Step over a structure that begins with its size; return the size of its content."""
        (size,) = struct.unpack_from(form, self._data, self.end)
        step = size if included else size + struct.calcsize(form)
        if self.end + step > len(self._data) or step < included:
            raise IndexError
        self.end += step
        return int(step - struct.calcsize(form))

    def _string(self, *, unicode: bool) -> str:
        (count,) = struct.unpack_from("<H", self._data, self.end)
        start, size = self.end + 2, count * (2 if unicode else 1)
        if start + size > len(self._data):
            raise IndexError
        self.end = start + size
        return self._data[start : self.end].decode("utf-16-le" if unicode else "cp1252", "replace")

    def _extra_blocks(self) -> None:
        while True:
            (size,) = struct.unpack_from("<L", self._data, self.end)
            if size < 4:
                self.end += 4
                return
            if self.end + size > len(self._data) or size < 8:
                raise IndexError
            if struct.unpack_from("<L", self._data, self.end + 4)[0] == _ENVIRONMENT_BLOCK:
                wide = self._data[self.end + 268 : self.end + size].decode("utf-16-le", "replace")
                self.paths.append(wide.partition("\0")[0])
            self.end += size


def _names(identifiers: bytes) -> list[str]:
    """Return the file names in a list of shell items, the last of which is the target."""
    wide = re.findall(rb"(?:[\x20-\x7e]\0){4,}", identifiers)
    return [name.decode("utf-16-le") for name in wide[-1:]]
