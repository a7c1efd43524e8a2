from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from notifier import storage
from notifier.models import Announcement, Attempt, delivery_id
from notifier.schema import METADATA
from shared.alembic import schema_differences
from shared.clients.notifier import Subscription
from shared.clock import now
from shared.database import Database
from shared.events import ScanExpiredV1
from shared.migration import migrate

MOMENT = datetime(2025, 3, 4, tzinfo=UTC)
LEASE = timedelta(seconds=60)


@pytest.fixture(
    params=[pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.integration)], name="database"
)
async def any_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('database')}/notifier.db"
    else:
        database_url_for: Callable[[str], str] = request.getfixturevalue("database_url_for")
        url = database_url_for("notifier")
    database = Database(url, schema="notifier")
    await migrate(database)
    yield database
    await database.close()


def make_announcement() -> Announcement:
    event = ScanExpiredV1(
        submission_id="s",
        scan_id="c",
        user_id="alice",
        sha256="0" * 64,
        size_bytes=1,
        name="ünï\u202e.txt",
        reason="late",
        expired_at=MOMENT,
    )
    return Announcement(event, str(uuid4()), MOMENT, {"traceparent": "00-1-2-01"})


async def subscribe(database: Database) -> Subscription:
    subscription = Subscription(
        id=str(uuid4()), user_id="alice", url="https://x/", event_types=(ScanExpiredV1.type,), created_at=now()
    )
    async with database.transaction() as transaction:
        await storage.insert_subscription(transaction.session, subscription, "sealed")
    return subscription


async def queue(database: Database, announcement: Announcement, *subscriptions: Subscription) -> None:
    async with database.transaction() as transaction:
        await storage.insert_deliveries(transaction.session, announcement, [one.id for one in subscriptions])


async def claim(database: Database, limit: int = 100, per_subscription: int = 100) -> list[str]:
    async with database.transaction() as transaction:
        claimed = await storage.claim_due(
            transaction.session, limit=limit, per_subscription=per_subscription, busy=(), lease=LEASE
        )
    return [delivery.id for delivery in claimed]


async def test_migrations_make_the_tables_that_the_code_expects(database: Database) -> None:
    assert await schema_differences(database, METADATA) == []


async def test_migrating_again_changes_nothing(database: Database) -> None:
    await migrate(database)

    assert await schema_differences(database, METADATA) == []


async def test_a_delivery_is_stored_as_it_will_be_sent(database: Database) -> None:
    subscription, announcement = await subscribe(database), make_announcement()
    await queue(database, announcement, subscription)

    async with database.transaction() as transaction:
        (due,) = await storage.claim_due(transaction.session, limit=1, per_subscription=1, busy=(), lease=LEASE)

    assert (due.id, due.body) == (delivery_id(announcement.event_id, subscription.id), announcement.body())
    assert (due.url, due.user_id, due.trace_context) == ("https://x/", "alice", announcement.trace_context)


async def test_queueing_the_same_event_twice_makes_one_delivery(database: Database) -> None:
    subscription, announcement = await subscribe(database), make_announcement()
    await queue(database, announcement, subscription)
    await queue(database, announcement, subscription)

    assert len(await claim(database)) == 1


async def test_replicas_that_claim_at_the_same_time_never_get_the_same(database: Database) -> None:
    subscriptions = [await subscribe(database) for _ in range(10)]
    for _ in range(10):
        await queue(database, make_announcement(), *subscriptions)

    claimed: list[str] = []
    for _ in range(30):
        for batch in await asyncio.gather(*(claim(database, limit=7) for _ in range(5))):
            claimed += batch

    assert len(claimed) == len(set(claimed)) == 100


async def test_a_claim_is_shared_among_subscriptions(database: Database) -> None:
    first, second = await subscribe(database), await subscribe(database)
    for _ in range(5):
        await queue(database, make_announcement(), first)
    await queue(database, make_announcement(), second)

    assert len(await claim(database, per_subscription=2)) == 3


async def test_the_list_shows_the_latest_delivery(database: Database) -> None:
    subscription, first, second = await subscribe(database), make_announcement(), make_announcement()
    await queue(database, first, subscription)
    await queue(database, second, subscription)
    async with database.transaction() as transaction:
        due = await storage.claim_due(transaction.session, limit=9, per_subscription=9, busy=(), lease=LEASE)
        (delivery,) = [one for one in due if one.event_id == first.event_id]
        await storage.record_retry(transaction.session, delivery, Attempt(503, "full"), timedelta(seconds=9))

    async with database.read() as session:
        (listed,) = await storage.list_subscriptions(session, "alice")

    assert listed.last_delivery is not None
    assert listed.last_delivery.event_id == first.event_id
    assert (listed.last_delivery.status, listed.last_delivery.last_status_code) == ("pending", 503)
    assert listed.created_at.tzinfo is not None


async def test_deliveries_go_with_their_subscription(database: Database) -> None:
    subscription = await subscribe(database)
    await queue(database, make_announcement(), subscription)
    async with database.transaction() as transaction:
        await storage.delete_subscription(transaction.session, subscription.id)

    assert await claim(database) == []
