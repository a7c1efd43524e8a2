"""HTTP in: submissions with the state of their scans, and what is known of some bytes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import Field

from results.context import Context
from shared.clients.results import FileSummary, ScanDetail, ScanFilter, ScanPage
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


@router.get("/files/{sha256}")
async def read_file(sha256: Sha256, caller: VerifiedCaller, context: CurrentContext) -> FileSummary:
    """Return what is known of some bytes."""
    return await context.service.get_file(caller, sha256.lower())
