"""Mails (RFC 5322, MIME of RFC 2045 to 2049): every part of every nested message is a child."""

from __future__ import annotations

import re
from typing import Any, BinaryIO

from scanner.unpackers.base import GapReason, Sink, read_bounded
from scanner.unpackers.encoded_forms import read_as
from scanner.unpackers.encodings import utf16_codec
from scanner.unpackers.libraries import library

MAX_PARSED_BYTES = 64 * 1024 * 1024
_SUFFIXES = {"text/html": ".html", "text/plain": ".txt", "text/calendar": ".ics", "image/svg+xml": ".svg"}
# Of the parser's complaints those after which a part may be missing or cut.
_DAMAGE = ("BoundaryNotFoundDefect", "InvalidBase64", "MultipartInvariantViolationDefect", "MalformedHeaderDefect")
_SLACK_BYTES = 64
_TRANSFER = "Content-Transfer-Encoding"
_TRANSFER_ENCODINGS = frozenset({
    "7bit", "8bit", "base64", "binary", "quoted-printable", "uue", "uuencode", "x-uue", "x-uuencode",
})  # fmt: skip
_TOKEN = re.compile(r"\s*([\w-]+)")
_ELSEWHERE = frozenset({"message/external-body", "message/partial"})
# Readers of mail may believe the first or the last.
_TELLING = ("Content-Type", _TRANSFER)


class MailUnpacker:
    """Opens mails and web archives."""

    name = "mail"
    labels = frozenset({"eml", "mht"})
    whole = frozenset({"eml"})

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether it begins with a header that mails begin with and has a MIME header."""
        starts = (b"return-path:", b"received:", b"from:", b"delivered-to:", b"mime-version:", b"message-id:", b"date:")
        lower = head[:4096].lower()
        return lower.startswith(starts) and (b"\nmime-version:" in lower or b"\ncontent-type:" in lower)

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- parts bring their own names
        """Store every part that is not itself a container of parts."""
        data = read_bounded(source, MAX_PARSED_BYTES, "read as a mail", sink)
        message = library("email.parser").BytesParser(policy=library("email.policy").compat32).parsebytes(data)
        if not message.keys():
            sink.gap(GapReason.ERROR, "It should be a mail, but has no header of one.")
            return
        for number, part in enumerate(message.walk(), 1):
            for text in (part.preamble, part.epilogue):
                if text and len(text.strip()) > _SLACK_BYTES:
                    sink.store("text between parts", "mail part", [text.encode("utf-8", "surrogateescape")], (), "")
            if not part.is_multipart():
                sink.store(_name(part, number), "mail part", [_content(part, sink)], (), "")
            if part.get_content_type() in _ELSEWHERE:
                sink.gap(
                    GapReason.UNSUPPORTED, "A part of the mail is only a piece of a message, or is kept elsewhere."
                )
            if any(len({str(value).strip().lower() for value in part.get_all(name, [])}) > 1 for name in _TELLING):
                sink.gap(GapReason.ERROR, "A part of the mail says twice, and not the same, what it is.")
            if any(mark in type(defect).__name__ for defect in part.defects for mark in _DAMAGE):
                sink.gap(GapReason.ERROR, "A part of the mail is damaged or cut off.")


def _content(part: Any, sink: Sink) -> bytes:
    """Return the bytes of a part, text of encodings in which ASCII is something else as UTF-8."""
    given = str(part.get(_TRANSFER, "7bit"))
    encoding = _TOKEN.match(given)
    if encoding is None or encoding[1].lower() not in _TRANSFER_ENCODINGS:
        sink.gap(GapReason.UNSUPPORTED, "A part of the mail is in a transfer encoding that could not be decoded.")
    elif encoding[1] != given:  # with a comment or the like behind it
        part.replace_header(_TRANSFER, encoding[1])
    content = bytes(part.get_payload(decode=True) or b"")
    charset = part.get_content_charset()
    if not charset or part.get_content_maintype() != "text" or utf16_codec(content):
        return content
    try:
        return read_as(charset, content) or content
    except (LookupError, ValueError):
        sink.gap(GapReason.UNSUPPORTED, "A text of the mail is in an encoding that could not be decoded.")
        return content


def _name(part: Any, number: int) -> str:
    given = part.get_filename()
    if given:
        decode = library("email.header")
        try:
            return str(decode.make_header(decode.decode_header(given)))
        except (LookupError, ValueError, library("email.errors").HeaderParseError):
            return str(given)
    return f"part {number}{_SUFFIXES.get(part.get_content_type(), '')}"
