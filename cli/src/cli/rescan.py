"""`fumehood admin rescan`: begins a job at the server, shows how far it is, pauses it and goes on."""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.api import Credentials, administrator_api, call
from shared.clients import RescanJob, RescanState, ScanFilter
from shared.clock import aware
from shared.errors import ClientError, UnavailableError

ASK_FROM = 1000
POLL_SECONDS = 1.0
PATIENCE_SECONDS = 120
"""How long a server that does not answer is waited for; the job itself does not mind."""
_PATH = "/api/v1/rescans"
_OVER = (RescanState.DONE, RescanState.CANCELLED)


@dataclass(frozen=True, slots=True)
class RescanOptions:
    """What the command line says."""

    everything: bool
    filters: dict[str, Any]
    dry_run: bool
    yes: bool
    wait: bool
    go_on: bool
    cancel: bool
    as_json: bool

    def where(self) -> ScanFilter:
        """Return which submissions are meant. Raises ClientError when that is not said, or makes no sense."""
        if self.everything == bool(self.filters):
            raise ClientError(
                "Say which submissions: --all, or some of --since, --verdict, --sha256 and --type; "
                "or go on with a paused rescan: --continue."
            )
        try:
            found = ScanFilter.model_validate(self.filters)
        except ValidationError as error:
            first = error.errors()[0]
            raise ClientError(f"--{first['loc'][0]} cannot be used: {first['msg']}.") from None
        return found.model_copy(update={"after": aware(found.after)}) if isinstance(found.after, datetime) else found


async def run_rescan(server: str | None, credentials: Credentials, options: RescanOptions) -> None:
    """Do what the options say. Raises ClientError and UnavailableError."""
    if options.go_on and options.cancel:
        raise ClientError("Either --continue or --cancel.")
    if (options.go_on or options.cancel) and (options.everything or options.filters):
        raise ClientError("A rescan that was begun keeps what it was begun with; leave the other options out.")
    async with administrator_api(server, credentials) as http:
        job = await _begin(http, options) if not (options.go_on or options.cancel) else await _take_up(http, options)
        if job is None:
            return
        if options.wait and job.state not in _OVER:
            job = await _follow(http, job)
        _tell(job, as_json=options.as_json)


async def _begin(http: httpx.AsyncClient, options: RescanOptions) -> RescanJob | None:
    where = options.where().model_dump(mode="json", exclude_none=True)
    count = (await call(http, "POST", f"{_PATH}/estimate", json=where))["submissions"]
    if options.dry_run or not count:
        typer.echo(f"{_submissions(count)} would be scanned again." if count else "No past submission matches.")
        return None
    if count > ASK_FROM and not options.yes:
        if not sys.stdin.isatty():
            raise ClientError(f"{_submissions(count)} would be scanned again; say --yes for more than {ASK_FROM:,}.")
        typer.confirm(f"{_submissions(count)} will be scanned again. Go on?", abort=True, err=True)
    return await _set_going(http, _PATH, json=where)


async def _take_up(http: httpx.AsyncClient, options: RescanOptions) -> RescanJob:
    try:
        job = await _latest(http)
    except ClientError as error:
        if error.status != httpx.codes.NOT_FOUND:
            raise
        raise ClientError("There was no rescan yet.") from None
    if job.state in _OVER:
        raise ClientError(f"The latest rescan is {job.state} already: {_outcome(job)}")
    if options.cancel:
        return await _change(http, job, "cancel")
    return await _set_going(http, f"{_PATH}/{job.id}/resume") if job.state is RescanState.PAUSED else job


async def _set_going(http: httpx.AsyncClient, path: str, **options: Any) -> RescanJob:
    """Return the job that the server then works on; after Ctrl-C meanwhile it is paused, not left to itself."""
    asked = asyncio.ensure_future(call(http, "POST", path, **options))
    try:
        return RescanJob.model_validate(await asyncio.shield(asked))
    except asyncio.CancelledError:
        await _pause(http, RescanJob.model_validate(await asked))
        raise


async def _follow(http: httpx.AsyncClient, job: RescanJob) -> RescanJob:
    """Show progress until the job is over or paused; Ctrl-C pauses it."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bar if sys.stderr.isatty() else nullcontext():
        task = bar.add_task("scanning again", total=job.total, completed=_done(job))
        try:
            while job.state is RescanState.RUNNING:
                await asyncio.sleep(POLL_SECONDS)
                job = await _patiently(http, job)
                bar.update(task, completed=_done(job), description=_description(job))
        except asyncio.CancelledError:
            bar.stop()
            await _pause(http, job)
            raise
    return job


async def _pause(http: httpx.AsyncClient, job: RescanJob) -> None:
    paused = await _change(http, job, "pause")
    typer.echo(
        f"Paused at {_done(paused):,} of {paused.total:,}. Go on with `fumehood admin rescan --continue`.", err=True
    )


async def _patiently(http: httpx.AsyncClient, job: RescanJob) -> RescanJob:
    """Return the job anew, waiting for a server that is away for a while."""
    patience = PATIENCE_SECONDS
    while True:
        try:
            latest = await _latest(http)
        except UnavailableError:
            patience -= 1
            if patience <= 0:
                raise
            await asyncio.sleep(1)
        else:
            if latest.id != job.id:
                raise ClientError("Somebody cancelled this rescan and began another one.")
            return latest


async def _latest(http: httpx.AsyncClient) -> RescanJob:
    return RescanJob.model_validate(await call(http, "GET", f"{_PATH}/latest"))


async def _change(http: httpx.AsyncClient, job: RescanJob, act: str) -> RescanJob:
    return RescanJob.model_validate(await call(http, "POST", f"{_PATH}/{job.id}/{act}"))


def _done(job: RescanJob) -> int:
    return job.total if job.state is RescanState.DONE else min(job.ended + job.gone, job.total)


def _description(job: RescanJob) -> str:
    return f"scanning again, {job.changed:,} changed" if job.changed else "scanning again"


def _tell(job: RescanJob, *, as_json: bool) -> None:
    if as_json:
        typer.echo(job.model_dump_json())
    elif job.state is RescanState.RUNNING:
        typer.echo(
            f"{_submissions(job.total)} will be scanned again; watch it with `fumehood admin rescan --continue`."
        )
    elif job.state is RescanState.CANCELLED:
        typer.echo(f"Cancelled: {_outcome(job)}")
    elif job.state is RescanState.PAUSED:
        typer.echo(f"Paused by somebody else: {_outcome(job)} Go on with `fumehood admin rescan --continue`.")
    else:
        typer.echo(_outcome(job))


def _outcome(job: RescanJob) -> str:
    completed = job.ended - job.unfinished
    parts = [f"{_submissions(completed)} scanned again, {job.changed:,} verdict{'s' * (job.changed != 1)} changed."]
    if job.unfinished:
        parts.append(f"{job.unfinished:,} failed or ran out of time; their earlier verdict stays.")
    if job.gone:
        parts.append(f"{job.gone:,} could not be, because the file is not stored any more.")
    return " ".join(parts)


def _submissions(count: int) -> str:
    return f"{count:,} submission{'s' * (count != 1)}"
