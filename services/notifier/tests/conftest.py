from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from notifier.addresses import AddressGuard
from notifier.config import Settings
from notifier.main import create_app
from notifier.models import RetrySchedule
from notifier.sealing import Seal
from notifier.service import NotifierService
from shared.clock import now
from shared.database import Database
from shared.messaging import Bus, LocalBus
from shared.migration import migrate
from shared.web import Caller, Role, issue_service_token

SECRET = "a secret of the tests, long enough for HS256"
NAMES = {
    "example.org": ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
    "inside.example": ["10.1.2.3"],
    "both.example": ["93.184.215.14", "127.0.0.1"],
    "nowhere.example": [],
}


async def resolve(host: str, port: int) -> Sequence[str]:
    """A name server without a network: known names, and addresses as they are."""
    return NAMES.get(host, [host])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        database_url=SecretStr(f"sqlite+aiosqlite:///{tmp_path}/notifier.db"), service_secret=SecretStr(SECRET)
    )


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings.database_url.get_secret_value(), schema="notifier")
    await migrate(database)
    yield database
    await database.close()


@pytest.fixture
def guard() -> AddressGuard:
    return AddressGuard(resolve)


@pytest.fixture
def service(database: Database, guard: AddressGuard) -> NotifierService:
    schedule = RetrySchedule((5.0, 30.0), jitter=lambda: 1.0)
    return NotifierService(
        database, guard, Seal(SECRET), schedule, lease=timedelta(seconds=60), subscriptions_per_user=3
    )


@pytest.fixture
def advance(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that lets seconds pass for service and storage."""
    passed = timedelta()

    def let_pass(seconds: float) -> None:
        nonlocal passed
        passed += timedelta(seconds=seconds)

    for module in ("service", "storage"):
        monkeypatch.setattr(f"notifier.{module}.now", lambda: now() + passed)
    return let_pass


@pytest.fixture
def alice() -> Caller:
    return Caller(user_id="alice", role=Role.USER)


@pytest.fixture
def bob() -> Caller:
    return Caller(user_id="bob", role=Role.USER)


@pytest.fixture
def admin() -> Caller:
    return Caller(user_id="root", role=Role.ADMIN)


@pytest.fixture
async def bus() -> AsyncIterator[Bus]:
    bus = LocalBus(None)
    await bus.start()
    yield bus
    await bus.close()


@pytest.fixture
async def app(settings: Settings, database: Database, bus: Bus) -> AsyncIterator[FastAPI]:
    app = create_app(settings, bus)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: FastAPI, alice: Caller) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {issue_service_token(SECRET, alice, 'notifier')}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://notifier", headers=headers) as client:
        yield client
