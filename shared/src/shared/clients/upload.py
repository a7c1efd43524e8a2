"""The upload service as others see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import httpx
from pydantic import Field

from shared.clients.base import ServiceClient
from shared.scan import Frozen
from shared.web.tokens import Caller

# After the last byte the service hashes, syncs and stores a large file before it answers.
STORING_TIMEOUT = httpx.Timeout(30.0, connect=5.0, read=300.0)


class Submission(Frozen):
    """One accepted file. `id` follows it everywhere."""

    id: str
    scan_id: str
    user_id: str
    name: str = Field(description="File name as submitted; untrusted.")
    sha256: str
    size_bytes: int
    accepted_at: datetime
    deadline_at: datetime


class UploadClient(ServiceClient):
    """POST /internal/v1/files, GET /internal/v1/submissions/{id}."""

    async def upload(self, caller: Caller, body: AsyncIterator[bytes], headers: dict[str, str]) -> Submission:
        """Pass a multipart body through as it arrives.

        `headers` holds Content-Type, Content-Length where the sender gave one, and
        Idempotency-Key. Raises TooLargeError's and the other problems that the service answers.
        """
        answer = await self._call(
            caller, "POST", "/internal/v1/files", content=body, headers=headers, timeout=STORING_TIMEOUT
        )
        return Submission.model_validate_json(answer.content)

    async def get_submission(self, caller: Caller, submission_id: str) -> Submission:
        """Return a submission that the caller may see. Raises NotFoundError's problem otherwise."""
        answer = await self._call(caller, "GET", f"/internal/v1/submissions/{submission_id}")
        return Submission.model_validate_json(answer.content)
