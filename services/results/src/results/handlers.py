"""HTTP in: submissions with the state of their scans, what is known of some bytes, rescans, shadows."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import Field

from results.context import Context
from shared.clients.comparison import Comparison, ComparisonQuery, ShadowVersion
from shared.clients.filters import ScanFilter
from shared.clients.rescans import RescanAct, RescanEstimate, RescanJob
from shared.clients.results import FileSummary, ScanDetail, ScanPage
from shared.web import VerifiedCaller

router = APIRouter(prefix="/internal/v1")


def current_context(request: Request) -> Context:
    """Return the process-wide context."""
    context: Context = request.app.state.context
    return context


class ScanQuery(ScanFilter):
    """The query of a list: a filter, and which page of what it lets through."""

    cursor: str | None = Field(default=None, max_length=200)
    limit: int = Field(default=50, ge=1, le=100)


CurrentContext = Annotated[Context, Depends(current_context)]
Sha256 = Annotated[str, Path(pattern=r"^[0-9a-fA-F]{64}$")]


@router.get("/submissions")
async def list_submissions(
    query: Annotated[ScanQuery, Query()], caller: VerifiedCaller, context: CurrentContext
) -> ScanPage:
    """Return one page of the caller's submissions, newest first."""
    return await context.service.list_scans(caller, query, cursor=query.cursor, limit=query.limit)


@router.get("/submissions/{submission_id}")
async def read_submission(submission_id: str, caller: VerifiedCaller, context: CurrentContext) -> ScanDetail:
    """Return one submission with everything that its latest scan found."""
    return await context.service.get_scan(caller, submission_id)


@router.post("/submissions/{submission_id}/rescan", status_code=202)
async def rescan_submission(submission_id: str, caller: VerifiedCaller, context: CurrentContext) -> None:
    """Have one submission scanned again."""
    await context.rescans.rescan(caller, submission_id)


@router.post("/rescans/estimate")
async def estimate_rescan(where: ScanFilter, caller: VerifiedCaller, context: CurrentContext) -> RescanEstimate:
    """Return what a job over these submissions would do."""
    return await context.rescans.estimate(caller, where)


@router.post("/rescans", status_code=201)
async def start_rescan(where: ScanFilter, caller: VerifiedCaller, context: CurrentContext) -> RescanJob:
    """Begin a job."""
    return await context.rescans.start(caller, where)


@router.get("/rescans/latest")
async def read_latest_rescan(caller: VerifiedCaller, context: CurrentContext) -> RescanJob:
    """Return the job that was made last."""
    return await context.rescans.latest(caller)


@router.post("/rescans/{rescan_id}/{act}")
async def change_rescan(rescan_id: str, act: RescanAct, caller: VerifiedCaller, context: CurrentContext) -> RescanJob:
    """Pause, resume or cancel a job."""
    return await context.rescans.change(caller, rescan_id, act)


@router.get("/shadows")
async def list_shadows(caller: VerifiedCaller, context: CurrentContext) -> list[ShadowVersion]:
    """Return the versions that ran in shadow."""
    return await context.comparison.list_shadows(caller)


@router.get("/shadows/{detector}")
async def compare_shadow(
    detector: str, query: Annotated[ComparisonQuery, Query()], caller: VerifiedCaller, context: CurrentContext
) -> Comparison:
    """Compare a detector in shadow with the live ones."""
    return await context.comparison.compare(caller, detector, query)


@router.get("/files/{sha256}")
async def read_file(sha256: Sha256, caller: VerifiedCaller, context: CurrentContext) -> FileSummary:
    """Return what is known of some bytes."""
    return await context.service.get_file(caller, sha256.lower())
