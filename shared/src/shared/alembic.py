"""Alembic for every service, without an env.py."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from shared.migration import VERSION_TABLE

if TYPE_CHECKING:
    import sqlalchemy as sa

    from shared.database import Database


def upgrade(connection: sa.Connection, service: str) -> None:
    """Run the service's versions that the database lacks, in the transaction that is open."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext(current_schema()))")
    script = version_scripts(service)

    def steps(revision: Any, _context: object) -> Any:
        return script._upgrade_revs("head", revision)  # noqa: SLF001 - what `alembic upgrade` itself calls

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(connection=connection, version_table=VERSION_TABLE)
        environment.run_migrations()


def version_scripts(service: str) -> ScriptDirectory:
    """Return the versions of a service."""
    return ScriptDirectory(str(files(service) / "migrations"))


async def schema_differences(database: Database, metadata: sa.MetaData) -> list[Any]:
    """Return how the migrated database differs from the tables in code; empty when they agree."""

    def compare(connection: sa.Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "version_table": VERSION_TABLE})
        differences: list[Any] = compare_metadata(context, metadata)
        return differences

    async with database.engine.connect() as connection:
        return await connection.run_sync(compare)
