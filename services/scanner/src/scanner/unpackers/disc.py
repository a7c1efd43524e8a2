"""Disc images (ECMA-119, Rock Ridge, Joliet, UDF).

An image may hold several trees of files, of which each system shows the one it likes best, and they need not be the
same. pycdlib reads them all but is strict; of an image that it refuses libarchive reads one, and that is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from scanner.declared import DeclaredName
from scanner.unpackers.base import GapReason, Sink, read_chunks
from scanner.unpackers.libarchive import ISO, MEMBER_DAMAGED, LibarchiveUnpacker, iso_end
from scanner.unpackers.libraries import library
from scanner.unpackers.rest import not_of_the_type, store_rest

_SECTOR_BYTES = 2048
_FIRST_DESCRIPTOR = 16 * _SECTOR_BYTES
_UDF_ALONE = b"BEA01"
_APPLE_MAP = b"PM"
# In the order in which systems prefer them; the last has names of eight letters, and all of the others' files.
_TREES = ("udf_path", "joliet_path", "rr_path", "iso_path")
_SHORT_NAMES = "iso_path"
_VERSION = re.compile(r";[0-9]{1,5}\Z")


class DiscUnpacker:
    """Makes every file of every tree of a disc image a child, each once, and its boot images."""

    name = ISO.name
    labels = ISO.labels
    whole = ISO.labels | {"unknown"}

    def __init__(self) -> None:
        self._one_tree = LibarchiveUnpacker(ISO)

    def recognises(self, head: bytes, tail: bytes) -> bool:
        """Whether a volume descriptor is where it belongs."""
        return self._one_tree.recognises(head, tail) or head.startswith(_UDF_ALONE, _FIRST_DESCRIPTOR + 1)

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:
        """Store the files of all trees, or of one where the image is not as it should be; then what follows it."""
        head = source.read(_FIRST_DESCRIPTOR + 8)
        if not self.recognises(head, b""):
            sink.gap(GapReason.UNSUPPORTED, not_of_the_type(self.name))
            return
        if not self._one_tree.recognises(head, b""):
            sink.gap(GapReason.UNSUPPORTED, "A disc image with UDF alone cannot be opened here.")
            return
        if head.startswith(_APPLE_MAP, 512):
            sink.gap(
                GapReason.UNSUPPORTED, "The files that a Macintosh would show of the disc image were not looked at."
            )
        image = library("pycdlib").PyCdlib()
        try:
            files = _Image(image, source).files()
        except Exception:  # noqa: BLE001 -- whatever hostile bytes make of the parser
            detail = "The disc image is not as the standards say; only one of its trees of files was read."
            sink.gap(GapReason.ERROR, detail)
            source.seek(0)
            self._one_tree.unpack(source, name, sink)
            return
        for file in files:
            sink.store(file.name, "iso member", _pieces(source, file.places), (EOFError,), MEMBER_DAMAGED)
        store_rest(source, iso_end(source), "iso archive", sink)


class _File(NamedTuple):
    name: str
    places: tuple[tuple[int, int], ...]
    """Where in the image its bytes stand: starts and lengths."""


class _Image:
    """What an image holds, read completely before anything is stored. The list raises whatever hostile bytes cause."""

    def __init__(self, image: Any, source: BinaryIO) -> None:
        self._image = image
        self._image.open_fp(source)
        self._has = {
            "udf_path": self._image.has_udf(),
            "joliet_path": self._image.has_joliet(),
            "rr_path": self._image.has_rock_ridge(),
            "iso_path": True,
        }

    def files(self) -> list[_File]:
        """Return the files of all trees as they stand, those with the same bytes and the same kind of name once."""
        found: dict[tuple[object, str], _File] = {}
        known = set()
        for tree in _TREES:
            for file in self._tree(tree) if self._has[tree] else ():
                kind = "" if tree == _SHORT_NAMES else DeclaredName.of(file.name).extension
                if tree != _SHORT_NAMES or file.places not in known:
                    found.setdefault((file.places, kind), file)
                known.add(file.places)
        boot_images = [file for file in self._boot_images() if file.places not in known]
        return sorted((*found.values(), *boot_images), key=lambda file: file.places)

    def _tree(self, tree: str) -> Iterator[_File]:
        for folder, _, names in self._image.walk(**{tree: "/"}):
            for name in names:
                path = f"{folder.rstrip('/')}/{name}"
                record = self._image.get_record(**{tree: path})
                if record is not None and not (record.is_dot() or record.is_dotdot()):
                    yield _File(_VERSION.sub("", path.strip("/")), tuple(self._places(record)))

    def _places(self, record: Any) -> Iterator[tuple[int, int]]:
        if hasattr(record, "alloc_descs"):
            start = self._image.udf_main_descs.partitions[0].part_start_location
            for extent in record.alloc_descs:
                position = (start + extent.log_block_num) * _SECTOR_BYTES + getattr(extent, "offset", 0)
                yield position, extent.extent_length
            return
        while record is not None:
            if record.inode is not None and record.data_length:
                yield record.inode.fp_offset, record.data_length
            record = record.data_continuation

    def _boot_images(self) -> Iterator[_File]:
        catalog = self._image.eltorito_boot_catalog
        if catalog is not None:
            entries = [
                catalog.initial_entry,
                *(entry for section in catalog.sections for entry in section.section_entries),
            ]
            for number, entry in enumerate(entries, 1):
                yield _File(f"boot image {number}", ((entry.inode.fp_offset, entry.inode.data_length),))


def _pieces(source: BinaryIO, places: tuple[tuple[int, int], ...]) -> Iterator[bytes]:
    for start, size in places:
        source.seek(start)
        got = 0
        for chunk in read_chunks(source, size):
            got += len(chunk)
            yield chunk
        if got < size:
            raise EOFError
