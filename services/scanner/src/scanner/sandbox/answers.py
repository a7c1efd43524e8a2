"""What a sandbox worker says, validated: a worker may have been taken over by the file it read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from scanner.sandbox.messages import MAX_DETAIL_CHARACTERS, MAX_FACT_CHARACTERS, MAX_NAME_CHARACTERS
from scanner.unpackers.package_facts import Fact
from scanner.unpackers.signs import Sign
from shared.scan import CoverageGap, CoverageReason, Program


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Gap(_Answer):
    """Something that could not be looked at, in the worker's words."""

    reason: CoverageReason
    detail: str = Field(max_length=MAX_DETAIL_CHARACTERS)

    def as_coverage(self) -> CoverageGap:
        """Return the gap as it goes into the scan document."""
        return CoverageGap(reason=self.reason, detail=self.detail)


class WorkerReady(_Answer):
    """Said once at the start: how far the worker could lock itself in."""

    kind: Literal["ready"]
    network_closed_by: tuple[str, ...]
    confined_by: tuple[str, ...]


class ChildFound(_Answer):
    """`size` bytes of the spool from `start` are one child; `gap` says what of it is missing."""

    kind: Literal["child"]
    name: str = Field(max_length=MAX_NAME_CHARACTERS)
    origin: str = Field(max_length=100)
    start: int = Field(ge=0)
    size: int = Field(ge=0)
    gap: Gap | None = None


class GapFound(_Answer):
    """Something of the input itself could not be looked at."""

    kind: Literal["gap"]
    gap: Gap


class SignSeen(_Answer):
    """The input does something by itself that people should know of."""

    kind: Literal["sign"]
    sign: Sign


class FactSeen(_Answer):
    """What a manifest or install script of a package does, or which file it names."""

    kind: Literal["fact"]
    fact: Fact
    name: str = Field(max_length=MAX_FACT_CHARACTERS)


class ProgramRead(_Answer):
    """The input is a program, and this is what its headers say."""

    kind: Literal["program"]
    program: Program


class Unprepared(_Answer):
    """The job needs libraries that this worker was started without; nothing of it was done."""

    kind: Literal["unprepared"]


class JobDone(_Answer):
    """The job is over and the worker takes the next one."""

    kind: Literal["done"]


AnyAnswer = WorkerReady | ChildFound | GapFound | SignSeen | FactSeen | ProgramRead | Unprepared | JobDone
ANSWERS: TypeAdapter[AnyAnswer] = TypeAdapter(Annotated[AnyAnswer, Field(discriminator="kind")])
