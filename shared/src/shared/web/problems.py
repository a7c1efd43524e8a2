"""Errors as RFC 9457 problem details: the one place where an exception becomes an HTTP answer."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from shared.errors import AppError, ClientError

logger = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """The body of every error answer (RFC 9457). `code` is stable; `detail` is for people."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None = None


def problem_response(request: Request, error: AppError) -> JSONResponse:
    """Return the answer for an error."""
    problem = Problem(
        type=f"urn:fumehood:problem:{error.code}",
        title=error.title,
        status=error.status,
        detail=error.message,
        code=error.code,
        request_id=getattr(request.state, "request_id", None),
        **error.details,
    )
    headers = {"Retry-After": str(error.retry_after_seconds)} if error.retry_after_seconds else {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(problem.model_dump(mode="json"), error.status, headers, MEDIA_TYPE)


def to_app_error(exception: Exception) -> AppError:
    """Return the error to answer with; what is not ours becomes an internal error without details."""
    if isinstance(exception, AppError):
        return exception
    if isinstance(exception, RequestValidationError):
        return _invalid(exception)
    if isinstance(exception, HTTPException):
        return _from_status(exception)
    return AppError("Something went wrong on our side. Try again; if it stays, tell the administrator the request id.")


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every exception of the app with problem details."""

    async def handle(request: Request, exception: Exception) -> JSONResponse:
        error = to_app_error(exception)
        log_error(error, exception)
        return problem_response(request, error)

    for kind in (AppError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, handle)


def log_error(error: AppError, exception: Exception) -> None:
    """Log what the caller did wrong as info, what we did wrong with its traceback."""
    if isinstance(error, ClientError):
        logger.info("request refused", extra={"code": error.code, "detail": error.message})
    else:
        logger.error("request failed", extra={"code": error.code}, exc_info=exception)


def _invalid(exception: RequestValidationError) -> ClientError:
    errors: list[dict[str, Any]] = [
        {"field": ".".join(str(part) for part in item["loc"]), "message": item["msg"]} for item in exception.errors()
    ]
    error = ClientError("; ".join(f"{item['field']}: {item['message']}" for item in errors[:5]), errors=errors)
    error.code, error.status, error.title = "invalid_input", 422, "Invalid input"
    return error


def _from_status(exception: HTTPException) -> AppError:
    error = (ClientError if exception.status_code < 500 else AppError)(str(exception.detail))
    error.status = exception.status_code
    error.title = str(exception.detail)
    if exception.status_code in {404, 405}:
        error.code = "not_found" if exception.status_code == 404 else "method_not_allowed"
        error.message = f"{exception.detail}. See /docs for what there is."
    return error
