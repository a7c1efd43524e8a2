"""How every service becomes a web application: the same frame for all six."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import NotAuthenticatedError, UnavailableError
from shared.settings import ServiceSettings
from shared.telemetry import instrument_app
from shared.web.problems import add_problem_handlers
from shared.web.tokens import Caller, verify_service_token

CHECK_TIMEOUT_SECONDS = 5
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
Check = Callable[[], Awaitable[None]]


class ServiceContext(Protocol):
    """What the frame needs of a service's context: named checks that decide readiness."""

    def checks(self) -> dict[str, Check]:
        """Return the dependency checks by name; each raises UnavailableError."""


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_service_app(
    service: str, settings: ServiceSettings, lifespan: Lifespan, routers: Sequence[APIRouter]
) -> FastAPI:
    """Return the app of one service: its routers, problem details, request ids, health and traces.

    The lifespan must set `app.state.context` (see ServiceContext). FastAPI's own documentation
    pages are off: internal services need none, and the gateway serves its own under its policy.
    """
    app = FastAPI(
        title=f"Fumehood {service}",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    app.state.settings = settings
    add_problem_handlers(app)
    app.include_router(_health_router())
    for router in routers:
        app.include_router(router)
    app.add_middleware(RequestIdMiddleware)
    instrument_app(app, settings)
    return app


async def verified_caller(request: Request) -> Caller:
    """Dependency of internal routes: the caller that the service token names."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotAuthenticatedError("This address is for other services; it needs a service token.")
    return verify_service_token(request.app.state.settings.signing_secret(), token, request.app.state.service)


VerifiedCaller = Annotated[Caller, Depends(verified_caller)]


class RequestIdMiddleware:
    """Gives every request an id, taken from X-Request-ID if that is well-formed, and answers with it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)


def _health_router() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def read_health() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def read_readiness(request: Request) -> Response:
        context: ServiceContext = request.app.state.context
        names, checks = list(context.checks()), list(context.checks().values())
        outcomes = await asyncio.gather(*(_outcome(check) for check in checks))
        problems = {name: outcome for name, outcome in zip(names, outcomes, strict=True) if outcome}
        body = {"status": "not ready", "problems": problems} if problems else {"status": "ready"}
        return JSONResponse(body, 503 if problems else 200)

    return router


async def _outcome(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            await check()
    except UnavailableError as error:
        return error.message
    except TimeoutError:
        return f"No answer within {CHECK_TIMEOUT_SECONDS} seconds."
    return None


async def stop(task: asyncio.Task[None]) -> None:
    """Cancel a background task and wait until it has ended."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def ticks(interval_seconds: float) -> AsyncIterator[None]:
    """Yield at once and then after every interval, for background loops."""
    while True:
        yield
        await asyncio.sleep(interval_seconds)
