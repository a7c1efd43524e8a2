"""Scanning again: what counts for a submission, what is kept of it, and jobs that lose and double nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from results.schema import RESCANS, SCANS
from results.service import RescanService, ResultsService
from shared.clients.filters import ScanFilter
from shared.clients.rescans import RescanAct, RescanJob, RescanState
from shared.clock import now
from shared.database import Database
from shared.errors import ConflictError, NotAllowedError, NotFoundError
from shared.events import RescanRequestedV1, ScanExpiredV1, ScanOptions, ScanRecordedV1
from shared.objects import FileObjectStore
from shared.scan import ScanDocument, ScanStatus, Verdict
from shared.testing.bus import published
from shared.testing.scans import (
    ACCEPTED_AT,
    ZIP,
    make_artifact,
    make_completed,
    make_document,
    make_failed,
    make_uploaded,
    submission_id,
)
from shared.web import Caller, Role

Feed = Callable[..., Awaitable[None]]
Rows = Callable[..., Awaitable[list[dict[str, Any]]]]

BOTH_DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)]
pytestmark = pytest.mark.parametrize("database", BOTH_DATABASES, indirect=True)
ALICE = Caller(user_id="alice", role=Role.USER)
BOB = Caller(user_id="bob", role=Role.USER)
ADMIN = Caller(user_id="root", role=Role.ADMIN)
EVERYTHING = ScanFilter()


@pytest.fixture(autouse=True)
async def stored(objects: FileObjectStore) -> str:
    """The bytes of every submission of these tests."""
    key = make_completed().file.key
    await objects.put_bytes(key, b"artifact 0")
    return key


@pytest.fixture
def scanned(feed: Feed) -> Callable[..., Awaitable[None]]:
    """Give a function that submits and scans files by number."""

    async def scan(*numbers: int, verdict: Verdict = Verdict.CLEAN, user_id: str = "alice") -> None:
        for number in numbers:
            accepted_at = ACCEPTED_AT + timedelta(seconds=number)
            await feed(make_uploaded(number, user_id=user_id, accepted_at=accepted_at))
            await feed(make_completed(number, _document(number, verdict), user_id=user_id))

    return scan


def _document(number: int, verdict: Verdict, **changes: Any) -> ScanDocument:
    return make_document([make_artifact(verdict=verdict)], number, **changes)


async def _orders(database: Database) -> list[RescanRequestedV1]:
    return [event for event in await published(database) if isinstance(event, RescanRequestedV1)]


async def _finish(feed: Feed, order: RescanRequestedV1, verdict: Verdict = Verdict.CLEAN) -> None:
    document = _document(1, verdict, scan_id=order.scan_id, submission_id=order.submission_id)
    ids = {"scan_id": order.scan_id, "submission_id": order.submission_id, "user_id": order.user_id}
    await feed(make_completed(1, document, **ids))


async def test_a_rescan_is_asked_for_with_all_that_a_scan_needs(
    feed: Feed, rescans: RescanService, database: Database, stored: str
) -> None:
    options = ScanOptions(passwords=("secret",))
    await feed(make_uploaded(options=options))
    await feed(make_completed())
    await rescans.rescan(ALICE, submission_id(1))

    (order,) = await _orders(database)
    assert (order.submission_id, order.user_id, order.name) == (submission_id(1), "alice", "notes.txt")
    assert (order.file.key, order.options) == (stored, options)
    assert order.scan_id != make_uploaded().scan_id
    assert order.deadline_at - order.accepted_at == timedelta(seconds=900)


async def test_the_earlier_verdict_stands_until_the_rescan_has_completed(
    scanned: Any, feed: Feed, service: ResultsService, rescans: RescanService, database: Database
) -> None:
    await scanned(1)
    await rescans.rescan(ALICE, submission_id(1))
    (order,) = await _orders(database)
    during = await service.get_scan(ALICE, submission_id(1))
    assert (during.status, during.verdict, during.open) == (ScanStatus.COMPLETED, Verdict.CLEAN, True)
    assert during.rescan is not None
    assert during.rescan.scan_id == order.scan_id

    await _finish(feed, order, Verdict.MALICIOUS)

    after = await service.get_scan(ALICE, submission_id(1))
    assert (after.scan_id, after.verdict, after.previous_verdict) == (order.scan_id, Verdict.MALICIOUS, Verdict.CLEAN)
    assert (after.submitted_at, after.open) == (during.submitted_at, False)
    assert [(past.scan_id, past.verdict) for past in after.history] == [(during.scan_id, Verdict.CLEAN)]
    page = await service.list_scans(ALICE, EVERYTHING, cursor=None, limit=10)
    assert [(scan.id, scan.verdict) for scan in page.items] == [(submission_id(1), Verdict.MALICIOUS)]
    assert (await service.get_file(ALICE, after.sha256)).verdict is Verdict.MALICIOUS
    recorded = [event for event in await published(database) if isinstance(event, ScanRecordedV1)]
    assert [(event.previous_verdict, event.is_news) for event in recorded] == [(None, True), (Verdict.CLEAN, True)]


async def test_a_submission_is_read_with_its_history_in_one_statement(
    scanned: Any, feed: Feed, service: ResultsService, rescans: RescanService, database: Database
) -> None:
    await scanned(1)
    for verdict in (Verdict.SUSPICIOUS, Verdict.MALICIOUS):
        await rescans.rescan(ALICE, submission_id(1))
        await _finish(feed, (await _orders(database))[-1], verdict)
    await rescans.rescan(ALICE, submission_id(1))
    statements: list[str] = []
    engine = database.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))

    scan = await service.get_scan(ALICE, submission_id(1))

    assert len(statements) == 1
    assert (scan.verdict, scan.artifacts[0].verdict) == (Verdict.MALICIOUS, Verdict.MALICIOUS)
    assert scan.rescan is not None
    assert [past.verdict for past in scan.history] == [Verdict.SUSPICIOUS, Verdict.CLEAN]
    assert scan.history[-1].requested_at == scan.submitted_at


@pytest.mark.parametrize("expires", [True, False])
async def test_a_rescan_that_finds_nothing_out_changes_nothing(
    scanned: Any, feed: Feed, service: ResultsService, database: Database, objects: FileObjectStore, *, expires: bool
) -> None:
    await scanned(1, verdict=Verdict.MALICIOUS)
    lifetime = timedelta(seconds=-1 if expires else 900)
    await RescanService(database, objects, lifetime=lifetime, outstanding=1).rescan(ALICE, submission_id(1))
    (order,) = await _orders(database)
    if expires:
        assert await service.expire_overdue() == 1
    else:
        await feed(make_failed(1, scan_id=order.scan_id))

    scan = await service.get_scan(ALICE, submission_id(1))
    assert (scan.verdict, scan.open) == (Verdict.MALICIOUS, False)
    (past,) = scan.history
    assert (past.scan_id, past.status) == (order.scan_id, ScanStatus.EXPIRED if expires else ScanStatus.FAILED)
    event = (await published(database))[-1]
    assert isinstance(event, (ScanRecordedV1, ScanExpiredV1))
    assert (event.previous_verdict, event.is_news) == (Verdict.MALICIOUS, False)


async def test_where_no_scan_completed_the_latest_counts(
    feed: Feed, service: ResultsService, rescans: RescanService, database: Database
) -> None:
    await feed(make_failed(1, reason="First."))
    await rescans.rescan(ALICE, submission_id(1))
    (order,) = await _orders(database)
    await feed(make_failed(1, scan_id=order.scan_id, reason="Second."))

    assert (await service.get_scan(ALICE, submission_id(1))).reason == "Second."


async def test_only_its_owner_has_a_submission_scanned_again(scanned: Any, rescans: RescanService) -> None:
    await scanned(1)

    with pytest.raises(NotFoundError):
        await rescans.rescan(BOB, submission_id(1))
    await rescans.rescan(ADMIN, submission_id(1))


async def test_one_scan_of_a_submission_at_a_time(
    scanned: Any, feed: Feed, rescans: RescanService, database: Database
) -> None:
    await scanned(1)
    await feed(make_uploaded(2))
    await rescans.rescan(ALICE, submission_id(1))

    for number in (1, 2):
        with pytest.raises(ConflictError, match="right now"):
            await rescans.rescan(ALICE, submission_id(number))
    assert len(await _orders(database)) == 1


async def test_a_file_whose_bytes_are_gone_is_said_so(
    scanned: Any, rescans: RescanService, objects: FileObjectStore, stored: str
) -> None:
    await scanned(1)
    await objects.delete(stored)

    with pytest.raises(ConflictError, match="not stored any more"):
        await rescans.rescan(ALICE, submission_id(1))


async def _work_off(
    rescans: RescanService, feed: Feed, database: Database, verdict: Verdict = Verdict.CLEAN
) -> RescanJob:
    done: set[str] = set()
    while True:
        await rescans.feed()
        waiting = [order for order in await _orders(database) if order.scan_id not in done]
        assert len(waiting) <= 3
        for order in waiting:
            await _finish(feed, order, verdict)
            done.add(order.scan_id)
        job = await rescans.latest(ADMIN)
        if job.state is RescanState.DONE:
            return job


async def test_a_job_goes_over_everything_once_a_few_at_a_time(
    scanned: Any, feed: Feed, rescans: RescanService, database: Database
) -> None:
    await scanned(*range(1, 9))
    await scanned(9, user_id="bob")
    await feed(make_uploaded(10))
    assert (await rescans.estimate(ADMIN, EVERYTHING)).submissions == 9
    await rescans.start(ADMIN, EVERYTHING)

    job = await _work_off(rescans, feed, database, Verdict.SUSPICIOUS)

    asked = [order.submission_id for order in await _orders(database)]
    assert asked == [submission_id(number) for number in reversed(range(1, 10))]
    assert (job.total, job.requested, job.ended, job.changed, job.unfinished, job.gone) == (9, 9, 9, 9, 0, 0)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (ScanFilter(verdict=Verdict.MALICIOUS), [2]),
        (ScanFilter(after=ACCEPTED_AT + timedelta(seconds=2)), [3, 2]),
        (ScanFilter(sha256=make_artifact(7).sha256), [3]),
        (ScanFilter(content_type="zip"), [3]),
        (ScanFilter(content_type="png"), []),
    ],
)
async def test_a_job_takes_what_its_filter_says(
    where: ScanFilter, expected: list[int], scanned: Any, feed: Feed, rescans: RescanService, database: Database
) -> None:
    await scanned(1)
    await scanned(2, verdict=Verdict.MALICIOUS)
    await feed(make_uploaded(3, accepted_at=ACCEPTED_AT + timedelta(seconds=3)))
    await feed(make_completed(3, make_document([make_artifact(), make_artifact(7, content_type=ZIP)], 3)))
    await rescans.start(ADMIN, where)
    await _work_off(rescans, feed, database)

    assert [order.submission_id for order in await _orders(database)] == [submission_id(one) for one in expected]


async def test_a_job_is_paused_and_goes_on_where_it_was(
    scanned: Any, feed: Feed, rescans: RescanService, database: Database
) -> None:
    await scanned(*range(1, 8))
    job = await rescans.start(ADMIN, EVERYTHING)
    await rescans.feed()
    await rescans.change(ADMIN, job.id, RescanAct.PAUSE)
    for order in await _orders(database):
        await _finish(feed, order)
    await rescans.feed()
    assert len(await _orders(database)) == 3

    with pytest.raises(ConflictError, match="paused at 3 of 7"):
        await rescans.start(ADMIN, EVERYTHING)
    await rescans.change(ADMIN, job.id, RescanAct.RESUME)
    await rescans.feed()
    assert [order.submission_id for order in await _orders(database)] == [submission_id(n) for n in (7, 6, 5, 4, 3, 2)]


async def test_a_cancelled_job_is_over(scanned: Any, rescans: RescanService, database: Database) -> None:
    await scanned(1, 2)
    job = await rescans.start(ADMIN, EVERYTHING)
    await rescans.change(ADMIN, job.id, RescanAct.CANCEL)
    await rescans.feed()

    assert await _orders(database) == []
    with pytest.raises(ConflictError, match="cancelled already"):
        await rescans.change(ADMIN, job.id, RescanAct.RESUME)
    await rescans.start(ADMIN, EVERYTHING)


async def test_files_that_are_gone_are_counted_and_passed_over(
    scanned: Any, rescans: RescanService, objects: FileObjectStore, stored: str, rows: Rows
) -> None:
    await scanned(1, 2)
    await objects.delete(stored)
    await rescans.start(ADMIN, EVERYTHING)
    await rescans.feed()
    await rescans.feed()

    job = await rescans.latest(ADMIN)
    assert (job.state, job.total, job.requested, job.gone) == (RescanState.DONE, 2, 0, 2)
    assert len(await rows(SCANS)) == 2


async def test_what_is_being_scanned_already_is_left_out(
    scanned: Any, rescans: RescanService, database: Database
) -> None:
    await scanned(1, 2)
    await rescans.rescan(ALICE, submission_id(2))

    assert (await rescans.estimate(ADMIN, EVERYTHING)).submissions == 1
    await rescans.start(ADMIN, EVERYTHING)
    await rescans.feed()
    assert [order.submission_id for order in await _orders(database)] == [submission_id(2), submission_id(1)]


async def test_what_fails_while_it_is_asked_for_is_asked_for_again(
    scanned: Any, rescans: RescanService, database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash in the middle leaves neither a row without its event nor a place that was passed over."""
    await scanned(1, 2, 3, 4)
    await rescans.start(ADMIN, EVERYTHING)
    real, calls = rescans._objects.exists, 0

    async def fail_at_third(key: str) -> bool:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError("killed")
        return await real(key)

    monkeypatch.setattr(rescans._objects, "exists", fail_at_third)
    with pytest.raises(OSError, match="killed"):
        await rescans.feed()
    assert (len(await rows(SCANS)), await _orders(database)) == (4, [])

    await rescans.feed()
    assert [order.submission_id for order in await _orders(database)] == [submission_id(n) for n in (4, 3, 2)]
    (job,) = await rows(RESCANS)
    assert (job["requested"], job["cursor_id"]) == (3, submission_id(2))


async def test_only_administrators_have_jobs(rescans: RescanService) -> None:
    for work in (
        rescans.estimate(ALICE, EVERYTHING),
        rescans.start(ALICE, EVERYTHING),
        rescans.latest(ALICE),
        rescans.change(ALICE, "1", RescanAct.PAUSE),
    ):
        with pytest.raises(NotAllowedError):
            await work
    with pytest.raises(NotFoundError):
        await rescans.latest(ADMIN)


async def test_a_job_waits_for_nothing_that_came_later(
    scanned: Any, feed: Feed, rescans: RescanService, database: Database
) -> None:
    await scanned(1)
    job = await rescans.start(ADMIN, EVERYTHING)
    await feed(make_uploaded(2, accepted_at=now() + timedelta(seconds=60)))
    await feed(make_completed(2, _document(2, Verdict.CLEAN)))
    await _work_off(rescans, feed, database)

    assert job.total == 1
    assert [order.submission_id for order in await _orders(database)] == [submission_id(1)]
