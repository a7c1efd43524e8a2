"""A report as its templates show it: in words, in order of importance, and no longer than can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from reports.models import Report
from shared.clock import aware
from shared.presentation.programs import ProgramView, program_view
from shared.presentation.text import count_text, duration_text, size_text
from shared.presentation.tree import most_telling, worst_findings
from shared.presentation.words import (
    COVERAGE_LABELS,
    COVERAGE_SENTENCES,
    GAPS,
    ROLE_LABELS,
    STATUS_LABELS,
    VERDICT_LABELS,
    gaps_by_reason,
    percent,
    place_text,
    provider_text,
    verdict_sentence,
)
from shared.scan import Artifact, Coverage, DetectorInfo, Excerpt, Finding, Frozen, ScanStatus, Verdict

_DEEPEST_INDENT = 8
_SECTIONS = 16


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a large scan is shown; JSON has all of it."""

    artifacts: int
    findings: int
    locations: int
    gap_details: int = 25


class GapView(Frozen):
    """One kind of thing that was not looked at."""

    title: str
    advice: str
    details: tuple[str, ...]
    details_left_out: int


class LocationView(Frozen):
    """One place in the bytes of an artifact."""

    place: str
    label: str | None
    weight: str | None
    excerpt: Excerpt | None


class FindingView(Frozen):
    """One finding with the artifact it is about."""

    artifact_id: int
    artifact_name: str
    tone: Verdict
    verdict: str
    label: str
    reason: str
    detector: DetectorInfo
    provider: str | None
    score: str | None
    locations: tuple[LocationView, ...]
    locations_left_out: int
    shadow: bool
    metadata: tuple[tuple[str, str], ...]


class ArtifactView(Frozen):
    """One row of the tree."""

    artifact: Artifact
    indent: int
    type_text: str
    size: str
    verdict: str
    coverage: str
    findings: int
    role: str | None
    program: ProgramView | None


class DetectorView(Frozen):
    """A detector that was ready, and what it did in this scan."""

    detector: DetectorInfo
    provider: str | None
    looked_at: str
    findings: int


class ReportView(Frozen):
    """The variables of the templates."""

    report: Report
    tone: Verdict
    headline: str
    sentence: str
    coverage_label: str
    coverage_sentence: str
    gaps: tuple[GapView, ...]
    waited: str
    scanned: str
    findings: tuple[FindingView, ...]
    findings_left_out: int
    artifacts: tuple[ArtifactView, ...]
    artifacts_left_out: int
    detectors: tuple[DetectorView, ...]


def view_of(report: Report, limits: Limits) -> ReportView:
    """Return what the templates show. Of a large scan the worst is shown and the rest is counted."""
    found = worst_findings(report.artifacts)
    shown = most_telling(report.artifacts, limits.artifacts)
    return ReportView(
        report=report,
        tone=report.scan.verdict,
        headline=_headline(report),
        sentence=_sentence(report),
        coverage_label=COVERAGE_LABELS[report.scan.coverage.level],
        coverage_sentence=COVERAGE_SENTENCES[report.scan.coverage.level],
        gaps=tuple(_gaps(report, limits.gap_details)),
        waited=_seconds_text(report.scan.waiting_seconds),
        scanned=_seconds_text(report.scan.scanning_seconds),
        findings=tuple(_finding(artifact, finding, limits) for artifact, finding in found[: limits.findings]),
        findings_left_out=max(0, len(found) - limits.findings),
        artifacts=tuple(_artifact(artifact) for artifact in shown),
        artifacts_left_out=len(report.artifacts) - len(shown),
        detectors=tuple(_detectors(report)),
    )


def moment_text(moment: datetime | None) -> str:
    """Return a moment as date and time in UTC."""
    return "unknown" if moment is None else f"{aware(moment):%Y-%m-%d %H:%M:%S} UTC"


def _headline(report: Report) -> str:
    if report.scan.status is ScanStatus.COMPLETED:
        return VERDICT_LABELS[report.scan.verdict]
    return f"{VERDICT_LABELS[Verdict.UNKNOWN]}: {STATUS_LABELS[report.scan.status].lower()}"


def _sentence(report: Report) -> str:
    scan = report.scan
    if scan.status is ScanStatus.COMPLETED:
        return verdict_sentence(scan.verdict, scan.coverage, report.artifacts)
    why = f" {scan.reason}" if scan.reason else ""
    return f"The scan ended without a result, so nothing is known of this file.{why}"


def _gaps(report: Report, limit: int) -> Iterable[GapView]:
    for reason, details in gaps_by_reason(report.scan.coverage).items():
        words = GAPS[reason]
        yield GapView(
            title=words.title,
            advice=words.advice,
            details=details[:limit],
            details_left_out=max(0, len(details) - limit),
        )


def _finding(artifact: Artifact, finding: Finding, limits: Limits) -> FindingView:
    return FindingView(
        artifact_id=artifact.id,
        artifact_name=artifact.name,
        tone=finding.verdict,
        verdict=VERDICT_LABELS[finding.verdict],
        label=finding.label,
        reason=finding.reason,
        detector=finding.detector,
        provider=provider_text(finding.detector.provider),
        score=None if finding.score is None else f"{percent(finding.score)}\N{NO-BREAK SPACE}%",
        locations=tuple(
            LocationView(
                place=place_text(location),
                label=location.label,
                weight=None if location.weight is None else f"{percent(location.weight)}\N{NO-BREAK SPACE}%",
                excerpt=location.excerpt,
            )
            for location in finding.locations[: limits.locations]
        ),
        locations_left_out=max(0, len(finding.locations) - limits.locations),
        shadow=finding.shadow,
        metadata=tuple(finding.metadata.items()),
    )


def _artifact(artifact: Artifact) -> ArtifactView:
    content_type = artifact.content_type
    return ArtifactView(
        artifact=artifact,
        indent=min(artifact.depth, _DEEPEST_INDENT),
        type_text=content_type.description or content_type.label,
        size=size_text(artifact.size_bytes),
        verdict=VERDICT_LABELS[artifact.verdict],
        coverage=_coverage_text(artifact.coverage),
        findings=sum(not finding.shadow for finding in artifact.findings),
        role=ROLE_LABELS[artifact.role] if artifact.role else None,
        program=_program(artifact),
    )


def _program(artifact: Artifact) -> ProgramView | None:
    """Return the headers, with sections where somebody will look for them."""
    if artifact.program is None:
        return None
    return program_view(artifact.program, _SECTIONS if artifact.findings or artifact.id == 0 else 0)


def _coverage_text(coverage: Coverage) -> str:
    reasons = [GAPS[reason].title.lower() for reason in gaps_by_reason(coverage)]
    return COVERAGE_LABELS[coverage.level].lower() + (f" ({', '.join(reasons)})" if reasons else "")


def _detectors(report: Report) -> Iterable[DetectorView]:
    covered = Counter(name for artifact in report.artifacts for name in artifact.covered_by)
    found = Counter(finding.detector.name for artifact in report.artifacts for finding in artifact.findings)
    for detector in report.detectors:
        looked_at = covered[detector.name]
        yield DetectorView(
            detector=detector,
            provider=provider_text(detector.provider),
            looked_at=count_text(looked_at, "file") if looked_at else "no file of its types",
            findings=found[detector.name],
        )


def _seconds_text(seconds: float | None) -> str:
    return "unknown" if seconds is None else duration_text(timedelta(seconds=seconds))
