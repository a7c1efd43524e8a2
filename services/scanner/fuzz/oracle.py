"""What must hold of every unpacker for every input; shared by the fuzzer and the tests."""

from __future__ import annotations

import io
import json
from pathlib import Path

from scanner.sandbox.answers import ANSWERS, ChildFound, JobDone
from scanner.sandbox.messages import JobLimits
from scanner.unpackers import HEAD_BYTES, TAIL_BYTES, UNPACKERS, unpackers_for
from scanner.unpackers.base import GapReason, LimitReachedError, Sink
from scanner.unpackers.libraries import prepare

CORPUS = Path(__file__).parent / "corpus"
LIMITS = JobLimits(artifacts=100, unpacked_bytes=8 << 20, member_bytes=4 << 20, ratio=250, cpu_seconds=60)

PARAMETERS = {"picture": {"width": 16, "height": 12, "channels": 3, "margin": 2, "crop": 1}}


def check(name: str, data: bytes) -> None:
    """Run one unpacker as the sandbox does. Raises AssertionError, or whatever the unpacker lets through."""
    prepare()
    spool, sent = io.BytesIO(), io.BytesIO()
    sink = Sink(spool, LIMITS, len(data), sent.write, parameters=PARAMETERS.get(name))
    try:
        UNPACKERS[name].unpack(io.BufferedReader(io.BytesIO(data)), "sample.bin", sink)  # type: ignore[arg-type]  # a raw reader
    except LimitReachedError as error:
        sink.gap(GapReason.LIMIT_REACHED, str(error))
    except MemoryError:  # the sandbox's own limit, told by the worker
        sink.gap(GapReason.ERROR, "Unpacking needs more memory than the sandbox allows.")
    sink.finish()
    unpackers_for(frozenset(), data[:HEAD_BYTES], data[-TAIL_BYTES:])
    _check_answers(sent.getvalue(), len(spool.getvalue()))


def _check_answers(sent: bytes, spooled: int) -> None:
    answers = [ANSWERS.validate_json(line) for line in sent.splitlines()]
    assert isinstance(answers[-1], JobDone)
    children = [answer for answer in answers if isinstance(answer, ChildFound)]
    assert len(children) <= LIMITS.artifacts
    assert spooled <= LIMITS.unpacked_bytes
    position = 0
    for child in children:
        assert child.start == position
        assert child.size <= LIMITS.member_bytes
        position += child.size
        json.dumps(child.name).encode("ascii")
    assert position == spooled
