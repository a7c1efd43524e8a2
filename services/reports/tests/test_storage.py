"""The migrations make the tables of the code, and two replicas agree on one identity."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from reports.schema import METADATA
from reports.service import ReportsService
from shared.alembic import schema_differences
from shared.clients.results import ResultsClient, ScanDetail
from shared.database import Database
from shared.events import ReportFormat
from shared.migration import migrate
from shared.objects import FileObjectStore, read_bytes
from shared.web import Caller, Role

ALICE = Caller(user_id="alice", role=Role.USER)
SECRET = "s" * 32


@pytest.fixture
async def postgres(database_url_for: Callable[[str], str]) -> AsyncIterator[Database]:
    database = Database(database_url_for("reports"), schema="reports")
    await migrate(database)
    yield database
    await database.close()


async def test_the_migrations_make_the_tables_of_the_code(database: Database) -> None:
    assert await schema_differences(database, METADATA) == []


@pytest.mark.integration
async def test_the_migrations_make_the_tables_of_the_code_on_postgresql(postgres: Database) -> None:
    assert await schema_differences(postgres, METADATA) == []


@pytest.mark.integration
async def test_two_replicas_agree_on_one_report(
    postgres: Database, objects: FileObjectStore, known: Any, renderer: Any, make_scan: Callable[..., ScanDetail]
) -> None:
    scan = make_scan()
    known.scans[scan.id] = scan
    clients = [ResultsClient("results", "http://results", SECRET, known) for _ in range(2)]
    replicas = [ReportsService(postgres, objects, client, renderer, ()) for client in clients]

    stored = await asyncio.gather(
        *(replica.get_report(ALICE, scan.id, form) for replica in replicas for form in ReportFormat)
    )

    identities = {(await read_bytes(objects, one)).split(b" ", 1)[1] for one in stored}
    assert len(identities) == 1
    for client in clients:
        await client.close()
