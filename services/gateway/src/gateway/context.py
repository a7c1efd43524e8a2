"""What the gateway process holds for its whole life."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import httpx
from redis.asyncio import Redis

from gateway.auth.cookies import Cookies
from gateway.auth.csrf import CsrfTokens
from gateway.auth.kept_sessions import KeptSessions
from gateway.auth.limits import Limit, RateLimits
from gateway.auth.passwords import Passwords
from gateway.auth.sessions import Sessions, SessionStore
from gateway.auth.tokens import AccessTokens, load_signing_key
from gateway.config import Settings
from gateway.live import LiveHub
from gateway.service import AccountService, SubmissionService
from shared.cache import check_cache, open_cache
from shared.clients import NotifierClient, ReportsClient, ResultsClient, UploadClient
from shared.database import Database
from shared.messaging import Bus
from shared.web.app import Check

Transports = Mapping[str, httpx.AsyncBaseTransport]


@dataclass(frozen=True, slots=True)
class Context:
    """Clients, and what is built on them."""

    settings: Settings
    database: Database
    cache: Redis
    bus: Bus
    accounts: AccountService
    submissions: SubmissionService
    results: ResultsClient
    notifier: NotifierClient
    live: LiveHub
    sessions: Sessions
    tokens: AccessTokens
    csrf: CsrfTokens
    cookies: Cookies
    limits: RateLimits

    def checks(self) -> dict[str, Check]:
        """Return what must work before the gateway takes requests; the other services may be away."""
        return {"database": self.database.check, "cache": partial(check_cache, self.cache), "bus": self.bus.check}

    @property
    def upload_limit(self) -> Limit:
        """Return how many uploads a user may start."""
        return Limit("upload", self.settings.uploads_per_minute, 60)

    @property
    def request_limit(self) -> Limit:
        """Return how many API requests a user or an address may make."""
        return Limit("api", self.settings.requests_per_minute, 60)


@asynccontextmanager
async def open_context(
    settings: Settings,
    bus: Bus,
    *,
    transports: Transports | None = None,
    cache: Redis | None = None,
    passwords: Passwords | None = None,
) -> AsyncIterator[Context]:
    """Open database, cache, clients and live view; close what was opened here at the end.

    `transports` keeps calls to the services it names in this process. A given cache is left open.
    """
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url.get_secret_value(), schema="gateway")
        stack.push_async_callback(database.close)
        ends = {"idle_seconds": settings.session_idle_seconds, "lifetime_seconds": settings.session_lifetime_seconds}
        in_memory = cache is None and settings.cache_url.get_secret_value().startswith("memory://")
        if cache is None:
            cache = open_cache(settings.cache_url.get_secret_value())
            stack.push_async_callback(cache.aclose)
        sessions: Sessions = SessionStore(cache, settings.cache_prefix, **ends)
        if in_memory:
            sessions = KeptSessions(database, **ends)
        upload, results, reports, notifier = _open_clients(settings, transports or {}, stack)
        live = LiveHub(bus, cache, settings.cache_prefix)
        await live.start()
        stack.push_async_callback(live.close)
        limits = RateLimits(cache, settings.cache_prefix)
        yield Context(
            settings=settings,
            database=database,
            cache=cache,
            bus=bus,
            accounts=AccountService(database, passwords or Passwords(), limits, settings),
            submissions=SubmissionService(upload, results, reports, live),
            results=results,
            notifier=notifier,
            live=live,
            sessions=sessions,
            tokens=AccessTokens(load_signing_key(settings), settings.access_token_seconds),
            csrf=CsrfTokens(settings.signing_secret()),
            cookies=Cookies(secure=settings.is_production, lifetime_seconds=settings.session_lifetime_seconds),
            limits=limits,
        )


@asynccontextmanager
async def open_accounts(settings: Settings) -> AsyncIterator[AccountService]:
    """Open what is needed to work on accounts from the command line."""
    database = Database(settings.database_url.get_secret_value(), schema="gateway")
    cache = open_cache(settings.cache_url.get_secret_value())
    try:
        yield AccountService(database, Passwords(), RateLimits(cache, settings.cache_prefix), settings)
    finally:
        await cache.aclose()
        await database.close()


def _open_clients(
    settings: Settings, transports: Transports, stack: AsyncExitStack
) -> tuple[UploadClient, ResultsClient, ReportsClient, NotifierClient]:
    secret = settings.signing_secret()
    clients = (
        UploadClient("upload", settings.upload_url, secret, transports.get("upload")),
        ResultsClient("results", settings.results_url, secret, transports.get("results")),
        ReportsClient("reports", settings.reports_url, secret, transports.get("reports")),
        NotifierClient("notifier", settings.notifier_url, secret, transports.get("notifier")),
    )
    for client in clients:
        stack.push_async_callback(client.close)
    return clients
