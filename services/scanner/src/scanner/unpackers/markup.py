"""Scripts in HTML, HTA, SVG and Windows script files: elements, event handlers and script addresses."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import BinaryIO

from scanner.unpackers.base import GapReason, Sink, read_bounded
from scanner.unpackers.encodings import as_utf8
from scanner.unpackers.page_acts import PageActs

MAX_PARSED_BYTES = 16 * 1024 * 1024
MAX_SCRIPTS = 200
SCRIPT, HANDLERS = "script element", "event handlers"
"""The origins of what is taken out; its name tells the language."""

_SUFFIXES = {"vbs": ".vbs", "vbscript": ".vbs", "jscript.encode": ".jse", "vbscript.encode": ".vbe"}
# Of https://mimesniff.spec.whatwg.org/#javascript-mime-type-essence-match, and Microsoft's.
_LANGUAGES = ("ecmascript", "javascript", "jscript", "livescript", "vbs")
_DATA_TYPES = ("json", "template", "x-", "importmap", "speculationrules", "text/plain")


class MarkupUnpacker:
    """Makes every script of markup a child; a template or program is not fully looked at by that."""

    name = "markup"
    labels = frozenset({"asp", "erb", "hta", "jinja", "mht", "php", "scriptwsf", "twig", "vue", "xml"})
    whole: frozenset[str] = frozenset()

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether it begins as a page, whatever the type model says."""
        return (
            head[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<html", b"<!doctype html", b"<svg", b"<job"))
        )

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- scripts are numbered
        """Store the scripts in their order, then the event handlers together."""
        self._read(source, sink, _Page())

    def _read(self, source: BinaryIO, sink: Sink, page: _Page) -> str:
        """Store what is found and return the text."""
        text = as_utf8(read_bounded(source, MAX_PARSED_BYTES, "searched for scripts", sink)).decode("utf-8", "replace")
        page.feed(text)
        page.close()
        page.end_script()
        for number, (suffix, script) in enumerate(page.scripts, 1):
            if number > MAX_SCRIPTS:
                sink.gap(GapReason.LIMIT_REACHED, "The page has more scripts than the limit allows.")
                break
            sink.store(f"script {number}{suffix}", SCRIPT, [_encoded(script)], (), "")
        if page.handlers:
            sink.store("event handlers.js", HANDLERS, [_encoded("\n".join(page.handlers))], (), "")
        return text


class PageUnpacker(MarkupUnpacker):
    """Makes every script of a page or drawing a child, and tells what else acts in it."""

    name = "page"
    labels = frozenset({"html", "svg"})
    whole = labels

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- scripts are numbered
        """Store the scripts and event handlers, and tell what was not looked at."""
        acts = PageActs(sink)
        page = _Page(acts)
        text = self._read(source, sink, page)
        acts.compare(text, page.verbatim)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _kind_of_script(attributes: list[tuple[str, str | None]]) -> str:
    """Return the type of a script element, or its language if it has no type; of two attributes the first counts."""
    first = dict(reversed(attributes))
    kind = first["type"] if "type" in first else first.get("language")
    return (kind or "").strip().lower()


class _Page(HTMLParser):
    def __init__(self, acts: PageActs | None = None) -> None:
        super().__init__(convert_charrefs=True)
        self._acts = acts
        self.scripts: list[tuple[str, str]] = []
        self.handlers: list[str] = []
        self.verbatim: list[str] = []
        """Those of the scripts that stand in the page just so; in other elements the parser replaces references."""
        self._verbatim = False
        self._suffix: str | None = None
        self._pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._acts is not None:
            self._acts.look_at(tag, attrs, self.get_starttag_text() or "")
        for attribute, value in attrs:
            if value and (
                attribute.startswith("on") or value.lstrip().lower().startswith(("javascript:", "vbscript:"))
            ):
                self.handlers.append(value)
        if tag.rpartition(":")[2] == "script":
            self.end_script()
            self._verbatim = tag == "script"
            kind = _kind_of_script(attrs)
            if any(mark in kind for mark in _DATA_TYPES) and not any(language in kind for language in _LANGUAGES):
                return
            browser = not any(attribute == "runat" for attribute, _ in attrs)
            javascript = kind in {"", "module"} or any(language in kind for language in _LANGUAGES)
            self._suffix = _SUFFIXES.get(kind.removeprefix("text/"), ".js" if javascript else "") if browser else ""

    def handle_data(self, data: str) -> None:
        if self._suffix is not None:
            self._pieces.append(data)

    def parse_marked_section(self, i: int, report: bool = True) -> int:  # noqa: FBT001, FBT002 -- as its base
        """Read on behind a section of no known kind, as browsers do."""
        try:
            return super().parse_marked_section(i, report)
        except AssertionError:
            return self.parse_bogus_comment(i)

    def unknown_decl(self, data: str) -> None:
        """Take the CDATA sections of SVG and script files for text."""
        self.handle_data(data.removeprefix("CDATA["))

    def handle_endtag(self, tag: str) -> None:
        if tag.rpartition(":")[2] == "script":
            self.end_script()

    def handle_comment(self, data: str) -> None:
        """Read comments with a condition, which some programs take for markup, as such."""
        condition, bracket, markup = data.partition("]>")
        if self._acts is not None and bracket and condition.lstrip().startswith("[if"):
            inner = _Page(self._acts)
            inner.feed(markup)
            inner.close()
            inner.end_script()
            self.scripts += inner.scripts
            self.handlers += inner.handlers
            self.verbatim += inner.verbatim

    def end_script(self) -> None:
        """Keep the script that was read, if there is more to it than space."""
        script = "".join(self._pieces)
        if self._suffix is not None and script.strip():
            self.scripts.append((self._suffix, script))
            if self._verbatim:
                self.verbatim.append(script)
        self._suffix = None
        self._pieces.clear()
