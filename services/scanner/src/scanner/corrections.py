"""Formats that the type model knows badly, recognised by their form.

The model takes some passive files for scripts or programs, which nothing that is shipped covers, so that no
package with one would ever be clean. No form here leaves room for a script, except that of manual pages, whose
text is as free as plain text is: what the model takes for a script that is run by its name or `#!` stays one.
The other way round it takes some binary files for text, which is covered.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from scanner.signatures import is_beam, is_layout_cache, is_printer_settings, is_translation
from scanner.unpackers.encodings import as_utf8
from shared.scan import ContentType


def _added(label: str, mime_type: str, group: str, description: str, *, is_text: bool = False) -> ContentType:
    return ContentType(
        label=label, mime_type=mime_type, group=group, description=description, score=1.0, is_text=is_text
    )


TRANSLATION = _added(
    "mo", "application/x-gettext-translation", "application", "Machine Object (MO), compiled translations of gettext"
)
BEAM = _added("beam", "application/octet-stream", "executable", "Erlang compiled bytecode")
MANUAL = _added("troff", "text/troff", "text", "Manual page (roff)", is_text=True)
PRINTER_SETTINGS = _added(
    "devmode",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.printerSettings",
    "document",
    "Settings of a printer (DEVMODE), carried by documents",
)
LAYOUT_CACHE = _added("layout-cache", "application/octet-stream", "document", "Layout cache of an OpenDocument text")
ADDED_TYPES = (TRANSLATION, BEAM, MANUAL, PRINTER_SETTINGS, LAYOUT_CACHE)
"""The types that the model does not tell."""

# https://packaging.python.org/en/latest/specifications/core-metadata/ and .../binary-distribution-format/
_FIELDS = (
    "Author", "Author-email", "Build", "Classifier", "Description", "Description-Content-Type", "Download-URL",
    "Dynamic", "Generator", "Home-page", "Import-Name", "Import-Namespace", "Keywords", "License",
    "License-Expression", "License-File", "Maintainer", "Maintainer-email", "Metadata-Version", "Name", "Obsoletes",
    "Obsoletes-Dist", "Platform", "Project-URL", "Provides", "Provides-Dist", "Provides-Extra", "Requires",
    "Requires-Dist", "Requires-External", "Requires-Python", "Root-Is-Purelib", "Summary", "Supported-Platform",
    "Tag", "Version", "Wheel-Version",
)  # fmt: skip
_METADATA = re.compile(
    rf"(?:Metadata|Wheel)-Version: [0-9.]{{1,9}}(?:\r?\n(?:(?:{'|'.join(_FIELDS)}):[^\r\n]*|[ \t][^\r\n]*)?)*"
    r"(?:\r?\nUNKNOWN\s*)?".encode()
)
_METADATA_TAKEN_FOR = frozenset({"snap", "unknown", "yaml"})

# https://setuptools.pypa.io/en/latest/userguide/miscellaneous.html#using-manifest-in
_FILE_LIST = re.compile(
    rb"(?:(?:#[^\r\n&|<>%]*|(?:(?:recursive-|global-)?(?:in|ex)clude|graft|prune)(?:[ \t]+[\w*?.,/\\@+~!{}\[\]-]+)+)?"
    rb"[ \t]*(?:\r?\n|\Z))+"
)
_FILE_LIST_TAKEN_FOR = frozenset({"asm", "batch", "makefile", "shell"})

# https://man7.org/linux/man-pages/man7/man.7.html and https://man.openbsd.org/mdoc.7
_CONTROL_LINE = re.compile(rb"\s{0,99}[.'][ \t]*[\\\w]")
_TITLE = re.compile(rb"(?m)^[.'][ \t]*(?:TH|Dd)[ \t]+[^\s{]")
_SECTION = re.compile(rb"(?m)^[.'][ \t]*S[Hh](?:[ \t]|\r?$)")
_LINK = re.compile(rb"(?:\.\\\"[^\n]*\n)*\.so[ \t]+[\w./+:\[-]+\s*(?:\.\\\"[^\n]*\n)*")
# What a page asks for cannot be read where it puts names of requests together or changes what they begin with.
_HIDDEN_REQUEST = re.compile(
    rb"(?m)(?:^|\{)[ \t]*[.'][ \t]*(?:(?:cc|c2|ec|eo)(?:[ \t]|\r?$)|\w{0,9}\\+(?:[*n$V]|\r?\n)"
    rb"|(?:ds|as)[ \t]+\S+[ \t]+\"?[.'][ \t]*(?:[a-z\\]|\r?$))"
)
_MANUAL_TAKEN_FOR = frozenset({
    "asm", "batch", "c", "csv", "elixir", "haskell", "julia", "latex", "lisp", "m4", "postscript", "powershell",
    "prolog", "rtf", "smali", "snap", "sql", "tsv", "txt", "unknown", "vba",
})  # fmt: skip

_MARKUP = re.compile(rb"(?i)(?:\xef\xbb\xbf)?\s{0,999}<(?:(?P<xml>\?xml\s)|(?:!doctype\s{1,99})?html[\s>])")

_NOISE_TAKEN_FOR = frozenset({"unknown", "wasm"})


def corrected_label(label: str, head: bytes, *, whole: bool) -> str:
    """Return what the model's label becomes; `whole` says that the first bytes are all of the file."""
    if is_translation(head):
        return TRANSLATION.label
    if is_beam(head):
        return BEAM.label
    for taken_for, has_form, right in _WHOLE_FORMS if whole else ():
        if label in taken_for and has_form(head):
            return right
    if label == "txt":  # also what the model was not sure of
        text = as_utf8(head)
        markup = _MARKUP.match(text)
        if b"\0" in text:
            return "unknown"
        if markup:
            return "xml" if markup["xml"] else "html"
    return label


def _is_manual(page: bytes) -> bool:
    """Whether it has title and section of a manual page, or is a link to one; and shows all that it asks for."""
    if b"\0" in page or not _CONTROL_LINE.match(page) or _HIDDEN_REQUEST.search(page):
        return False
    title = _TITLE.search(page)
    if title is None:
        return _LINK.fullmatch(page) is not None
    return _SECTION.search(page, title.end()) is not None


_WHOLE_FORMS: tuple[tuple[frozenset[str], Callable[[bytes], object], str], ...] = (
    (_METADATA_TAKEN_FOR, _METADATA.fullmatch, "txt"),
    (_FILE_LIST_TAKEN_FOR, _FILE_LIST.fullmatch, "txt"),
    (_MANUAL_TAKEN_FOR, _is_manual, MANUAL.label),
    (_NOISE_TAKEN_FOR, is_printer_settings, PRINTER_SETTINGS.label),
    (_NOISE_TAKEN_FOR, is_layout_cache, LAYOUT_CACHE.label),
)
