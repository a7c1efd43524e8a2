"""Parts of Office Open XML documents (ECMA-376) that reach out of the document or calculate.

What to warn of is found with patterns, in parts that are no good XML, too. Whether there is nothing else that acts, an
XML parser tells.
"""

from __future__ import annotations

import html
import re
from typing import BinaryIO

from scanner.unpackers.base import Sink, read_bounded
from scanner.unpackers.encodings import as_utf8
from scanner.unpackers.office_markup import is_office_markup, look_for_acts
from scanner.unpackers.signs import Sign

MAX_PARSED_BYTES = 64 * 1024 * 1024
_ROOT = re.compile(
    rb"<(?:\w{1,20}:)?(?:Relationships|document|hdr|ftr|footnotes|comments|externalLink|macrosheet)[\s>]"
)
_RELATIONSHIP = re.compile(r"<(?:\w{1,20}:)?Relationship\s([^>]{1,4000})>")
_ATTRIBUTE = re.compile(r"""(\w{1,40})\s{0,20}=\s{0,20}(?:"([^"]*)"|'([^']*)')""")
_FIELD_TEXT = re.compile(r"<w:instrText(?:\s[^>]{0,200})?>([^<]*)<")
_SIMPLE_FIELD = re.compile(r"""<w:fldSimple\s[^>]{0,200}?w:instr\s{0,5}=\s{0,5}(?:"([^"]*)"|'([^']*)')""")
_DDE = re.compile(r"(?i)\bDDE(AUTO)?\b")
_FORMULA = re.compile(r"<(?:\w{1,20}:)?f(?:\s[^>]{0,200})?>([^<]*)<")
_REMOTE = ("http:", "https:", "ftp:", "file:", "mhtml:", "\\\\", "//", "ms-")
_LOADED_BY_ITSELF = ("oleobject", "frame", "subdocument", "externallinkpath", "afchunk")


class OfficePartUnpacker:
    """Tells remote templates and objects, and DDE; makes fields and macro formulas children."""

    name = "office part"
    labels: frozenset[str] = frozenset()
    whole = frozenset({"rdf", "xml"})

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether it is of an Office document, or the root element is one of those that matter."""
        return is_office_markup(head) or _ROOT.search(as_utf8(head[:4096])) is not None

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- the finds are named here
        """Store the fields and formulas, and tell the signs."""
        data = as_utf8(read_bounded(source, MAX_PARSED_BYTES, "searched as an Office part", sink))
        text = data.decode("utf-8", "replace")
        for match in _RELATIONSHIP.finditer(text):
            _look_at_relationship(match.group(1), sink)
        if "<ddeLink" in text or ":ddeLink" in text:
            sink.sign(Sign.DDE_FIELD)
        _look_at_fields(text, sink)
        if re.search(r"<(?:\w{1,20}:)?macrosheet[\s>]", text[:4096]):
            sink.sign(Sign.XLM_MACRO)
            formulas = "\n".join(html.unescape(formula) for formula in _FORMULA.findall(text))
            sink.store("macro formulas.txt", "Excel 4.0 macro", [formulas.encode("utf-8", "replace")], (), "")
        if text.lstrip("\ufeff \t\r\n").startswith("<"):  # a text may speak of such elements
            look_for_acts(data, sink)


def _look_at_relationship(attributes: str, sink: Sink) -> None:
    values = {name: html.unescape(double or single) for name, double, single in _ATTRIBUTE.findall(attributes)}
    target, kind = values.get("Target", "").strip().lower(), values.get("Type", "").rpartition("/")[2].lower()
    if values.get("TargetMode") != "External" or not is_remote(target):
        return
    if kind == "attachedtemplate":
        sink.sign(Sign.REMOTE_TEMPLATE)
    elif kind in _LOADED_BY_ITSELF:
        sink.sign(Sign.REMOTE_OBJECT)


def _look_at_fields(text: str, sink: Sink) -> None:
    # A field may be spread over many runs, so its pieces are read as one.
    fields = ["".join(html.unescape(piece) for piece in _FIELD_TEXT.findall(text))]
    fields += [html.unescape(double or single) for double, single in _SIMPLE_FIELD.findall(text)]
    store_fields(fields, sink)


def is_remote(target: str) -> bool:
    """Whether a target is on another computer."""
    return target.strip().lower().startswith(_REMOTE)


def store_fields(fields: list[str], sink: Sink) -> None:
    """Tell and store the fields that ask another program for their content."""
    started = [field for field in fields if _DDE.search(field)]
    if started:
        sink.sign(Sign.DDE_FIELD)
        sink.store("fields.txt", "DDE field", ["\n".join(started).encode("utf-8", "replace")], (), "")
