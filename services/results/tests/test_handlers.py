"""The HTTP contract of shared.clients.results, with the real app and the real client."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from results.config import Settings
from results.main import create_app
from shared.clients import ResultsClient
from shared.clients.filters import ScanFilter
from shared.clock import now
from shared.database import Database
from shared.errors import ClientError
from shared.events import Event
from shared.messaging import LocalBus
from shared.scan import ScanStatus, Verdict
from shared.testing.bus import envelope, until
from shared.testing.scans import make_artifact, make_completed, make_uploaded, submission_id
from shared.web import Caller, Role

ALICE = Caller(user_id="alice", role=Role.USER)
BOB = Caller(user_id="bob", role=Role.USER)
SECRET = "s" * 32


@pytest.fixture
def settings(tmp_path: Path, database: Database) -> Settings:
    return Settings(
        database_url=SecretStr(str(database.engine.url)),
        objects_url=f"file://{tmp_path}/objects",
        service_secret=SecretStr(SECRET),
        deadline_sweep_seconds=0.05,
    )


@pytest.fixture
async def app(settings: Settings, bus: LocalBus) -> AsyncIterator[FastAPI]:
    app = create_app(settings, bus)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[ResultsClient]:
    client = ResultsClient("results", "http://results", SECRET, httpx.ASGITransport(app))
    yield client
    await client.close()


async def _publish(bus: LocalBus, *events: Event) -> None:
    await bus.publish([envelope(event) for event in events])


async def test_a_submission_goes_from_the_bus_to_its_reader(client: ResultsClient, bus: LocalBus) -> None:
    async def ended() -> bool:
        page = await client.list_scans(ALICE, ScanFilter(status=ScanStatus.COMPLETED))
        return len(page.items) == 1

    await _publish(bus, make_uploaded(deadline_at=now() + timedelta(seconds=60)), make_completed())
    await until(ended)

    scan = await client.get_scan(ALICE, submission_id(1))
    assert (scan.status, scan.verdict) == (ScanStatus.COMPLETED, Verdict.CLEAN)
    assert scan.artifacts == (make_artifact(),)
    assert (await client.get_file(ALICE, make_artifact().sha256.upper())).verdict is Verdict.CLEAN


async def test_an_overdue_submission_expires_by_itself(client: ResultsClient, bus: LocalBus) -> None:
    async def expired() -> bool:
        return bool((await client.list_scans(ALICE, ScanFilter(status=ScanStatus.EXPIRED))).items)

    await _publish(bus, make_uploaded())
    await until(expired)

    assert (await client.get_scan(ALICE, submission_id(1))).reason


async def test_pages_follow_each_other(client: ResultsClient, bus: LocalBus) -> None:
    async def known() -> bool:
        return len((await client.list_scans(ALICE, ScanFilter())).items) == 3

    deadline_at = now() + timedelta(seconds=60)
    await _publish(bus, *(make_uploaded(number, deadline_at=deadline_at) for number in (1, 2, 3)))
    await until(known)

    first = await client.list_scans(ALICE, ScanFilter(name="notes"), limit=2)
    second = await client.list_scans(ALICE, ScanFilter(name="notes"), limit=2, cursor=first.next_cursor)
    assert [scan.id for scan in (*first.items, *second.items)] == [submission_id(number) for number in (3, 2, 1)]
    assert second.next_cursor is None


async def test_a_stranger_gets_not_found(client: ResultsClient, bus: LocalBus) -> None:
    await _publish(bus, make_uploaded(deadline_at=now() + timedelta(seconds=60)))

    for call in (client.get_scan(BOB, submission_id(1)), client.get_file(BOB, make_artifact().sha256)):
        with pytest.raises(ClientError) as caught:
            await call
        assert (caught.value.status, caught.value.code) == (404, "not_found")


@pytest.mark.parametrize(
    "path",
    [
        "/internal/v1/submissions?limit=101",
        "/internal/v1/submissions?limit=0",
        "/internal/v1/submissions?verdict=fine",
        "/internal/v1/submissions?sha256=abc",
        "/internal/v1/submissions?after=yesterday",
        "/internal/v1/submissions?cursor=next",
        "/internal/v1/files/abc",
    ],
)
async def test_a_query_that_makes_no_sense_is_answered_422(path: str, client: ResultsClient) -> None:
    with pytest.raises(ClientError) as caught:
        await client._call(ALICE, "GET", path)

    assert caught.value.status == 422


async def test_only_services_get_in(app: FastAPI) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://results") as http:
        answers = [
            await http.get("/internal/v1/submissions", headers=headers)
            for headers in ({}, {"Authorization": "Bearer nonsense"})
        ]

    assert [answer.status_code for answer in answers] == [401, 401]


async def test_readiness_names_what_is_checked(app: FastAPI) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://results") as http:
        assert (await http.get("/readyz")).json() == {"status": "ready"}

    assert set(app.state.context.checks()) == {"database", "objects", "bus"}
