"""Detectors in shadow beside the live ones: do they agree, and what would change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from results.storage import comparison
from results.storage.comparison import Scope, Tally
from shared.clients.comparison import Comparison, ComparisonQuery, LiveDetector, ShadowVersion, VerdictPair
from shared.database import Database
from shared.errors import NotFoundError
from shared.web import Caller


class ComparisonService:
    """Reads what scans recorded while a detector was in shadow. For administrators: it is about everybody's files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_shadows(self, caller: Caller) -> list[ShadowVersion]:
        """Return the versions that ran in shadow, the latest first. Raises NotAllowedError."""
        caller.require_administrator()
        async with self._database.read() as session:
            return await comparison.list_versions(session)

    async def compare(self, caller: Caller, detector: str, query: ComparisonQuery) -> Comparison:
        """Compare one version with the live detectors. Raises NotAllowedError, NotFoundError where it never ran."""
        caller.require_administrator()
        async with self._database.read() as session:
            version = await self._version(await comparison.list_versions(session, detector), detector, query.version)
            scope = Scope(detector, version, query.since, query.limit)
            others = await comparison.list_live(session, scope)
            reference = _reference(others, detector, query.reference)
            tallies = await comparison.tally(session, scope, reference)
            changed = await comparison.list_changed(session, scope, reference)
        both = [one for one in tallies if one.live is not None]
        flags = Counter[str]()
        for one in both:
            flags[_change(one)] += one.artifacts
        return Comparison(
            detector=detector,
            version=version,
            reference=reference,
            others=tuple(others),
            first_at=min((one.first_at for one in both), default=None),
            last_at=max((one.last_at for one in both), default=None),
            artifacts=sum(one.artifacts for one in both),
            alone=sum(one.artifacts for one in tallies if one.live is None),
            agreed=sum(one.artifacts for one in both if one.live is one.shadow),
            pairs=_pairs(both),
            live_scores=comparison.bins(both, shadow=False),
            shadow_scores=comparison.bins(both, shadow=True),
            newly_flagged=flags["new"],
            no_longer_flagged=flags["gone"],
            otherwise_flagged=flags["other"],
            changed=tuple(changed),
        )

    async def _version(self, versions: Sequence[ShadowVersion], detector: str, wanted: str | None) -> str:
        known = [one.version for one in versions]
        if not known:
            raise NotFoundError(f"No version of {detector} has looked at anything in shadow yet.")
        if wanted is not None and wanted not in known:
            raise NotFoundError(f"{detector} {wanted} never ran in shadow; these did: {', '.join(known)}.")
        return wanted or known[0]


def _reference(others: Sequence[LiveDetector], detector: str, wanted: str | None) -> str | None:
    names = [other.name for other in others]
    if wanted is not None and wanted not in names:
        raise NotFoundError(f"No live detector named {wanted} looked at the same files; these did: {', '.join(names)}.")
    return wanted or (detector if detector in names else None)


def _pairs(tallies: Sequence[Tally]) -> tuple[VerdictPair, ...]:
    counts = Counter[tuple[str, str]]()
    for one in tallies:
        if one.live is not None:
            counts[one.live, one.shadow] += one.artifacts
    return tuple(
        VerdictPair.model_validate({"live": live, "shadow": shadow, "artifacts": count})
        for (live, shadow), count in sorted(counts.items())
    )


def _change(one: Tally) -> str:
    if one.now is one.then:
        return "same"
    if one.now is None:
        return "new"
    return "gone" if one.then is None else "other"
