"""Whether a part of an Office document only shows something.

Office Open XML (ECMA-376) and OpenDocument (ISO 26300) are XML of their own vocabularies, which name what acts:
objects, controls, fields and formulas that ask elsewhere, links out. A part is passive if it is well-formed, all its
names are of these vocabularies and none of them acts. What is not known to be harmless is told, so that a construct
nobody thought of costs coverage and is never called clean.
"""

from __future__ import annotations

import re
from xml.parsers import expat

from scanner.unpackers.addresses import PAGE_SCHEMES, SCHEME, scheme_of
from scanner.unpackers.base import GapReason, Sink
from scanner.unpackers.encodings import as_utf8

_HEAD_BYTES = 16 * 1024
_VOCABULARIES = (
    "http://customooxmlschemas.google.com/", "http://docs.oasis-open.org/ns/office/", "http://openoffice.org/",
    "http://purl.oclc.org/ooxml/", "http://purl.org/dc/", "http://schemas.microsoft.com/office/",
    "http://schemas.openxmlformats.org/", "http://www.w3.org/1998/Math/MathML",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://www.w3.org/1999/xlink", "http://www.w3.org/2001/XMLSchema",
    "http://www.w3.org/2003/g/data-view#", "http://www.w3.org/TR/css3-text/", "http://www.w3.org/XML/1998/namespace",
    "urn:oasis:names:tc:opendocument:xmlns:", "urn:org:documentfoundation:names:",
    "urn:schemas-microsoft-com:mac:vml", "urn:schemas-microsoft-com:office:", "urn:schemas-microsoft-com:vml",
)  # fmt: skip
# What OpenDocument's forerunner took its attributes from; as elements these are pages and style sheets.
_ATTRIBUTES_ONLY = ("http://www.w3.org/1999/XSL/Format", "http://www.w3.org/2000/svg")
# Macros, and whole documents in one file, which carry other files as base64.
_REFUSED = (
    "http://openoffice.org/2000/script", "http://schemas.microsoft.com/office/2006/xmlPackage",
    "http://schemas.microsoft.com/office/word/2003/", "urn:oasis:names:tc:opendocument:xmlns:script:",
)  # fmt: skip
_ACTING = frozenset({
    "altchunk", "applet", "attachedtoolbars", "binary-data", "binarydata", "bindata", "cell-range-source", "command",
    "connection", "control", "customui", "database-source-query", "database-source-sql", "database-source-table",
    "dde-connection-decl", "dde-link", "dde-source", "ddelink", "docsuppdata", "event-listener", "execute-macro",
    "externallink", "floating-frame", "fmlamacro", "macrosheet", "mailmerge", "object-ole", "ocx", "olelink",
    "oleobj", "oleobject", "plugin", "querytable", "script", "section-source", "subdoc", "table-source", "taskpane",
    "vbasuppdata", "webextension", "webpr",
})  # fmt: skip
# ECMA-376, part 1, 17.16.5: fields that compute from the document itself, or wait for a click.
_FIELDS = frozenset({
    "ADDRESSBLOCK", "ADVANCE", "AUTHOR", "AUTONUM", "AUTONUMLGL", "AUTONUMOUT", "BIBLIOGRAPHY", "CITATION", "COMMENTS",
    "COMPARE", "CREATEDATE", "DATE", "DOCPROPERTY", "DOCVARIABLE", "EDITTIME", "EQ", "FILENAME", "FILESIZE",
    "FORMCHECKBOX", "FORMDROPDOWN", "FORMTEXT", "GREETINGLINE", "HYPERLINK", "INDEX", "KEYWORDS", "LASTSAVEDBY",
    "LISTNUM", "MERGEFIELD", "MERGEREC", "MERGESEQ", "NOTEREF", "NUMCHARS", "NUMPAGES", "NUMWORDS", "PAGE", "PAGEREF",
    "PRINTDATE", "REF", "REVNUM", "SAVEDATE", "SECTION", "SECTIONPAGES", "SEQ", "STYLEREF", "SUBJECT", "SYMBOL", "TA",
    "TC", "TEMPLATE", "TIME", "TITLE", "TOA", "TOC", "USERADDRESS", "USERINITIALS", "USERNAME", "XE",
})  # fmt: skip
_TEXTS = frozenset({
    "calculatedcolumnformula", "definedname", "delinstrtext", "f", "formula", "formula1", "formula2", "instrtext",
    "oldformula", "totalsrowformula",
})  # fmt: skip
_LITERAL = re.compile(r'"[^"]*"')
_ASKS_ELSEWHERE = re.compile(
    r"(?i)\||\b(?:CALL|DDE|DDETOPIC|EXEC|FILTERXML|IMAGE|IMPORTDATA|REGISTER(?:\.ID)?|RTD|WEBSERVICE)\s*\("
)
_SHOWING = ("ppaction://customshow", "ppaction://hlinkshowjump", "ppaction://hlinksldjump", "ppaction://media",
            "ppaction://noaction")  # fmt: skip
