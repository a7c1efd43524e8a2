"""Which errors a route answers, for the API documentation."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from shared.web import Problem

_MEANINGS = {
    400: "The body is not a form with one file, or it ended early.",
    401: "No valid access token or session.",
    403: "Only an administrator may do this, or a session was used without its CSRF token.",
    404: "There is no such thing, or you may not know of it.",
    409: "The present state does not allow it: a scan or a rescan has not ended yet.",
    411: "The length of the body was not announced.",
    413: "The file is over the limit.",
    422: "A value cannot be used; `errors` says which.",
    429: "Too many requests; `Retry-After` says when to come back.",
    503: "A part of Fumehood is away for now; try again.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of these error answers, which are problem details (RFC 9457)."""
    return {
        status: {"model": Problem, "description": f"{HTTPStatus(status).phrase}: {_MEANINGS[status]}"}
        for status in statuses
    }
