"""The outbox relay: what is committed is published, whatever fails in between."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from yarl import URL

from shared.clock import now
from shared.database import Database
from shared.errors import PermanentError, UnavailableError
from shared.messaging import Bus, LocalBus, Message, OutboxRelay
from shared.messaging.amqp import AmqpBus
from shared.messaging.processed import KEPT, prune
from shared.messaging.tables import OUTBOX, PROCESSED_EVENTS, add_messaging_tables
from shared.testing.bus import Recorder, RecordingBus, published, until
from shared.testing.events import REPORT_QUEUE, report_requested
from shared.testing.proxy import FailingProxy

OpenDatabase = Callable[[], Awaitable[Database]]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/service.db"
    return str(request.getfixturevalue("database_url_for")("reports"))


@pytest.fixture
async def open_database(database_url: str) -> AsyncIterator[OpenDatabase]:
    """Give a function that opens the database once more, as another replica would."""
    opened: list[Database] = []
    metadata = sa.MetaData()
    add_messaging_tables(metadata)

    async def open_and_create() -> Database:
        database = Database(database_url, schema="reports")
        opened.append(database)
        async with database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        return database

    yield open_and_create
    for database in opened:
        await database.close()


@pytest.fixture
async def database(open_database: OpenDatabase) -> Database:
    return await open_database()


async def queue_events(database: Database, count: int, *, each: int = 100) -> None:
    for first in range(0, count, each):
        async with database.transaction() as transaction:
            for number in range(first, min(first + each, count)):
                await transaction.publish(report_requested(number))


async def roll_back(database: Database) -> None:
    async with database.transaction() as transaction:
        assert await transaction.first_time("2")
        await transaction.publish(report_requested())
        raise RuntimeError


async def waiting(database: Database) -> int:
    return len(await published(database))


async def is_empty(database: Database) -> bool:
    return await waiting(database) == 0


class AwayBus(RecordingBus):
    """A bus that is away, or refuses some messages although it works."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.refused: Callable[[Message], Exception | None] = lambda _: None

    async def publish(self, messages: Sequence[Message]) -> None:
        if self.away:
            raise UnavailableError("Away.")
        for message in messages:
            if error := self.refused(message):
                raise error
        await super().publish(messages)

    async def check(self) -> None:
        if self.away:
            raise UnavailableError("Away.")


@pytest.fixture
async def bus() -> AsyncIterator[AwayBus]:
    bus = AwayBus()
    await bus.start()
    yield bus
    await bus.close()


@pytest.fixture
async def relay(database: Database, bus: AwayBus) -> AsyncIterator[OutboxRelay]:
    relay = OutboxRelay(database, bus)
    await relay.start()
    yield relay
    await relay.close()


async def test_a_commit_is_published_at_once(database: Database, bus: AwayBus, relay: OutboxRelay) -> None:
    await asyncio.sleep(0.1)
    async with database.transaction() as transaction:
        event_id = await transaction.publish(report_requested(7))
        assert bus.messages == []

    await until(lambda: len(bus.messages) == 1, timeout_seconds=0.8)
    (message,) = bus.messages
    assert (message.id, message.type, message.source) == (event_id, report_requested().type, "/fumehood/reports")
    assert bus.events[0].model_dump()["submission_id"] == "7"
    await until(lambda: is_empty(database))


async def test_a_rollback_publishes_nothing(database: Database, bus: AwayBus, relay: OutboxRelay) -> None:
    with pytest.raises(RuntimeError):
        await roll_back(database)
    await asyncio.sleep(0.2)
    assert bus.messages == []


async def test_what_another_process_committed_is_found_by_polling(
    open_database: OpenDatabase, bus: AwayBus, relay: OutboxRelay
) -> None:
    other = await open_database()
    await queue_events(other, 3)
    await until(lambda: len(bus.messages) == 3, timeout_seconds=5)


async def test_events_wait_while_the_bus_is_away(database: Database, bus: AwayBus, relay: OutboxRelay) -> None:
    bus.away = True
    await queue_events(database, 300)
    await asyncio.sleep(0.5)
    assert await waiting(database) == 300

    bus.away = False
    await until(lambda: len(bus.messages) == 300)
    assert len({message.id for message in bus.messages}) == 300
    await until(lambda: is_empty(database))


@pytest.mark.parametrize("error", [PermanentError("Unknown type."), UnavailableError("No queue."), ValueError()])
async def test_a_row_that_cannot_be_published_does_not_hold_up_the_others(
    database: Database, bus: AwayBus, relay: OutboxRelay, error: Exception
) -> None:
    async with database.transaction() as transaction:
        poison = await transaction.publish(report_requested())
    bus.refused = lambda message: error if message.id == poison else None
    await queue_events(database, 300)
    await until(lambda: len(bus.messages) >= 300, timeout_seconds=10)
    await queue_events(database, 1)
    await until(lambda: len(bus.messages) >= 301, timeout_seconds=2)

    bus.refused = lambda _: None
    await until(lambda: is_empty(database), timeout_seconds=10)


