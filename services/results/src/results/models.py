"""What the results service works with: how a scan ended, where a page begins, why a scan expired."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from shared.clients.results import PastScan, ScanSummary
from shared.clock import aware
from shared.errors import InvalidInputError
from shared.events import FileUploadedV1, ObjectRef, ScanCompletedV1, ScanFailedV1
from shared.scan import (
    Coverage,
    CoverageGap,
    CoverageLevel,
    CoverageReason,
    ScanDocument,
    ScanStatus,
    Verdict,
)

ScanEvent = FileUploadedV1 | ScanCompletedV1 | ScanFailedV1


@dataclass(frozen=True, slots=True)
class Ending:
    """The terminal state of a scan, as it is recorded."""

    status: ScanStatus
    finished_at: datetime
    coverage: Coverage
    verdict: Verdict = Verdict.UNKNOWN
    artifact_count: int = 0
    finding_count: int = 0
    started_at: datetime | None = None
    reason: str | None = None
    document: bytes | None = None
    document_ref: ObjectRef | None = None

    @classmethod
    def completed(cls, event: ScanCompletedV1, document: ScanDocument) -> Self:
        """Return the ending that a document describes. Findings in shadow mode are not counted."""
        return cls(
            status=ScanStatus.COMPLETED,
            finished_at=document.finished_at,
            verdict=document.verdict,
            coverage=document.coverage,
            artifact_count=len(document.artifacts),
            finding_count=sum(not finding.shadow for artifact in document.artifacts for finding in artifact.findings),
            started_at=document.started_at,
            document=None if event.document_ref else document.model_dump_json().encode(),
            document_ref=event.document_ref,
        )

    @classmethod
    def failed(cls, event: ScanFailedV1) -> Self:
        """Return the ending of a scan that could not be done."""
        return cls(
            status=ScanStatus.FAILED,
            finished_at=event.failed_at,
            coverage=_nothing_seen(CoverageReason.ERROR, event.reason),
            reason=event.reason,
        )

    @classmethod
    def expired(cls, reason: str, moment: datetime) -> Self:
        """Return the ending of a scan whose deadline passed."""
        return cls(
            status=ScanStatus.EXPIRED,
            finished_at=moment,
            coverage=_nothing_seen(CoverageReason.TIMEOUT, reason),
            reason=reason,
        )


@dataclass(frozen=True, slots=True)
class EndedScan:
    """A scan that has just ended. Without a previous verdict it is the first of its submission."""

    scan_id: str
    submission_id: str
    previous_verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class StoredScan:
    """The current scan of a submission as it is kept, with its document or where it lies, and the other scans."""

    summary: ScanSummary
    started_at: datetime | None
    document: bytes | None
    document_ref: ObjectRef | None
    others: tuple[PastScan, ...] = ()


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last item of a page: the next page holds what was submitted before it."""

    submitted_at: datetime
    submission_id: str

    @classmethod
    def after(cls, scan: ScanSummary) -> Self:
        """Return the cursor of the page that follows this scan."""
        return cls(scan.submitted_at, scan.id)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `__str__` wrote. Raises InvalidInputError."""
        try:
            submitted_at, submission_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            return cls(aware(datetime.fromisoformat(submitted_at)), str(submission_id).replace("\0", ""))
        except (binascii.Error, ValueError, TypeError, OverflowError):
            raise InvalidInputError("The cursor is not one that this service gave out; start without one.") from None

    def __str__(self) -> str:
        text = json.dumps([self.submitted_at.isoformat(), self.submission_id])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class OverdueScan:
    """A scan past its deadline that has not ended."""

    scan_id: str
    submission_id: str
    user_id: str
    name: str
    sha256: str
    size_bytes: int
    submitted_at: datetime
    requested_at: datetime | None
    previous_verdict: Verdict | None
    deadline_at: datetime
    known_at: datetime

    def why(self, waiting: int | None) -> str:
        """Tell what happened in one sentence; `waiting` files wait for a scanner, None if nobody can tell."""
        seconds = round((self.deadline_at - (self.requested_at or self.submitted_at)).total_seconds())
        if self.known_at >= self.deadline_at:
            return f"The file reached the scanners only after its {seconds} seconds were over: the bus was away."
        if waiting is None:
            return f"The scan did not end within {seconds} seconds, and the message bus does not answer."
        if waiting:
            queue = "1 file is" if waiting == 1 else f"{waiting} files are"
            return f"No scanner took the file up and finished it within {seconds} seconds; {queue} waiting for one."
        return f"A scanner was given the file but did not finish it within {seconds} seconds."


def _nothing_seen(reason: CoverageReason, detail: str) -> Coverage:
    return Coverage(level=CoverageLevel.NONE, gaps=(CoverageGap(reason=reason, detail=detail),))
