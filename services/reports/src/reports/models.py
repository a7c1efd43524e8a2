"""The report: what every format of it says. The JSON format is this model as it is.

`report.schema.json` at the root of the service is the schema of `Report`; a test compares the two.
A field may be added within a schema version; anything else is a new version.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from shared.clients.results import ScanDetail
from shared.events import ReportFormat
from shared.scan import Artifact, ContentType, Coverage, DetectorInfo, Frozen, ScanStatus, Verdict

MEDIA_TYPES = {
    ReportFormat.JSON: "application/json",
    ReportFormat.HTML: "text/html; charset=utf-8",
    ReportFormat.PDF: "application/pdf",
}


class ReportIdentity(Frozen):
    """Which report this is; the same in every format of it."""

    id: str
    generated_at: datetime
    fumehood_version: str


class ReportedSubmission(Frozen):
    """One act of handing in a file."""

    id: str
    user_id: str
    name: str = Field(description="File name as submitted; untrusted, escape before showing.")
    submitted_at: datetime
    deadline_at: datetime


class ReportedFile(Frozen):
    """The submitted bytes. What only a completed scan can tell is null for others."""

    sha256: str
    sha1: str | None
    md5: str | None
    size_bytes: int
    content_type: ContentType | None


class ReportedScan(Frozen):
    """How the scan went and what it says."""

    id: str
    status: ScanStatus
    verdict: Verdict
    coverage: Coverage
    reason: str | None = Field(description="Why the scan failed or expired.")
    started_at: datetime | None
    finished_at: datetime | None
    waiting_seconds: float | None = Field(description="From submission to start.")
    scanning_seconds: float | None = Field(description="From start to end.")
    artifact_count: int
    finding_count: int = Field(description="Without findings in shadow mode.")


class Report(Frozen):
    """Everything that is known of one scan."""

    schema_version: Literal[1] = 1
    report: ReportIdentity
    submission: ReportedSubmission
    file: ReportedFile
    scan: ReportedScan
    artifacts: tuple[Artifact, ...] = Field(description="The root first, parents before children.")
    detectors: tuple[DetectorInfo, ...] = Field(description="Every detector that was ready during the scan.")

    @classmethod
    def of(cls, detail: ScanDetail, identity: ReportIdentity) -> Self:
        """Return the report of a scan that has ended."""
        root = detail.artifacts[0] if detail.artifacts else None
        return cls(
            report=identity,
            submission=ReportedSubmission(
                id=detail.id,
                user_id=detail.user_id,
                name=detail.name,
                submitted_at=detail.submitted_at,
                deadline_at=detail.deadline_at,
            ),
            file=ReportedFile(
                sha256=detail.sha256,
                sha1=root.sha1 if root else None,
                md5=root.md5 if root else None,
                size_bytes=detail.size_bytes,
                content_type=root.content_type if root else None,
            ),
            scan=_scan(detail),
            artifacts=detail.artifacts,
            detectors=detail.detectors,
        )


def _scan(detail: ScanDetail) -> ReportedScan:
    return ReportedScan(
        id=detail.scan_id,
        status=detail.status,
        verdict=detail.verdict,
        coverage=detail.coverage,
        reason=detail.reason,
        started_at=detail.started_at,
        finished_at=detail.finished_at,
        waiting_seconds=_seconds(detail.submitted_at, detail.started_at),
        scanning_seconds=_seconds(detail.started_at, detail.finished_at),
        artifact_count=detail.artifact_count,
        finding_count=detail.finding_count,
    )


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    """Return the time between two moments; clocks of two machines may differ, so never less than nothing."""
    return None if start is None or end is None else max(0.0, round((end - start).total_seconds(), 3))
