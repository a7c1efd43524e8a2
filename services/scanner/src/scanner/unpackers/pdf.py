"""PDF (ISO 32000) by pikepdf: scripts, files it carries, forms in XFA, launch actions, addresses.

What can act in a PDF is a closed list, so a PDF of which nothing on it was passed over is fully looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from scanner.declared import RUN_BY_DOUBLE_CLICK, DeclaredName
from scanner.unpackers.addresses import PAGE_SCHEMES
from scanner.unpackers.base import GapReason, Sink
from scanner.unpackers.libraries import library
from scanner.unpackers.passwords import PasswordTrial
from scanner.unpackers.rest import store_rest
from scanner.unpackers.signs import Sign

ADDRESSES, SCRIPT_IN_PDF = "addresses in PDF", "script in PDF"
"""The origins of the list of addresses, which is text whatever they look like, and of scripts."""

_MAX_NESTING = 40
_MAX_ADDRESSES = 20_000
_MAGIC, _END = b"%PDF-", b"%%EOF"
_SPACE = b"\xef\xbb\xbf\0\t\n\f\r "
_PDF_WITHIN = 1024
_END_WITHIN = 64 * 1024
_NEIGHBOUR = re.compile(r"(?i)(?:\./)?[^/\\:][^\\:]*\.pdf")
# Tables 171, 201 and 88 of ISO 32000-2: actions, annotations and other objects that reach out of the document or
# bring a player of their own. Scripts, launch actions, addresses and files it carries are looked at below.
_PASSED_OVER = {
    "/S": {
        "/GoTo3DView", "/GoToE", "/ImportData", "/Movie", "/Rendition", "/RichMediaExecute", "/Sound",
        "/SubmitForm",
    },
    "/Subtype": {"/3D", "/Movie", "/PRC", "/PS", "/RichMedia", "/Screen", "/Sound", "/U3D"},
    "/Subtype2": {"/PS"},
}  # fmt: skip
_FILTERS = frozenset({
    "/ASCII85Decode", "/ASCIIHexDecode", "/CCITTFaxDecode", "/Crypt", "/DCTDecode", "/FlateDecode", "/JBIG2Decode",
    "/JPXDecode", "/LZWDecode", "/RunLengthDecode",
})  # fmt: skip


class PdfUnpacker:
    """Makes what can act in a PDF a child. Its fonts and pictures are as passive as other pictures."""

    name = "pdf"
    labels = frozenset({"pdf"})
    whole = labels

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether the header is within the first 1024 bytes, where readers accept it."""
        return _MAGIC in head[:_PDF_WITHIN]

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
        _look_around(source, sink)


def _look_around(source: BinaryIO, sink: Sink) -> None:
    """Look at what stands before and behind the document."""
    source.seek(0)
    if not source.read(_PDF_WITHIN).lstrip(_SPACE).startswith(_MAGIC):
        sink.gap(GapReason.UNSUPPORTED, "Something that is not part of the PDF stands before it.")
    start = max(0, source.seek(0, 2) - _END_WITHIN)
    source.seek(start)
    end = source.read().rfind(_END)
    if end < 0:
        sink.gap(GapReason.ERROR, "The end of the PDF was not found.")
    else:
        store_rest(source, start + end + len(_END), "PDF", sink)


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
        for thing in (document.trailer, *document.objects):
            for dictionary in self._dictionaries(thing, 0):
                self._look_at(dictionary)
        if self._addresses:
            text = "\n".join(self._addresses)
            self._sink.store("addresses.txt", ADDRESSES, [text.encode("utf-8", "replace")], (), "")

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
            self._store(f"script {self._scripts}.js", SCRIPT_IN_PDF, dictionary.JS)
        self._look_at_action(dictionary)
        if "/URI" in dictionary:
            self._address(_text(dictionary.URI))
        if "/EF" in dictionary and isinstance(dictionary.EF, self._pikepdf.Dictionary):
            name = _text(dictionary.get("/UF", dictionary.get("/F", "embedded file")))
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
        if "/RF" in dictionary:
            self._sink.passed_over("PDF", "files related to an embedded one")
        self._note_passed_over(dictionary)

    def _look_at_action(self, dictionary: Any) -> None:
        action = dictionary.get("/S")
        if action == "/Launch":
            self._sink.sign(Sign.PDF_LAUNCH)
        elif action == "/GoToR" and not self._is_neighbour(dictionary.get("/F")):
            self._sink.passed_over("PDF", "a link to another file")

    def _note_passed_over(self, dictionary: Any) -> None:
        for key, kinds in _PASSED_OVER.items():
            kind = _text(dictionary[key]) if key in dictionary else ""
            if kind in kinds:
                self._sink.passed_over("PDF", f"what {kind[1:]} does")
        if isinstance(dictionary, self._pikepdf.Stream):
            if "/F" in dictionary:
                self._sink.passed_over("PDF", "a stream in another file")
            filters = dictionary.get("/Filter", self._pikepdf.Array())
            names = filters if isinstance(filters, self._pikepdf.Array) else [filters]
            if not {_text(name) for name in names} <= _FILTERS:
                self._sink.passed_over("PDF", "a stream in an unknown encoding")

    def _is_neighbour(self, file: Any) -> bool:
        """Whether a file specification names a PDF in the same folder or below it."""
        specification = isinstance(file, self._pikepdf.Dictionary)
        names = [_text(file[key]) for key in ("/F", "/UF") if key in file] if specification else [_text(file)]
        return bool(names) and all(_NEIGHBOUR.fullmatch(name) for name in names)

    def _address(self, address: str) -> None:
        if address not in self._addresses and len(self._addresses) == _MAX_ADDRESSES:
            self._sink.gap(GapReason.LIMIT_REACHED, f"The PDF has more than {_MAX_ADDRESSES} addresses.")
            return
        self._addresses[address] = None
        scheme = address.partition(":")[0].strip().lower() if ":" in address else ""
        if scheme and scheme not in PAGE_SCHEMES:
            self._sink.passed_over("PDF", "an address that leads to something else than a page")

    def _store(self, name: str, origin: str, value: Any) -> None:
        damage = (self._pikepdf.PdfError, ValueError, RuntimeError)
        self._sink.store(
            name, origin, self._content(value), damage, "A stream of the PDF is damaged or uses an unknown filter."
        )

    def _content(self, value: Any) -> Iterator[bytes]:
        if isinstance(value, self._pikepdf.Stream):
            yield value.read_bytes()
        else:
            yield _text(value).encode("utf-8", "replace")


def _text(value: Any) -> str:
    """Return a string or name as text; names may be of any bytes."""
    try:
        return str(value)
    except UnicodeDecodeError:
        return str(value.unparse().decode("utf-8", "replace"))
