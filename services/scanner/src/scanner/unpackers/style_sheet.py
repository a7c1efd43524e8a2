"""Style sheets (CSS): passive but for what old engines run."""

from __future__ import annotations

import re
from typing import BinaryIO

from scanner.unpackers.base import Sink, read_bounded
from scanner.unpackers.encodings import as_utf8
from scanner.unpackers.page_acts import STYLES_THAT_RUN

MAX_PARSED_BYTES = 16 * 1024 * 1024
_RUNS = re.compile(rf"(?i){STYLES_THAT_RUN}|(?:java|vb)script\s*:|<(?:script|html|svg|\?php|%)")
_ESCAPE = re.compile(r"\\(?:([0-9A-Fa-f]{1,6})\s?|(.))")
_COMMENT = re.compile(r"(?s)/\*.*?(?:\*/|\Z)")


class StyleSheetUnpacker:
    """Tells whether something in a style sheet runs; nothing comes out of one."""

    name = "style sheet"
    labels = frozenset({"css", "scss"})
    whole = labels

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- only the content type tells
        """Return False: a style sheet has no mark."""
        return False

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- nothing is stored
        """Look for what runs, also where comments and escapes take it apart."""
        text = as_utf8(read_bounded(source, MAX_PARSED_BYTES, "searched for styles", sink)).decode("utf-8", "replace")
        if _RUNS.search(text) or _RUNS.search(_ESCAPE.sub(_character, _COMMENT.sub("", text))):
            sink.passed_over("style sheet", "styles that run")


def _character(escape: re.Match[str]) -> str:
    if escape[1] is None:
        return escape[2]
    number = int(escape[1], 16)
    return chr(number) if number <= 0x10FFFF else "\N{REPLACEMENT CHARACTER}"
