"""What a page does beside the scripts that are taken out of it.

Scripts run in a page where its text says so in so many characters: as an element, as an event handler, as an address.
Each that stands in the text must be among those that were taken out, however a parser and a browser disagree about
what is a comment or a value; so they are counted in the text itself, and only what the same pattern finds in the text
of a tag counts as taken out. The rest of what acts (HTML Living Standard, SVG 2) is not looked at, and told where it
stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from scanner.unpackers.addresses import PAGE_SCHEMES, scheme_of
from scanner.unpackers.base import Sink

_SCRIPT = re.compile(r"(?i)<(?:[\w.-]{1,40}:)?script(?![\w.:-])")
_SCRIPT_END = re.compile(r"(?i)</\s*(?:[\w.-]{1,40}:)?script")
_HANDLER = re.compile(
    r"(?i)(?<![\w.:-])on(?:"
    r"abort|activate|after|animation|auxclick|before|begin|blur|bounce|cancel|canplay|cell|change|click|close"
    r"|command|content|context|control|copy|cue|cut|data|dbl|deactivate|device|drag|drop|duration|emptied"
    r"|encrypted|end|enter|error|exit|filter|finish|focus|form|fullscreen|gesture|got|hash|help|input|invalid"
    r"|key|language|layout|leave|load|lose|lost|media|message|mouse|move|offline|online|open|orientation|page"
    r"|paste|pause|play|pointer|pop|progress|property|rate|ready|rejection|repeat|reset|resize|resume|reverse"
    r"|row|scroll|search|security|seek|select|show|slot|stalled|start|stop|storage|submit|suspend|sync|time"
    r"|toggle|touch|track|transition|unhandled|unload|url|user|volume|waiting|webkit|wheel|zoom"
    r")[a-z]{0,30}\s*="
)
STYLES_THAT_RUN = r"\bexpression\s*\(|(?<![\w-])behaviou?r\s*:|-moz-binding"
"""What old engines run out of a style sheet; without regard to case."""

_TAG, _ENDS = r"<(?:[\w.-]{1,40}:)?(?:", r")(?![\w.:-])"
_FORM, _REFRESH = "where its form sends what is typed in", "a page it leads to by itself"
_UNUSUAL = "text in an unusual encoding"
_USUAL_CHARSETS = r"utf-?8|utf-?16|us-ascii|ascii|iso-?8859-\d{1,2}|latin1|windows-125\d|koi8-[ru]"
_ACTS = {
    "a page or an object within it": _TAG + "applet|embed|fencedframe|frame|iframe|ilayer|layer|object|portal" + _ENDS
    + r"|\bsrcdoc\s*=",
    _FORM: _TAG + "form" + _ENDS + r"|\bformaction\s*=|\btype\s*=\W{0,3}password",
    _REFRESH: r"\bhttp-equiv\s*=\W{0,3}refresh",
    "what its addresses are relative to": _TAG + "base" + _ENDS,
    "changes of its elements": _TAG + r"animate\w{0,20}|foreignobject|handler|listener|set" + _ENDS,
    "styles that run": STYLES_THAT_RUN,
    "an instruction for a server or another program": r"<\?(?!xml\s)|<%|<hta:",
    _UNUSUAL: rf"<\?xml\s[^>]{{0,400}}?encoding\s*=\s*[\"'](?!(?:{_USUAL_CHARSETS})[\"'])",
    "entities of its own": r"<!entity|<!doctype[^>]{0,400}\[",
    "characters that shift or vanish": r"[\0\x1b]",
}  # fmt: skip
_SCRIPT_ADDRESS = re.compile(r"(?i)(?:java|vb)script\s*:")
_ACTING = {what: re.compile("(?i)" + pattern) for what, pattern in _ACTS.items()}
_RELATIONS = frozenset({
    "alternate", "apple-touch-icon", "archives", "author", "bookmark", "canonical", "dns-prefetch", "external",
    "file-list", "first", "help", "icon", "index", "last", "license", "mask-icon", "next", "nofollow", "preconnect",
    "prev", "previous", "search", "shortcut", "start", "stylesheet", "tag", "top", "up",
})  # fmt: skip
_ADDRESSES = frozenset({
    "action", "background", "by", "cite", "classid", "codebase", "data", "dynsrc", "from", "href", "longdesc", "lowsrc",
    "manifest", "ping", "poster", "profile", "src", "srcset", "to", "values",
})  # fmt: skip
_SPACE = re.compile(r"[\x00-\x20]+")
_SCHEMES = PAGE_SCHEMES | {"cid"}  # a part of the mail
_PICTURE = re.compile(r"(?i)data:image/(?:avif|bmp|gif|jpe?g|png|webp|x-icon|vnd\.microsoft\.icon)[;,]")
_CHARSET = re.compile(r"(?i)charset\s*=\s*[\"']?\s*([\w.:-]+)|^([\w.:-]+)$")
_CHARSETS = re.compile(f"(?i){_USUAL_CHARSETS}")


class PageActs:
    """Notes what acts in a page, tag by tag, then compares it with the text."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._scripts = 0
        self._handlers = 0
        self._addresses = 0

    def _tell(self, what: str) -> None:
        self._sink.passed_over("page", what)

    def look_at(self, tag: str, attributes: list[tuple[str, str | None]], text: str) -> None:
        """Look at a start tag; `text` is all of it as it stands in the page."""
        local = tag.rpartition(":")[2]
        values = {name: value or "" for name, value in reversed(attributes)}  # of two the first counts
        if local == "script":
            self._look_at_script(values, text)
        elif local == "link" and not set(values.get("rel", "").lower().split()) <= _RELATIONS:
            self._tell("what it loads")
        elif local == "meta":
            self._look_at_meta(values)
        elif local == "input" and values.get("type", "").strip().lower() == "password":
            self._tell(_FORM)
        self._look_at_values([(name, value) for name, value in attributes if value is not None], text)

    def _look_at_script(self, values: dict[str, str], text: str) -> None:
        # A page's script is not over where its tag ends as an empty element's, which a drawing's may be.
        self._scripts += _SCRIPT.match(text) is not None and not text.endswith("/>")
        if any(name.rpartition(":")[2] in {"href", "src"} for name in values):
            self._tell("a script from elsewhere")
        kinds = f"{values.get('type', '')} {values.get('language', '')}".lower()
        if any(kind in kinds for kind in ("importmap", "speculationrules")):
            self._tell("a script of an unusual kind")

    def _look_at_meta(self, values: dict[str, str]) -> None:
        if values.get("http-equiv", "").strip().lower() == "refresh":
            self._tell(_REFRESH)
        declared = values.get("charset", values.get("content", "") if "http-equiv" in values else "")
        charset = _CHARSET.search(declared.strip())
        if charset is not None and not _CHARSETS.fullmatch(charset[1] or charset[2] or ""):
            self._tell(_UNUSUAL)

    def _look_at_values(self, attributes: list[tuple[str, str]], text: str) -> None:
        taken_out = 0
        for name, value in attributes:
            self._handlers += _HANDLER.match(f"{name}=") is not None
            taken_out += len(_SCRIPT_ADDRESS.findall(value))
            if name.rpartition(":")[2] in _ADDRESSES:
                self._look_at_address(_SPACE.sub("", value))
        self._addresses += min(taken_out, len(_SCRIPT_ADDRESS.findall(text)))

    def compare(self, text: str, scripts: Iterable[str]) -> None:
        """Tell what stands in the text of the page, outside of its scripts, and was not looked at."""
        # A script that speaks of its end may have ended there.
        inside = [script for script in scripts if not _SCRIPT_END.search(script)]
        ends = len(_SCRIPT_END.findall(text))
        if _more(_SCRIPT, text, inside) > self._scripts or ends != self._scripts:
            self._tell("a script that could not be taken out")
        if _more(_HANDLER, text, inside) > self._handlers:
            self._tell("an event handler that could not be taken out")
        if _more(_SCRIPT_ADDRESS, text, inside) > self._addresses:
            self._tell("a script address that could not be taken out")
        for what, pattern in _ACTING.items():
            if _more(pattern, text, inside):
                self._tell(what)

    def _look_at_address(self, address: str) -> None:
        scheme = scheme_of(address)
        if address.startswith("\\\\") or (scheme and scheme not in _SCHEMES and not _PICTURE.match(address)):
            self._tell("an address that leads to something else than a page")


def _more(pattern: re.Pattern[str], text: str, inside: list[str]) -> int:
    """Return how many matches of the text are not within the scripts."""
    matches = sum(1 for _ in pattern.finditer(text))
    return matches - sum(1 for script in inside for _ in pattern.finditer(script)) if matches else 0
