"""How a verdict looks and reads: tone, icon, label and one honest sentence."""

from __future__ import annotations

from enum import StrEnum

from gateway.views.text import count_text, joined
from shared.scan import (
    Coverage,
    CoverageGap,
    CoverageLevel,
    CoverageReason,
    Frozen,
    ScanDocument,
    ScanStatus,
    Verdict,
)


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


_VERDICTS = {
    Verdict.MALICIOUS: VerdictMark(tone=Tone.MALICIOUS, icon="octagon-x", label="Malicious"),
    Verdict.SUSPICIOUS: VerdictMark(tone=Tone.SUSPICIOUS, icon="triangle-alert", label="Suspicious"),
    Verdict.UNKNOWN: VerdictMark(tone=Tone.UNKNOWN, icon="circle-question-mark", label="Unknown"),
    Verdict.CLEAN: VerdictMark(tone=Tone.CLEAN, icon="shield-check", label="Clean"),
}
_STATUSES = {
    ScanStatus.QUEUED: VerdictMark(tone=Tone.PENDING, icon="hourglass", label="Queued"),
    ScanStatus.SCANNING: VerdictMark(tone=Tone.PENDING, icon="radar", label="Scanning"),
    ScanStatus.FAILED: VerdictMark(tone=Tone.UNKNOWN, icon="unplug", label="Scan failed"),
    ScanStatus.EXPIRED: VerdictMark(tone=Tone.UNKNOWN, icon="clock-alert", label="Out of time"),
}
_COVERAGE = {
    CoverageLevel.COMPLETE: ("Complete", "Every part was looked at by a detector that covers its type."),
    CoverageLevel.PARTIAL: ("Partial", "Some parts were not looked at. What was not looked at is never called clean."),
    CoverageLevel.NONE: ("None", "Nothing in this file was looked at. What was not looked at is never called clean."),
}
_GAPS = {
    CoverageReason.TOO_LARGE: (
        "files",
        "Too large",
        "Larger than a detector takes in. An administrator can raise the limit.",
    ),
    CoverageReason.ENCRYPTED: (
        "lock",
        "Locked with a password",
        "If you have the password, unpack it yourself and submit what is inside.",
    ),
    CoverageReason.UNSUPPORTED: (
        "eye-off",
        "No detector for this type",
        "None of the installed detectors covers this type of file.",
    ),
    CoverageReason.LIMIT_REACHED: (
        "package-open",
        "Unpacking stopped at a limit",
        "Nested too deep, too many files or too much data inside. Submit the inner files on their own.",
    ),
    CoverageReason.TIMEOUT: (
        "clock-alert",
        "Ran out of time",
        "A step took longer than it may. Submitting it again when the scanner is less busy can help.",
    ),
    CoverageReason.ERROR: (
        "unplug",
        "Could not be read",
        "The file is damaged, or it is made to break the programs that read it.",
    ),
}


def verdict_mark(verdict: Verdict) -> VerdictMark:
    """Return how a verdict looks."""
    return _VERDICTS[verdict]


def scan_mark(status: ScanStatus, verdict: Verdict | None) -> VerdictMark:
    """Return how a scan looks: its verdict once completed, else where it stands."""
    if status is ScanStatus.COMPLETED:
        return _VERDICTS[verdict or Verdict.UNKNOWN]
    return _STATUSES[status]


def coverage_view(coverage: Coverage) -> CoverageView:
    """Return coverage in words, its gaps grouped by reason in the order of first appearance."""
    label, sentence = _COVERAGE[coverage.level]
    details: dict[CoverageReason, dict[str, None]] = {}
    for gap in coverage.gaps:
        details.setdefault(gap.reason, {})[gap.detail] = None
    gaps = tuple(_gap_view(reason, tuple(found)) for reason, found in details.items())
    return CoverageView(level=coverage.level, label=label, sentence=sentence, gaps=gaps)


def verdict_sentence(document: ScanDocument) -> str:
    """Return what a finished scan says, in one or two sentences; never more than was looked at."""
    files = len(document.artifacts)
    if document.verdict is Verdict.CLEAN:
        return (
            f"{_looked_at(files)} by detectors that cover {'its' if files == 1 else 'their'} type. Nothing was found."
        )
    if document.verdict is Verdict.UNKNOWN:
        why = _reasons(document.coverage.gaps)
        return f"Nothing was found, but not everything was looked at{why}, so this is not called clean."
    deciding = [
        (artifact.id, finding.detector.name)
        for artifact in document.artifacts
        for finding in artifact.findings
        if finding.verdict is document.verdict and not finding.shadow
    ]
    flagged, detectors = len({number for number, _ in deciding}), len({name for _, name in deciding})
    where = "" if files == 1 else f" in {flagged:,} of {count_text(files, 'file')}"
    what = "known or likely threats" if document.verdict is Verdict.MALICIOUS else "signs that call for a closer look"
    rest = "" if document.coverage.level is CoverageLevel.COMPLETE else " Not everything was looked at."
    return f"{count_text(detectors, 'detector')} found {what}{where}.{rest}"


def _looked_at(files: int) -> str:
    return "The file was looked at" if files == 1 else f"All {count_text(files, 'file')} in the scan were looked at"


def _reasons(gaps: tuple[CoverageGap, ...]) -> str:
    titles = tuple(dict.fromkeys(_GAPS[gap.reason][1].lower() for gap in gaps))
    return f" ({joined(titles)})" if titles else ""


def _gap_view(reason: CoverageReason, details: tuple[str, ...]) -> GapView:
    icon, title, advice = _GAPS[reason]
    return GapView(reason=reason, icon=icon, title=title, advice=advice, details=details)
