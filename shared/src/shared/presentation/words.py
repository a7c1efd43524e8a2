"""Verdicts, coverage and findings in words: one honest sentence, never more than was looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shared.presentation.text import count_text
from shared.scan import Artifact, Coverage, CoverageLevel, CoverageReason, Location, PackageRole, ScanStatus, Verdict

VERDICT_LABELS = {
    Verdict.MALICIOUS: "Malicious",
    Verdict.SUSPICIOUS: "Suspicious",
    Verdict.UNKNOWN: "Unknown",
    Verdict.CLEAN: "Clean",
}
STATUS_LABELS = {
    ScanStatus.QUEUED: "Queued",
    ScanStatus.SCANNING: "Scanning",
    ScanStatus.COMPLETED: "Completed",
    ScanStatus.FAILED: "Scan failed",
    ScanStatus.EXPIRED: "Out of time",
}
COVERAGE_LABELS = {
    CoverageLevel.COMPLETE: "Complete",
    CoverageLevel.PARTIAL: "Partial",
    CoverageLevel.NONE: "None",
}
COVERAGE_SENTENCES = {
    CoverageLevel.COMPLETE: "Every part was looked at by a detector that covers its type.",
    CoverageLevel.PARTIAL: "Some parts were not looked at. What was not looked at is never called clean.",
    CoverageLevel.NONE: "Nothing in this file was looked at. What was not looked at is never called clean.",
}


class GapWords(NamedTuple):
    """A reason for missing coverage: what it is called, and what somebody can do about it."""

    title: str
    advice: str


GAPS = {
    CoverageReason.TOO_LARGE: GapWords(
        "Too large", "Larger than a detector takes in. An administrator can raise the limit."
    ),
    CoverageReason.ENCRYPTED: GapWords(
        "Locked with a password", "If you have the password, unpack it yourself and submit what is inside."
    ),
    CoverageReason.UNSUPPORTED: GapWords(
        "Not covered by any detector",
        "None of the installed detectors looks at this. An administrator can add one that does: a model of your own "
        "(docs/bring-your-own-model.md) or ClamAV (docs/detectors.md, section ClamAV).",
    ),
    CoverageReason.LIMIT_REACHED: GapWords(
        "Unpacking stopped at a limit",
        "Nested too deep, too many files or too much data inside. Submit the inner files on their own.",
    ),
    CoverageReason.TIMEOUT: GapWords(
        "Ran out of time",
        "A step took longer than it may. Submitting it again when the scanner is less busy can help.",
    ),
    CoverageReason.ERROR: GapWords(
        "Could not be read", "The file is damaged, or it is made to break the programs that read it."
    ),
}
ROLE_LABELS = {
    PackageRole.INSTALL: "runs at install",
    PackageRole.IMPORT: "runs when used",
    PackageRole.OTHER: "not run by its package",
}
_PROVIDERS = {
    "TensorrtExecutionProvider": "TensorRT",
    "CUDAExecutionProvider": "CUDA",
    "CPUExecutionProvider": "CPU",
}


def gaps_by_reason(coverage: Coverage) -> dict[CoverageReason, tuple[str, ...]]:
    """Return the details of the gaps by reason, each said once, in the order of first appearance."""
    details: dict[CoverageReason, dict[str, None]] = {}
    for gap in coverage.gaps:
        details.setdefault(gap.reason, {})[gap.detail] = None
    return {reason: tuple(found) for reason, found in details.items()}


def verdict_sentence(verdict: Verdict, coverage: Coverage, artifacts: Sequence[Artifact]) -> str:
    """Return what a completed scan says, in one or two sentences."""
    files = len(artifacts)
    if verdict is Verdict.CLEAN:
        looked_at = "The file was looked at" if files == 1 else f"All {count_text(files, 'file')} were looked at"
        return f"{looked_at} by detectors that cover {'its' if files == 1 else 'their'} type. Nothing was found."
    noted = sum(any(finding.weighed_from for finding in artifact.findings) for artifact in artifacts)
    if verdict is Verdict.UNKNOWN and coverage.level is CoverageLevel.COMPLETE and noted:
        found = f"A model finds something in {count_text(noted, 'file')} that the package does not run by itself"
        return f"{found}. That alone is not called suspicious, and not clean."
    if verdict is Verdict.UNKNOWN:
        titles = tuple(GAPS[reason].title.lower() for reason in gaps_by_reason(coverage))
        why = f" ({joined(titles)})" if titles else ""
        return f"Nothing was found, but not everything was looked at{why}, so this is not called clean."
    deciding = [
        (artifact.id, finding.detector.name)
        for artifact in artifacts
        for finding in artifact.findings
        if finding.verdict is verdict and not finding.shadow
    ]
    flagged, detectors = len({number for number, _ in deciding}), len({name for _, name in deciding})
    where = "" if files == 1 else f" in {flagged:,} of {count_text(files, 'file')}"
    what = "known or likely threats" if verdict is Verdict.MALICIOUS else "signs that call for a closer look"
    rest = "" if coverage.level is CoverageLevel.COMPLETE else " Not everything was looked at."
    return f"{count_text(detectors, 'detector')} found {what}{where}.{rest}"


def provider_text(provider: str | None) -> str | None:
    """Return an ONNX Runtime execution provider in short, e.g. `CUDA`."""
    return None if provider is None else _PROVIDERS.get(provider, provider.removesuffix("ExecutionProvider"))


def percent(share: float) -> int:
    """Return a share of one in percent, where only 1 is 100 and only 0 is 0."""
    if 0 < share < 1:
        return min(99, max(1, round(share * 100)))
    return 100 if share >= 1 else 0


def place_text(location: Location) -> str:
    """Return where a location is: its lines if it has any, and its bytes, first to last."""
    places = [_span("byte", location.start, max(location.start, location.end - 1))]
    if location.first_line is not None:
        places.insert(0, _span("line", location.first_line, location.last_line or location.first_line))
    return ", ".join(places)


def joined(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: `a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _span(noun: str, first: int, last: int) -> str:
    return f"{noun} {first:,}" if first >= last else f"{noun}s {first:,}\u2013{last:,}"
