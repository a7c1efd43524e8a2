"""Alembic for every service, without an env.py: the versions are in `<service>/migrations/versions`."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

if TYPE_CHECKING:
    import sqlalchemy as sa

    from shared.database import Database


async def migrate(database: Database) -> None:
    """Bring the service's schema to the newest version; do nothing if it is there already.

    Two processes may call this at once: PostgreSQL serialises them with an advisory lock,
    SQLite with its write lock. Within one process call it for one database after the other,
    because Alembic keeps the running migration in module globals.
    """
    async with database.engine.connect() as connection:
        await connection.execution_options(sqlite_begin="IMMEDIATE")
        async with connection.begin():
            await connection.run_sync(_upgrade, database.schema)


async def schema_differences(database: Database, metadata: sa.MetaData) -> list[Any]:
    """Return how the migrated database differs from the tables in code; empty when they agree."""

    def compare(connection: sa.Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "version_table": _VERSION_TABLE})
        differences: list[Any] = compare_metadata(context, metadata)
        return differences

    async with database.engine.connect() as connection:
        return await connection.run_sync(compare)


_VERSION_TABLE = "schema_version"


def _upgrade(connection: sa.Connection, service: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext(current_schema()))")
    config = Config()
    config.set_main_option("script_location", str(files(service) / "migrations"))
    script = ScriptDirectory.from_config(config)

    def steps(revision: Any, _context: object) -> Any:
        return script._upgrade_revs("head", revision)  # noqa: SLF001 - what `alembic upgrade` itself calls

    with EnvironmentContext(config, script, fn=steps) as environment:
        environment.configure(connection=connection, version_table=_VERSION_TABLE)
        environment.run_migrations()
