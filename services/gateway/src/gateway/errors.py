"""Errors that only the gateway raises."""

from __future__ import annotations

from shared.errors import ClientError, NotAllowedError, NotAuthenticatedError, NotFoundError


class WrongCredentialsError(NotAuthenticatedError):
    """E-mail and password do not belong together; which of them is wrong is not said."""

    code = "wrong_credentials"
    title = "Sign-in failed"


class CsrfError(NotAllowedError):
    """A request of a browser that does not prove to come from one of our own pages."""

    code = "csrf"
    title = "Page out of date"


class LinkSpentError(NotFoundError):
    """A one-time link that is unknown, used or expired."""

    code = "link_spent"
    title = "This link is spent"


class BrokenUploadError(ClientError):
    """The body ended early, came too slowly or has no length."""

    code = "broken_upload"
    title = "Broken upload"


class LengthRequiredError(ClientError):
    """A body was announced neither by Content-Length nor by Transfer-Encoding."""

    code = "length_required"
    status = 411
    title = "Length required"
