"""The pytest plugin of every member: sockets and time limits by marker, and fixtures on real servers.

Fixtures for tests marked `integration` or `e2e`; each test that asks gets an empty part of its own:

    postgres_url      superuser URL of an empty database
    database_url_for  function: service name -> URL of an empty database that has the service's schema
    amqp_url          URL of an empty RabbitMQ virtual host
    redis_url         URL of the Redis server, to be used with ...
    cache_prefix      ... a key prefix of its own
    s3_url            s3://BUCKET/PREFIX of an empty bucket; the AWS_* variables are set for this test
"""

from collections.abc import Callable, Iterator

import pytest

from shared.testing.servers import ObjectServer, PostgresServer, RabbitServer, RedisServer

TIMEOUT_SECONDS = {"integration": 120, "e2e": 300}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give integration and e2e tests the network and a longer timeout; all others have neither."""
    for item in items:
        for name, seconds in TIMEOUT_SECONDS.items():
            if item.get_closest_marker(name) is None:
                continue
            item.add_marker(pytest.mark.enable_socket)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(seconds))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give the PostgreSQL server; databases made on it are dropped when the session ends."""
    server = PostgresServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def rabbit_server() -> Iterator[RabbitServer]:
    """Give the RabbitMQ broker; virtual hosts made on it are deleted when the session ends."""
    server = RabbitServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Give the Redis server; keys below our prefixes are deleted when the session ends."""
    server = RedisServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def object_server() -> Iterator[ObjectServer]:
    """Give the S3 server; its buckets are gone when the session ends."""
    server = ObjectServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """Return the superuser URL (SQLAlchemy, asyncpg) of an empty database of this test's own."""
    return postgres_server.create_database()


@pytest.fixture
def database_url_for(postgres_server: PostgresServer) -> Callable[[str], str]:
    """Return a function that makes an empty database with one service's schema and returns its URL."""
    return postgres_server.create_database


@pytest.fixture
def amqp_url(rabbit_server: RabbitServer) -> str:
    """Return the URL of an empty virtual host of this test's own."""
    return rabbit_server.create_virtual_host()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Return the URL of the Redis server; keep to `cache_prefix`, the server is shared."""
    return redis_server.url


@pytest.fixture
def cache_prefix(redis_server: RedisServer) -> str:
    """Return a key prefix of this test's own."""
    return redis_server.create_prefix()


@pytest.fixture
def s3_url(object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return `s3://BUCKET/objects` of an empty bucket and set the AWS_* variables for this test."""
    for name, value in object_server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{object_server.create_bucket()}/objects"
