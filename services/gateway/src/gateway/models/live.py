"""What the live view passes on: the latest that is known of a submission, taken from the events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from shared.clock import now
from shared.events import (
    EVENTS,
    ArtifactFinding,
    Event,
    FileUploadedV1,
    RescanRequestedV1,
    ScanExpiredV1,
    ScanProgressedV1,
    ScanRecordedV1,
    ScanStartedV1,
)
from shared.messaging import Message
from shared.scan import CoverageLevel, Frozen, ScanStatus, Verdict


class Progress(Frozen):
    """How far a running scan is; `stage` is the scanner's word for it."""

    stage: str = "identifying"
    artifacts_done: int = 0
    artifacts_found: int = 1
    findings: tuple[ArtifactFinding, ...] = ()


class Update(Frozen):
    """The state of a submission after an event."""

    submission_id: str
    scan_id: str
    user_id: str
    status: ScanStatus
    at: datetime
    rescan: bool = False
    """Whether an earlier scan of the submission has ended, as far as this is known."""
    previous_verdict: Verdict | None = None
    progress: Progress | None = None
    verdict: Verdict | None = None
    coverage: CoverageLevel | None = None
    name: str = ""
    sha256: str = ""
    size_bytes: int = 0


def update_of(message: Message) -> Update | None:
    """Return what an event says of a submission; None where the live view does not show it, or does not know it."""
    event_class = EVENTS.get(message.type)
    if event_class is None or event_class not in _BUILDERS:
        return None
    return _BUILDERS[event_class](event_class.model_validate_json(message.body))


def _uploaded(event: FileUploadedV1) -> Update:
    return Update(
        submission_id=event.submission_id,
        scan_id=event.scan_id,
        user_id=event.user_id,
        status=ScanStatus.QUEUED,
        at=event.accepted_at,
        name=event.name,
        sha256=event.file.sha256,
        size_bytes=event.file.size_bytes,
    )


def _rescan_requested(event: RescanRequestedV1) -> Update:
    return Update(
        submission_id=event.submission_id,
        scan_id=event.scan_id,
        user_id=event.user_id,
        status=ScanStatus.QUEUED,
        at=event.accepted_at,
        rescan=True,
        name=event.name,
        sha256=event.file.sha256,
        size_bytes=event.file.size_bytes,
    )


def _started(event: ScanStartedV1) -> Update:
    return Update(
        submission_id=event.submission_id,
        scan_id=event.scan_id,
        user_id=event.user_id,
        status=ScanStatus.SCANNING,
        at=event.started_at,
        progress=Progress(),
    )


def _progressed(event: ScanProgressedV1) -> Update:
    progress = Progress(
        stage=event.stage,
        artifacts_done=event.artifacts_done,
        artifacts_found=max(1, event.artifacts_found),
        findings=event.findings,
    )
    return Update(
        submission_id=event.submission_id,
        scan_id=event.scan_id,
        user_id=event.user_id,
        status=ScanStatus.SCANNING,
        at=now(),
        progress=progress,
    )


def _recorded(event: ScanRecordedV1) -> Update:
    return Update(
        submission_id=event.submission_id,
        scan_id=event.scan_id,
        user_id=event.user_id,
        status=event.status,
        at=event.recorded_at,
        rescan=event.previous_verdict is not None,
        previous_verdict=event.previous_verdict,
        verdict=event.verdict,
        coverage=event.coverage,
        name=event.name,
        sha256=event.sha256,
        size_bytes=event.size_bytes,
    )


def _expired(event: ScanExpiredV1) -> Update:
    return Update(
        submission_id=event.submission_id,
        scan_id=event.scan_id,
        user_id=event.user_id,
        status=ScanStatus.EXPIRED,
        at=event.expired_at,
        rescan=event.previous_verdict is not None,
        previous_verdict=event.previous_verdict,
        verdict=Verdict.UNKNOWN,
        coverage=CoverageLevel.NONE,
        name=event.name,
        sha256=event.sha256,
        size_bytes=event.size_bytes,
    )


_BUILDERS: dict[type[Event], Callable[[Any], Update]] = {
    FileUploadedV1: _uploaded,
    RescanRequestedV1: _rescan_requested,
    ScanStartedV1: _started,
    ScanProgressedV1: _progressed,
    ScanRecordedV1: _recorded,
    ScanExpiredV1: _expired,
}
