"""HTTP in: multipart uploads from the gateway, submissions by id."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from starlette.status import HTTP_202_ACCEPTED

from shared.clients.upload import Submission
from shared.web import VerifiedCaller
from upload.context import Context
from upload.receive import receive_file

router = APIRouter(prefix="/internal/v1")


def current_context(request: Request) -> Context:
    """Return the process-wide context."""
    context: Context = request.app.state.context
    return context


CurrentContext = Annotated[Context, Depends(current_context)]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]


@router.post("/files", status_code=HTTP_202_ACCEPTED)
async def create_submission(
    request: Request, caller: VerifiedCaller, context: CurrentContext, idempotency_key: IdempotencyKey = None
) -> Submission:
    """Take a multipart body with one part `file`; the answer means that the bytes are safe."""
    async with receive_file(request, context.objects.spool_directory(), context.settings) as received:
        return await context.service.accept(caller, received, idempotency_key)


@router.get("/submissions/{submission_id}")
async def read_submission(submission_id: str, caller: VerifiedCaller, context: CurrentContext) -> Submission:
    """Return one submission."""
    return await context.service.get_submission(caller, submission_id)
