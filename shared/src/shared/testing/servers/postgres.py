"""PostgreSQL: a database of its own for each test that asks."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from shared.testing.servers.naming import PREFIX, fail_for_missing, is_stale, new_name

VARIABLE = "FUMEHOOD_TEST_DATABASE_URL"
DEFAULT_URL = "postgresql://postgres@127.0.0.1:5432/postgres"


class PostgresServer:
    """A server on which we may create databases and roles. Calls block; safe inside and outside an event loop."""

    def __init__(self) -> None:
        self.admin_url = os.environ.get(VARIABLE, DEFAULT_URL)
        self._databases: list[str] = []

    def start(self) -> None:
        """Make sure that the server can be used; drop what killed runs left behind. Fails the test if not."""
        try:
            names = self.query("SELECT datname FROM pg_database WHERE datname LIKE $1", f"{PREFIX}%")
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            fail_for_missing("PostgreSQL", self.admin_url, VARIABLE, error)
        for name in filter(is_stale, names):
            self._drop_database(name)

    def create_database(self, *schemas: str) -> str:
        """Create an empty database with these schemas; return its superuser URL for SQLAlchemy."""
        name = new_name()
        self.execute(f'CREATE DATABASE "{name}"')
        self._databases.append(name)
        url = self.url_of(name)
        if schemas:
            self.execute("; ".join(f'CREATE SCHEMA "{schema}"' for schema in schemas), url=url)
        return url.replace("postgresql://", "postgresql+asyncpg://")

    def url_of(self, database: str) -> str:
        """Return the superuser URL of a database, for asyncpg."""
        return urlunsplit(urlsplit(self.admin_url)._replace(path=f"/{database}"))

    def execute(self, statement: str, *, url: str | None = None) -> None:
        """Run one statement or several."""
        self._run(lambda connection: connection.execute(statement), url)

    def query(self, statement: str, *values: object, url: str | None = None) -> list[Any]:
        """Return the first column of every row."""
        rows = self._run(lambda connection: connection.fetch(statement, *values), url)
        return [row[0] for row in rows]

    def stop(self) -> None:
        """Drop every database that was created here, and the roles that own nothing any more."""
        for name in self._databases:
            self._drop_database(name)
        self._databases.clear()

    def _drop_database(self, name: str) -> None:
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        for role in self.query("SELECT rolname FROM pg_roles WHERE rolname LIKE $1", f"{name}%"):
            self.execute(f'DROP ROLE IF EXISTS "{role}"')

    def _run(self, work: Callable[[asyncpg.Connection], Coroutine[Any, Any, Any]], url: str | None) -> Any:
        async def connected() -> Any:
            connection = await asyncpg.connect((url or self.admin_url).replace("+asyncpg", ""), timeout=10)
            try:
                return await work(connection)
            finally:
                await connection.close()

        # A thread, because the caller may be a test that runs in an event loop of its own.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, connected()).result()