_PLAYING = ("pause", "play", "stop", "togglepause")
_ENCODINGS = frozenset({"us-ascii", "utf-16", "utf-8"})

_ROOT = re.compile(
    r"(?s)\s*(?:<\?xml\s[^>]{0,200}\?>\s*|<\?mso-application\s[^>]{0,200}\?>\s*|<!--.{0,1000}?-->\s*){0,9}"
    r"<(?:([\w.-]{1,40}):)?([\w.-]{1,60})(\s[^<>]{1,12000})"
)
_DECLARATION = re.compile(r"""\sxmlns(?::([\w.-]{1,40}))?\s{0,9}=\s{0,9}["']([^"']{1,200})["']""")


def is_office_markup(head: bytes) -> bool:
    """Whether the first element is of a vocabulary of Office documents."""
    root = _ROOT.match(as_utf8(head[:_HEAD_BYTES]).decode("utf-8", "replace").removeprefix("\ufeff"))
    if root is None:
        return False
    prefix, name, attributes = root.groups()
    declared = dict(_DECLARATION.findall(attributes))
    if prefix is None and name == "xml":  # VML, whose root is of no vocabulary
        return any(namespace.startswith("urn:schemas-microsoft-com:vml") for namespace in declared.values())
    return _is_known(declared.get(prefix or "", ""))


def look_for_acts(data: bytes, sink: Sink) -> None:
    """Tell whatever is not known to be passive in a part; `data` is UTF-8, whatever its declaration says."""
    _Part(sink).read(data)


def _is_known(namespace: str) -> bool:
    return namespace.startswith(_VOCABULARIES) and not namespace.startswith(_REFUSED)


class _DoctypeError(Exception):
    """The part declares entities of its own or asks for a document type."""


