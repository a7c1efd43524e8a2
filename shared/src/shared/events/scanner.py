"""Events that the scanner publishes."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from shared.events.base import Event, ObjectRef
from shared.scan import Finding, Frozen, ScanDocument


class ScanStartedV1(Event):
    """A scanner took the file up. Only the live view needs it."""

    type: ClassVar[str] = "scanner.scan_started.v1"
    transient: ClassVar[bool] = True

    submission_id: str
    scan_id: str
    user_id: str
    started_at: datetime


class ArtifactFinding(Frozen):
    """A finding with what tells the artifact it is about."""

    artifact_name: str = Field(description="Name as found; untrusted.")
    artifact_size_bytes: int
    finding: Finding


class ScanProgressedV1(Event):
    """How far a scan is. Only the live view needs it."""

    type: ClassVar[str] = "scanner.scan_progressed.v1"
    transient: ClassVar[bool] = True

    submission_id: str
    scan_id: str
    user_id: str
    stage: str = Field(description="identifying, unpacking, inspecting or finished.")
    artifacts_found: int
    artifacts_done: int
    findings: tuple[ArtifactFinding, ...] = Field(default=(), description="All found so far, the first 20 of them.")


class ScanCompletedV1(Event):
    """A scan ended with a document: inline up to 64 KiB, else by reference."""

    type: ClassVar[str] = "scanner.scan_completed.v1"
    consumers: ClassVar[tuple[str, ...]] = ("results",)

    submission_id: str
    scan_id: str
    user_id: str
    file: ObjectRef
    name: str
    completed_at: datetime
    document: ScanDocument | None = None
    document_ref: ObjectRef | None = None


class ScanFailedV1(Event):
    """A scan could not be done at all, and trying again will not help."""

    type: ClassVar[str] = "scanner.scan_failed.v1"
    consumers: ClassVar[tuple[str, ...]] = ("results",)

    submission_id: str
    scan_id: str
    user_id: str
    file: ObjectRef
    name: str
    failed_at: datetime
    reason: str = Field(description="One sentence for people.")
