"""API: jobs that scan past submissions again."""

from __future__ import annotations

from fastapi import APIRouter

from gateway.handlers.dependencies import ApiAdministrator, ClientAddress, CurrentContext, PathId
from gateway.handlers.problems import problems
from gateway.models.accounts import Action
from shared.clients import RescanAct, RescanEstimate, RescanJob, ScanFilter

router = APIRouter(prefix="/api/v1/rescans", tags=["Administration"])


@router.post(
    "", status_code=201, summary="Scan past submissions again", responses=problems(401, 403, 409, 422, 429, 503)
)
async def start_rescan(
    context: CurrentContext, identity: ApiAdministrator, address: ClientAddress, filters: ScanFilter
) -> RescanJob:
    """Begin a job over all submissions that match, latest first, a few at a time beside what is uploaded.

    One job at a time. It goes on by itself, after a restart too.
    """
    job = await context.results.start_rescan(identity.caller, filters)
    await context.accounts.record(identity.user, Action.RESCAN_REQUESTED, address, target=job.id)
    return job


@router.post("/estimate", summary="Count what a rescan would do", responses=problems(401, 403, 422, 429, 503))
async def estimate_rescan(context: CurrentContext, identity: ApiAdministrator, filters: ScanFilter) -> RescanEstimate:
    """Return how many submissions a job would scan again, and begin none."""
    return await context.results.estimate_rescan(identity.caller, filters)


@router.get("/latest", summary="Get the latest rescan", responses=problems(401, 403, 404, 429, 503))
async def read_latest_rescan(context: CurrentContext, identity: ApiAdministrator) -> RescanJob:
    """Return the job that was made last, with how far it is."""
    return await context.results.latest_rescan(identity.caller)


@router.post(
    "/{rescan_id}/{act}",
    summary="Pause, resume or cancel a rescan",
    responses=problems(401, 403, 404, 409, 422, 429, 503),
)
async def change_rescan(
    context: CurrentContext, identity: ApiAdministrator, address: ClientAddress, rescan_id: PathId, act: RescanAct
) -> RescanJob:
    """Change a job that is not over. What it has asked for already is scanned all the same."""
    job = await context.results.change_rescan(identity.caller, rescan_id, act)
    await context.accounts.record(identity.user, Action.RESCAN_CHANGED, address, target=f"{act.value} {rescan_id}")
    return job
