"""Errors as people and programs need them: a page, a way to the sign-in form, or problem details (RFC 9457)."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from gateway import views
from gateway.context import Context
from gateway.edge import add_security_headers
from gateway.handlers.answers import page
from gateway.handlers.dependencies import shell, signed_in
from gateway.models.accounts import Identity
from shared.errors import AppError
from shared.web import log_error, problem_response, to_app_error

_SAID_BY_THE_PAGE = frozenset({"not_found", "method_not_allowed", "error"})


def add_error_answers(app: FastAPI) -> None:
    """Answer every exception of the app in the form that the client asked for."""
    for kind in (AppError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answer)
    app.add_exception_handler(Exception, _answer_to_the_unexpected)


async def _answer(request: Request, exception: Exception) -> Response:
    error = to_app_error(exception)
    log_error(error, exception)
    if not _wants_page(request):
        return problem_response(request, error)
    if error.status == 401:
        return RedirectResponse(_sign_in_path(request), 303)
    return await _error_page(request, error)


async def _answer_to_the_unexpected(request: Request, exception: Exception) -> Response:
    """Answer outside of all middleware, which is where Starlette asks for it."""
    response = await _answer(request, exception)
    response.headers["X-Request-ID"] = _request_id(request)
    add_security_headers(response.headers, request.scope, hsts=request.app.state.settings.is_production)
    return response


async def _error_page(request: Request, error: AppError) -> Response:
    context: Context = request.app.state.context
    frame = shell(context, await _viewer(request, context, error))
    detail = None if error.code in _SAID_BY_THE_PAGE else error.message
    view = views.error_page(frame, error.status, _request_id(request), detail, error.retry_after_seconds)
    response = page("pages/error.html", view, error.status)
    if error.retry_after_seconds:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


async def _viewer(request: Request, context: Context, error: AppError) -> Identity | None:
    """Return who is signed in; where no page was found nobody has asked yet."""
    known: Identity | None = getattr(request.state, "identity", None)
    if known is not None or error.status not in {404, 405}:
        return known
    try:
        return await signed_in(request, context)
    except AppError:
        return None


def _wants_page(request: Request) -> bool:
    is_page_path = not request.url.path.startswith(("/api/", "/.well-known/"))
    return is_page_path and "hx-request" not in request.headers and "text/html" in request.headers.get("accept", "")


def _sign_in_path(request: Request) -> str:
    if request.method != "GET" or request.url.path == "/":
        return "/sign-in"
    query = f"?{request.url.query}" if request.url.query else ""
    return f"/sign-in?next={quote(request.url.path + query, safe='/')}"


def _request_id(request: Request) -> str:
    return str(getattr(request.state, "request_id", ""))
