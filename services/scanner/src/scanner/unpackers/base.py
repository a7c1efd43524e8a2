"""What an unpacker is, and the sink that takes what it finds and holds the limits.

All of this runs inside a sandbox worker. Names found in archives are only ever told, never used
as paths: the bytes of all children go into one spool file, told apart by position.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import BinaryIO, Protocol

from scanner.sandbox.messages import (
    MAX_DETAIL_CHARACTERS,
    MAX_FACT_CHARACTERS,
    MAX_FACTS,
    MAX_NAME_CHARACTERS,
    JobLimits,
)
from scanner.unpackers.package_facts import Fact
from scanner.unpackers.signs import Sign

CHUNK_BYTES = 256 * 1024
RATIO_FLOOR_BYTES = 16 * 1024 * 1024
_SEND_BYTES = 32 * 1024


class GapReason(StrEnum):
    """The coverage reasons an unpacker can give; values as in `shared.scan.CoverageReason`."""

    TOO_LARGE = "too_large"
    ENCRYPTED = "encrypted"
    UNSUPPORTED = "unsupported"
    LIMIT_REACHED = "limit_reached"
    ERROR = "error"


class LimitReachedError(Exception):
    """A limit of the whole job bites; the unpacker stops. The message is one sentence."""


class SpoolError(Exception):
    """The spool does not take more bytes: the disk is full."""


class Unpacker(Protocol):
    """One container format. A new format is one class here and one line in the registry."""

    name: str
    labels: frozenset[str]
    """Content-type labels it opens."""
    whole: frozenset[str]
    """Those of them that are nothing but their children: fully unpacked is fully looked at."""

    def recognises(self, head: bytes, tail: bytes) -> bool:
        """Whether the first or last bytes are this format's, whatever the content type says."""
        ...

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:
        """Store every child in the sink; damage is told to the sink. Raises LimitReachedError."""
        ...


class PackageReader:
    """What the readers of a package's files share: no type leads to them, `scanner.packages` asks for them by name."""

    labels: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- asked for by name only
        """Return False: the scanner asks for it where it belongs."""
        return False


