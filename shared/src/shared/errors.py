"""The one tree of errors. It decides the HTTP status, the log level and what happens to a message.

AppError
├── ClientError       4xx  the caller must change something; logged as info; a message is dead-lettered
├── UnavailableError  503  may work later; HTTP gets Retry-After, a message is retried with back-off
└── PermanentError    500  will never work; a message is dead-lettered at once
"""

from __future__ import annotations


class AppError(Exception):
    """An error with a stable code, an HTTP status and a sentence that may be shown to the caller."""

    code = "error"
    status = 500
    title = "Error"

    def __init__(self, message: str, *, retry_after_seconds: int | None = None, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_seconds = retry_after_seconds
        self.details = details


class ClientError(AppError):
    """The request or message is wrong; trying again without a change will not help."""

    code = "bad_request"
    status = 400
    title = "Bad request"


class NotAuthenticatedError(ClientError):
    """Nobody is signed in, or the credentials are wrong or expired."""

    code = "not_authenticated"
    status = 401
    title = "Sign-in needed"


class NotAllowedError(ClientError):
    """The caller is known but may not do this."""

    code = "not_allowed"
    status = 403
    title = "Not allowed"


class NotFoundError(ClientError):
    """There is no such thing, or the caller may not know of it."""

    code = "not_found"
    status = 404
    title = "Not found"


class ConflictError(ClientError):
    """The state of the thing does not allow this."""

    code = "conflict"
    status = 409
    title = "Conflict"


class TooLargeError(ClientError):
    """The body is over the limit."""

    code = "too_large"
    status = 413
    title = "Too large"


class InvalidInputError(ClientError):
    """The request is well-formed, but a value in it cannot be used."""

    code = "invalid_input"
    status = 422
    title = "Invalid input"


class RateLimitedError(ClientError):
    """Too many requests; `retry_after_seconds` says when to come back."""

    code = "rate_limited"
    status = 429
    title = "Too many requests"


class UnavailableError(AppError):
    """Something this depends on is away for now; the same call may work later."""

    code = "unavailable"
    status = 503
    title = "Temporarily unavailable"


class PermanentError(AppError):
    """This will not work however often it is tried."""

    code = "internal"
    status = 500
    title = "Internal error"
