"""The HTTP contract of shared.clients.reports, with the real app, the real client and real rendering."""

import json
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from pypdf import PdfReader

from reports.config import Settings
from reports.main import create_app
from reports.models import Report
from shared.clients import ReportsClient
from shared.clients.results import ScanDetail
from shared.database import Database
from shared.errors import ClientError
from shared.events import ReportFormat
from shared.messaging import LocalBus
from shared.scan import ScanStatus
from shared.web import Caller, Role

MakeScan = Callable[..., ScanDetail]
ALICE = Caller(user_id="alice", role=Role.USER)
BOB = Caller(user_id="bob", role=Role.USER)
SECRET = "s" * 32


@pytest.fixture
async def app(tmp_path: Path, database: Database, bus: LocalBus, known: Any) -> AsyncIterator[FastAPI]:
    settings = Settings(
        database_url=SecretStr(str(database.engine.url)),
        objects_url=f"file://{tmp_path}/objects",
        service_secret=SecretStr(SECRET),
    )
    app = create_app(settings, bus, {"results": known})
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[ReportsClient]:
    client = ReportsClient("reports", "http://reports", SECRET, httpx.ASGITransport(app))
    yield client
    await client.close()


@pytest.fixture
def scan(make_scan: MakeScan, known: Any) -> ScanDetail:
    made = make_scan()
    known.scans[made.id] = made
    return made


async def _download(client: ReportsClient, submission_id: str, form: ReportFormat) -> tuple[httpx.Headers, bytes]:
    async with client.open_report(ALICE, submission_id, form) as answer:
        return answer.headers, await answer.aread()


async def test_each_format_is_served_with_its_type_and_length(client: ReportsClient, scan: ScanDetail) -> None:
    served = {form: await _download(client, scan.id, form) for form in ReportFormat}

    assert {form: headers["content-type"] for form, (headers, _) in served.items()} == {
        ReportFormat.JSON: "application/json",
        ReportFormat.HTML: "text/html; charset=utf-8",
        ReportFormat.PDF: "application/pdf",
    }
    assert all(int(headers["content-length"]) == len(body) for headers, body in served.values())
    report = Report.model_validate(json.loads(served[ReportFormat.JSON][1]))
    assert report.scan.id == scan.scan_id
    assert report.report.id in served[ReportFormat.HTML][1].decode()
    assert report.report.id in PdfReader(BytesIO(served[ReportFormat.PDF][1])).pages[0].extract_text()


async def test_an_unchanged_report_is_not_sent_again(client: ReportsClient, scan: ScanDetail) -> None:
    headers, _ = await _download(client, scan.id, ReportFormat.JSON)

    path = f"/internal/v1/submissions/{scan.id}/report.json"
    answer = await client._call(ALICE, "GET", path, headers={"If-None-Match": headers["etag"]})

    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize(
    ("caller", "status", "form", "expected"),
    [
        (BOB, ScanStatus.COMPLETED, "json", (404, "not_found")),
        (ALICE, ScanStatus.SCANNING, "json", (409, "scan_not_ended")),
        (ALICE, ScanStatus.COMPLETED, "docx", (422, "invalid_input")),
    ],
)
async def test_what_cannot_be_had_is_a_problem(
    caller: Caller,
    status: ScanStatus,
    form: str,
    expected: tuple[int, str],
    make_scan: MakeScan,
    known: Any,
    client: ReportsClient,
) -> None:
    scan = make_scan(status=status)
    known.scans[scan.id] = scan

    with pytest.raises(ClientError) as caught:
        await client._call(caller, "GET", f"/internal/v1/submissions/{scan.id}/report.{form}")

    assert (caught.value.status, caught.value.code) == expected


async def test_readiness_names_what_is_checked(app: FastAPI) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://reports") as http:
        assert (await http.get("/readyz")).json() == {"status": "ready"}

    assert set(app.state.context.checks()) == {"database", "objects", "bus"}
