"""The scan page: where a scan stands while it runs, and everything it found once it is done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from gateway.views.artifacts import ArtifactRow, artifact_rows
from gateway.views.findings import FindingView, finding_view, finding_views
from gateway.views.submissions import SubmissionFacts
from gateway.views.text import When, when
from gateway.views.verdicts import CoverageView, VerdictMark, coverage_view, scan_mark
from shared.clients import PastScan
from shared.clock import aware
from shared.events import ArtifactFinding
from shared.presentation.text import count_text, duration_text, size_text
from shared.presentation.words import COVERAGE_LABELS, VERDICT_LABELS, verdict_sentence
from shared.scan import CoverageReason, Frozen, ScanDocument, ScanStatus


class Phase(StrEnum):
    """What the scanner is doing with a submission right now."""

    IDENTIFYING = "identifying"
    UNPACKING = "unpacking"
    DETECTING = "detecting"


class LiveProgress(Frozen):
    """What the scanner last said of a running scan."""

    phase: Phase = Phase.IDENTIFYING
    artifacts_done: int = 0
    artifacts_found: int = 1
    findings: tuple[ArtifactFinding, ...] = ()


class StageState(StrEnum):
    """Where one stage of the timeline stands."""

    DONE = "done"
    CURRENT = "current"
    WAITING = "waiting"
    STOPPED = "stopped"


class Stage(Frozen):
    """One step of the timeline."""

    label: str
    state: StageState
    detail: str


class PastScanRow(Frozen):
    """Another scan of the submission that has ended."""

    mark: VerdictMark
    asked: When
    detail: str | None


class RescanView(Frozen):
    """A scan that is to replace the one shown, while it is open."""

    label: str
    sentence: str
    artifacts_done: int
    artifacts_found: int


class ScanView(Frozen):
    """Everything the scan page shows of one submission."""

    id: str
    file_name: str
    size: str
    size_bytes: int
    sha256: str
    type_text: str | None
    submitted: When
    submitted_by: str | None
    status: ScanStatus
    live: bool
    """Whether anything is still going on; `running`: whether it is the scan that is shown."""
    running: bool
    rescan: RescanView | None
    change: str | None
    history: tuple[PastScanRow, ...]
    mark: VerdictMark
    sentence: str
    advice: str | None
    announcement: str
    stages: tuple[Stage, ...]
    artifacts_done: int
    artifacts_found: int
    findings: tuple[FindingView, ...]
    shadow_findings: tuple[FindingView, ...]
    artifacts: tuple[ArtifactRow, ...]
    artifacts_left_out: int
    coverage: CoverageView | None
    took: str | None
    detectors: tuple[str, ...]

    @property
    def url(self) -> str:
        """Address of the scan page; reports are below it."""
        return f"/submissions/{self.id}"

    @property
    def live_url(self) -> str:
        """Address of the WebSocket that sends this page's live part."""
        return f"/ws/submissions/{self.id}"


_STAGES = ("Received", "Identified", "Unpacked", "Detectors", "Verdict")
_CURRENT_STAGE = {Phase.IDENTIFYING: 1, Phase.UNPACKING: 2, Phase.DETECTING: 3}
_DOING = {
    Phase.IDENTIFYING: "Finding out what the file is",
    Phase.UNPACKING: "Looking for files inside",
    Phase.DETECTING: "Detectors are looking at it",
}
_UNOPENED = frozenset(CoverageReason) - {CoverageReason.UNSUPPORTED}
_ADVICE = {
    ScanStatus.FAILED: "The file is safely stored, but nothing is known about it: treat it as not scanned, and submit "
    "it again. If it fails again, an administrator finds the reason in the scanner's log.",
    ScanStatus.EXPIRED: "The file is safely stored, but nothing is known about it: treat it as not scanned, and submit "
    "it again. If that happens often, the scanner is stopped or has too much to do; an administrator can see which.",
}
_FAILURES = {
    ScanStatus.FAILED: "The scanner gave up on this file.",
    ScanStatus.EXPIRED: "The scan did not end before its deadline.",
}


def scan_view(
    facts: SubmissionFacts,
    document: ScanDocument | None,
    progress: LiveProgress | None,
    now: datetime,
    *,
    rescan: PastScan | None = None,
    history: Sequence[PastScan] = (),
) -> ScanView:
    """Return the scan page's content at `now`.

    `document` is there exactly when the status is completed; `progress` at most while it is scanning,
    or as the last thing known of a scan that did not complete; with `rescan` it is of that one.
    """
    rescan_view = _rescan_view(rescan, progress) if rescan else None
    progress = None if rescan else progress
    mark = scan_mark(facts.status, facts.verdict)
    sentence = _sentence(facts, document, progress)
    findings = finding_views(document.artifacts) if document else _live_findings(progress)
    rows = artifact_rows(document.artifacts) if document else ()
    done, found = _counts(document, progress)
    return ScanView(
        id=facts.id,
        file_name=facts.file_name,
        size=size_text(facts.size_bytes),
        size_bytes=facts.size_bytes,
        sha256=facts.sha256,
        type_text=document.root.content_type.description if document else None,
        submitted=when(facts.submitted_at, now),
        submitted_by=facts.submitted_by,
        status=facts.status,
        live=not facts.status.terminal or rescan is not None,
        running=not facts.status.terminal,
        rescan=rescan_view,
        change=_change(facts),
        history=tuple(_past_scan(past, now) for past in history),
        mark=mark,
        sentence=sentence,
        advice=_ADVICE.get(facts.status),
        announcement=_announcement(mark, sentence, facts.status, len(findings)),
        stages=_stages(facts.status, document, progress, mark),
        artifacts_done=done,
        artifacts_found=found,
        findings=tuple(f for f in findings if not f.shadow),
        shadow_findings=tuple(f for f in findings if f.shadow),
        artifacts=rows,
        artifacts_left_out=len(document.artifacts) - len(rows) if document else 0,
        coverage=coverage_view(document.coverage) if document else None,
        took=duration_text(aware(document.finished_at) - aware(document.started_at)) if document else None,
        detectors=tuple(f"{d.name} {d.version}" for d in document.detectors) if document else (),
    )


