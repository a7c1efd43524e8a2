"""The reports service as others see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from shared.clients.base import ServiceClient
from shared.events import ReportFormat
from shared.web.tokens import Caller

# A PDF of thousands of artifacts takes its time.
RENDERING_TIMEOUT = httpx.Timeout(30.0, connect=5.0, read=120.0)


class ReportsClient(ServiceClient):
    """GET /internal/v1/submissions/{id}/report.{format}."""

    @asynccontextmanager
    async def open_report(
        self, caller: Caller, submission_id: str, form: ReportFormat
    ) -> AsyncIterator[httpx.Response]:
        """Give the report as a streamed answer with Content-Type and Content-Length.

        It is made now if it was not made before. Raises NotFoundError's problem, or
        ConflictError's while the scan has not ended.
        """
        path = f"/internal/v1/submissions/{submission_id}/report.{form.value}"
        async with self._stream(caller, "GET", path, timeout=RENDERING_TIMEOUT) as answer:
            yield answer
