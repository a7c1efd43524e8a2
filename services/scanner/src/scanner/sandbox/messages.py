"""What the scanner asks of a sandbox worker, and the form of the conversation.

One JSON object a line over a socket pair. With each request travel two file descriptors: the
input (read only) and the spool, one file that takes the bytes of all children one after another.
The worker answers with any number of `child`, `gap`, `sign` and `fact` lines and ends with `done`, or with
`unprepared` when it needs the libraries it was started without; the answers are read by
`scanner.sandbox.answers`. Only the standard library is imported here, because a
worker has to start fast and to hold little that a parser's bug could reach.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

MAX_LINE_BYTES = 64 * 1024
MAX_NAME_CHARACTERS = 1000
MAX_DETAIL_CHARACTERS = 300
MAX_FACTS = 300
MAX_FACT_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class JobLimits:
    """What is left of the scan's limits for this job; sizes in bytes."""

    artifacts: int
    unpacked_bytes: int
    member_bytes: int
    ratio: int
    cpu_seconds: int


@dataclass(frozen=True, slots=True)
class UnpackRequest:
    """Unpack `size` bytes of the input from `offset` with the named unpacker."""

    unpacker: str
    name: str
    offset: int
    size: int
    limits: JobLimits
    passwords: tuple[str, ...] = field(default=(), repr=False)
    parameters: dict[str, int] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the request as one line."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> UnpackRequest:
        """Read a line made by `encode`."""
        fields = json.loads(line)
        limits = JobLimits(**fields.pop("limits"))
        passwords = tuple(fields.pop("passwords"))
        return cls(limits=limits, passwords=passwords, **fields)
