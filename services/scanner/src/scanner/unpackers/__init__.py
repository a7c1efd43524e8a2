"""The unpackers: one class a container format, run inside the sandbox.

A new format joins by a class with the shape of `Unpacker` and one entry here.
"""

from __future__ import annotations

from scanner.unpackers.base import Unpacker
from scanner.unpackers.compressed import BZIP2, GZIP, XZ
from scanner.unpackers.disc import DiscUnpacker
from scanner.unpackers.encodings import ENCODINGS, PLAIN_TEXT
from scanner.unpackers.install_script import InstallScriptReader
from scanner.unpackers.libarchive import LIBARCHIVE
from scanner.unpackers.mail import MailUnpacker
from scanner.unpackers.manifests import NpmManifestReader, PyprojectReader
from scanner.unpackers.markup import MarkupUnpacker, PageUnpacker
from scanner.unpackers.media import MediaUnpacker
from scanner.unpackers.office_part import OfficePartUnpacker
from scanner.unpackers.ole import OleUnpacker
from scanner.unpackers.onenote import OneNoteUnpacker
from scanner.unpackers.pdf import PdfUnpacker
from scanner.unpackers.picture import PictureDecoder
from scanner.unpackers.programs import ProgramUnpacker
from scanner.unpackers.programs.resource_set import ResourceSetUnpacker
from scanner.unpackers.rar import RarUnpacker
from scanner.unpackers.rtf import RtfUnpacker
from scanner.unpackers.sevenzip import SevenZipUnpacker
from scanner.unpackers.shortcut import ShortcutUnpacker
from scanner.unpackers.spreadsheet import BinarySheetUnpacker
from scanner.unpackers.style_sheet import StyleSheetUnpacker
from scanner.unpackers.tar import TarUnpacker
from scanner.unpackers.tnef import TnefUnpacker
from scanner.unpackers.zip import ZipUnpacker

_ALL: tuple[Unpacker, ...] = (
    ZipUnpacker(),
    TarUnpacker(),
    GZIP,
    BZIP2,
    XZ,
    SevenZipUnpacker(),
    RarUnpacker(),
    DiscUnpacker(),
    *LIBARCHIVE,
    OleUnpacker(),
    OfficePartUnpacker(),
    BinarySheetUnpacker(),
    RtfUnpacker(),
    PdfUnpacker(),
    PictureDecoder(),
    ProgramUnpacker(),
    ResourceSetUnpacker(),
    MailUnpacker(),
    TnefUnpacker(),
    ShortcutUnpacker(),
    OneNoteUnpacker(),
    MarkupUnpacker(),
    PageUnpacker(),  # behind the other: what only begins as a page may be a program that writes one
    StyleSheetUnpacker(),
    MediaUnpacker(),  # behind the containers: what begins as a picture may be one of these further on
    ENCODINGS,
    PLAIN_TEXT,
    NpmManifestReader(),
    PyprojectReader(),
    InstallScriptReader(),
)
UNPACKERS: dict[str, Unpacker] = {unpacker.name: unpacker for unpacker in _ALL}
DOCUMENTS = frozenset({"office part", "page", "pdf", "style sheet"})
"""Those that stand in for a detector: what one leaves out is no gap where a detector covers the type."""

# Nothing else begins as these do, and what is compressed or encrypted looks like anything.
_KNOWN_BY_MAGIC = tuple(UNPACKERS[name] for name in ("7z", "cab", "gzip", "lz4", "lzip", "rar", "xz", "zstd"))

HEAD_BYTES = 34 * 1024
"""As far as the volume descriptor of a disc image."""
TAIL_BYTES = 66_000
"""Room for a zip archive's end record and the longest comment."""


def label_by_magic(head: bytes) -> str | None:
    """Return the content type of an archive or stream that its first bytes tell, where the rest may look like noise."""
    return next(
        (label for unpacker in _KNOWN_BY_MAGIC if unpacker.recognises(head, b"") for label in unpacker.labels), None
    )


def unpackers_for(labels: frozenset[str], head: bytes, tail: bytes) -> tuple[Unpacker, ...]:
    """Return the unpackers to run: for the content-type labels, for the magic numbers at both ends.

    A file that is two formats at once is opened as both. What runs as a script is opened as that and
    not as the plain text it looks like.
    """
    labels = labels - {"txt"} if labels & ENCODINGS.labels else labels
    unpackers = UNPACKERS.values()
    by_head = next((unpacker for unpacker in unpackers if unpacker.recognises(head, b"")), None)
    by_tail = next((unpacker for unpacker in unpackers if unpacker.recognises(b"", tail)), None)
    by_label = [unpacker for unpacker in unpackers if labels & unpacker.labels]
    if by_head is not None:  # a container that the type model guessed and the magic number contradicts
        by_label = [unpacker for unpacker in by_label if not unpacker.whole or unpacker.recognises(head, b"")]
    chosen = tuple(dict.fromkeys(unpacker for unpacker in (*by_label, by_head, by_tail) if unpacker is not None))
    # What one unpacker does and another does more thoroughly is not done twice.
    thorough = {base for unpacker in chosen for base in type(unpacker).__mro__[1:]}
    return tuple(unpacker for unpacker in chosen if type(unpacker) not in thorough)
