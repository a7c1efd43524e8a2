"""`fumehood admin detectors compare`: a detector in shadow beside the live ones, as tables."""

from __future__ import annotations

import sys
from datetime import datetime

import httpx
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.api import Credentials, administrator_api, call
from cli.paths import printable
from shared.clients import ChangedArtifact, Comparison, ComparisonQuery, ShadowVersion
from shared.clock import aware
from shared.errors import ClientError
from shared.scan import Verdict

_PATH = "/api/v1/shadows"
_BAR_WIDTH = 30
_LABELS = [f"{number / 10:.1f} to {(number + 1) / 10:.1f}" for number in range(10)]


async def run_list(server: str | None, credentials: Credentials, *, as_json: bool) -> None:
    """Print the versions that ran in shadow."""
    async with administrator_api(server, credentials) as http:
        answer = await call(http, "GET", _PATH)
    shadows = [ShadowVersion.model_validate(item) for item in answer]
    if as_json:
        for shadow in shadows:
            typer.echo(shadow.model_dump_json())
    elif not shadows:
        typer.echo("No detector has run in shadow yet; add one with `fumehood admin detectors add PATH --shadow`.")
    else:
        table = Table("DETECTOR", "VERSION", "FILES", "FIRST", "LAST", box=None, pad_edge=False)
        for shadow in shadows:
            moments = (f"{moment:%Y-%m-%d %H:%M}" for moment in (shadow.first_at, shadow.last_at))
            table.add_row(shadow.detector, escape(printable(shadow.version)), f"{shadow.artifacts:,}", *moments)
        _console().print(table)


async def run_compare(
    server: str | None,
    credentials: Credentials,
    detector: str,
    *,
    reference: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Print a comparison; `detector` is NAME or NAME@VERSION. Raises ClientError where it never ran in shadow."""
    name, _, version = detector.partition("@")
    query = ComparisonQuery(
        version=version or None, reference=reference, since=aware(since) if since else None, limit=limit
    )
    async with administrator_api(server, credentials) as http:
        found = await _compare(http, name, query)
        address = str(http.base_url).rstrip("/")
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        _print(found, address)


async def _compare(http: httpx.AsyncClient, name: str, query: ComparisonQuery) -> Comparison:
    params = query.model_dump(mode="json", exclude_none=True)
    try:
        return Comparison.model_validate(await call(http, "GET", f"{_PATH}/{name}", params=params))
    except ClientError as error:
        if error.status == httpx.codes.NOT_FOUND:
            raise ClientError(
                f"{error.message.partition(': ')[2]} See `fumehood admin detectors compare` for those that did; "
                f"`fumehood admin detectors add PATH --shadow` adds one."
            ) from None
        raise


def _print(found: Comparison, address: str) -> None:
    console = _console()
    beside = f"{found.reference} (live)" if found.reference else "all live detectors together"
    console.print(f"[bold]{found.detector} {escape(printable(found.version))}[/bold] in shadow beside {beside}")
    if not found.artifacts or found.first_at is None or found.last_at is None:
        console.print(f"Nothing to compare in this time; {found.alone:,} files were looked at in shadow only.")
        return
    console.print(
        f"{found.artifacts:,} files, {found.first_at:%Y-%m-%d %H:%M} to {found.last_at:%Y-%m-%d %H:%M} UTC"
        + (f"; {found.alone:,} more only in shadow" if found.alone else "")
    )
    console.print(f"The same verdict on {found.agreed:,}: {100 * found.agreed / found.artifacts:.2f} %\n")
    console.print(_pairs(found))
    if any(found.shadow_scores):
        console.print("\nFiles by score")
        console.print(_scores(found))
    console.print(
        f"\nWould change: {found.would_change:,} ({found.newly_flagged:,} newly flagged, {found.no_longer_flagged:,} "
        f"no longer, {found.otherwise_flagged:,} between suspicious and malicious)"
    )
    if found.changed:
        console.print(_changes(found.changed, address))
    if found.would_change > len(found.changed):
        console.print(f"and {found.would_change - len(found.changed):,} more; these are the latest.")


def _pairs(found: Comparison) -> Table:
    counts = {(pair.live, pair.shadow): pair.artifacts for pair in found.pairs}
    table = Table("live \\ in shadow", box=None, pad_edge=False)
    for shadow in Verdict:
        table.add_column(shadow.value, justify="right")
    for live in Verdict:
        cells = [counts.get((live, shadow), 0) for shadow in Verdict]
        table.add_row(live.value, *(f"{cell:,}" if cell else "-" for cell in cells))
    return table


def _scores(found: Comparison) -> Table:
    most = max(*found.live_scores, *found.shadow_scores)
    table = Table("score", box=None, pad_edge=False)
    table.add_column("live", justify="right")
    table.add_column("in shadow", justify="right")
    table.add_column("")
    for label, live, shadow in zip(_LABELS, found.live_scores, found.shadow_scores, strict=True):
        width = max(1, round(_BAR_WIDTH * shadow / most)) if shadow else 0
        table.add_row(label, f"{live:,}", f"{shadow:,}", "█" * width)
    return table


def _changes(changes: tuple[ChangedArtifact, ...], address: str) -> Table:
    table = Table("FILE", "NOW", "WOULD BE", "SCORE", "SUBMISSION", box=None, pad_edge=False)
    for change in changes:
        score = "-" if change.shadow_score is None else f"{change.shadow_score:.2f}"
        table.add_row(
            escape(printable(change.artifact_name)),
            change.now.value if change.now else "not flagged",
            change.then.value if change.then else "not flagged",
            score,
            f"{address}/submissions/{change.submission_id}",
        )
    return table


def _console() -> Console:
    # In a pipe nothing is cut off; a terminal decides for itself.
    return Console(width=None if sys.stdout.isatty() else 250)
