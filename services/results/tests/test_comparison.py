"""Detectors in shadow beside the live ones: agreement, scores and what would change, counted by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from results.service import ComparisonService
from shared.clients.comparison import ComparisonQuery
from shared.database import Database
from shared.errors import NotAllowedError, NotFoundError
from shared.scan import Artifact, DetectorRun, Verdict, worst
from shared.testing.scans import (
    ACCEPTED_AT,
    make_artifact,
    make_completed,
    make_document,
    make_uploaded,
    submission_id,
)
from shared.web import Caller, Role

Feed = Callable[..., Awaitable[None]]

BOTH_DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)]
pytestmark = pytest.mark.parametrize("database", BOTH_DATABASES, indirect=True)
ALICE = Caller(user_id="alice", role=Role.USER)
ADMIN = Caller(user_id="root", role=Role.ADMIN)
MALICIOUS, SUSPICIOUS, UNKNOWN, CLEAN = Verdict
ALL = ComparisonQuery()


@pytest.fixture
def comparison(database: Database) -> ComparisonService:
    return ComparisonService(database)


def run(name: str, verdict: Verdict, score: float | None = None, *, version: str = "1", shadow: bool = False) -> Any:
    return DetectorRun(detector=name, version=version, verdict=verdict, score=score, shadow=shadow)


@pytest.fixture
def looked(feed: Feed) -> Callable[..., Awaitable[None]]:
    """Give a function that records a scan of one artifact for each tuple of runs."""

    async def record(number: int, *artifacts: tuple[DetectorRun, ...]) -> None:
        made: list[Artifact] = []
        for position, runs in enumerate(artifacts):
            verdict = worst((one.verdict for one in runs if not one.shadow), default=CLEAN)
            made.append(make_artifact(position, runs=runs, verdict=verdict))
        finished_at = ACCEPTED_AT + timedelta(minutes=number)
        await feed(make_uploaded(number))
        await feed(make_completed(number, make_document(made, number, finished_at=finished_at)))

    return record


def pair(live: tuple[Verdict, float | None], shadow: tuple[Verdict, float | None], *rest: DetectorRun) -> Any:
    """Return what version 1 (live) and 2 (shadow) of one model say of an artifact, and what others say."""
    return (run("model", *live), run("model", *shadow, version="2", shadow=True), *rest)


async def test_agreement_scores_and_changes(looked: Any, comparison: ComparisonService) -> None:
    await looked(1, pair((CLEAN, 0.01), (CLEAN, 0.05)), pair((CLEAN, 0.2), (MALICIOUS, 1.0)))
    await looked(2, pair((MALICIOUS, 0.95), (CLEAN, 0.29)), pair((MALICIOUS, 0.9), (SUSPICIOUS, 0.6)))
    await looked(3, pair((SUSPICIOUS, 0.6), (CLEAN, 0.1), run("rules", SUSPICIOUS)), pair((UNKNOWN, None), (CLEAN, 0)))

    found = await comparison.compare(ADMIN, "model", ALL)

    assert (found.version, found.reference, found.artifacts, found.alone) == ("2", "model", 6, 0)
    assert found.agreed == 1
    assert found.agreement == pytest.approx(1 / 6)
    assert {(one.live, one.shadow): one.artifacts for one in found.pairs} == {
        (CLEAN, CLEAN): 1,
        (CLEAN, MALICIOUS): 1,
        (MALICIOUS, CLEAN): 1,
        (MALICIOUS, SUSPICIOUS): 1,
        (SUSPICIOUS, CLEAN): 1,
        (UNKNOWN, CLEAN): 1,
    }
    assert found.live_scores == (1, 0, 1, 0, 0, 0, 1, 0, 0, 2)
    assert found.shadow_scores == (2, 1, 1, 0, 0, 0, 1, 0, 0, 1)
    # The rules would still flag the first artifact of the third scan.
    assert (found.newly_flagged, found.no_longer_flagged, found.otherwise_flagged) == (1, 1, 1)
    assert {(one.submission_id, one.artifact_name, one.now, one.then) for one in found.changed} == {
        (submission_id(1), "member-1.txt", None, MALICIOUS),
        (submission_id(2), "notes.txt", MALICIOUS, None),
        (submission_id(2), "member-1.txt", MALICIOUS, SUSPICIOUS),
    }
    first = next(one for one in found.changed if one.submission_id == submission_id(1))
    assert (first.submission_verdict, first.live_score, first.shadow_score) == (CLEAN, 0.2, 1.0)
    assert (found.first_at, found.last_at) == (ACCEPTED_AT + timedelta(minutes=1), ACCEPTED_AT + timedelta(minutes=3))


async def test_a_detector_without_a_live_version_is_compared_with_all_live_ones(
    looked: Any, comparison: ComparisonService
) -> None:
    new = run("new", MALICIOUS, 0.97, shadow=True)
    await looked(1, (run("rules", CLEAN), run("model", SUSPICIOUS, 0.7), new), (run("rules", CLEAN), new))
    quiet = run("new", CLEAN, 0.03, shadow=True)
    await looked(2, (run("rules", MALICIOUS), quiet))

    found = await comparison.compare(ADMIN, "new", ALL)

    assert (found.reference, found.artifacts) == (None, 3)
    assert {(one.live, one.shadow): one.artifacts for one in found.pairs} == {
        (SUSPICIOUS, MALICIOUS): 1,
        (CLEAN, MALICIOUS): 1,
        (MALICIOUS, CLEAN): 1,
    }
    # Beside the others it can only add: what the rules flag stays flagged.
    assert (found.newly_flagged, found.no_longer_flagged, found.otherwise_flagged) == (1, 0, 1)
    assert [(one.name, one.artifacts) for one in found.others] == [("rules", 3), ("model", 1)]


async def test_the_reference_can_be_named(looked: Any, comparison: ComparisonService) -> None:
    new = run("new", MALICIOUS, 0.97, shadow=True)
    await looked(1, (run("rules", CLEAN), run("model", SUSPICIOUS, 0.7), new), (run("rules", CLEAN), new))

    found = await comparison.compare(ADMIN, "new", ComparisonQuery(reference="model"))

    assert (found.reference, found.artifacts, found.alone) == ("model", 1, 1)
    with pytest.raises(NotFoundError, match="rules, model"):
        await comparison.compare(ADMIN, "new", ComparisonQuery(reference="none"))


async def test_the_latest_version_unless_another_is_named(looked: Any, comparison: ComparisonService) -> None:
    for number, version in enumerate(["1", "3", "2"]):
        await looked(number, (run("rules", CLEAN), run("new", CLEAN, 0.1, version=version, shadow=True)))

    assert (await comparison.compare(ADMIN, "new", ALL)).version == "2"
    assert (await comparison.compare(ADMIN, "new", ComparisonQuery(version="3"))).artifacts == 1
    with pytest.raises(NotFoundError, match="never ran in shadow; these did: 2, 3, 1"):
        await comparison.compare(ADMIN, "new", ComparisonQuery(version="4"))
    assert [(one.detector, one.version, one.artifacts) for one in await comparison.list_shadows(ADMIN)] == [
        ("new", "2", 1),
        ("new", "3", 1),
        ("new", "1", 1),
    ]


async def test_a_time_and_a_number_of_artifacts_narrow_it_down(looked: Any, comparison: ComparisonService) -> None:
    for number in range(1, 6):
        await looked(number, pair((CLEAN, 0.1), (CLEAN, number / 10)))

    since = ComparisonQuery(since=ACCEPTED_AT + timedelta(minutes=4))
    assert (await comparison.compare(ADMIN, "model", since)).artifacts == 2
    latest = await comparison.compare(ADMIN, "model", ComparisonQuery(limit=2))
    assert latest.shadow_scores == (0, 0, 0, 0, 1, 1, 0, 0, 0, 0)
    nothing = await comparison.compare(ADMIN, "model", ComparisonQuery(since=ACCEPTED_AT + timedelta(days=1)))
    assert (nothing.artifacts, nothing.agreement, nothing.changed, nothing.first_at) == (0, None, (), None)


async def test_what_only_the_shadow_looked_at_is_not_compared(looked: Any, comparison: ComparisonService) -> None:
    await looked(1, (run("new", MALICIOUS, 0.9, shadow=True),), pair((CLEAN, 0.1), (CLEAN, 0.1)))

    found = await comparison.compare(ADMIN, "new", ALL)

    assert (found.artifacts, found.alone, found.changed) == (0, 1, ())


async def test_another_shadow_is_no_live_detector(looked: Any, comparison: ComparisonService) -> None:
    await looked(1, pair((CLEAN, 0.1), (CLEAN, 0.1), run("other", MALICIOUS, 1.0, shadow=True)))

    found = await comparison.compare(ADMIN, "model", ALL)

    assert (found.agreed, found.would_change, [one.name for one in found.others]) == (1, 0, ["model"])


async def test_only_administrators_compare(comparison: ComparisonService) -> None:
    with pytest.raises(NotAllowedError):
        await comparison.list_shadows(ALICE)
    with pytest.raises(NotAllowedError):
        await comparison.compare(ALICE, "model", ALL)
    assert await comparison.list_shadows(ADMIN) == []
    with pytest.raises(NotFoundError, match="No version of model"):
        await comparison.compare(ADMIN, "model", ALL)
