"""A gateway in memory, with tiny stand-ins for the services behind it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from argon2 import PasswordHasher
from fakeredis import FakeAsyncRedis, FakeServer
from fastapi import Depends, FastAPI, Request, Response
from pydantic import SecretStr
from redis.asyncio import Redis

from gateway.auth.passwords import Passwords
from gateway.config import Settings
from gateway.context import Context
from gateway.main import create_app
from gateway.models.accounts import User
from shared.clients import (
    Comparison,
    NewSubscription,
    PastScan,
    RescanEstimate,
    RescanJob,
    RescanState,
    ScanDetail,
    ScanFilter,
    ScanSummary,
    ShadowVersion,
)
from shared.clients.notifier import Subscription
from shared.clients.upload import Submission
from shared.clock import now
from shared.database import Database
from shared.errors import ConflictError, InvalidInputError, NotFoundError, TooLargeError, UnavailableError
from shared.messaging import Bus, LocalBus
from shared.migration import migrate
from shared.scan import Artifact, ContentType, Coverage, CoverageLevel, ScanStatus, Verdict
from shared.web import Caller, Role, verify_service_token
from shared.web.problems import add_problem_handlers

SECRET = "a secret of the tests, long enough for HS256"
PASSWORD = "correct horse battery"
ORIGIN = "http://gateway"
TIME = now()


@dataclass
class World:
    """What the services behind the gateway know, and how they misbehave."""

    submissions: dict[str, Submission] = field(default_factory=dict)
    scans: dict[str, ScanDetail] = field(default_factory=dict)
    webhooks: dict[str, Subscription] = field(default_factory=dict)
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    rescan: RescanJob | None = None
    calls: list[tuple[str, Caller]] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)
    received_bytes: int = 0
    received_headers: dict[str, str] = field(default_factory=dict)
    name: str = "report.zip"
    away: set[str] = field(default_factory=set)
    too_large: bool = False

    def accept(self, user_id: str, *, sha256: str = "a" * 64) -> Submission:
        """Record a submission of a user."""
        number = len(self.submissions) + 1
        submission = Submission(
            id=f"00000000-0000-4000-8000-{number:012}", scan_id=f"scan-{number}", user_id=user_id, name=self.name,
            sha256=sha256, size_bytes=3, accepted_at=TIME, deadline_at=TIME + timedelta(minutes=5),
        )  # fmt: skip
        self.submissions[submission.id] = submission
        return submission

    def record(self, submission: Submission, *, status: ScanStatus = ScanStatus.QUEUED) -> ScanDetail:
        """Record a scan of it at the results service."""
        done = status is ScanStatus.COMPLETED
        coverage = Coverage(level=CoverageLevel.COMPLETE if done else CoverageLevel.NONE)
        artifact = Artifact(
            id=0, parent_id=None, name=submission.name, origin="submitted", depth=0, sha256=submission.sha256,
            sha1="b" * 40, md5="c" * 32, size_bytes=3, verdict=Verdict.MALICIOUS, coverage=coverage,
            content_type=ContentType(
                label="zip", mime_type="application/zip", group="archive", description="Zip", score=1, is_text=False
            ),
        )  # fmt: skip
        detail = ScanDetail(
            id=submission.id, scan_id=submission.scan_id, user_id=submission.user_id, name=submission.name,
            sha256=submission.sha256, size_bytes=3, status=status, coverage=coverage,
            verdict=Verdict.MALICIOUS if done else Verdict.UNKNOWN, submitted_at=TIME, started_at=TIME,
            deadline_at=TIME + timedelta(minutes=5), finished_at=TIME if status.terminal else None,
            artifacts=(artifact,) if done else (),
        )  # fmt: skip
        self.scans[submission.id] = detail
        return detail

    def visible_scan(self, submission_id: str, caller: Caller) -> ScanDetail:
        """Return a scan as the services decide who may see it."""
        if (scan := self.scans.get(submission_id)) is None or not caller.may_see(scan.user_id):
            raise NotFoundError("There is no such submission.")
        return scan


def fake_services(world: World) -> dict[str, httpx.AsyncBaseTransport]:
    """Return transports to stand-ins that check the service token and answer from the world."""
    builders = {"upload": _add_upload, "results": _add_results, "reports": _add_reports, "notifier": _add_notifier}
    transports: dict[str, httpx.AsyncBaseTransport] = {}
    for service, add_routes in builders.items():
        app = FastAPI()
        app.state.service, app.state.world = service, world
        add_problem_handlers(app)
        add_routes(app, world)
        transports[service] = httpx.ASGITransport(app)
    return transports


async def _caller(request: Request) -> Caller:
    service, world = request.app.state.service, request.app.state.world
    if service in world.away:
        raise UnavailableError(f"The {service} service does not answer.", retry_after_seconds=5)
    caller = verify_service_token(SECRET, request.headers["authorization"].removeprefix("Bearer "), service)
    world.calls.append((request.url.path, caller))
    return caller


Calling = Annotated[Caller, Depends(_caller)]


def _add_upload(app: FastAPI, world: World) -> None:
    @app.post("/internal/v1/files", status_code=202)
    async def accept(request: Request, caller: Calling) -> Submission:
        world.received_headers = dict(request.headers)
        async for chunk in request.stream():
            world.received_bytes += len(chunk)
            if world.too_large:
                raise TooLargeError("The limit is 3 bytes.")
        return world.accept(caller.user_id)

    @app.get("/internal/v1/submissions/{submission_id}")
    async def read(submission_id: str, caller: Calling) -> Submission:
        submission = world.submissions.get(submission_id)
        if submission is None or not caller.may_see(submission.user_id):
            raise NotFoundError("There is no such submission.")
        return submission


def _add_results(app: FastAPI, world: World) -> None:
    @app.get("/internal/v1/submissions")
    async def page(request: Request, caller: Calling) -> dict[str, Any]:
        world.queries.append(dict(request.query_params))
        scans = [scan for scan in world.scans.values() if caller.may_see(scan.user_id)]
        items = [ScanSummary(**scan.model_dump()).model_dump(mode="json") for scan in scans]
        return {"items": items, "next_cursor": "more" if len(items) > 1 else None}

    @app.get("/internal/v1/submissions/{submission_id}")
    async def read(submission_id: str, caller: Calling) -> ScanDetail:
        return world.visible_scan(submission_id, caller)

    _add_rescans(app, world)
    _add_shadows(app, world)

    @app.get("/internal/v1/files/{sha256}")
    async def file(sha256: str, caller: Calling) -> dict[str, Any]:
        scans = [scan for scan in world.scans.values() if caller.may_see(scan.user_id) and scan.sha256 == sha256]
        if not scans:
            raise NotFoundError("There is no such file.")
        summary = scans[-1].model_dump(mode="json")
        seen = {"first_seen_at": TIME.isoformat(), "last_seen_at": TIME.isoformat(), "submissions": [summary]}
        return {name: summary[name] for name in ("sha256", "size_bytes", "verdict", "coverage")} | seen


def _add_rescans(app: FastAPI, world: World) -> None:
    @app.post("/internal/v1/submissions/{submission_id}/rescan", status_code=202)
    async def rescan(submission_id: str, caller: Calling) -> None:
        scan = world.visible_scan(submission_id, caller)
        if scan.open:
            raise ConflictError("This file is being scanned right now.")
        asked = PastScan(
            scan_id="rescan-1", status=ScanStatus.QUEUED, verdict=Verdict.UNKNOWN, coverage=CoverageLevel.NONE,
            requested_at=TIME,
        )  # fmt: skip
        world.scans[submission_id] = scan.model_copy(update={"rescan": asked})

    @app.post("/internal/v1/rescans/estimate")
    async def estimate(where: ScanFilter, caller: Calling) -> RescanEstimate:
        return RescanEstimate(submissions=len(world.scans))

    @app.post("/internal/v1/rescans", status_code=201)
    async def start(where: ScanFilter, caller: Calling) -> RescanJob:
        world.rescan = RescanJob(
            id="job-1", user_id=caller.user_id, state=RescanState.RUNNING, filters=where, created_at=TIME,
            total=len(world.scans), requested=0, ended=0, changed=0, unfinished=0, gone=0,
        )  # fmt: skip
        return world.rescan

    @app.get("/internal/v1/rescans/latest")
    async def latest(caller: Calling) -> RescanJob:
        if world.rescan is None:
            raise NotFoundError("There was no rescan yet.")
        return world.rescan

    @app.post("/internal/v1/rescans/{rescan_id}/{act}")
    async def change(rescan_id: str, act: str, caller: Calling) -> RescanJob:
        if world.rescan is None:
            raise NotFoundError("There is no such rescan.")
        world.rescan = world.rescan.model_copy(update={"state": RescanState.PAUSED})
        return world.rescan


def _add_shadows(app: FastAPI, world: World) -> None:
    @app.get("/internal/v1/shadows")
    async def shadows(caller: Calling) -> list[ShadowVersion]:
        return [
            ShadowVersion(detector=c.detector, version=c.version, artifacts=c.artifacts, first_at=TIME, last_at=TIME)
            for c in world.comparisons.values()
        ]

    @app.get("/internal/v1/shadows/{detector}")
    async def compare(detector: str, request: Request, caller: Calling) -> Comparison:
        world.queries.append(dict(request.query_params))
        if detector not in world.comparisons or request.query_params.get("reference") == "none":
            raise NotFoundError("No version of it ran in shadow.")
        return world.comparisons[detector]


def _add_reports(app: FastAPI, world: World) -> None:
    @app.get("/internal/v1/submissions/{submission_id}/report.{form}")
    async def report(submission_id: str, form: str, caller: Calling) -> Response:
        if not world.visible_scan(submission_id, caller).status.terminal:
            raise ConflictError("The scan has not ended yet.")
        return Response(f"report as {form}", media_type="text/html")


def _add_notifier(app: FastAPI, world: World) -> None:
    @app.post("/internal/v1/subscriptions", status_code=201)
    async def create(new: NewSubscription, caller: Calling) -> Subscription:
        if "127.0.0.1" in new.url:
            raise InvalidInputError("This address is in a private range.")
        made = Subscription(
            id=f"hook-{len(world.webhooks)}", user_id=caller.user_id, url=new.url, event_types=new.event_types,
            created_at=TIME,
        )  # fmt: skip
        world.webhooks[made.id] = made
        return made.model_copy(update={"secret": "whsec_c2VjcmV0"})

    @app.get("/internal/v1/subscriptions")
    async def read(caller: Calling) -> list[Subscription]:
        return [hook for hook in world.webhooks.values() if hook.user_id == caller.user_id]

    @app.delete("/internal/v1/subscriptions/{webhook_id}", status_code=204)
    async def delete(webhook_id: str, caller: Calling) -> None:
        if world.webhooks.pop(webhook_id, None) is None:
            raise NotFoundError("There is no such webhook.")


class Browser(httpx.AsyncClient):
    """A client with cookies that finds the CSRF token of the page it has open."""

    csrf_token = ""

    async def open(self, path: str) -> httpx.Response:
        """Get a page and keep its token."""
        answer = await self.get(path, headers={"Accept": "text/html"})
        found = re.search(r'name="csrf-token" content="([^"]*)"', answer.text)
        self.csrf_token = found[1] if found else ""
        return answer

    async def submit(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of the open page."""
        return await self.post(path, data={"csrf_token": self.csrf_token, **fields}, headers={"Accept": "text/html"})

    async def sign_in(self, email: str = "user@example.org", password: str = PASSWORD) -> httpx.Response:
        """Sign in through the form; the home page is open afterwards."""
        await self.open("/sign-in")
        answer = await self.submit("/sign-in", email=email, password=password)
        await self.open("/")
        return answer


