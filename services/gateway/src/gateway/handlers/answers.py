"""From what the services say to what templates take, and from templates to answers."""

from __future__ import annotations

from collections.abc import Awaitable, Collection
from typing import TypeVar

from fastapi import Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from gateway import views
from gateway.context import Context
from gateway.models.accounts import Identity
from gateway.models.live import Progress, Update
from shared.clients import ScanDetail, ScanSummary
from shared.clock import now
from shared.errors import ClientError
from shared.scan import ScanDocument, ScanStatus

Outcome = TypeVar("Outcome")

_PHASES = {
    "identifying": views.Phase.IDENTIFYING,
    "unpacking": views.Phase.UNPACKING,
}


def page(template: str, view: BaseModel, status: int = 200) -> HTMLResponse:
    """Return a rendered template."""
    return HTMLResponse(views.render(template, view), status)


def is_partial(request: Request) -> bool:
    """Return whether htmx asks for a part of a page."""
    return "hx-request" in request.headers and "hx-history-restore-request" not in request.headers


async def attempt(work: Awaitable[Outcome]) -> Outcome | ClientError:
    """Return what the work gives, or what was wrong with its input, to be shown in the form that it came from."""
    try:
        return await work
    except ClientError as error:
        return error


async def rows_of(
    context: Context, identity: Identity, summaries: Collection[ScanSummary]
) -> tuple[views.SubmissionRow, ...]:
    """Return submissions as rows; those of others with their e-mail."""
    emails = await _emails(context, identity, summaries)
    return tuple(views.submission_row(_facts(summary, emails), now()) for summary in summaries)


async def scan_of(context: Context, identity: Identity, detail: ScanDetail) -> views.ScanView:
    """Return a submission as the scan page shows it."""
    facts = _facts(detail, await _emails(context, identity, (detail,)))
    running = detail.rescan.scan_id if detail.rescan else detail.scan_id
    progress = await context.live.progress(running)
    return views.scan_view(
        facts, _document(detail), _live_progress(progress), now(), rescan=detail.rescan, history=detail.history
    )


def row_of_update(update: Update) -> views.SubmissionRow:
    """Return an update as a row, of which lists replace only the chip."""
    stays = update.previous_verdict is not None and update.status is not ScanStatus.COMPLETED
    facts = views.SubmissionFacts(
        id=update.submission_id,
        file_name=update.name,
        size_bytes=update.size_bytes,
        sha256=update.sha256,
        status=ScanStatus.COMPLETED if stays else update.status,
        submitted_at=update.at,
        verdict=update.previous_verdict if stays else update.verdict,
        coverage=None if stays else update.coverage,
    )
    return views.submission_row(facts, now())


async def _emails(context: Context, identity: Identity, summaries: Collection[ScanSummary]) -> dict[str, str]:
    others = {summary.user_id for summary in summaries} - {identity.user.id}
    return await context.accounts.emails_of(others) if others else {}


def _facts(summary: ScanSummary, emails: dict[str, str]) -> views.SubmissionFacts:
    return views.SubmissionFacts(
        id=summary.id,
        file_name=summary.name,
        size_bytes=summary.size_bytes,
        sha256=summary.sha256,
        status=summary.status,
        submitted_at=summary.submitted_at,
        verdict=summary.verdict,
        coverage=summary.coverage.level,
        finished_at=summary.finished_at,
        deadline_at=summary.deadline_at,
        failure=summary.reason,
        previous_verdict=summary.previous_verdict,
        submitted_by=emails.get(summary.user_id),
    )


def _document(detail: ScanDetail) -> ScanDocument | None:
    if detail.status is not ScanStatus.COMPLETED:
        return None
    finished_at = detail.finished_at or detail.submitted_at
    return ScanDocument(
        scan_id=detail.scan_id,
        submission_id=detail.id,
        started_at=detail.started_at or finished_at,
        finished_at=finished_at,
        verdict=detail.verdict,
        coverage=detail.coverage,
        artifacts=detail.artifacts,
        detectors=detail.detectors,
    )


def _live_progress(progress: Progress | None) -> views.LiveProgress | None:
    if progress is None:
        return None
    return views.LiveProgress(
        phase=_PHASES.get(progress.stage, views.Phase.DETECTING),
        artifacts_done=progress.artifacts_done,
        artifacts_found=progress.artifacts_found,
        findings=progress.findings,
    )
