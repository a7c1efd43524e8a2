"""On a real PostgreSQL: migrations, two replicas at once, and that pages are read through an index."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from results.schema import ARTIFACTS, METADATA, SCANS
from results.service import RescanService, ResultsService
from results.storage import recording
from shared.alembic import schema_differences
from shared.clients.filters import ScanFilter
from shared.clock import now
from shared.database import Database
from shared.errors import ConflictError
from shared.events import RescanRequestedV1
from shared.messaging import LocalBus
from shared.migration import migrate
from shared.objects import FileObjectStore
from shared.scan import ScanStatus, Verdict
from shared.testing.bus import published
from shared.testing.scans import (
    ACCEPTED_AT,
    make_artifact,
    make_completed,
    make_document,
    make_failed,
    make_finding,
    make_uploaded,
    submission_id,
)
from shared.web import Caller, Role

ALICE = Caller(user_id="alice", role=Role.USER)
EVERYTHING = ScanFilter()


@pytest.fixture
async def postgres(database_url_for: Callable[[str], str]) -> AsyncIterator[Database]:
    database = Database(database_url_for("results"), schema="results")
    await migrate(database)
    yield database
    await database.close()


@pytest.fixture
async def replicas(postgres: Database, objects: FileObjectStore, bus: LocalBus) -> AsyncIterator[list[ResultsService]]:
    second = Database(postgres.engine.url.render_as_string(hide_password=False), schema="results")
    yield [ResultsService(database, objects, bus) for database in (postgres, second)]
    await second.close()


async def test_the_migrations_make_the_tables_of_the_code(database: Database) -> None:
    assert await schema_differences(database, METADATA) == []


@pytest.mark.integration
async def test_the_migrations_make_the_tables_of_the_code_on_postgresql(postgres: Database) -> None:
    await asyncio.gather(migrate(postgres), migrate(postgres))

    assert await schema_differences(postgres, METADATA) == []


@pytest.mark.integration
async def test_two_replicas_record_a_scan_once(replicas: list[ResultsService], postgres: Database) -> None:
    infected = make_document([make_artifact(verdict=Verdict.MALICIOUS, findings=(make_finding(),) * 3)])
    completed, failed = make_completed(document=infected), make_failed()

    await asyncio.gather(
        *(service.record_completed(completed, "message-1") for service in replicas),
        *(service.record_completed(completed, f"other-{number}") for number, service in enumerate(replicas)),
        *(service.record_failed(failed, "message-2") for service in replicas),
        *(service.record_upload(make_uploaded(), "message-3") for service in replicas),
    )

    assert len(await published(postgres)) == 1
    scan = await replicas[0].get_scan(ALICE, submission_id(1))
    assert scan.status in {ScanStatus.COMPLETED, ScanStatus.FAILED}
    assert scan.submitted_at == ACCEPTED_AT


@pytest.mark.integration
async def test_two_replicas_expire_a_scan_once(replicas: list[ResultsService], postgres: Database) -> None:
    for number in range(50):
        await replicas[0].record_upload(make_uploaded(number), f"message-{number}")

    ended = await asyncio.gather(*(service.expire_overdue() for service in replicas * 3))

    assert sum(ended) == 50
    assert len(await published(postgres)) == 50


@pytest.mark.integration
async def test_the_sweeper_passes_over_a_scan_that_is_being_recorded(
    replicas: list[ResultsService], postgres: Database
) -> None:
    await replicas[0].record_upload(make_uploaded(), "message-1")
    async with postgres.transaction() as transaction:
        assert len(await recording.claim_overdue(transaction.session, now(), 10)) == 1
        assert await asyncio.wait_for(replicas[1].expire_overdue(), timeout=10) == 0

    assert await replicas[1].expire_overdue() == 1


@pytest.mark.integration
async def test_search_finds_the_same_on_postgresql(replicas: list[ResultsService]) -> None:
    service = replicas[0]
    far = now() + timedelta(days=1)
    for number, name in enumerate(["Straße 100%.txt", "a_b\\c.txt", "nul\0.txt"], start=1):
        accepted_at = ACCEPTED_AT + timedelta(seconds=number)
        await service.record_upload(
            make_uploaded(number, name=name, accepted_at=accepted_at, deadline_at=far), f"message-{number}"
        )
    inner = make_artifact(1, name="in\0side", sha256="ab" * 32)
    await service.record_completed(
        make_completed(2, document=make_document([make_artifact(), inner], number=2)), "message-9"
    )

    async def found(where: ScanFilter) -> list[str]:
        page = await service.list_scans(ALICE, where, cursor=None, limit=10)
        return [scan.id for scan in page.items]

    assert await found(ScanFilter(name="STRASSE 100%")) == [submission_id(1)]
    assert await found(ScanFilter(name="_b\\")) == [submission_id(2)]
    assert await found(ScanFilter(name="nul\0")) == [submission_id(3)]
    assert await found(ScanFilter(sha256="AB" * 32)) == [submission_id(2)]
    assert (await service.get_file(ALICE, "ab" * 32)).verdict is Verdict.CLEAN


@pytest.mark.integration
async def test_pages_hold_everything_once_on_postgresql(replicas: list[ResultsService]) -> None:
    service = replicas[0]
    far = now() + timedelta(days=1)
    for number in range(25):
        accepted_at = ACCEPTED_AT + timedelta(microseconds=number // 3)
        await service.record_upload(
            make_uploaded(number, accepted_at=accepted_at, deadline_at=far), f"message-{number}"
        )

    seen: list[str] = []
    page = await service.list_scans(ALICE, EVERYTHING, cursor=None, limit=4)
    seen += [scan.id for scan in page.items]
    while page.next_cursor:
        page = await service.list_scans(ALICE, EVERYTHING, cursor=page.next_cursor, limit=4)
        seen += [scan.id for scan in page.items]

    assert seen == [submission_id(number) for number in reversed(range(25))]


@pytest.mark.integration
async def test_a_large_scan_is_recorded_in_bulk(
    replicas: list[ResultsService], postgres: Database, tmp_path: Path
) -> None:
    artifacts = [make_artifact(number, findings=(make_finding(),)) for number in range(5000)]

    await asyncio.wait_for(
        replicas[0].record_completed(make_completed(document=make_document(artifacts)), "message-1"), timeout=30
    )

    async with postgres.read() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(ARTIFACTS)) == 5000
        assert await session.scalar(sa.select(SCANS.c.finding_count)) == 5000


@pytest.mark.integration
async def test_two_replicas_feed_a_job_once(
    replicas: list[ResultsService], postgres: Database, objects: FileObjectStore
) -> None:
    await objects.put_bytes(make_completed().file.key, b"artifact 0")
    for number in range(12):
        await replicas[0].record_upload(make_uploaded(number), f"uploaded-{number}")
        await replicas[0].record_completed(make_completed(number), f"completed-{number}")
    feeders = [
        RescanService(replica._database, objects, lifetime=timedelta(seconds=900), outstanding=5)
        for replica in replicas
    ]
    await feeders[0].start(Caller(user_id="root", role=Role.ADMIN), ScanFilter())

    await asyncio.gather(*(feeder.feed() for feeder in feeders * 4))

    orders = [event for event in await published(postgres) if isinstance(event, RescanRequestedV1)]
    assert [order.submission_id for order in orders] == [submission_id(number) for number in (11, 10, 9, 8, 7)]


@pytest.mark.integration
async def test_two_replicas_and_a_person_ask_for_one_scan(
    replicas: list[ResultsService], postgres: Database, objects: FileObjectStore
) -> None:
    await objects.put_bytes(make_completed().file.key, b"artifact 0")
    await replicas[0].record_upload(make_uploaded(), "uploaded")
    await replicas[0].record_completed(make_completed(), "completed")
    services = [
        RescanService(replica._database, objects, lifetime=timedelta(seconds=900), outstanding=5)
        for replica in replicas
    ]

    outcomes = await asyncio.gather(
        *(service.rescan(ALICE, submission_id(1)) for service in services * 3), return_exceptions=True
    )

    assert sum(outcome is None for outcome in outcomes) == 1
    assert all(outcome is None or isinstance(outcome, ConflictError) for outcome in outcomes)
    assert sum(isinstance(event, RescanRequestedV1) for event in await published(postgres)) == 1


@pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)], indirect=True
)
async def test_scans_from_before_rescans_are_first_and_current(database: Database) -> None:
    """The second migration keeps what the first one's tables hold."""
    async with database.engine.begin() as connection:
        await connection.run_sync(_go_back_to_first_version)
        await connection.execute(_OLD_SCAN)
        await connection.execute(_OLD_ARTIFACT)
    await migrate(database)

    async with database.read() as session:
        row = (await session.execute(sa.select(SCANS))).mappings().one()
        assert (row["is_current"], row["requested_at"], row["previous_verdict"], row["options"]) == (
            True,
            None,
            None,
            {},
        )
        assert await session.scalar(sa.select(sa.func.count()).select_from(ARTIFACTS)) == 1
    assert await schema_differences(database, METADATA) == []


