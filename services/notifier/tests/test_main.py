"""The notifier as a process: killed between sends, started again, and everything arrives."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from standardwebhooks import Webhook

from notifier.config import Settings
from notifier.context import Context, create_guard, create_service
from notifier.main import create_app
from notifier.models import Announcement
from notifier.service import NotifierService
from shared.clients.notifier import NewSubscription
from shared.database import Database
from shared.events import ScanExpiredV1
from shared.messaging import Bus
from shared.migration import migrate
from shared.testing.bus import envelope
from shared.testing.webhooks import WebhookReceiver, running_receiver, status
from shared.web import Caller

pytestmark = pytest.mark.integration

SECRET = "a secret of the tests, long enough for HS256"
EVENTS = 40


@pytest.fixture(params=["sqlite", "postgresql"])
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('database')}/notifier.db"
    else:
        database_url_for: Callable[[str], str] = request.getfixturevalue("database_url_for")
        url = database_url_for("notifier")
    return {
        "FUMEHOOD_DATABASE_URL": url,
        "FUMEHOOD_BUS_URL": "local://",
        "FUMEHOOD_SERVICE_SECRET": SECRET,
        "FUMEHOOD_PORT": "0",
        "FUMEHOOD_WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8",
        "FUMEHOOD_WEBHOOK_TIMEOUT_SECONDS": "1",
        "FUMEHOOD_WEBHOOK_RETRY_DELAYS": "0.1,0.1,0.1",
        "FUMEHOOD_LOG_LEVEL": "WARNING",
    }


async def unused(host: str, port: int) -> list[str]:
    return [host]


@asynccontextmanager
async def running_notifier(environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Give the process; it is killed (SIGKILL) at the end."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "notifier.main", env=os.environ | environment)
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


def make_event() -> ScanExpiredV1:
    return ScanExpiredV1(
        submission_id="s",
        scan_id="c",
        user_id="alice",
        sha256="0" * 64,
        size_bytes=1,
        name="a.txt",
        reason="late",
        expired_at=datetime(2025, 3, 4, tzinfo=UTC),
    )


async def announce(service: NotifierService) -> None:
    event = make_event()
    await service.announce(Announcement(event, str(uuid4()), event.expired_at))


async def pause_then_take(writer: asyncio.StreamWriter) -> None:
    """Answer late enough that a kill meets deliveries whose outcome is not recorded."""
    await asyncio.sleep(0.1)
    writer.write(status(204))
    await writer.drain()


async def test_a_notifier_that_is_killed_between_sends_delivers_everything(
    environment: dict[str, str], alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    database = Database(settings.database_url.get_secret_value(), schema="notifier")
    await migrate(database)
    guard = create_guard(settings, unused)
    service = create_service(settings, database, guard)
    async with running_receiver() as receiver:
        receiver.answers.extend([status(500)] * 3)
        receiver.answers.extend([pause_then_take] * EVENTS)
        made = await service.create_subscription(alice, NewSubscription(url=receiver.url()))
        for _ in range(EVENTS):
            await announce(service)

        for enough in (5, 15):
            async with running_notifier(environment):
                await receiver.wait_for(enough, timeout_seconds=30)
        async with running_notifier(environment):
            await arrival_of_all(receiver)

    assert len(ids(receiver)) == EVENTS
    for got in receiver.received:
        assert Webhook(made.secret or "").verify(got.body, got.headers)["type"] == ScanExpiredV1.type
    await database.close()


async def arrival_of_all(receiver: WebhookReceiver) -> None:
    async with asyncio.timeout(60):
        while len(ids(receiver)) < EVENTS:
            await receiver.wait_for(len(receiver.received) + 1, timeout_seconds=60)


def ids(receiver: WebhookReceiver) -> set[str]:
    return {got.headers["webhook-id"] for got in receiver.received}


async def test_an_event_on_the_bus_becomes_a_webhook(
    environment: dict[str, str], alice: Caller, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    database = Database(settings.database_url.get_secret_value(), schema="notifier")
    await migrate(database)
    await database.close()
    app = create_app(settings, bus)
    async with running_receiver() as receiver, app.router.lifespan_context(app):
        context: Context = app.state.context
        made = await context.service.create_subscription(alice, NewSubscription(url=receiver.url()))
        message = envelope(make_event())
        await bus.publish([message, message])

        (got, *_) = await receiver.wait_for(1)

    assert Webhook(made.secret or "").verify(got.body, got.headers)["data"]["name"] == "a.txt"
    assert len(receiver.received) == 1


async def test_production_without_its_settings_says_which_and_stops(environment: dict[str, str]) -> None:
    environment = environment | {"FUMEHOOD_ENVIRONMENT": "production", "FUMEHOOD_SERVICE_SECRET": ""}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "notifier.main", env=os.environ | environment, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()

    assert process.returncode != 0
    assert b"FUMEHOOD_SERVICE_SECRET" in errors
