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
    previous_verdict: Verdict | None = Field(
        default=None, description="Of a rescan: what was said of the submission before. Null for its first scan."
    )
    recorded_at: datetime

    @property
    def is_news(self) -> bool:
        """Whether it says more than that a rescan found what was known, or found nothing out."""
        first, completed = self.previous_verdict is None, self.status is ScanStatus.COMPLETED
        return first or (completed and self.verdict is not self.previous_verdict)


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
    previous_verdict: Verdict | None = Field(
        default=None, description="Of a rescan: what is still said of the submission. Null for its first scan."
    )
    expired_at: datetime

    @property
    def is_news(self) -> bool:
        """Whether it is the first scan that expired; a rescan that did leaves everything as it was."""
        return self.previous_verdict is None


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
