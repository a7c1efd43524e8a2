from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from shared.database import Database
from shared.messaging import Bus, open_bus
from shared.migration import migrate
from shared.web import Caller, Role, issue_service_token
from upload.config import Settings
from upload.context import Context
from upload.main import create_app

SECRET = "a secret of the tests, long enough for HS256"
ALICE = Caller(user_id="alice", role=Role.USER)
MALLORY = Caller(user_id="mallory", role=Role.USER)

Post = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        database_url=SecretStr(f"sqlite+aiosqlite:///{tmp_path}/upload.db"),
        objects_url=f"file://{tmp_path}/objects",
        service_secret=SecretStr(SECRET),
        max_file_bytes=100_000,
        upload_idle_seconds=0.5,
    )


@pytest.fixture
async def bus() -> AsyncIterator[Bus]:
    bus = open_bus("local://")
    await bus.start()
    yield bus
    await bus.close()


@pytest.fixture
async def app(settings: Settings, bus: Bus) -> AsyncIterator[FastAPI]:
    database = Database(settings.database_url.get_secret_value(), schema="upload")
    await migrate(database)
    await database.close()
    app = create_app(settings, bus)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def context(app: FastAPI) -> Context:
    context: Context = app.state.context
    return context


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://upload", headers=as_caller(ALICE)) as client:
        yield client


def as_caller(caller: Caller) -> dict[str, str]:
    return {"Authorization": f"Bearer {issue_service_token(SECRET, caller, 'upload')}"}


@pytest.fixture
def spool(context: Context) -> Path:
    return context.objects.spool_directory()
