"""The two cookies of a browser: its session, and before sign-in a visitor's id that CSRF tokens are bound to."""

from __future__ import annotations

import secrets

from fastapi import Response
from starlette.requests import HTTPConnection


class Cookies:
    """Names and flags. In production the prefix __Host- keeps other hosts from setting them (RFC 6265bis)."""

    def __init__(self, *, secure: bool, lifetime_seconds: int) -> None:
        prefix = "__Host-" if secure else ""
        self._secure = secure
        self._lifetime_seconds = lifetime_seconds
        self._session = f"{prefix}fumehood-session"
        self._visitor = f"{prefix}fumehood-visitor"

    def session_id(self, connection: HTTPConnection) -> str:
        """Return the session id that the browser sent, or nothing."""
        return connection.cookies.get(self._session, "")

    def visitor_id(self, connection: HTTPConnection) -> str:
        """Return the visitor's id that the browser sent, or nothing."""
        return connection.cookies.get(self._visitor, "")

    def known_or_new_visitor(self, connection: HTTPConnection) -> str:
        """Return the visitor's id that the browser sent, or a new one (256 random bits)."""
        return self.visitor_id(connection) or secrets.token_urlsafe(32)

    def set_session(self, response: Response, session_id: str) -> None:
        """Make the browser keep the session."""
        self._set(response, self._session, session_id, self._lifetime_seconds)

    def set_visitor(self, response: Response, visitor_id: str) -> None:
        """Make the browser keep the visitor's id until it closes."""
        self._set(response, self._visitor, visitor_id, None)

    def clear_session(self, response: Response) -> None:
        """Make the browser forget the session."""
        response.delete_cookie(self._session, path="/", secure=self._secure, httponly=True, samesite="lax")

    def _set(self, response: Response, name: str, value: str, max_age: int | None) -> None:
        response.set_cookie(name, value, max_age=max_age, path="/", secure=self._secure, httponly=True, samesite="lax")
