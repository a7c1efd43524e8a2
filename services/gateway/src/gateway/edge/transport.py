"""In production nothing travels without TLS; and where hosts are named, no other is answered."""

from __future__ import annotations

from collections.abc import Collection

from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.errors import AppError, ClientError
from shared.web import problem_response

_PROBES = frozenset({"/healthz", "/readyz"})
_SECURE_SCHEMES = frozenset({"https", "wss"})


class TransportSecurityMiddleware:
    """Refuses unknown hosts, and in production what came without TLS; probes may come from anywhere."""

    def __init__(self, app: ASGIApp, *, https_only: bool, allowed_hosts: Collection[str]) -> None:
        self._app = app
        self._https_only = https_only
        self._allowed_hosts = {host.lower() for host in allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or scope["path"] in _PROBES:
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(HTTPConnection(scope))
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._answer(Request(scope), refusal)(scope, receive, send)

    def _refusal(self, connection: HTTPConnection) -> AppError | None:
        if self._allowed_hosts and (connection.url.hostname or "") not in self._allowed_hosts:
            error = ClientError("This server does not answer under that host name.")
            error.status, error.code, error.title = 421, "wrong_host", "Misdirected request"
            return error
        if self._https_only and connection.url.scheme not in _SECURE_SCHEMES:
            error = ClientError("This server takes requests over HTTPS only.")
            error.status, error.code, error.title = 403, "https_required", "HTTPS required"
            return error
        return None

    def _answer(self, request: Request, refusal: AppError) -> Response:
        if refusal.code == "https_required" and request.method in {"GET", "HEAD"}:
            return RedirectResponse(str(request.url.replace(scheme="https")), 308)
        return problem_response(request, refusal)
