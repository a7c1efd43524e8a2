"""Events that the results service publishes; the outside subscribes to these."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from shared.events.base import Event, ObjectRef
from shared.events.upload import ScanOptions
from shared.scan import CoverageLevel, CoverageReason, ScanStatus, Verdict


class ScanRecordedV1(Event):
    """A scan ended (completed or failed) and can be looked up."""

    type: ClassVar[str] = "results.scan_recorded.v1"
    consumers: ClassVar[tuple[str, ...]] = ("reports", "notifier")

    submission_id: str
    scan_id: str
    user_id: str
    sha256: str
    size_bytes: int
    name: str = Field(description="File name as submitted; untrusted.")
    status: ScanStatus
    verdict: Verdict
    coverage: CoverageLevel
    coverage_reasons: tuple[CoverageReason, ...] = ()
    artifact_count: int
    finding_count: int
    reason: str | None = Field(default=None, description="Why the scan failed, if it did.")
    recorded_at: datetime


class ScanExpiredV1(Event):
    """A scan did not end in time and was closed; nothing is known of the file."""

    type: ClassVar[str] = "results.scan_expired.v1"
    consumers: ClassVar[tuple[str, ...]] = ("notifier",)

    submission_id: str
    scan_id: str
    user_id: str
    sha256: str
    size_bytes: int
    name: str
    reason: str
    expired_at: datetime


class RescanRequestedV1(Event):
    """A stored file is to be scanned again with the present detectors, in the background lane."""

    type: ClassVar[str] = "results.rescan_requested.v1"
    consumers: ClassVar[tuple[str, ...]] = ("scanner",)

    submission_id: str
    scan_id: str
    user_id: str
    file: ObjectRef
    name: str
    options: ScanOptions = ScanOptions()
    accepted_at: datetime
    deadline_at: datetime
