"""Reports on their way out, streamed; nothing in them can act in the browser."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Self

import httpx
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from shared.events import ReportFormat

_MEDIA_TYPES = {
    ReportFormat.JSON: "application/json",
    ReportFormat.HTML: "text/html; charset=utf-8",
    ReportFormat.PDF: "application/pdf",
}
_SANDBOX = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'none'"
)


class ReportResponse(StreamingResponse):
    """A report that is passed through; its connection is closed when the answer ends, however it ends."""

    def __init__(self, answer: httpx.Response, stack: AsyncExitStack, submission_id: str, form: ReportFormat) -> None:
        place = "inline" if form is ReportFormat.HTML else "attachment"
        headers = {
            # The name is made from our id: a file's own name could be anything.
            "Content-Disposition": f'{place}; filename="fumehood-{submission_id}.{form.value}"',
            "Content-Security-Policy": _SANDBOX,
        }
        if "content-length" in answer.headers and "content-encoding" not in answer.headers:
            headers["Content-Length"] = answer.headers["content-length"]
        super().__init__(answer.aiter_bytes(), headers=headers, media_type=_MEDIA_TYPES[form])
        self._stack = stack

    @classmethod
    async def open(
        cls, report: AbstractAsyncContextManager[httpx.Response], submission_id: str, form: ReportFormat
    ) -> Self:
        """Return the answer once the reports service has begun to send. Raises the problem that it answers."""
        stack = AsyncExitStack()
        return cls(await stack.enter_async_context(report), stack, submission_id, form)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._stack:
            await super().__call__(scope, receive, send)
