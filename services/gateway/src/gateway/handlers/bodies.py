"""Taking up an upload: its limits are checked before a byte of it is read."""

from __future__ import annotations

from fastapi import Request

from gateway.context import Context
from gateway.models.accounts import Identity
from gateway.upload_body import UploadBody


async def accept_body(request: Request, context: Context, identity: Identity) -> UploadBody:
    """Return the request's body, unread. Raises RateLimitedError, TooLargeError, LengthRequiredError."""
    await context.limits.count(context.upload_limit, identity.user.id)
    return UploadBody(
        request.stream(),
        request.headers,
        max_file_bytes=context.settings.max_file_bytes,
        idle_seconds=context.settings.upload_idle_seconds,
    )
