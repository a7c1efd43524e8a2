"""Reading what detectors in shadow made of artifacts beside the live ones. Sums are made by the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from results.schema import ARTIFACTS, RUNS, SCANS
from shared.clients.comparison import BINS, ChangedArtifact, LiveDetector, ShadowVersion
from shared.clock import aware
from shared.scan import Verdict

SHOWN_CHANGES = 50
# In order of severity; from _FLAGGED on an artifact counts as flagged.
_LEVELS = (Verdict.CLEAN, Verdict.UNKNOWN, Verdict.SUSPICIOUS, Verdict.MALICIOUS)
_FLAGGED = _LEVELS.index(Verdict.SUSPICIOUS)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which runs in shadow are looked at: the latest `limit` of one version since a moment."""

    detector: str
    version: str
    since: datetime | None
    limit: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How many artifacts are alike in everything that is counted. Scores are bins, 0 to 9."""

    live: Verdict | None
    shadow: Verdict
    live_bin: int | None
    shadow_bin: int | None
    now: Verdict | None
    then: Verdict | None
    artifacts: int
    first_at: datetime
    last_at: datetime


async def list_versions(session: AsyncSession, detector: str | None = None) -> list[ShadowVersion]:
    """Return every version that ran in shadow, of one detector or of all, the latest first."""
    last_at = sa.func.max(RUNS.c.looked_at)
    columns = (RUNS.c.detector, RUNS.c.detector_version)
    query = sa.select(*columns, sa.func.count(), sa.func.min(RUNS.c.looked_at), last_at).where(RUNS.c.shadow)
    if detector is not None:
        query = query.where(RUNS.c.detector == detector)
    rows = await session.execute(query.group_by(*columns).order_by(last_at.desc()))
    return [
        ShadowVersion(detector=name, version=version, artifacts=count, first_at=aware(first), last_at=aware(last))
        for name, version, count, first, last in rows
    ]


async def list_live(session: AsyncSession, scope: Scope) -> list[LiveDetector]:
    """Return the live detectors that looked at what is in the scope, the busiest first."""
    seen = _in_shadow(scope)
    query = sa.select(RUNS.c.detector, RUNS.c.detector_version, sa.func.count())
    query = query.select_from(seen.join(RUNS, _beside(seen))).group_by(RUNS.c.detector, RUNS.c.detector_version)
    versions: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for name, version, count in [*await session.execute(query)]:
        versions.setdefault(name, []).append(version)
        counts[name] = counts.get(name, 0) + count
    busiest = sorted(counts, key=lambda name: (-counts[name], name))
    return [LiveDetector(name=n, versions=tuple(sorted(versions[n])), artifacts=counts[n]) for n in busiest]


async def tally(session: AsyncSession, scope: Scope, reference: str | None) -> list[Tally]:
    """Count the artifacts in the scope; `reference` is the live detector, None for all together."""
    pairs = _paired(scope, reference)
    keys = (
        pairs.c.live,
        pairs.c.shadow,
        _bin(pairs.c.live_score),
        _bin(pairs.c.shadow_score),
        _flag(pairs.c.now),
        _flag(pairs.c.then),
    )
    named = [key.label(f"k{number}") for number, key in enumerate(keys)]
    query = sa.select(*named, sa.func.count(), sa.func.min(pairs.c.looked_at), sa.func.max(pairs.c.looked_at))
    rows: list[Any] = [*await session.execute(query.group_by(*[sa.literal_column(key.name) for key in named]))]
    return [
        Tally(
            live=None if live is None else _LEVELS[live],
            shadow=_LEVELS[shadow],
            live_bin=live_bin,
            shadow_bin=shadow_bin,
            now=_LEVELS[now] if now else None,
            then=_LEVELS[then] if then else None,
            artifacts=count,
            first_at=aware(first),
            last_at=aware(last),
        )
        for live, shadow, live_bin, shadow_bin, now, then, count, first, last in rows
    ]


async def list_changed(session: AsyncSession, scope: Scope, reference: str | None) -> list[ChangedArtifact]:
    """Return the latest artifacts that would be flagged otherwise."""
    pairs = _paired(scope, reference)
    now, then = _flag(pairs.c.now), _flag(pairs.c.then)
    query = sa.select(
        SCANS.c.submission_id,
        SCANS.c.name.label("submission_name"),
        SCANS.c.verdict.label("submission_verdict"),
        ARTIFACTS.c.name.label("artifact_name"),
        ARTIFACTS.c.sha256,
        now.label("now"),
        then.label("then"),
        pairs.c.live_score,
        pairs.c.shadow_score,
        pairs.c.looked_at,
    ).select_from(
        pairs.join(SCANS, SCANS.c.scan_id == pairs.c.scan_id).join(
            ARTIFACTS, (ARTIFACTS.c.scan_id == pairs.c.scan_id) & (ARTIFACTS.c.id == pairs.c.artifact_id)
        )
    )
    query = query.where(pairs.c.live.is_not(None), now != then).order_by(pairs.c.looked_at.desc())
    rows = (await session.execute(query.limit(SHOWN_CHANGES))).mappings()
    return [ChangedArtifact.model_validate(_read(dict(row))) for row in rows]


def _in_shadow(scope: Scope) -> sa.Subquery:
    query = sa.select(RUNS.c.scan_id, RUNS.c.artifact_id, RUNS.c.verdict, RUNS.c.score, RUNS.c.looked_at)
    query = query.where(RUNS.c.shadow, RUNS.c.detector == scope.detector, RUNS.c.detector_version == scope.version)
    if scope.since is not None:
        query = query.where(RUNS.c.looked_at >= aware(scope.since))
    return query.order_by(RUNS.c.looked_at.desc()).limit(scope.limit).subquery("seen")


def _beside(seen: sa.Subquery) -> sa.ColumnElement[bool]:
    return (RUNS.c.scan_id == seen.c.scan_id) & (RUNS.c.artifact_id == seen.c.artifact_id) & ~RUNS.c.shadow


def _paired(scope: Scope, reference: str | None) -> sa.Subquery:
    """Return one row an artifact: what shadow and live say, what all live ones say now, and would say then."""
    seen = _in_shadow(scope)
    level, shadow = _level(RUNS.c.verdict), _level(seen.c.verdict)
    is_reference = sa.true() if reference is None else RUNS.c.detector == reference
    # Compared with all live detectors together, the one in shadow would come beside them and replace none.
    stays = sa.true() if reference is None else RUNS.c.detector != reference
    rest = sa.func.coalesce(sa.func.max(sa.case((stays, level))), 0)
    by = (seen.c.scan_id, seen.c.artifact_id, seen.c.verdict, seen.c.score, seen.c.looked_at)
    query = sa.select(
        seen.c.scan_id,
        seen.c.artifact_id,
        seen.c.looked_at,
        shadow.label("shadow"),
        seen.c.score.label("shadow_score"),
        sa.func.max(sa.case((is_reference, level))).label("live"),
        sa.func.max(sa.case((is_reference, RUNS.c.score))).label("live_score"),
        sa.func.coalesce(sa.func.max(level), 0).label("now"),
        sa.case((rest > shadow, rest), else_=shadow).label("then"),
    )
    return query.select_from(seen.outerjoin(RUNS, _beside(seen))).group_by(*by).subquery("pairs")


def _level(verdict: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    return sa.case({level.value: number for number, level in enumerate(_LEVELS)}, value=verdict)


def _flag(level: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    return sa.case((level >= _FLAGGED, level), else_=0)


def _bin(score: sa.ColumnElement[float]) -> sa.ColumnElement[int]:
    edges = [(score >= number / BINS, number) for number in reversed(range(1, BINS))]
    return sa.case(*edges, (score.is_not(None), 0))


def _read(row: dict[str, Any]) -> dict[str, Any]:
    flags = {name: _LEVELS[row[name]] if row[name] else None for name in ("now", "then")}
    return row | flags | {"looked_at": aware(row["looked_at"])}


def bins(tallies: Sequence[Tally], *, shadow: bool) -> tuple[int, ...]:
    """Return how many artifacts have a score in each of the ten bins."""
    counts = [0] * BINS
    for one in tallies:
        number = one.shadow_bin if shadow else one.live_bin
        if number is not None:
            counts[number] += one.artifacts
    return tuple(counts)