class Socket:
    """A WebSocket to the app without a network."""

    def __init__(self, app: FastAPI, path: str, headers: dict[str, str]) -> None:
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        scope = {
            "type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": raw,
            "scheme": "ws", "server": ("gateway", 80), "client": ("192.0.2.1", 1), "subprotocols": [],
            "asgi": {"version": "3.0"},
        }  # fmt: skip
        self.task = asyncio.create_task(app(scope, self._incoming.get, self._outgoing.put))  # type: ignore[arg-type]

    async def next(self, timeout_seconds: float = 5) -> dict[str, Any]:
        """Return the next message of the server."""
        async with asyncio.timeout(timeout_seconds):
            return await self._outgoing.get()

    async def text(self) -> str:
        """Return the next markup."""
        return str((await self.next())["text"])

    async def leave(self) -> None:
        """Close from the side of the browser."""
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1001})
        async with asyncio.timeout(5):
            await self.task


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        database_url=SecretStr(f"sqlite+aiosqlite:///{tmp_path}/gateway.db"),
        service_secret=SecretStr(SECRET),
        max_file_bytes=1_000_000,
        upload_idle_seconds=0.3,
    )


@pytest.fixture
def cache_server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def cache(cache_server: FakeServer) -> Redis:
    return FakeAsyncRedis(server=cache_server, decode_responses=True)


