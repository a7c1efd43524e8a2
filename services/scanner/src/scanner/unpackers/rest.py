"""What follows the end of a format, and the sentences about what is none of it."""

from __future__ import annotations

from typing import BinaryIO

from scanner.unpackers.base import GapReason, Sink, read_chunks

# The last bytes of an end marker, which a reader need not read.
_SLACK_BYTES = 8


def damaged(what: str) -> str:
    """Return the sentence for a file that breaks off or contradicts itself."""
    return f"The {what} is damaged or cut off."


def not_of_the_type(name: str) -> str:
    """Return the sentence for a file that the type model took for what it is not."""
    return f"It looks like the type {name}, but its first bytes are not of that type."


def store_rest(source: BinaryIO, end: int | None, what: str, sink: Sink) -> None:
    """Look at what follows the end of `what`, if it is more than padding."""
    if end is None:
        return
    if end > source.seek(0, 2):
        sink.gap(GapReason.ERROR, damaged(what))
        return
    source.seek(end)
    if len(source.read(_SLACK_BYTES + 1)) <= _SLACK_BYTES:
        return
    source.seek(end)
    if any(chunk.strip(b"\0") for chunk in read_chunks(source)):
        sink.gap(GapReason.ERROR, f"Data that is not part of the {what} follows it.")
        store_from(source, end, "trailing data", f"after {what}", sink)


def store_from(source: BinaryIO, start: int, name: str, origin: str, sink: Sink) -> None:
    """Store everything from a place on as one child."""
    source.seek(start)
    sink.store(name, origin, read_chunks(source), (OSError,), "The file could not be read.")
