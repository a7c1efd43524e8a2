"""One event in, a stored report and an event out; once, however often the event comes."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from reports.errors import ReportNotMadeError
from reports.service import ReportsService
from shared.clients.results import ScanDetail
from shared.clock import now
from shared.database import Database
from shared.errors import ClientError, UnavailableError
from shared.events import ReportFailedV1, ReportFormat, ReportReadyV1, ReportRequestedV1, ScanRecordedV1
from shared.objects import FileObjectStore, read_bytes
from shared.scan import ScanStatus
from shared.testing.bus import published

Feed = Callable[..., Awaitable[None]]
MakeScan = Callable[..., ScanDetail]


def recorded(scan: ScanDetail, **changes: Any) -> ScanRecordedV1:
    values: dict[str, Any] = {
        "submission_id": scan.id,
        "scan_id": scan.scan_id,
        "user_id": scan.user_id,
        "sha256": scan.sha256,
        "size_bytes": scan.size_bytes,
        "name": scan.name,
        "status": scan.status,
        "verdict": scan.verdict,
        "coverage": scan.coverage.level,
        "artifact_count": scan.artifact_count,
        "finding_count": scan.finding_count,
        "recorded_at": now(),
    }
    return ScanRecordedV1(**values | changes)


def requested(scan: ScanDetail, form: ReportFormat) -> ReportRequestedV1:
    return ReportRequestedV1(
        submission_id=scan.id, scan_id=scan.scan_id, user_id=scan.user_id, format=form, requested_at=now()
    )


@pytest.fixture
def scan(make_scan: MakeScan, known: Any) -> ScanDetail:
    made = make_scan()
    known.scans[made.id] = made
    return made


async def test_a_rescan_that_says_what_was_known_gets_no_report(
    scan: ScanDetail, feed: Feed, database: Database
) -> None:
    await feed(recorded(scan, previous_verdict=scan.verdict))

    assert await published(database) == []


async def test_a_recorded_scan_gets_its_report(
    scan: ScanDetail, feed: Feed, database: Database, objects: FileObjectStore
) -> None:
    await feed(recorded(scan))

    (event,) = await published(database)
    assert isinstance(event, ReportReadyV1)
    assert (event.scan_id, event.user_id, event.format) == (scan.scan_id, "alice", ReportFormat.PDF)
    assert (await read_bytes(objects, event.report)).startswith(b"pdf ")
    assert event.report.key.startswith(f"reports/{scan.scan_id}.")


@pytest.mark.parametrize("event_ids", [("same", "same"), ("one", "other")])
async def test_a_report_is_made_once_however_often_the_event_comes(
    event_ids: tuple[str, str], scan: ScanDetail, feed: Feed, database: Database, renderer: Any
) -> None:
    for event_id in event_ids:
        await feed(recorded(scan), event_id)

    assert renderer.rendered == [ReportFormat.PDF]
    assert len(await published(database)) == len(set(event_ids))


async def test_nothing_is_made_where_nothing_is_wanted(
    scan: ScanDetail, feed: Feed, service: ReportsService, database: Database, known: Any
) -> None:
    service._formats = ()

    await feed(recorded(scan))

    assert known.calls == 0
    assert await published(database) == []


@pytest.mark.parametrize("form", list(ReportFormat))
async def test_a_requested_format_is_made(form: ReportFormat, scan: ScanDetail, feed: Feed, database: Database) -> None:
    await feed(requested(scan, form))

    (event,) = await published(database)
    assert isinstance(event, ReportReadyV1)
    assert event.format is form


async def test_all_formats_of_a_scan_have_the_same_identity(
    scan: ScanDetail, feed: Feed, database: Database, objects: FileObjectStore
) -> None:
    for form in ReportFormat:
        await feed(requested(scan, form))

    events = [event for event in await published(database) if isinstance(event, ReportReadyV1)]
    identities = {(await read_bytes(objects, event.report)).split(b" ", 1)[1] for event in events}
    assert (len(events), len(identities)) == (3, 1)


async def test_a_report_that_cannot_be_made_is_announced_as_failed(
    scan: ScanDetail, feed: Feed, database: Database, renderer: Any
) -> None:
    renderer.error = ReportNotMadeError("The PDF was not finished within 60 seconds.")

    await feed(recorded(scan))

    (event,) = await published(database)
    assert isinstance(event, ReportFailedV1)
    assert event.reason == "The PDF was not finished within 60 seconds."


async def test_a_request_before_the_end_of_the_scan_fails(
    make_scan: MakeScan, known: Any, feed: Feed, database: Database
) -> None:
    scan = make_scan(status=ScanStatus.QUEUED)
    known.scans[scan.id] = scan

    await feed(requested(scan, ReportFormat.PDF))

    assert [type(event) for event in await published(database)] == [ReportFailedV1]


async def test_a_superseded_scan_gets_no_report(
    scan: ScanDetail, feed: Feed, database: Database, renderer: Any
) -> None:
    await feed(recorded(scan, scan_id="an-older-one"))

    assert (renderer.rendered, await published(database)) == ([], [])


async def test_an_outage_is_tried_again(scan: ScanDetail, feed: Feed, database: Database, renderer: Any) -> None:
    renderer.error = UnavailableError("The object store does not answer.")
    with pytest.raises(UnavailableError):
        await feed(recorded(scan), "same")

    renderer.error = None
    await feed(recorded(scan), "same")

    assert [type(event) for event in await published(database)] == [ReportReadyV1]


async def test_a_scan_that_results_does_not_know_is_given_up(make_scan: MakeScan, feed: Feed) -> None:
    with pytest.raises(ClientError, match="no such submission"):
        await feed(recorded(make_scan()))
