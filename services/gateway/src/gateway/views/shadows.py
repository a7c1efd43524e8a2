"""The page about detectors in shadow: agreement, scores as a picture, what would change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from gateway.views.pages import Shell
from gateway.views.text import When, when
from gateway.views.verdicts import VerdictMark, verdict_mark
from shared.clients import ChangedArtifact, Comparison, ShadowVersion
from shared.presentation.text import count_text
from shared.scan import Frozen, Verdict

PERIODS = {"": "Everything", "1": "The last day", "7": "The last 7 days", "30": "The last 30 days"}
_ORDER = tuple(Verdict)
_PLOT_HEIGHT = 100


class Option(Frozen):
    """One entry of a select element."""

    value: str
    label: str
    selected: bool


class PairCell(Frozen):
    """One cell of the table of verdict pairs; `strength` is 0 to 1 for its shade."""

    artifacts: int
    agrees: bool
    strength: float


class PairRow(Frozen):
    """What the shadow says where the live detectors say one thing."""

    mark: VerdictMark
    cells: tuple[PairCell, ...]


class Bar(Frozen):
    """The artifacts with a score in one tenth, live and in shadow; heights are of 100, on a logarithmic scale."""

    number: int
    label: str
    live: int
    shadow: int
    live_height: int
    shadow_height: int


class ChangeRow(Frozen):
    """An artifact that would be flagged otherwise. No mark: not flagged."""

    url: str
    submission_name: str
    artifact_name: str
    sha256: str
    now: VerdictMark | None
    then: VerdictMark | None
    scores: str | None
    looked: When


class ComparisonView(Frozen):
    """A comparison in words and pictures."""

    title: str
    reference: str
    how: str
    """How the detector in shadow would count, for what would change."""
    period: str
    artifacts: int
    alone: int
    agreement: str
    agreed: int
    columns: tuple[VerdictMark, ...]
    rows: tuple[PairRow, ...]
    bars: tuple[Bar, ...]
    newly_flagged: int
    no_longer_flagged: int
    otherwise_flagged: int
    changes: tuple[ChangeRow, ...]
    would_change: int


class ShadowsPage(Frozen):
    """`pages/shadows.html`."""

    shell: Shell
    shadows: tuple[Option, ...]
    references: tuple[Option, ...]
    periods: tuple[Option, ...]
    comparison: ComparisonView | None


def shadow_key(shadow: ShadowVersion) -> str:
    """Return how the form names a version."""
    return f"{shadow.detector}@{shadow.version}"


def shadows_page(
    shell: Shell,
    shadows: Sequence[ShadowVersion],
    chosen: ShadowVersion | None,
    comparison: Comparison | None,
    now: datetime,
    *,
    period: str,
) -> ShadowsPage:
    """Return the page's content at `now`."""
    return ShadowsPage(
        shell=shell,
        shadows=tuple(
            Option(
                value=shadow_key(one),
                label=f"{one.detector} {one.version} ({count_text(one.artifacts, 'file')})",
                selected=one == chosen,
            )
            for one in shadows
        ),
        references=_references(comparison),
        periods=tuple(Option(value=key, label=label, selected=key == period) for key, label in PERIODS.items()),
        comparison=comparison_view(comparison, now) if comparison else None,
    )


def comparison_view(found: Comparison, now: datetime) -> ComparisonView:
    """Return a comparison in words and pictures."""
    first, last = found.first_at, found.last_at
    versions = next((other.versions for other in found.others if other.name == found.reference), ())
    return ComparisonView(
        title=f"{found.detector} {found.version}",
        reference=f"{found.reference} {', '.join(versions)}" if found.reference else "all live detectors together",
        how=f"in the place of {found.reference}" if found.reference else "beside them",
        period=f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC" if first and last else "",
        artifacts=found.artifacts,
        alone=found.alone,
        agreement=_percent(found.agreement),
        agreed=found.agreed,
        columns=tuple(verdict_mark(verdict) for verdict in _ORDER),
        rows=_rows(found),
        bars=_bars(found),
        newly_flagged=found.newly_flagged,
        no_longer_flagged=found.no_longer_flagged,
        otherwise_flagged=found.otherwise_flagged,
        changes=tuple(_change_row(change, now) for change in found.changed),
        would_change=found.would_change,
    )


def _references(comparison: Comparison | None) -> tuple[Option, ...]:
    if comparison is None:
        return ()
    usual = "All live detectors together"
    if comparison.detector in {other.name for other in comparison.others}:
        usual = f"{comparison.detector}, the live version"
    named = [
        Option(value=other.name, label=other.name, selected=other.name == comparison.reference)
        for other in comparison.others
        if other.name != comparison.detector
    ]
    return (Option(value="", label=usual, selected=not any(one.selected for one in named)), *named)


def _percent(share: float | None) -> str:
    """Return a share in percent; all of something is said only of all."""
    if share is None:
        return "-"
    return "100 %" if share == 1 else f"{min(share * 100, 99.9):.1f} %"


def _rows(found: Comparison) -> tuple[PairRow, ...]:
    counts = {(pair.live, pair.shadow): pair.artifacts for pair in found.pairs}
    most = max(counts.values(), default=1)
    return tuple(
        PairRow(
            mark=verdict_mark(live),
            cells=tuple(
                PairCell(
                    artifacts=count,
                    agrees=live is shadow,
                    strength=round(math.log1p(count) / math.log1p(most), 2),
                )
                for shadow in _ORDER
                for count in (counts.get((live, shadow), 0),)
            ),
        )
        for live in _ORDER
    )


def _bars(found: Comparison) -> tuple[Bar, ...]:
    most = max((*found.live_scores, *found.shadow_scores), default=0)
    if most == 0:
        return ()

    def height(count: int) -> int:
        # One file out of very many must be seen.
        return max(3, round(_PLOT_HEIGHT * math.log1p(count) / math.log1p(most))) if count else 0

    pairs = enumerate(zip(found.live_scores, found.shadow_scores, strict=True))
    return tuple(
        Bar(
            number=number,
            label=f"{number / 10:.1f} to {(number + 1) / 10:.1f}",
            live=live,
            shadow=shadow,
            live_height=height(live),
            shadow_height=height(shadow),
        )
        for number, (live, shadow) in pairs
    )


def _change_row(change: ChangedArtifact, now: datetime) -> ChangeRow:
    scores = None
    if change.shadow_score is not None:
        live = f"{change.live_score:.2f}" if change.live_score is not None else "none"
        scores = f"score {live}, in shadow {change.shadow_score:.2f}"
    return ChangeRow(
        url=f"/submissions/{change.submission_id}",
        submission_name=change.submission_name,
        artifact_name=change.artifact_name,
        sha256=change.sha256,
        now=verdict_mark(change.now) if change.now else None,
        then=verdict_mark(change.then) if change.then else None,
        scores=scores,
        looked=when(change.looked_at, now),
    )
