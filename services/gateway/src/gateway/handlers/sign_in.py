"""Signing in and out, and the administrator's one-time link."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from gateway import views
from gateway.context import Context
from gateway.handlers.answers import attempt, page
from gateway.handlers.dependencies import (
    ClientAddress,
    CurrentContext,
    SignedInAndMeant,
    visitor_and_meant,
)
from gateway.models.accounts import MINIMUM_PASSWORD_LENGTH, User
from shared.errors import ClientError

router = APIRouter(include_in_schema=False)

_LOCAL_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")
FormText = Annotated[str, Form(max_length=4096)]


@router.get("/sign-in")
async def show_sign_in(request: Request, context: CurrentContext, next: str = "/") -> Response:  # noqa: A002 - its name in the address
    """Show the form."""
    return _sign_in_page(request, context, next_path=_local_path(next))


@router.post("/sign-in", dependencies=[Depends(visitor_and_meant)])
async def sign_in(
    request: Request,
    context: CurrentContext,
    address: ClientAddress,
    email: FormText = "",
    password: FormText = "",
    next: FormText = "/",  # noqa: A002 - its name in the form
) -> Response:
    """Start a session, or show the form again with what was wrong."""
    outcome = await attempt(context.accounts.sign_in(email, password, address))
    if isinstance(outcome, ClientError):
        return _sign_in_page(request, context, next_path=_local_path(next), email=email[:254], error=outcome)
    return await _start_session(request, context, outcome, _local_path(next))


@router.post("/sign-out")
async def sign_out(context: CurrentContext, identity: SignedInAndMeant, address: ClientAddress) -> Response:
    """End the session."""
    await context.sessions.end(identity.session_id)
    await context.accounts.sign_out(identity.user, address)
    response = RedirectResponse("/sign-in", 303)
    context.cookies.clear_session(response)
    return response


@router.get("/welcome/{token}")
async def show_welcome(request: Request, context: CurrentContext, token: str) -> Response:
    """Show where to set e-mail and password; the link stays usable, because previews of it ask for this, too."""
    user = await context.accounts.link_user(token)
    return _welcome_page(request, context, token, email=user.email if user.password_hash else "")


@router.post("/welcome/{token}", dependencies=[Depends(visitor_and_meant)])
async def use_welcome(
    request: Request,
    context: CurrentContext,
    address: ClientAddress,
    token: str,
    email: FormText = "",
    password: FormText = "",
) -> Response:
    """Set e-mail and password and sign in; the link is spent."""
    outcome = await attempt(context.accounts.use_link(token, email, password, address))
    if isinstance(outcome, ClientError):
        return _welcome_page(request, context, token, email=email[:254], error=outcome)
    return await _start_session(request, context, outcome, "/")


def _sign_in_page(
    request: Request, context: Context, *, next_path: str, email: str = "", error: ClientError | None = None
) -> Response:
    visitor_id = context.cookies.known_or_new_visitor(request)
    view = views.SignInPage(
        shell=views.Shell(csrf_token=context.csrf.issue(visitor_id)),
        email=email,
        error=error.message if error else None,
        next_path=next_path,
    )
    return _form_answer(context, visitor_id, page("pages/sign_in.html", view), error)


def _welcome_page(
    request: Request, context: Context, token: str, *, email: str, error: ClientError | None = None
) -> Response:
    visitor_id = context.cookies.known_or_new_visitor(request)
    view = views.WelcomePage(
        shell=views.Shell(csrf_token=context.csrf.issue(visitor_id)),
        token=token,
        email=email,
        error=error.message if error else None,
        minimum_password_length=MINIMUM_PASSWORD_LENGTH,
    )
    return _form_answer(context, visitor_id, page("pages/welcome.html", view), error)


def _form_answer(context: Context, visitor_id: str, response: Response, error: ClientError | None) -> Response:
    context.cookies.set_visitor(response, visitor_id)
    if error is not None:
        response.status_code = error.status
        if error.retry_after_seconds:
            response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


async def _start_session(request: Request, context: Context, user: User, path: str) -> Response:
    if earlier := context.cookies.session_id(request):
        await context.sessions.end(earlier)
    response = RedirectResponse(path, 303)
    context.cookies.set_session(response, await context.sessions.start(user.id))
    return response


def _local_path(path: str) -> str:
    """Return a path on this server: never another host, whatever was asked for."""
    return path if len(path) <= 2000 and _LOCAL_PATH.fullmatch(path) else "/"