class _Part:
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._depth = 0
        self._text: list[str] | None = None
        self._fields: list[str | None] = []
        """What is read of the fields that are open, the innermost last; None once its instruction is over."""
        self._known: dict[str, bool] = {}

    def read(self, data: bytes) -> None:
        parser = expat.ParserCreate("utf-8", " ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.ProcessingInstructionHandler = self._instruction
        parser.StartDoctypeDeclHandler = self._refuse
        parser.XmlDeclHandler = self._declaration
        try:
            parser.Parse(data.removeprefix(b"\xef\xbb\xbf"), True)  # noqa: FBT003 -- its own signature
        except (expat.ExpatError, _DoctypeError):
            self._sink.gap(GapReason.ERROR, "The part of the document is not XML as Office writes it.")
        for field in self._fields:
            self._look_at_field(field)

    def _tell(self, what: str) -> None:
        self._sink.passed_over("document", what)

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        local = self._local(element)
        if local in _ACTING:
            self._tell(f"the element {local}")
        if local in _TEXTS:
            self._text = []
        for name, value in attributes.items():
            self._look_at_attribute(local, self._local(name, attribute=True), value)
        if local == "relationship":
            self._look_at_relationship(attributes)
        elif local == "fldchar":
            self._turn(next((value for name, value in attributes.items() if name.endswith("fldCharType")), ""))
        elif local == "cmd" and not attributes.get("cmd", "").lower().startswith(_PLAYING):
            self._tell("a command of an animation")

    def _end(self, element: str) -> None:
        self._depth -= 1
        local = element.rpartition(" ")[2].lower()
        if local not in _TEXTS or self._text is None:
            return
        text, self._text = "".join(self._text), None
        if not local.endswith("instrtext"):
            self._look_at_formula(text)
        elif self._fields and self._fields[-1] is not None:
            self._fields[-1] += text
        else:
            self._look_at_field(text)

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _declaration(self, _: str, encoding: str | None, __: int) -> None:
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            self._tell("text in an unusual encoding")

    def _instruction(self, target: str, _: str) -> None:
        if target != "mso-application":
            self._tell("a processing instruction")

    def _refuse(self, *_: object) -> None:
        raise _DoctypeError

    def _local(self, name: str, *, attribute: bool = False) -> str:
        """Return the name within its vocabulary, in lower case; tell if it is of none that is known."""
        namespace, _, local = name.rpartition(" ")
        if not namespace:  # an attribute is of the vocabulary of its element, and VML has a root of none
            known = attribute or (self._depth == 1 and local == "xml")
        else:
            known = self._known.setdefault(namespace, _is_known(namespace))
            known = known or (attribute and namespace.startswith(_ATTRIBUTES_ONLY))
        if not known:
            self._tell("markup of another vocabulary")
        return local.lower()

    def _look_at_attribute(self, element: str, name: str, value: str) -> None:
        if name in {"href", "src"}:
            self._look_at_link(element, value.strip())
        elif name == "action" and element.startswith("hlink") and value and not value.lower().startswith(_SHOWING):
            self._tell("a link that starts something")
        elif (name == "macro" and value) or (element == "definedname" and name in {"function", "vbprocedure", "xlm"}):
            self._tell("a macro")
        elif name == "instr" and element == "fldsimple":
            self._look_at_field(value)
        elif name == "formula":
            self._look_at_formula(value)

    def _look_at_link(self, element: str, target: str) -> None:
        """Look at a link of OpenDocument: into the package, or, where it waits for a click, to a page."""
        scheme = scheme_of(target)
        if scheme is not None:
            harmless = element == "a" and scheme in PAGE_SCHEMES
        else:
            harmless = not target.startswith(("/", "\\", "../")) or (element in {"a", "template"} and target[:1] == ".")
        if not harmless:
            self._tell("a link to another file")

    def _look_at_relationship(self, attributes: dict[str, str]) -> None:
        target, mode = attributes.get("Target", "").strip(), attributes.get("TargetMode", "Internal")
        scheme = scheme_of(target)
        if mode == "Internal":
            harmless = scheme is None and not target.startswith(("//", "\\"))
        else:
            kind = attributes.get("Type", "").rpartition("/")[2]
            harmless = kind == "hyperlink" and (
                scheme in PAGE_SCHEMES if scheme else not target.startswith(("/", "\\"))
            )
        if not harmless:
            self._tell("a link to another file")

    def _turn(self, kind: str) -> None:
        """Go on to the next phase of a field: begin, separate or end."""
        if kind == "begin":
            if self._fields and self._fields[-1] is not None and not re.match(r"\s*\S+\s", self._fields[-1]):
                self._tell("a field whose name another one computes")
            self._fields.append("")
        elif self._fields:
            self._look_at_field(self._fields.pop())
            if kind != "end":
                self._fields.append(None)

    def _look_at_field(self, instruction: str | None) -> None:
        words = (instruction or "").split()
        if not words or words[0].startswith("="):
            return
        name = words[0].upper()
        if name not in _FIELDS:
            self._tell("a field that does more than show text")
        elif name == "HYPERLINK":
            schemes = {scheme.lower() for scheme in SCHEME.findall(" ".join(words[1:]))}
            if not schemes <= PAGE_SCHEMES or any(word.lstrip('"').startswith(("\\\\", "//")) for word in words[1:]):
                self._tell("a link to another file")

    def _look_at_formula(self, formula: str) -> None:
        if _ASKS_ELSEWHERE.search(_LITERAL.sub('""', formula)):
            self._tell("a formula that asks elsewhere")
