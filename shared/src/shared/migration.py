"""Bringing a service's schema to the newest version; Alembic's versions are in `<service>/migrations/versions`.

A version's revision is the number its file begins with (`0002_shares.py` is revision `0002`), and each
follows the one before. So the newest is known from the file names, and a process that finds its
schema up to date, as at every start but the first, does not load Alembic.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from shared.database import Database

VERSION_TABLE = "schema_version"


async def migrate(database: Database) -> None:
    """Bring the service's schema to the newest version; do nothing if it is there already.

    Two processes may call this at once: PostgreSQL serialises them with an advisory lock,
    SQLite with its write lock. Within one process call it for one database after the other,
    because Alembic keeps the running migration in module globals.
    """
    async with database.read() as session:
        if await (await session.connection()).run_sync(_current_revision) == newest_revision(database.schema):
            return
    from shared.alembic import upgrade  # noqa: PLC0415 - slow to import, and most starts need none of it

    async with database.engine.begin() as connection:
        await connection.run_sync(upgrade, database.schema)


def newest_revision(service: str) -> str:
    """Return the revision that a service's code needs, for example `0002`."""
    versions = files(service) / "migrations" / "versions"
    return max(file.name[:4] for file in versions.iterdir() if file.name[:4].isdigit())


def _current_revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.scalar(sa.text(f"SELECT max(version_num) FROM {VERSION_TABLE}"))  # noqa: S608
    return revision
