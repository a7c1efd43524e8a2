"""API: files in, and what is known of bytes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request, Response

from gateway.handlers.bodies import accept_body
from gateway.handlers.dependencies import ApiIdentity, CurrentContext
from gateway.handlers.problems import problems
from gateway.models.api import AcceptedSubmission, FileAnswer

router = APIRouter(prefix="/api/v1/files", tags=["Files"])

_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "The file to scan."},
                        "password": {"type": "string", "description": "Tried on encrypted archives; may be repeated."},
                    },
                }
            }
        },
    }
}
Sha256 = Annotated[str, Path(pattern="^[0-9a-fA-F]{64}$", description="SHA-256 of the bytes, hexadecimal.")]


@router.post(
    "",
    status_code=202,
    summary="Submit a file",
    responses=problems(400, 401, 403, 411, 413, 422, 429, 503),
    openapi_extra=_FORM,
)
async def submit_file(
    request: Request,
    response: Response,
    context: CurrentContext,
    identity: ApiIdentity,
    idempotency_key: Annotated[  # noqa: ARG001 - documented here, passed on by the body
        str | None, Header(description="The same key and file give the same submission, so a retry is safe.")
    ] = None,
) -> AcceptedSubmission:
    """Stream one file in. `202` means that its bytes are safely stored and that it will be scanned."""
    body = await accept_body(request, context, identity)
    accepted = AcceptedSubmission.of(await context.submissions.submit(identity.caller, body))
    response.headers["Location"] = accepted.links.self
    return accepted


@router.get("/{sha256}", summary="Look bytes up", responses=problems(401, 404, 422, 429, 503))
async def read_file(context: CurrentContext, identity: ApiIdentity, sha256: Sha256) -> FileAnswer:
    """Return the latest verdict on these bytes, and your submissions of them."""
    return FileAnswer.of(await context.submissions.file(identity.caller, sha256.lower()))