async def test_a_row_of_an_unknown_type_stays(database: Database, bus: AwayBus, relay: OutboxRelay) -> None:
    async with database.transaction() as transaction:
        await transaction.session.execute(
            sa.insert(OUTBOX).values(
                event_id="1", type="future.event.v9", source="/x", time=now(), headers={}, body=b""
            )
        )
    await queue_events(database, 1)
    await until(lambda: len(bus.messages) == 1)
    async with database.read() as session:
        assert await session.scalar(sa.select(OUTBOX.c.type)) == "future.event.v9"


async def test_a_handled_event_is_marked_once_and_only_with_its_effect(database: Database) -> None:
    async with database.transaction() as transaction:
        assert await transaction.first_time("1")
    with pytest.raises(RuntimeError):
        await roll_back(database)
    async with database.transaction() as transaction:
        assert not await transaction.first_time("1")
        assert await transaction.first_time("2")


async def test_old_marks_are_forgotten(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.first_time("new")
        await transaction.session.execute(
            sa.insert(PROCESSED_EVENTS),
            [{"event_id": str(number), "processed_at": now() - KEPT - timedelta(hours=1)} for number in range(2500)],
        )

    assert await prune(database) == 2500
    async with database.transaction() as transaction:
        assert not await transaction.first_time("new")
        assert await transaction.first_time("0")


@pytest.mark.integration
async def test_two_relays_share_one_outbox(database_url_for: Callable[[str], str], amqp_bus_url: str) -> None:
    url = database_url_for("reports")
    databases = [Database(url, schema="reports") for _ in range(2)]
    metadata = sa.MetaData()
    add_messaging_tables(metadata)
    async with databases[0].engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    buses = [AmqpBus(amqp_bus_url) for _ in range(2)]
    relays = [OutboxRelay(database, bus) for database, bus in zip(databases, buses, strict=True)]
    handler = Recorder()
    for bus in buses:
        await bus.start()
    await buses[0].consume(REPORT_QUEUE, handler, prefetch=200)
    for relay in relays:
        await relay.start()

    await asyncio.gather(*(queue_events(database, 500, each=10) for database in databases))
    await until(lambda: is_empty(databases[0]))
    await until(lambda: len(set(handler.ids)) == 1000)
    assert len(handler.ids) == 1000

    for relay in relays:
        await relay.close()
    for bus in buses:
        await bus.close()
    for database in databases:
        await database.close()


@pytest.mark.integration
async def test_nothing_is_lost_and_nothing_has_two_effects_while_the_connection_is_cut(
    database: Database, amqp_bus_url: str
) -> None:
    """1,000 events pass through outbox, broker and inbox while the connection is cut five times."""
    url = URL(amqp_bus_url)
    async with FailingProxy(url.host or "127.0.0.1", url.port or 5672) as proxy:
        bus = AmqpBus(str(url.with_host("127.0.0.1").with_port(proxy.port)))
        await bus.start()
        relay = OutboxRelay(database, bus)
        await relay.start()
        deliveries, effects = Counter[str](), Counter[str]()

        async def handle(message: Message) -> None:
            deliveries[message.id] += 1
            async with database.transaction() as transaction:
                first = await transaction.first_time(message.id)
            if first:
                effects[message.id] += 1

        await bus.consume(REPORT_QUEUE, handle, prefetch=64)
        queueing = asyncio.create_task(queue_events(database, 1000, each=20))
        for _ in range(5):
            await asyncio.sleep(0.3)
            proxy.cut()
        await queueing
        await until(lambda: len(effects) == 1000, timeout_seconds=60)
        await until(lambda: is_empty(database))
        assert set(effects.values()) == {1}
        assert deliveries.total() >= 1000
        await relay.close()
        await bus.close()


async def test_events_survive_a_restart_of_everything(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "bus.db"

    async def run(handler: Recorder | None) -> tuple[Bus, OutboxRelay]:
        bus = LocalBus(path)
        await bus.start()
        relay = OutboxRelay(database, bus)
        if handler is not None:
            await bus.consume(REPORT_QUEUE, handler)
        await relay.start()
        return bus, relay

    await queue_events(database, 50)
    bus, relay = await run(None)
    await until(lambda: is_empty(database))
    await relay.close()
    await bus.close()

    handler = Recorder()
    bus, relay = await run(handler)
    await until(lambda: len(handler.messages) == 50)
    await relay.close()
    await bus.close()