@pytest.fixture
async def bus() -> AsyncIterator[Bus]:
    bus = LocalBus(None)
    await bus.start()
    yield bus
    await bus.close()


Start = Callable[[Settings], Awaitable[FastAPI]]


@pytest.fixture
async def start(world: World, bus: Bus, cache: Redis) -> AsyncIterator[Start]:
    """Give a function that starts a gateway with these settings, in front of the world."""
    running: list[Any] = []

    async def start_gateway(settings: Settings) -> FastAPI:
        database = Database(settings.database_url.get_secret_value(), schema="gateway")
        await migrate(database)
        await database.close()
        quick = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        app = create_app(settings, bus, fake_services(world), cache, quick)
        lifespan = app.router.lifespan_context(app)
        await lifespan.__aenter__()
        running.append(lifespan)
        return app

    yield start_gateway
    for lifespan in running:
        await lifespan.__aexit__(None, None, None)


@pytest.fixture
async def app(start: Start, settings: Settings) -> FastAPI:
    return await start(settings)


@pytest.fixture
def context(app: FastAPI) -> Context:
    context: Context = app.state.context
    return context


@pytest.fixture
async def user(context: Context) -> User:
    return await context.accounts.create_account("user@example.org", Role.USER, PASSWORD)


@pytest.fixture
async def admin(context: Context) -> User:
    return await context.accounts.create_account("admin@example.org", Role.ADMIN, PASSWORD)


