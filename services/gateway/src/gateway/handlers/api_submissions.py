"""API: submissions and their reports."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from gateway.handlers.dependencies import ApiIdentity, ClientAddress, CurrentContext, PathId
from gateway.handlers.problems import problems
from gateway.handlers.reports import ReportResponse
from gateway.models.accounts import Action
from gateway.models.api import SubmissionAnswer, SubmissionList
from shared.clients import ScanFilter
from shared.events import ReportFormat

router = APIRouter(prefix="/api/v1/submissions", tags=["Submissions"])


class SubmissionQuery(ScanFilter):
    """Which submissions to list, and which page of them."""

    cursor: Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before.")] = None
    limit: Annotated[int, Query(ge=1, le=100)] = 50


_REPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report.",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/html": {"schema": {"type": "string"}},
            "application/pdf": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.get("", summary="List submissions", responses=problems(401, 422, 429, 503))
async def list_submissions(
    context: CurrentContext, identity: ApiIdentity, query: Annotated[SubmissionQuery, Query()]
) -> SubmissionList:
    """Return your submissions, newest first; administrators get everyone's."""
    where = ScanFilter(**query.model_dump(exclude={"cursor", "limit"}))
    found = await context.submissions.page(identity.caller, where, cursor=query.cursor, limit=query.limit)
    return SubmissionList.of(found)


@router.get("/{submission_id}", summary="Get a submission", responses=problems(401, 404, 422, 429, 503))
async def read_submission(
    context: CurrentContext,
    identity: ApiIdentity,
    submission_id: PathId,
    wait: Annotated[
        float,
        Query(ge=0, le=60, description="Answer when no scan of it is open, at the latest after this many seconds."),
    ] = 0,
) -> SubmissionAnswer:
    """Return status, verdict, coverage, and every artifact with its findings."""
    return SubmissionAnswer.of(await context.submissions.wait(identity.caller, submission_id, wait))


@router.post(
    "/{submission_id}/rescan",
    status_code=202,
    summary="Scan a submission again",
    responses=problems(401, 403, 404, 409, 422, 429, 503),
)
async def rescan_submission(
    context: CurrentContext, identity: ApiIdentity, address: ClientAddress, submission_id: PathId
) -> SubmissionAnswer:
    """Have it scanned with the detectors of today. The present verdict stays until the new scan has completed.

    The answer has the new scan as `rescan`; read the submission with `wait` until that is null.
    """
    await context.submissions.rescan(identity.caller, submission_id)
    await context.accounts.record(identity.user, Action.RESCAN_REQUESTED, address, target=submission_id)
    return SubmissionAnswer.of(await context.submissions.detail(identity.caller, submission_id))


@router.get(
    "/{submission_id}/report.{form}",
    summary="Download a report",
    response_class=Response,
    responses=_REPORT | problems(401, 404, 409, 422, 429, 503),
)
async def download_report(
    context: CurrentContext, identity: ApiIdentity, submission_id: PathId, form: ReportFormat
) -> Response:
    """Return the report of the scan that counts as JSON, self-contained HTML or PDF."""
    return await ReportResponse.open(
        context.submissions.report(identity.caller, submission_id, form), submission_id, form
    )