class Sink:
    """Takes children, gaps and signs, writes the bytes to the spool, and holds the limits of the job."""

    def __init__(
        self,
        spool: BinaryIO,
        limits: JobLimits,
        source_size: int,
        send: Callable[[bytes], None],
        passwords: tuple[str, ...] = (),
        parameters: Mapping[str, int] | None = None,
    ) -> None:
        self.passwords = passwords
        """What the submitter gave to open encrypted containers with."""
        self.parameters = dict(parameters or {})
        """What else the job says; only the decoding of pictures asks for it."""
        self._spool = spool
        self._limits = limits
        self._allowed = min(limits.unpacked_bytes, max(RATIO_FLOOR_BYTES, limits.ratio * source_size))
        self._written = 0
        self._children = 0
        self._send = send
        self._lines: list[bytes] = []
        self._lines_bytes = 0
        self._gaps: Counter[tuple[GapReason, str]] = Counter()
        self._signs: dict[Sign, None] = {}
        self._facts: dict[tuple[Fact, str], None] = {}

    @property
    def room(self) -> int:
        """Children that may still be stored."""
        return self._limits.artifacts - self._children

    def check_room(self) -> None:
        """Raise LimitReachedError when no further child may be stored."""
        if self._children >= self._limits.artifacts:
            raise LimitReachedError("There are more files inside than the limit allows; the rest was not unpacked.")

    def store(
        self, name: str, origin: str, chunks: Iterable[bytes], damage: tuple[type[Exception], ...], blame: str
    ) -> None:
        """Store one child. When `chunks` raises one of `damage`, what came before it is kept.

        `blame` is the sentence that says then what is wrong. Raises LimitReachedError.
        """
        writer = self.begin(name, origin)
        try:
            for chunk in chunks:
                if not writer.write(chunk):
                    break
        except damage:
            writer.end((GapReason.ERROR, blame))
        else:
            writer.end()

    def begin(self, name: str, origin: str) -> ChildWriter:
        """Start one child, for parsers that push bytes; the writer must be ended. Raises LimitReachedError."""
        self.check_room()
        self._children += 1
        return ChildWriter(self, name, origin)

    def take(self, chunk: bytes, size: int) -> int:
        """Write what the limits allow of a chunk of a child of `size` bytes so far; return how much."""
        room = min(self._allowed - self._written, self._limits.member_bytes - size, len(chunk))
        try:
            self._spool.write(chunk[:room])
        except OSError as error:  # never to be taken for damage in the archive
            raise SpoolError from error
        self._written += room
        return room

    def over_limit(self, size: int) -> str | None:
        """Return why nothing more of the whole job can be stored; None if only the child of `size` is too large."""
        return None if size > self._limits.member_bytes else self._full_sentence()

    def _full_sentence(self) -> str:
        if self._allowed < self._limits.unpacked_bytes:
            return "The archive unpacks to many times its size, more than the limit allows; the rest was not unpacked."
        return "The scan has unpacked as many bytes as the limit allows; the rest was not unpacked."

    @property
    def position(self) -> int:
        """Bytes in the spool so far."""
        return self._written

    def tell_child(self, name: str, origin: str, start: int, gap: tuple[GapReason, str] | None) -> None:
        """Announce the bytes of the spool from `start` as a child."""
        child: dict[str, object] = {
            "kind": "child",
            "name": _speakable(name, MAX_NAME_CHARACTERS),
            "origin": origin,
            "start": start,
            "size": self._written - start,
        }
        if gap is not None:
            child["gap"] = {"reason": gap[0], "detail": gap[1]}
        self._tell(child)

    def gap(self, reason: GapReason, detail: str) -> None:
        """Say that something of the input was not looked at; equal gaps are counted and told at the end."""
        self._gaps[(reason, detail[:MAX_DETAIL_CHARACTERS])] += 1

    def passed_over(self, place: str, what: str) -> None:
        """Say what acts, or may act, in a document and was not looked at."""
        self.gap(GapReason.UNSUPPORTED, f"Not looked at in the {place}: {what}.")

    def sign(self, sign: Sign) -> None:
        """Say that the input does something by itself; said once, however often it does it."""
        self._signs[sign] = None

    def fact(self, fact: Fact, name: str = "") -> None:
        """Say what a manifest or install script does, or which file it names; names over the limit are left out."""
        # What a script does is never crowded out by what it names.
        if not name or len(self._facts) < MAX_FACTS - len(Fact):
            self._facts[(fact, _speakable(name, MAX_FACT_CHARACTERS))] = None

    def program(self, headers: dict[str, object]) -> None:
        """Tell what the headers of a program say, in the shape of `shared.scan.Program`."""
        self._tell({"kind": "program", "program": headers})

    def finish(self) -> None:
        """Tell the signs, the facts, the gaps and the end of the job."""
        for sign in self._signs:
            self._tell({"kind": "sign", "sign": sign})
        for fact, name in self._facts:
            self._tell({"kind": "fact", "fact": fact, "name": name})
        for (reason, detail), count in self._gaps.items():
            times = f" ({count} times)" if count > 1 else ""
            self._tell({"kind": "gap", "gap": {"reason": reason, "detail": detail + times}})
        self._tell({"kind": "done"})
        self.flush()

    def _tell(self, answer: dict[str, object]) -> None:
        line = json.dumps(answer).encode() + b"\n"
        self._lines.append(line)
        self._lines_bytes += len(line)
        if self._lines_bytes >= _SEND_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the spool through and send what is waiting."""
        self._spool.flush()
        self._send(b"".join(self._lines))
        self._lines.clear()
        self._lines_bytes = 0


class ChildWriter:
    """Takes the bytes of one child one after another."""

    def __init__(self, sink: Sink, name: str, origin: str) -> None:
        self._sink = sink
        self._name = name
        self._origin = origin
        self._start = sink.position
        self._offered = 0
        self._ended = False

    def write(self, chunk: bytes) -> bool:
        """Store the chunk; False when the child is over its limit, was cut and ended. Raises LimitReachedError."""
        if self._ended:
            return False
        taken = self._sink.take(chunk, self._offered)
        self._offered += len(chunk)
        if taken == len(chunk):
            return True
        full = self._sink.over_limit(self._offered)
        if full is None:
            detail = "The file is larger than the limit for unpacked files; the rest was cut."
            self.end((GapReason.LIMIT_REACHED, detail))
            return False
        self.end((GapReason.LIMIT_REACHED, full))
        raise LimitReachedError(full)

    def end(self, gap: tuple[GapReason, str] | None = None) -> None:
        """Announce the child, with what is missing of it; only the first call counts."""
        if not self._ended:
            self._ended = True
            self._sink.tell_child(self._name, self._origin, self._start, gap)


def _speakable(name: str, limit: int) -> str:
    """Return a name that every database and JSON reader takes: no lone surrogates, no NUL."""
    return name[:limit].encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")


def read_chunks(handle: BinaryIO, size: int | None = None) -> Iterator[bytes]:
    """Yield what `handle` gives until its end, or at most `size` bytes."""
    left = size
    while left is None or left > 0:
        chunk = handle.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
        if not chunk:
            return
        if left is not None:
            left -= len(chunk)
        yield chunk


def read_bounded(source: BinaryIO, limit: int, done: str, sink: Sink) -> bytes:
    """Return the first `limit` bytes for parsers that need all at once; tell the sink if there is more.

    `done` completes the sentence "Only the first ... was".
    """
    data = source.read(limit)
    if source.read(1):
        sink.gap(GapReason.LIMIT_REACHED, f"Only the first {limit >> 20} MiB of the file were {done}.")
    return data


def seven_bit_number(data: bytes, position: int, most: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, the lowest first, and where it ends, after `most` bytes at the latest."""
    number = 0
    for place, byte in enumerate(data[position : position + most]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, position + place + 1
    return number, position + most
