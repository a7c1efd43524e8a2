"""Listing, searching and looking up scans; what the sweeper waits for."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from results.service import ResultsService
from results.sweeper import DeadlineSweeper
from shared.clients.filters import ScanFilter
from shared.clock import now
from shared.database import Database
from shared.errors import InvalidInputError, NotFoundError
from shared.events import ObjectRef
from shared.messaging import LocalBus
from shared.objects import FileObjectStore
from shared.scan import Coverage, CoverageGap, CoverageLevel, CoverageReason, ScanStatus, Verdict
from shared.testing.bus import envelope, published, until
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

Feed = Callable[..., Awaitable[None]]

ALICE = Caller(user_id="alice", role=Role.USER)
BOB = Caller(user_id="bob", role=Role.USER)
ADMIN = Caller(user_id="root", role=Role.ADMIN)
EVERYTHING = ScanFilter()
FAR = now() + timedelta(days=1000)


async def _upload(feed: Feed, *numbers: int, user_id: str = "alice", name: str | None = None) -> None:
    for number in numbers:
        accepted_at = ACCEPTED_AT + timedelta(seconds=number)
        name_of_file = name if name is not None else f"file-{number}.txt"
        await feed(make_uploaded(number, user_id=user_id, accepted_at=accepted_at, deadline_at=FAR, name=name_of_file))


async def _numbers(service: ResultsService, where: ScanFilter = EVERYTHING, caller: Caller = ALICE) -> list[int]:
    page = await service.list_scans(caller, where, cursor=None, limit=100)
    return [int(scan.id[-12:]) for scan in page.items]


async def test_a_waiting_submission_is_unknown(feed: Feed, service: ResultsService) -> None:
    await _upload(feed, 1)

    scan = await service.get_scan(ALICE, submission_id(1))

    assert (scan.status, scan.verdict, scan.coverage.level) == (ScanStatus.QUEUED, Verdict.UNKNOWN, CoverageLevel.NONE)
    assert (scan.artifacts, scan.finished_at, scan.deadline_at) == ((), None, FAR)


async def test_an_ended_submission_has_what_the_document_has(feed: Feed, service: ResultsService) -> None:
    document = make_document([make_artifact(), make_artifact(1, findings=(make_finding(),))])
    await feed(make_uploaded())
    await feed(make_completed(document=document))

    scan = await service.get_scan(ALICE, submission_id(1))

    assert (scan.artifacts, scan.detectors) == (document.artifacts, document.detectors)
    assert (scan.submitted_at, scan.started_at, scan.finished_at) == (
        ACCEPTED_AT,
        document.started_at,
        document.finished_at,
    )


async def test_a_stored_document_is_read_from_the_object_store(
    feed: Feed, service: ResultsService, objects: FileObjectStore
) -> None:
    document = make_document([make_artifact(number, parent_id=number or None) for number in range(3000)])
    data = document.model_dump_json().encode()
    ref = ObjectRef(key="documents/1.json", sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    await objects.put_bytes(ref.key, data)
    await feed(make_completed(document=document).model_copy(update={"document": None, "document_ref": ref}))

    assert (await service.get_scan(ALICE, submission_id(1))).artifacts == document.artifacts


async def test_a_failed_submission_says_why(feed: Feed, service: ResultsService) -> None:
    await feed(make_failed(reason="The bytes are gone."))

    scan = await service.get_scan(ALICE, submission_id(1))

    assert (scan.status, scan.reason) == (ScanStatus.FAILED, "The bytes are gone.")
    assert scan.coverage.gaps == (CoverageGap(reason=CoverageReason.ERROR, detail="The bytes are gone."),)


@pytest.mark.parametrize("number", [1, 2])
async def test_a_stranger_cannot_tell_a_submission_from_none(number: int, feed: Feed, service: ResultsService) -> None:
    await _upload(feed, 1)

    with pytest.raises(NotFoundError, match="There is no such submission"):
        await service.get_scan(BOB, submission_id(number))


async def test_everyone_lists_only_their_own_and_an_administrator_all(feed: Feed, service: ResultsService) -> None:
    await _upload(feed, 1, 3)
    await _upload(feed, 2, user_id="bob")

    assert await _numbers(service) == [3, 1]
    assert await _numbers(service, caller=BOB) == [2]
    assert await _numbers(service, caller=ADMIN) == [3, 2, 1]


@pytest.mark.parametrize(
    ("needle", "found"),
    [
        ("report", [3, 2, 1]),
        ("100%", [1]),
        ("%", [1]),
        ("_", [2]),
        ("a_b", [2]),
        ("/", [4]),
        ("\\", [3]),
        ("REPORT 100", [1]),
        ("STRASSE", [5]),
        ("Straße", [5]),
        ("ÉTÉ", [6]),
        ("nothing", []),
        ("\0", [7]),
    ],
)
async def test_a_name_is_found_by_any_part_of_it(
    needle: str, found: list[int], feed: Feed, service: ResultsService
) -> None:
    names = ["Report 100%.txt", "report a_b.txt", "report\\x.txt", "a/b", "straße.md", "été.md", "nul\0.md"]
    for number, name in enumerate(names, start=1):
        await _upload(feed, number, name=name)

    assert await _numbers(service, ScanFilter(name=needle)) == found


async def test_a_hash_finds_what_holds_the_bytes(feed: Feed, service: ResultsService) -> None:
    inner = make_artifact(1, sha256="ab" * 32)
    await _upload(feed, 1, 2)
    await feed(make_completed(2, document=make_document([make_artifact(), inner], number=2)))

    assert await _numbers(service, ScanFilter(sha256="AB" * 32)) == [2]
    assert await _numbers(service, ScanFilter(sha256="AbaB")) == [2]
    assert await _numbers(service, ScanFilter(sha256=make_artifact().sha256)) == [2, 1]
    assert await _numbers(service, ScanFilter(sha256="ab" * 32), caller=BOB) == []


async def test_dates_verdict_and_status_filter_together(feed: Feed, service: ResultsService) -> None:
    await _upload(feed, 1, 2, 3, 4)
    await feed(make_completed(2))
    await feed(make_failed(3))
    moment = ACCEPTED_AT + timedelta(seconds=2)

    assert await _numbers(service, ScanFilter(after=moment)) == [4, 3, 2]
    assert await _numbers(service, ScanFilter(before=moment)) == [1]
    assert await _numbers(service, ScanFilter(verdict=Verdict.CLEAN)) == [2]
    assert await _numbers(service, ScanFilter(status=ScanStatus.FAILED)) == [3]
    assert await _numbers(service, ScanFilter(verdict=Verdict.UNKNOWN, after=moment, name="FILE")) == [4, 3]


async def test_pages_hold_everything_once_while_new_submissions_arrive(feed: Feed, service: ResultsService) -> None:
    await _upload(feed, *range(10, 20))
    await feed(make_uploaded(9, accepted_at=ACCEPTED_AT + timedelta(seconds=15), deadline_at=FAR))

    seen: list[int] = []
    cursor: str | None = None
    for newer in (30, 31, 32, 33, 34):
        page = await service.list_scans(ALICE, EVERYTHING, cursor=cursor, limit=3)
        seen += [int(scan.id[-12:]) for scan in page.items]
        cursor = page.next_cursor
        await _upload(feed, newer)
        if cursor is None:
            break

    assert seen == [19, 18, 17, 16, 15, 9, 14, 13, 12, 11, 10]
    assert cursor is None


async def test_the_last_page_has_no_cursor_even_if_it_is_full(feed: Feed, service: ResultsService) -> None:
    await _upload(feed, 1, 2, 3)

    assert (await service.list_scans(ALICE, EVERYTHING, cursor=None, limit=3)).next_cursor is None


async def test_a_cursor_does_not_open_what_belongs_to_others(feed: Feed, service: ResultsService) -> None:
    await _upload(feed, 1, 2, 3)
    page = await service.list_scans(ALICE, EVERYTHING, cursor=None, limit=1)

    assert (await service.list_scans(BOB, EVERYTHING, cursor=page.next_cursor, limit=10)).items == ()


async def test_a_cursor_that_is_not_ours_is_refused(service: ResultsService) -> None:
    with pytest.raises(InvalidInputError):
        await service.list_scans(ALICE, EVERYTHING, cursor="next", limit=10)


async def test_a_file_is_known_over_all_its_submissions(feed: Feed, service: ResultsService) -> None:
    await _upload(feed, 1, 2, 3)
    await _upload(feed, 4, user_id="bob")
    gap = CoverageGap(reason=CoverageReason.ENCRYPTED, detail="One member needs a password.")
    partial = Coverage(level=CoverageLevel.PARTIAL, gaps=(gap,))
    await feed(make_completed(1))
    root = make_artifact(verdict=Verdict.UNKNOWN, coverage=partial)
    later = make_document([root], number=2, finished_at=ACCEPTED_AT + timedelta(seconds=60))
    await feed(make_completed(2, document=later))

    file = await service.get_file(ALICE, make_artifact().sha256)

    assert (file.verdict, file.coverage) == (Verdict.UNKNOWN, partial)
    assert file.size_bytes == make_artifact().size_bytes
    assert [int(scan.id[-12:]) for scan in file.submissions] == [3, 2, 1]
    assert (file.first_seen_at, file.last_seen_at) == (
        ACCEPTED_AT + timedelta(seconds=1),
        ACCEPTED_AT + timedelta(seconds=3),
    )


async def test_a_file_inside_another_has_its_own_verdict_and_size(feed: Feed, service: ResultsService) -> None:
    inner = make_artifact(1, verdict=Verdict.MALICIOUS, size_bytes=77)
    await feed(make_completed(document=make_document([make_artifact(verdict=Verdict.MALICIOUS), inner])))

    file = await service.get_file(ALICE, inner.sha256)

    assert (file.verdict, file.size_bytes) == (Verdict.MALICIOUS, 77)


async def test_a_later_scan_without_an_answer_does_not_hide_a_finding(feed: Feed, service: ResultsService) -> None:
    await feed(make_completed(1, document=make_document([make_artifact(verdict=Verdict.MALICIOUS)])))
    await feed(make_failed(2))

    assert (await service.get_file(ALICE, make_artifact().sha256)).verdict is Verdict.MALICIOUS


@pytest.mark.parametrize("caller", [BOB, ALICE])
async def test_bytes_that_the_caller_never_submitted_are_not_known(
    caller: Caller, feed: Feed, service: ResultsService
) -> None:
    await _upload(feed, 1)

    with pytest.raises(NotFoundError):
        await service.get_file(caller, make_artifact().sha256 if caller is BOB else "0" * 64)


async def test_a_file_that_nobody_looked_at_is_unknown(feed: Feed, service: ResultsService) -> None:
    await _upload(feed, 1)

    file = await service.get_file(ALICE, make_artifact().sha256)

    assert (file.verdict, file.coverage.level) == (Verdict.UNKNOWN, CoverageLevel.NONE)


async def test_the_sweeper_ends_what_is_overdue(feed: Feed, service: ResultsService, database: Database) -> None:
    for number in range(1, 4):
        await feed(make_uploaded(number))
    await _upload(feed, 9)
    sweeper = DeadlineSweeper(service, interval_seconds=0.01, catch_up_seconds=0)

    await sweeper.start()
    await until(lambda: _is(service, {9: "queued", 1: "expired", 2: "expired", 3: "expired"}))
    await sweeper.close()

    assert len(await published(database)) == 3


async def test_the_sweeper_lets_results_come_in_first(feed: Feed, service: ResultsService, bus: LocalBus) -> None:
    await feed(make_uploaded())
    await bus.publish([envelope(make_completed())])
    sweeper = DeadlineSweeper(service, interval_seconds=0.01, catch_up_seconds=30)
    await sweeper.start()
    await asyncio.sleep(0.1)
    assert await _statuses(service) == {1: "queued"}

    await feed(make_completed())
    (letter_box,) = [await bus.consume("results.scanner.scan_completed.v1", _take)]
    await asyncio.sleep(0.1)
    await sweeper.close()
    await letter_box.cancel()

    assert await _statuses(service) == {1: "completed"}


async def test_the_sweeper_does_not_wait_for_ever(feed: Feed, service: ResultsService, bus: LocalBus) -> None:
    await feed(make_uploaded())
    await bus.publish([envelope(make_completed())])
    sweeper = DeadlineSweeper(service, interval_seconds=0.01, catch_up_seconds=0.05)

    await sweeper.start()
    await until(lambda: _is(service, {1: "expired"}))
    await sweeper.close()


async def _take(_message: object) -> None:
    return None


async def _statuses(service: ResultsService) -> dict[int, str]:
    page = await service.list_scans(ALICE, EVERYTHING, cursor=None, limit=100)
    return {int(scan.id[-12:]): scan.status.value for scan in page.items}


async def _is(service: ResultsService, statuses: dict[int, str]) -> bool:
    return await _statuses(service) == statuses
