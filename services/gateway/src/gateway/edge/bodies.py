"""Bodies of requests: small ones are bounded, and an answer that comes before the end of one can be read.

An answer to an upload can be ready while the client still sends. Closing then makes TCP reset
the connection, and the client may never see the answer; so the rest is read and thrown away
for a while first (RFC 9112, section 9.6).
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import TooLargeError
from shared.web import problem_response

SMALL_BODY_BYTES = 1 << 20
LINGER_SECONDS = 30.0
LINGER_IDLE_SECONDS = 5.0
UPLOAD_PATHS = frozenset({"/files", "/api/v1/files"})


class BodyLimitMiddleware:
    """Refuses bodies over 1 MiB everywhere but where files come in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UPLOAD_PATHS:
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if length.isascii() and length.isdigit() and int(length) > SMALL_BODY_BYTES:
            await problem_response(Request(scope), _too_large())(scope, receive, send)
            return
        received_bytes = 0

        async def receive_counted() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > SMALL_BODY_BYTES:
                raise _too_large()
            return message

        await self._app(scope, receive_counted, send)


def _too_large() -> TooLargeError:
    return TooLargeError(f"The limit here is {SMALL_BODY_BYTES:,} bytes.")


class LingeringCloseMiddleware:
    """Where files come in: an answer before the end of the body is followed by reading the rest, then closing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            exchange = _Exchange(scope, receive, send)
            await self._app(scope, exchange.receive, exchange.send)
        else:
            await self._app(scope, receive, send)


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._body_asked_for = Headers(scope=scope).get("expect", "").lower() != "100-continue"
        self._body_ended = False
        self._lingers = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._body_asked_for = True
        self._body_ended = message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._look_for_the_end()
            self._lingers = not self._body_ended
            if self._lingers:
                MutableHeaders(scope=message)["Connection"] = "close"
        if not self._lingers or message.get("more_body", False) or message["type"] == "http.response.start":
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        if self._body_asked_for:
            await self._throw_rest_away()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _look_for_the_end(self) -> None:
        """Notice a body that is already here to its end, or empty, so that its connection is kept."""
        if self._body_ended or not self._body_asked_for:
            return
        try:
            async with asyncio.timeout(0):
                await self.receive()
        except TimeoutError:
            return

    async def _throw_rest_away(self) -> None:
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._body_ended:
                    async with asyncio.timeout(LINGER_IDLE_SECONDS):
                        await self.receive()
        except TimeoutError:
            return
