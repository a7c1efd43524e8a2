"""From findings and gaps to verdict and coverage: pure functions, the one place of that decision.

`clean` is said only of what was looked at completely by a live detector that covers the type.
Everything else that shows nothing bad is `unknown`, with the reason in the coverage.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.scan import Coverage, CoverageGap, CoverageLevel, Finding, Verdict, worst

MAX_GAPS = 20

_COUNTED = {Verdict.MALICIOUS, Verdict.SUSPICIOUS}


def own_coverage(gaps: Sequence[CoverageGap], *, looked_at: bool) -> Coverage:
    """Return the coverage of an artifact alone.

    `looked_at` says whether anything that covers the type, or unpacks it, got to see a part of it.
    """
    if not gaps:
        return Coverage(level=CoverageLevel.COMPLETE)
    return Coverage(level=CoverageLevel.PARTIAL if looked_at else CoverageLevel.NONE, gaps=tuple(dict.fromkeys(gaps)))


def own_verdict(findings: Iterable[Finding], coverage: Coverage) -> Verdict:
    """Return what the live findings on an artifact say, given how much of it was looked at."""
    base = Verdict.CLEAN if coverage.level is CoverageLevel.COMPLETE else Verdict.UNKNOWN
    live = [finding for finding in findings if not finding.shadow]
    counted = (finding.verdict for finding in live if finding.verdict in _COUNTED)
    # What only counts less because of its place in a package is not called clean.
    noted = (Verdict.UNKNOWN for finding in live if finding.weighed_from is not None)
    return worst((base, *counted, *noted))


def run_verdict(findings: Iterable[Finding], gaps: Sequence[CoverageGap]) -> Verdict:
    """Return what one detector makes of an artifact, whether it counts or not."""
    return worst((Verdict.UNKNOWN if gaps else Verdict.CLEAN, *(finding.verdict for finding in findings)))


def merged_verdict(own: Verdict, children: Iterable[Verdict]) -> Verdict:
    """An artifact's worst counts for its parents."""
    return worst((own, *children))


def merged_coverage(own: Coverage, children: Sequence[Coverage]) -> Coverage:
    """Return the coverage of an artifact with everything inside it; equal gaps are said once."""
    inside = (gap for child in children for gap in child.gaps)
    levels = {own.level, *(child.level for child in children)}
    if levels == {CoverageLevel.COMPLETE}:
        return own
    gaps = list(dict.fromkeys((*own.gaps, *inside)))
    if len(gaps) > MAX_GAPS:
        left = len(gaps) - MAX_GAPS + 1
        last = gaps[MAX_GAPS - 1]
        gaps = [*gaps[: MAX_GAPS - 1], CoverageGap(reason=last.reason, detail=f"And {left} further reasons inside.")]
    level = CoverageLevel.NONE if levels == {CoverageLevel.NONE} else CoverageLevel.PARTIAL
    return Coverage(level=level, gaps=tuple(gaps))
