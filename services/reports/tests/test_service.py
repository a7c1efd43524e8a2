"""Handing reports out: to whom, when, and what happens when two ask at once."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from reports.errors import ScanNotEndedError
from reports.models import Report
from reports.render import Renderer
from reports.service import ReportsService
from shared.clients.results import ScanDetail
from shared.database import Database
from shared.errors import ClientError
from shared.events import ReportFormat
from shared.objects import FileObjectStore, read_bytes
from shared.scan import ScanStatus
from shared.web import Caller, Role

MakeScan = Callable[..., ScanDetail]
ALICE = Caller(user_id="alice", role=Role.USER)
BOB = Caller(user_id="bob", role=Role.USER)


@pytest.fixture
def scan(make_scan: MakeScan, known: Any) -> ScanDetail:
    made = make_scan()
    known.scans[made.id] = made
    return made


async def test_a_report_is_made_when_it_is_first_asked_for(
    scan: ScanDetail, service: ReportsService, renderer: Any
) -> None:
    first = await service.get_report(ALICE, scan.id, ReportFormat.HTML)
    second = await service.get_report(ALICE, scan.id, ReportFormat.HTML)

    assert first == second
    assert renderer.rendered == [ReportFormat.HTML]


async def test_two_who_ask_at_once_get_the_same_report(
    scan: ScanDetail, service: ReportsService, renderer: Any
) -> None:
    reports = await asyncio.gather(*(service.get_report(ALICE, scan.id, ReportFormat.PDF) for _ in range(5)))

    assert len(set(reports)) == 1
    assert renderer.rendered == [ReportFormat.PDF]


async def test_a_stranger_gets_what_results_says(scan: ScanDetail, service: ReportsService, renderer: Any) -> None:
    await service.get_report(ALICE, scan.id, ReportFormat.PDF)

    with pytest.raises(ClientError) as caught:
        await service.get_report(BOB, scan.id, ReportFormat.PDF)

    assert (caught.value.status, caught.value.code) == (404, "not_found")


@pytest.mark.parametrize("status", [ScanStatus.QUEUED, ScanStatus.SCANNING])
async def test_a_scan_that_has_not_ended_has_no_report(
    status: ScanStatus, make_scan: MakeScan, known: Any, service: ReportsService
) -> None:
    scan = make_scan(status=status)
    known.scans[scan.id] = scan

    with pytest.raises(ScanNotEndedError) as caught:
        await service.get_report(ALICE, scan.id, ReportFormat.PDF)

    assert caught.value.status == 409


async def test_a_report_whose_bytes_are_gone_is_made_again(
    scan: ScanDetail, service: ReportsService, objects: FileObjectStore, renderer: Any
) -> None:
    stored = await service.get_report(ALICE, scan.id, ReportFormat.JSON)
    await objects.delete(stored.key)

    again = await service.get_report(ALICE, scan.id, ReportFormat.JSON)

    assert await read_bytes(objects, again)
    assert renderer.rendered == [ReportFormat.JSON] * 2


async def test_who_is_second_makes_the_report_that_the_first_began(
    scan: ScanDetail,
    service: ReportsService,
    database: Database,
    objects: FileObjectStore,
    renderer: Any,
    tmp_path: Path,
) -> None:
    class OvertakenRenderer(Renderer):
        """Renders while another replica is quicker."""

        def __init__(self) -> None:
            """Need no processes."""

        async def render(self, report: Report, form: ReportFormat) -> bytes:
            await service.get_report(ALICE, scan.id, ReportFormat.JSON)
            return cast("bytes", await renderer.render(report, form))

    second = ReportsService(database, objects, service._results, OvertakenRenderer(), ())

    html = await second.get_report(ALICE, scan.id, ReportFormat.HTML)

    json = await service.get_report(ALICE, scan.id, ReportFormat.JSON)
    assert renderer.rendered == [ReportFormat.JSON, ReportFormat.HTML, ReportFormat.HTML]
    assert (await read_bytes(objects, html)).split(b" ", 1)[1] == (await read_bytes(objects, json)).split(b" ", 1)[1]
    assert len(list((tmp_path / "objects" / "reports").iterdir())) == 2
