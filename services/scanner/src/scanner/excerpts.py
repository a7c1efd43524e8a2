"""The text at the places of findings, so that people see what a detector saw.

Only text has excerpts, and only the first places of a finding. They are as untrusted as the file: what shows them
escapes them and makes hidden characters visible.
"""

from __future__ import annotations

from collections.abc import Iterable

from scanner.content import ByteRange
from scanner.unpackers.encodings import SNIFFED_BYTES, utf16_codec
from shared.scan import Excerpt, Finding, Location

MAX_EXCERPTS = 5
"""Of one finding: a model names no more places."""
TEXT_CHARACTERS, TEXT_LINES, BESIDE_CHARACTERS = 240, 12, 80
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), "�") | {
    ord("\n"): "\n",
    ord("\t"): "\t",
    ord("\r"): "",
}


def with_excerpts(findings: Iterable[Finding], content: ByteRange) -> list[Finding]:
    """Return the findings with the text of their places that have lines. Raises OSError."""
    findings = list(findings)
    if not any(location.first_line is not None for finding in findings for location in finding.locations):
        return findings
    codec = utf16_codec(content.read(0, SNIFFED_BYTES))
    return [_with_excerpts(finding, content, codec) for finding in findings]


def _with_excerpts(finding: Finding, content: ByteRange, codec: str | None) -> Finding:
    locations = [
        location.model_copy(update={"excerpt": excerpt_of(location, content, codec)})
        if location.first_line is not None and place < MAX_EXCERPTS
        else location
        for place, location in enumerate(finding.locations)
    ]
    return finding.model_copy(update={"locations": tuple(locations)})


def excerpt_of(location: Location, content: ByteRange, codec: str | None) -> Excerpt:
    """Return the text of a place and what stands beside it in its lines; `codec` is that of UTF-16 text, else None."""
    width = 1 if codec is None else 2  # bytes of a character, at least
    start = location.start - location.start % width
    end = min(location.end + location.end % width, start + TEXT_CHARACTERS * width)
    first = max(0, start - BESIDE_CHARACTERS * width)
    encoding, beside = codec or "utf-8", "ignore"  # beside it a character may be cut in two
    before = _shown(content.read(first, start - first).decode(encoding, beside)).rpartition("\n")[2]
    lines = _shown(content.read(start, end - start).decode(encoding, "replace")).splitlines(keepends=True)
    cut = end < location.end or len(lines) > TEXT_LINES
    after = "" if cut else _shown(content.read(end, BESIDE_CHARACTERS * width).decode(encoding, beside))
    return Excerpt(before=before, text="".join(lines[:TEXT_LINES]), after=after.partition("\n")[0], cut=cut)


def _shown(text: str) -> str:
    return text.removeprefix("\ufeff").translate(_CONTROLS)
