"""Headers that make browsers refuse what these pages never do (OWASP Secure Headers Project)."""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HSTS = "max-age=63072000; includeSubDomains"
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")
_FIXED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class SecurityHeadersMiddleware:
    """Adds the headers to every answer that does not bring its own."""

    def __init__(self, app: ASGIApp, *, hsts: bool) -> None:
        self._app = app
        self._hsts = hsts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_security_headers(MutableHeaders(scope=message), scope, hsts=self._hsts)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def add_security_headers(headers: MutableHeaders, scope: Scope, *, hsts: bool) -> None:
    """Set what is not set yet. Pages are private, so nothing is stored by default."""
    for name, value in _FIXED.items():
        headers.setdefault(name, value)
    headers.setdefault("Content-Security-Policy", _content_security_policy(Headers(scope=scope).get("host", "")))
    headers.setdefault("Cache-Control", "no-store")
    if hsts:
        headers.setdefault("Strict-Transport-Security", HSTS)


def _content_security_policy(host: str) -> str:
    # Older browsers do not count WebSockets to the same host as 'self'.
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"connect-src 'self'{sockets}; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
