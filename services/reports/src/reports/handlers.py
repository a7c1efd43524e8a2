"""HTTP in: a report of a submission in one of its formats."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import StreamingResponse
from starlette.status import HTTP_304_NOT_MODIFIED

from reports.context import Context
from reports.models import MEDIA_TYPES
from shared.events import ReportFormat
from shared.web import VerifiedCaller

router = APIRouter(prefix="/internal/v1")


def current_context(request: Request) -> Context:
    """Return the process-wide context."""
    context: Context = request.app.state.context
    return context


CurrentContext = Annotated[Context, Depends(current_context)]


@router.get("/submissions/{submission_id}/report.{form}", response_class=Response)
async def read_report(
    submission_id: str,
    form: ReportFormat,
    caller: VerifiedCaller,
    context: CurrentContext,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return the report, made now if it was not made before."""
    report = await context.service.get_report(caller, submission_id, form)
    headers = {"ETag": f'"{report.sha256}"', "Cache-Control": "private, no-cache"}
    if if_none_match == headers["ETag"]:
        return Response(status_code=HTTP_304_NOT_MODIFIED, headers=headers)
    headers["Content-Length"] = str(report.size_bytes)
    return StreamingResponse(context.objects.stream(report.key), media_type=MEDIA_TYPES[form], headers=headers)
