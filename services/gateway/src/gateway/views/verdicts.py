"""How a verdict and its coverage look: tone, icon and the words of shared.presentation."""

from __future__ import annotations

from enum import StrEnum

from shared.presentation.words import (
    COVERAGE_LABELS,
    COVERAGE_SENTENCES,
    GAPS,
    STATUS_LABELS,
    VERDICT_LABELS,
    gaps_by_reason,
)
from shared.scan import Coverage, CoverageLevel, CoverageReason, Frozen, ScanStatus, Verdict


class Tone(StrEnum):
    """The colour family of something shown; the style sheet gives each one its colours."""

    MALICIOUS = "malicious"
    SUSPICIOUS = "suspicious"
    UNKNOWN = "unknown"
    CLEAN = "clean"
    PENDING = "pending"


class VerdictMark(Frozen):
    """A verdict, or the reason why there is none yet, as colour, shape and word."""

    tone: Tone
    icon: str
    label: str


class GapView(Frozen):
    """One kind of thing that was not looked at, in words."""

    reason: CoverageReason
    icon: str
    title: str
    advice: str
    details: tuple[str, ...]


class CoverageView(Frozen):
    """How much was looked at, in words."""

    level: CoverageLevel
    label: str
    sentence: str
    gaps: tuple[GapView, ...]


_VERDICT_ICONS = {
    Verdict.MALICIOUS: "octagon-x",
    Verdict.SUSPICIOUS: "triangle-alert",
    Verdict.UNKNOWN: "circle-question-mark",
    Verdict.CLEAN: "shield-check",
}
_STATUS_LOOKS = {
    ScanStatus.QUEUED: (Tone.PENDING, "hourglass"),
    ScanStatus.SCANNING: (Tone.PENDING, "radar"),
    ScanStatus.FAILED: (Tone.UNKNOWN, "unplug"),
    ScanStatus.EXPIRED: (Tone.UNKNOWN, "clock-alert"),
}
_GAP_ICONS = {
    CoverageReason.TOO_LARGE: "files",
    CoverageReason.ENCRYPTED: "lock",
    CoverageReason.UNSUPPORTED: "eye-off",
    CoverageReason.LIMIT_REACHED: "package-open",
    CoverageReason.TIMEOUT: "clock-alert",
    CoverageReason.ERROR: "unplug",
}


def verdict_mark(verdict: Verdict) -> VerdictMark:
    """Return how a verdict looks."""
    return VerdictMark(tone=Tone(verdict.value), icon=_VERDICT_ICONS[verdict], label=VERDICT_LABELS[verdict])


def scan_mark(status: ScanStatus, verdict: Verdict | None) -> VerdictMark:
    """Return how a scan looks: its verdict once completed, else where it stands."""
    if status is ScanStatus.COMPLETED:
        return verdict_mark(verdict or Verdict.UNKNOWN)
    tone, icon = _STATUS_LOOKS[status]
    return VerdictMark(tone=tone, icon=icon, label=STATUS_LABELS[status])


def coverage_view(coverage: Coverage) -> CoverageView:
    """Return coverage in words, its gaps grouped by reason in the order of first appearance."""
    return CoverageView(
        level=coverage.level,
        label=COVERAGE_LABELS[coverage.level],
        sentence=COVERAGE_SENTENCES[coverage.level],
        gaps=tuple(_gap_view(reason, details) for reason, details in gaps_by_reason(coverage).items()),
    )


def _gap_view(reason: CoverageReason, details: tuple[str, ...]) -> GapView:
    words = GAPS[reason]
    return GapView(reason=reason, icon=_GAP_ICONS[reason], title=words.title, advice=words.advice, details=details)
