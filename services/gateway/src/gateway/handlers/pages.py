"""Pages: home, history, scan, and the files that go in and the reports that come out of them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import Field

from gateway import views
from gateway.auth import csrf
from gateway.handlers.answers import attempt, is_partial, page, rows_of, scan_of
from gateway.handlers.bodies import accept_body
from gateway.handlers.dependencies import (
    ClientAddress,
    CurrentContext,
    PathId,
    SignedIn,
    SignedInAndMeant,
    require_meant,
    shell,
)
from gateway.handlers.reports import ReportResponse
from gateway.models.accounts import Action
from gateway.models.api import AcceptedSubmission
from shared.clients import ScanFilter
from shared.errors import ClientError
from shared.events import ReportFormat
from shared.scan import Frozen, Verdict

_HASH_START = re.compile("[0-9a-f]{4,64}")
RECENT = 6
ROWS = 50

router = APIRouter(include_in_schema=False)


@router.get("/")
async def show_home(context: CurrentContext, identity: SignedIn) -> Response:
    """Show the drop zone and the latest submissions."""
    recent = await context.submissions.page(identity.caller, ScanFilter(), cursor=None, limit=RECENT)
    view = views.HomePage(
        shell=shell(context, identity),
        max_file_bytes=context.settings.max_file_bytes,
        recent=await rows_of(context, identity, recent.items),
    )
    return page("pages/home.html", view)


@router.post("/files")
async def submit_file(request: Request, context: CurrentContext, identity: SignedIn) -> Response:
    """Pass a file on; scripts get JSON, a plain form goes to the scan page."""
    body = await accept_body(request, context, identity)
    token = request.headers.get(csrf.HEADER) or await body.first_field(csrf.FIELD)
    require_meant(request, context, identity.session_id, token)
    accepted = AcceptedSubmission.of(await context.submissions.submit(identity.caller, body))
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse(accepted.model_dump(mode="json"), 202)
    return RedirectResponse(accepted.links.page, 303)


class HistoryQuery(Frozen):
    """The filters of the history as its form sends them; one that makes no sense is left out."""

    verdict: str = ""
    name: str = Field(default="", max_length=255)
    sha256: str = Field(default="", max_length=64)
    after: str = ""
    before: str = ""
    cursor: str | None = None

    def filters(self) -> views.SubmissionFilters:
        """Return what can be used of them."""
        return views.SubmissionFilters(
            verdict=Verdict(self.verdict) if self.verdict in set(Verdict) else None,
            name=self.name.strip(),
            sha256=self.sha256.strip().lower(),
            after=_date(self.after),
            before=_date(self.before),
        )


@router.get("/submissions")
async def list_submissions(
    request: Request, context: CurrentContext, identity: SignedIn, query: Annotated[HistoryQuery, Query()]
) -> Response:
    """Show the history, or for htmx its rows only."""
    filters = query.filters()
    found = await context.submissions.page(identity.caller, _conditions(filters), cursor=query.cursor, limit=ROWS)
    part = views.SubmissionRows(
        filters=filters,
        rows=await rows_of(context, identity, found.items),
        next_cursor=found.next_cursor,
        first=query.cursor is None,
    )
    if is_partial(request):
        return page("partials/submission_rows.html", part)
    return page("pages/submissions.html", views.SubmissionsPage(shell=shell(context, identity), **dict(part)))


@router.get("/submissions/{submission_id}")
async def show_submission(context: CurrentContext, identity: SignedIn, submission_id: PathId) -> Response:
    """Show one submission."""
    detail = await context.submissions.detail(identity.caller, submission_id)
    view = views.ScanPage(shell=shell(context, identity), scan=await scan_of(context, identity, detail))
    return page("pages/scan.html", view)


@router.post("/submissions/{submission_id}/rescan")
async def rescan_submission(
    context: CurrentContext, identity: SignedInAndMeant, address: ClientAddress, submission_id: PathId
) -> Response:
    """Have a submission scanned again and go to its page, or say there why not."""
    outcome = await attempt(context.submissions.rescan(identity.caller, submission_id))
    if isinstance(outcome, ClientError) and outcome.status == 404:
        raise outcome
    detail = await context.submissions.detail(identity.caller, submission_id)
    if isinstance(outcome, ClientError):
        frame = shell(context, identity, views.Flash(kind=views.FlashKind.ERROR, text=outcome.message))
        view = views.ScanPage(shell=frame, scan=await scan_of(context, identity, detail))
        return page("pages/scan.html", view, outcome.status)
    await context.accounts.record(identity.user, Action.RESCAN_REQUESTED, address, target=submission_id)
    return RedirectResponse(f"/submissions/{submission_id}", 303)


@router.get("/submissions/{submission_id}/report.{form}")
async def download_report(
    context: CurrentContext, identity: SignedIn, submission_id: PathId, form: ReportFormat
) -> Response:
    """Give the report as a file."""
    return await ReportResponse.open(
        context.submissions.report(identity.caller, submission_id, form), submission_id, form
    )


def _conditions(filters: views.SubmissionFilters) -> ScanFilter:
    return ScanFilter(
        verdict=filters.verdict,
        name=filters.name or None,
        sha256=filters.sha256 if _HASH_START.fullmatch(filters.sha256) else None,
        after=_midnight(filters.after) if filters.after else None,
        before=_midnight(filters.before + timedelta(days=1)) if filters.before else None,
    )


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
