"""Events as a test needs them: valid, with only what matters said."""

from __future__ import annotations

from shared.clock import now
from shared.events import FileUploadedV1, ObjectRef, ReportFormat, ReportRequestedV1, ScanStartedV1

REPORT_QUEUE = "reports.reports.report_requested.v1"


def report_requested(number: int = 1) -> ReportRequestedV1:
    """Return an event with one consuming service, whose queue is `REPORT_QUEUE`."""
    return ReportRequestedV1(
        submission_id=str(number), scan_id="scan", user_id="user", format=ReportFormat.PDF, requested_at=now()
    )


def file_uploaded(number: int = 1) -> FileUploadedV1:
    """Return an event with two consuming services."""
    return FileUploadedV1(
        submission_id=str(number),
        scan_id="scan",
        user_id="user",
        file=ObjectRef(key="sha256/00", sha256="0" * 64, size_bytes=1),
        name="ünï.txt",
        accepted_at=now(),
        deadline_at=now(),
    )


def scan_started(number: int = 1) -> ScanStartedV1:
    """Return a transient event."""
    return ScanStartedV1(submission_id=str(number), scan_id="scan", user_id="user", started_at=now())