def _rescan_view(rescan: PastScan, progress: LiveProgress | None) -> RescanView:
    done, found = _counts(None, progress)
    waiting = rescan.status is ScanStatus.QUEUED
    return RescanView(
        label="Waiting to be scanned again" if waiting else "Being scanned again",
        sentence="The verdict below is that of the earlier scan; it stays until the new one has completed.",
        artifacts_done=done,
        artifacts_found=found,
    )


def _change(facts: SubmissionFacts) -> str | None:
    if facts.changed_from is None or facts.verdict is None:
        return None
    change = f"Changed from {VERDICT_LABELS[facts.changed_from]} to {VERDICT_LABELS[facts.verdict]} when scanned again"
    return f"{change} on {aware(facts.finished_at):%Y-%m-%d at %H:%M} UTC" if facts.finished_at else change


def _past_scan(past: PastScan, now: datetime) -> PastScanRow:
    return PastScanRow(
        mark=scan_mark(past.status, past.verdict),
        asked=when(past.requested_at, now),
        detail=past.reason or f"Coverage: {COVERAGE_LABELS[past.coverage].lower()}",
    )


def _sentence(facts: SubmissionFacts, document: ScanDocument | None, progress: LiveProgress | None) -> str:
    if document is not None:
        return verdict_sentence(document.verdict, document.coverage, document.artifacts)
    if facts.status in _FAILURES:
        return facts.failure or _FAILURES[facts.status]
    if facts.status is ScanStatus.SCANNING:
        return f"{_DOING[progress.phase if progress else Phase.IDENTIFYING]}."
    return "The file is stored. The scan starts as soon as a scanner is free."


def _announcement(mark: VerdictMark, sentence: str, status: ScanStatus, findings: int) -> str:
    so_far = f" {count_text(findings, 'finding')} so far." if findings and not status.terminal else ""
    return f"{mark.label}. {sentence}{so_far}"


def _live_findings(progress: LiveProgress | None) -> tuple[FindingView, ...]:
    entries = progress.findings if progress else ()
    return tuple(
        finding_view(e.finding, f"live-{n}", None, e.artifact_name, e.artifact_size_bytes)
        for n, e in enumerate(entries)
    )


def _counts(document: ScanDocument | None, progress: LiveProgress | None) -> tuple[int, int]:
    if document is not None:
        return len(document.artifacts), len(document.artifacts)
    if progress is None:
        return 0, 0
    return min(progress.artifacts_done, progress.artifacts_found), progress.artifacts_found


def _stages(
    status: ScanStatus, document: ScanDocument | None, progress: LiveProgress | None, mark: VerdictMark
) -> tuple[Stage, ...]:
    if document is not None:
        details = _done_details(document, mark)
        return tuple(
            Stage(label=label, state=StageState.DONE, detail=detail)
            for label, detail in zip(_STAGES, details, strict=True)
        )
    current = _CURRENT_STAGE[progress.phase] if progress else 1
    at_current = {
        ScanStatus.QUEUED: (StageState.WAITING, "waiting for a scanner"),
        ScanStatus.FAILED: (StageState.STOPPED, "failed here"),
        ScanStatus.EXPIRED: (StageState.STOPPED, "stopped here"),
    }.get(status, (StageState.CURRENT, "in progress"))
    stages = []
    for number, label in enumerate(_STAGES):
        state, detail = at_current
        if number != current:
            state, detail = (StageState.DONE, "") if number < current else (StageState.WAITING, "")
        stages.append(Stage(label=label, state=state, detail=detail))
    return tuple(stages)


def _done_details(document: ScanDocument, mark: VerdictMark) -> tuple[str, ...]:
    inside = len(document.artifacts) - 1
    opened = _UNOPENED.isdisjoint(gap.reason for gap in document.root.coverage.gaps)
    covering = {name for artifact in document.artifacts for name in artifact.covered_by}
    telling = {finding.detector.name for artifact in document.artifacts for finding in artifact.findings}
    return (
        "stored",
        document.root.content_type.description or document.root.content_type.label,
        f"{count_text(inside, 'file')} inside" if inside else "nothing inside" if opened else "not opened",
        f"{count_text(len(covering | telling), 'detector')} ran" if covering else "none covers this type",
        mark.label,
    )
