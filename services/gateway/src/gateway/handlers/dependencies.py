"""What handlers ask for: the context, who is calling, and proof that a browser's request is meant."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request
from fastapi.security import OAuth2PasswordBearer
from starlette.datastructures import UploadFile
from starlette.requests import HTTPConnection

from gateway import views
from gateway.auth import csrf
from gateway.auth.limits import network_of
from gateway.context import Context
from gateway.errors import CsrfError
from gateway.models.accounts import Identity
from shared.errors import NotAllowedError, NotAuthenticatedError
from shared.web import Role

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")

PathId = Annotated[str, Path(pattern="^[A-Za-z0-9-]{1,64}$")]
"""An id in an address. It becomes part of an internal address, so nothing else may be in it."""

bearer = OAuth2PasswordBearer(
    "/api/v1/auth/token",
    scheme_name="AccessToken",
    description="An access token from `POST /api/v1/auth/token`, valid for 15 minutes.",
    auto_error=False,
)


def current_context(connection: HTTPConnection) -> Context:
    """Return the process-wide context."""
    context: Context = connection.app.state.context
    return context


CurrentContext = Annotated[Context, Depends(current_context)]


def client_address(connection: HTTPConnection) -> str:
    """Return the address that the request comes from; behind trusted proxies the one that they saw."""
    return connection.client.host if connection.client else "unknown"


ClientAddress = Annotated[str, Depends(client_address)]


async def signed_in(connection: HTTPConnection, context: CurrentContext) -> Identity:
    """Return who is signed in in this browser. Raises NotAuthenticatedError."""
    session_id = context.cookies.session_id(connection)
    session = await context.sessions.find(session_id) if session_id else None
    if session is None:
        raise NotAuthenticatedError("Sign in to go on.")
    identity = Identity(await context.accounts.active_user(session.user_id, session.started_at), session_id)
    connection.state.identity = identity
    return identity


SignedIn = Annotated[Identity, Depends(signed_in)]


async def require_session(connection: HTTPConnection, context: Context) -> None:
    """Raise NotAuthenticatedError if the session has ended; an open socket does not keep it alive."""
    session = await context.sessions.find(context.cookies.session_id(connection), keep_alive=False)
    if session is None:
        raise NotAuthenticatedError("Sign in to go on.")
    await context.accounts.active_user(session.user_id, session.started_at)


async def signed_in_and_meant(request: Request, context: CurrentContext, identity: SignedIn) -> Identity:
    """Return who is signed in and sent this form. Raises NotAuthenticatedError, CsrfError."""
    require_meant(request, context, identity.session_id, await _given_token(request))
    return identity


SignedInAndMeant = Annotated[Identity, Depends(signed_in_and_meant)]


async def visitor_and_meant(request: Request, context: CurrentContext) -> None:
    """Raise CsrfError unless the form comes from a page that we gave to this browser before sign-in."""
    require_meant(request, context, context.cookies.visitor_id(request), await _given_token(request))


async def api_identity(
    request: Request, context: CurrentContext, address: ClientAddress, token: Annotated[str | None, Depends(bearer)]
) -> Identity:
    """Return who calls the API, by Bearer token or else by session. Raises NotAuthenticatedError, RateLimitedError."""
    try:
        identity = await _identify(request, context, token)
    except NotAuthenticatedError:
        await context.limits.count(context.request_limit, network_of(address))
        raise
    await context.limits.count(context.request_limit, identity.user.id)
    return identity


ApiIdentity = Annotated[Identity, Depends(api_identity)]


async def administrator(identity: SignedIn) -> Identity:
    """Return the administrator who is signed in in this browser. Raises NotAllowedError for others."""
    return _require_administrator(identity)


Administrator = Annotated[Identity, Depends(administrator)]


async def api_administrator(identity: ApiIdentity) -> Identity:
    """Return the administrator who calls the API. Raises NotAllowedError for others."""
    return _require_administrator(identity)


ApiAdministrator = Annotated[Identity, Depends(api_administrator)]


def require_meant(request: Request, context: Context, cookie_value: str, token: str) -> None:
    """Raise CsrfError unless the token belongs to the cookie and the browser names no other site as the sender."""
    foreign = csrf.is_foreign(request.headers, context.settings.public_url)
    if foreign or not context.csrf.matches(cookie_value, token):
        raise CsrfError(
            "This page is out of date or the request came from another site. Reload the page and try again."
        )


def shell(context: Context, identity: Identity | None, *flashes: views.Flash) -> views.Shell:
    """Return what surrounds a page for this viewer."""
    if identity is None or not identity.session_id:
        return views.Shell(csrf_token="", flashes=flashes)
    viewer = views.Viewer(email=identity.user.email, is_admin=identity.user.role is Role.ADMIN)
    return views.Shell(csrf_token=context.csrf.issue(identity.session_id), viewer=viewer, flashes=flashes)


def _require_administrator(identity: Identity) -> Identity:
    if identity.user.role is not Role.ADMIN:
        raise NotAllowedError("Only an administrator may do this.")
    return identity


async def _identify(request: Request, context: Context, token: str | None) -> Identity:
    if token:
        return Identity(await context.accounts.active_user(*context.tokens.read(token)))
    identity = await signed_in(request, context)
    if request.method not in SAFE_METHODS:
        require_meant(request, context, identity.session_id, request.headers.get(csrf.HEADER, ""))
    return identity


async def _given_token(request: Request) -> str:
    if header := request.headers.get(csrf.HEADER):
        return header
    if not request.headers.get("content-type", "").lower().startswith(_FORM_TYPES):
        return ""
    field = (await request.form()).get(csrf.FIELD, "")
    return "" if isinstance(field, UploadFile) else field
