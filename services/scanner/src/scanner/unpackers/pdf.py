"""PDF (ISO 32000) by pikepdf: scripts, files it carries, forms in XFA, launch actions, addresses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from scanner.declared import RUN_BY_DOUBLE_CLICK, DeclaredName
from scanner.unpackers.base import GapReason, Sink
from scanner.unpackers.libraries import library
from scanner.unpackers.passwords import PasswordTrial
from scanner.unpackers.signs import Sign

_MAX_NESTING = 40
_MAX_ADDRESSES = 2000


class PdfUnpacker:
    """Makes what can act in a PDF a child. Fonts and pictures are not looked at, so it is never whole."""

    name = "pdf"
    labels = frozenset({"pdf"})
    whole: frozenset[str] = frozenset()

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether the header is within the first 1024 bytes, where readers accept it."""
        return b"%PDF-" in head[:1024]

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- objects bring their own names
        """Store scripts, embedded files and forms, and tell launch actions."""
        pikepdf = library("pikepdf")
        try:
            document = _opened(pikepdf, source, sink)
        except pikepdf.PdfError:
            sink.gap(GapReason.ERROR, "The PDF is damaged or cut off.")
            return
        if document is None:
            sink.gap(GapReason.ENCRYPTED, "The PDF is encrypted and no password given fits.")
            return
        with document:
            _Reading(pikepdf, sink).read(document)
            if document.get_warnings():
                sink.gap(GapReason.ERROR, "The PDF is damaged; it was read as far as it could be repaired.")


def _opened(pikepdf: Any, source: BinaryIO, sink: Sink) -> Any:
    """Return the document, or None if no password fits. Raises PdfError."""
    for password in ("", *PasswordTrial(sink.passwords).candidates()):
        source.seek(0)
        try:
            return pikepdf.open(source, password=password, suppress_warnings=True)
        except pikepdf.PasswordError:
            continue
    return None


class _Reading:
    def __init__(self, pikepdf: Any, sink: Sink) -> None:
        self._pikepdf = pikepdf
        self._sink = sink
        self._addresses: dict[str, None] = {}
        self._scripts = 0

    def read(self, document: Any) -> None:
        for thing in document.objects:
            for dictionary in self._dictionaries(thing, 0):
                self._look_at(dictionary)
        if self._addresses:
            text = "\n".join(self._addresses)
            self._sink.store("addresses.txt", "addresses in PDF", [text.encode("utf-8", "replace")], (), "")

    def _dictionaries(self, thing: Any, depth: int) -> Iterator[Any]:
        """Yield a dictionary and those written inside it; the others come by themselves."""
        if depth > _MAX_NESTING:
            self._sink.gap(GapReason.LIMIT_REACHED, "Objects of the PDF are nested deeper than the limit.")
        elif isinstance(thing, (self._pikepdf.Dictionary, self._pikepdf.Stream)):
            yield thing
            for _, value in thing.items():  # noqa: PERF102 -- not a dict: there is no values()
                yield from self._direct(value, depth)
        elif isinstance(thing, self._pikepdf.Array):
            for value in thing:
                yield from self._direct(value, depth)

    def _direct(self, value: Any, depth: int) -> Iterator[Any]:
        if isinstance(value, self._pikepdf.Object) and not value.is_indirect:
            yield from self._dictionaries(value, depth + 1)

    def _look_at(self, dictionary: Any) -> None:
        if "/JS" in dictionary:
            self._scripts += 1
            self._store(f"script {self._scripts}.js", "script in PDF", dictionary.JS)
        if dictionary.get("/S") == "/Launch":
            self._sink.sign(Sign.PDF_LAUNCH)
        if "/URI" in dictionary and len(self._addresses) < _MAX_ADDRESSES:
            self._addresses[str(dictionary.URI)] = None
        if "/EF" in dictionary and isinstance(dictionary.EF, self._pikepdf.Dictionary):
            name = str(dictionary.get("/UF", dictionary.get("/F", "embedded file")))
            if DeclaredName.of(name).extension in RUN_BY_DOUBLE_CLICK:
                self._sink.sign(Sign.PROGRAM_ATTACHED)
            contents = {value.objgen: value for _, value in dictionary.EF.items()}
            for content in contents.values():
                self._store(name, "embedded file in PDF", content)
        if "/XFA" in dictionary:
            forms = dictionary.XFA
            for part in forms if isinstance(forms, self._pikepdf.Array) else [forms]:
                if isinstance(part, self._pikepdf.Stream):
                    self._store("form.xml", "XFA form in PDF", part)

    def _store(self, name: str, origin: str, value: Any) -> None:
        damage = (self._pikepdf.PdfError, ValueError, RuntimeError)
        self._sink.store(
            name, origin, self._content(value), damage, "A stream of the PDF is damaged or uses an unknown filter."
        )

    def _content(self, value: Any) -> Iterator[bytes]:
        if isinstance(value, self._pikepdf.Stream):
            yield value.read_bytes()
        else:
            yield str(value).encode("utf-8", "replace")
