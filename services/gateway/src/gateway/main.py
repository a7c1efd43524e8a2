"""Composition root of the gateway: `python -m gateway.main` is the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from redis.asyncio import Redis

from gateway.auth.passwords import Passwords
from gateway.auth.tokens import AccessTokens, is_signing_key_kept, load_signing_key
from gateway.config import Settings
from gateway.context import Context, Transports, open_accounts, open_context
from gateway.edge import (
    BodyLimitMiddleware,
    LingeringCloseMiddleware,
    SecurityHeadersMiddleware,
    TransportSecurityMiddleware,
)
from gateway.handlers import ROUTERS, add_error_answers, add_static_files
from shared.messaging import Bus, running_bus
from shared.web import create_service_app, run_service


def create_app(
    settings: Settings,
    bus: Bus | None = None,
    transports: Transports | None = None,
    cache: Redis | None = None,
    passwords: Passwords | None = None,
) -> FastAPI:
    """Return the app. What is given is used and left open, the rest is opened from the settings.

    `transports` keeps the calls to the services it names in this process.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            running_bus(settings.bus_url.get_secret_value(), given=bus) as live_bus,
            open_context(settings, live_bus, transports=transports, cache=cache, passwords=passwords) as context,
        ):
            if settings.admin_email:
                await context.accounts.ensure_administrator()
            app.state.context = context
            yield

    app = create_service_app("gateway", settings, lifespan, ROUTERS)
    add_static_files(app)
    add_error_answers(app)
    # The last one added is the first to see a request.
    app.add_middleware(BodyLimitMiddleware)
    app.add_middleware(LingeringCloseMiddleware)
    app.add_middleware(
        TransportSecurityMiddleware, https_only=settings.is_production, allowed_hosts=settings.allowed_hosts
    )
    app.add_middleware(SecurityHeadersMiddleware, hsts=settings.is_production)
    return app


async def ensure_administrator(context: Context) -> str | None:
    """Return the path of a one-time sign-in link for the administrator; None if a password is set already."""
    return await context.accounts.ensure_administrator()


async def new_sign_in_link(settings: Settings) -> str:
    """Return the address of a new one-time sign-in link for the administrator, for use beside a running gateway."""
    async with open_accounts(settings) as accounts:
        path = await accounts.create_administrator_link()
    return (settings.public_url or f"http://localhost:{settings.port}") + path


async def new_administrator_token(settings: Settings) -> str | None:
    """Return an access token of the administrator, for use beside a running gateway; None where none has run."""
    if not is_signing_key_kept(settings):
        return None
    async with open_accounts(settings) as accounts:
        administrator = await accounts.find_administrator()
    tokens = AccessTokens(load_signing_key(settings), settings.access_token_seconds)
    return tokens.issue(administrator) if administrator else None


if __name__ == "__main__":
    run_service(create_app, Settings)
