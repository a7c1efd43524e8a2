"""The decision table of verdict and coverage."""

from __future__ import annotations

import pytest

from scanner.verdict import MAX_GAPS, merged_coverage, merged_verdict, own_coverage, own_verdict
from shared.scan import Coverage, CoverageGap, CoverageLevel, CoverageReason, DetectorInfo, Finding, Verdict

COMPLETE = Coverage(level=CoverageLevel.COMPLETE)
GAP = CoverageGap(reason=CoverageReason.ENCRYPTED, detail="A member is encrypted.")
OTHER_GAP = CoverageGap(reason=CoverageReason.TIMEOUT, detail="The time was over.")
PARTIAL = Coverage(level=CoverageLevel.PARTIAL, gaps=(GAP,))
NONE = Coverage(level=CoverageLevel.NONE, gaps=(OTHER_GAP,))


def finding(verdict: Verdict, *, shadow: bool = False) -> Finding:
    detector = DetectorInfo(name="test", version="1", kind="builtin")
    return Finding(detector=detector, label="x", verdict=verdict, reason="A test.", shadow=shadow)


@pytest.mark.parametrize(
    ("findings", "coverage", "expected"),
    [
        ([], COMPLETE, Verdict.CLEAN),
        ([], PARTIAL, Verdict.UNKNOWN),
        ([], NONE, Verdict.UNKNOWN),
        ([finding(Verdict.CLEAN)], COMPLETE, Verdict.CLEAN),
        ([finding(Verdict.CLEAN)], PARTIAL, Verdict.UNKNOWN),
        ([finding(Verdict.UNKNOWN)], COMPLETE, Verdict.CLEAN),
        ([finding(Verdict.SUSPICIOUS)], COMPLETE, Verdict.SUSPICIOUS),
        ([finding(Verdict.SUSPICIOUS)], NONE, Verdict.SUSPICIOUS),
        ([finding(Verdict.MALICIOUS)], PARTIAL, Verdict.MALICIOUS),
        (
            [finding(Verdict.SUSPICIOUS), finding(Verdict.MALICIOUS), finding(Verdict.CLEAN)],
            COMPLETE,
            Verdict.MALICIOUS,
        ),
        ([finding(Verdict.MALICIOUS, shadow=True)], COMPLETE, Verdict.CLEAN),
        ([finding(Verdict.MALICIOUS, shadow=True)], NONE, Verdict.UNKNOWN),
    ],
)
def test_an_artifact_alone(findings: list[Finding], coverage: Coverage, expected: Verdict) -> None:
    assert own_verdict(findings, coverage) is expected


@pytest.mark.parametrize("own", list(Verdict))
@pytest.mark.parametrize("child", list(Verdict))
def test_the_worst_counts_for_the_parent(own: Verdict, child: Verdict) -> None:
    order = [Verdict.CLEAN, Verdict.UNKNOWN, Verdict.SUSPICIOUS, Verdict.MALICIOUS]

    assert merged_verdict(own, [Verdict.CLEAN, child]) is order[max(order.index(own), order.index(child))]


def test_without_gaps_coverage_is_complete() -> None:
    assert own_coverage([], looked_at=False) == COMPLETE


def test_gaps_make_it_partial_or_none() -> None:
    assert own_coverage([GAP], looked_at=True) == PARTIAL
    assert own_coverage([OTHER_GAP], looked_at=False) == NONE


def test_equal_gaps_are_said_once() -> None:
    assert own_coverage([GAP, GAP], looked_at=True).gaps == (GAP,)
    assert merged_coverage(PARTIAL, [PARTIAL, PARTIAL]).gaps == (GAP,)


@pytest.mark.parametrize(
    ("own", "children", "level"),
    [
        (COMPLETE, [], CoverageLevel.COMPLETE),
        (COMPLETE, [COMPLETE, COMPLETE], CoverageLevel.COMPLETE),
        (COMPLETE, [COMPLETE, NONE], CoverageLevel.PARTIAL),
        (COMPLETE, [NONE], CoverageLevel.PARTIAL),
        (PARTIAL, [COMPLETE], CoverageLevel.PARTIAL),
        (NONE, [NONE], CoverageLevel.NONE),
        (NONE, [], CoverageLevel.NONE),
    ],
)
def test_coverage_of_a_tree(own: Coverage, children: list[Coverage], level: CoverageLevel) -> None:
    assert merged_coverage(own, children).level is level


def test_gaps_of_a_tree_stay_readable() -> None:
    children = [
        Coverage(
            level=CoverageLevel.NONE,
            gaps=(CoverageGap(reason=CoverageReason.UNSUPPORTED, detail=f"No detector for type {number}."),),
        )
        for number in range(100)
    ]

    gaps = merged_coverage(PARTIAL, children).gaps

    assert len(gaps) == MAX_GAPS
    assert gaps[0] == GAP
    assert gaps[-1].detail == "And 82 further reasons inside."