@pytest.fixture
def new_browser(app: FastAPI) -> Callable[[], Browser]:
    """Give a function that opens a browser with an empty cookie jar."""
    return lambda: Browser(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url=ORIGIN, headers={"Origin": ORIGIN}
    )


@pytest.fixture
async def visitor(new_browser: Callable[[], Browser]) -> AsyncIterator[Browser]:
    async with new_browser() as browser:
        yield browser


@pytest.fixture
async def browser(new_browser: Callable[[], Browser], user: User) -> AsyncIterator[Browser]:
    """A browser in which the user is signed in."""
    async with new_browser() as browser:
        await browser.sign_in()
        yield browser


@pytest.fixture
async def api(app: FastAPI, context: Context, user: User) -> AsyncIterator[httpx.AsyncClient]:
    """A program with the user's access token."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {context.tokens.issue(user)}"}
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers) as client:
        yield client


@asynccontextmanager
async def _open_socket(app: FastAPI, path: str, headers: dict[str, str]) -> AsyncIterator[Socket]:
    socket = Socket(app, path, headers)
    try:
        yield socket
    finally:
        socket.task.cancel()
        await asyncio.gather(socket.task, return_exceptions=True)


@pytest.fixture
def open_socket(app: FastAPI) -> Callable[..., Any]:
    """Give a function that connects a WebSocket with a browser's cookies."""

    def connect(path: str, browser: Browser, *, origin: str = ORIGIN) -> Any:
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        return _open_socket(app, path, {"Host": "gateway", "Origin": origin, "Cookie": cookies})

    return connect
