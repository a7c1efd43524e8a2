"""The gateway on its real servers: PostgreSQL and Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from gateway import storage
from gateway.auth.limits import Limit, RateLimits
from gateway.auth.sessions import SessionStore
from gateway.models.accounts import Action, User
from gateway.schema import METADATA
from shared.alembic import schema_differences
from shared.cache import open_cache
from shared.clock import now
from shared.database import Database
from shared.errors import RateLimitedError
from shared.migration import migrate
from shared.web import Role

pytestmark = pytest.mark.integration


@pytest.fixture
async def database(database_url_for: Callable[[str], str]) -> AsyncIterator[Database]:
    database = Database(database_url_for("gateway"), schema="gateway")
    await migrate(database)
    yield database
    await database.close()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    cache = open_cache(redis_url)
    yield cache
    await cache.aclose()


def new_user(email: str, role: Role = Role.USER) -> User:
    return User(id=str(uuid4()), email=email, role=role, created_at=now(), credentials_changed_at=now())


async def test_the_migrated_tables_are_those_of_the_code(database: Database) -> None:
    await migrate(database)

    assert await schema_differences(database, METADATA) == []


async def test_an_email_belongs_to_one_user_even_when_two_ask_at_once(database: Database) -> None:
    async def insert() -> bool:
        async with database.transaction() as transaction:
            return await storage.insert_user(transaction.session, new_user("a@example.org"))

    assert sorted(await asyncio.gather(*(insert() for _ in range(5)))) == [False, False, False, False, True]


async def test_a_link_is_spent_once_even_when_two_use_it_at_once(database: Database) -> None:
    user = new_user("a@example.org", Role.ADMIN)
    async with database.transaction() as transaction:
        await storage.insert_user(transaction.session, user)
        await storage.insert_link(transaction.session, "hash", user.id, now() + timedelta(minutes=1))

    async def spend() -> bool:
        async with database.transaction() as transaction:
            return await storage.spend_link(transaction.session, "hash")

    assert sorted(await asyncio.gather(*(spend() for _ in range(5)))) == [False, False, False, False, True]
    async with database.read() as session:
        assert await storage.find_link_user(session, "hash") is None


async def test_users_and_audit_entries_are_read_as_written(database: Database) -> None:
    user = new_user("a@example.org", Role.ADMIN)
    async with database.transaction() as transaction:
        await storage.insert_user(transaction.session, user)
        await storage.insert_audit(transaction.session, user.email, Action.SIGNED_IN, address="::1", detail={"a": "b"})
        await storage.update_credentials(transaction.session, user.id, "b@example.org", "hash")

    async with database.read() as session:
        found = await storage.find_first_administrator(session)
        assert found is not None
        assert (found.id, found.email, found.password_hash) == (user.id, "b@example.org", "hash")
        assert found.credentials_changed_at >= user.credentials_changed_at
        assert await storage.emails_of(session, {user.id, "nobody"}) == {user.id: "b@example.org"}


async def test_sessions_on_a_real_server(redis: Redis, cache_prefix: str) -> None:
    store = SessionStore(redis, cache_prefix, idle_seconds=100, lifetime_seconds=50)
    session_id = await store.start("user-1")
    (key,) = [key async for key in redis.scan_iter(f"{cache_prefix}*")]

    found = await store.find(session_id)
    assert found is not None
    assert found.user_id == "user-1"
    assert 0 < await redis.ttl(key) <= 50
    await store.end(session_id)
    assert await store.find(session_id) is None


async def test_limits_are_shared_through_a_real_server(redis: Redis, cache_prefix: str) -> None:
    limit = Limit("test", 3, 60)
    replicas = [RateLimits(redis, cache_prefix) for _ in range(2)]
    for number in range(3):
        await replicas[number % 2].count(limit, "alice")

    with pytest.raises(RateLimitedError) as refused:
        await replicas[1].count(limit, "alice")
    await replicas[1].count(limit, "bob")

    assert 0 < (refused.value.retry_after_seconds or 0) <= 60
    await replicas[0].forget(limit, "alice")
    await replicas[1].check(limit, "alice")
