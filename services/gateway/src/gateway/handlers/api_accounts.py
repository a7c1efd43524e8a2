"""API: access tokens and the key that checks them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form

from gateway.handlers.dependencies import ClientAddress, CurrentContext
from gateway.handlers.problems import problems
from gateway.models.accounts import Action
from gateway.models.api import Token

router = APIRouter(tags=["Access"])


@router.post("/api/v1/auth/token", summary="Get an access token", responses=problems(401, 422, 429, 503))
async def issue_token(
    context: CurrentContext,
    address: ClientAddress,
    username: Annotated[str, Form(max_length=254, description="E-mail of the account.")],
    password: Annotated[str, Form(max_length=4096, json_schema_extra={"format": "password"})],
) -> Token:
    """Exchange e-mail and password for a token that is valid for 15 minutes."""
    user = await context.accounts.sign_in(username, password, address, Action.TOKEN_ISSUED)
    return Token(access_token=context.tokens.issue(user), expires_in=context.tokens.lifetime_seconds)


@router.get("/.well-known/jwks.json", summary="Get the public key of access tokens")
async def read_key_set(context: CurrentContext) -> dict[str, Any]:
    """Return the JSON Web Key Set (RFC 7517) with which anybody can check an access token."""
    return context.tokens.key_set()