def _go_back_to_first_version(connection: sa.Connection) -> None:
    METADATA.drop_all(connection)
    connection.exec_driver_sql("DROP TABLE schema_version")
    _run_first_migration(connection)


def _run_first_migration(connection: sa.Connection) -> None:
    context = MigrationContext.configure(connection)
    with Operations.context(context):
        importlib.import_module("results.migrations.versions.0001_initial").upgrade()
    connection.exec_driver_sql("CREATE TABLE schema_version (version_num VARCHAR(32) NOT NULL)")
    connection.exec_driver_sql("INSERT INTO schema_version VALUES ('0001')")


_OLD_SCAN = sa.text(
    "INSERT INTO scans (scan_id, submission_id, user_id, name, name_folded, sha256, size_bytes, object_key, status, "
    "verdict, coverage_level, coverage, artifact_count, finding_count, submitted_at, deadline_at, known_at) VALUES "
    "('c', 's', 'u', 'n', 'n', 'h', 1, 'k', 'queued', 'unknown', 'none', '{\"level\": \"none\"}', 0, 0, "
    "'2025-01-01 00:00:00+00', '2025-01-01 00:00:00+00', '2025-01-01 00:00:00+00')"
)
_OLD_ARTIFACT = sa.text(
    "INSERT INTO artifacts (scan_id, id, name, sha256, size_bytes, content_type, mime_type, verdict, coverage) "
    "VALUES ('c', 0, 'n', 'h', 1, 'txt', 'text/plain', 'clean', '{}')"
)
