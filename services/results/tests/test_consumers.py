"""One event in, rows and events out; any order and any number of deliveries ends in the same state."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from results.consumers import create_event_router
from results.errors import DocumentMismatchError
from results.schema import ARTIFACTS, FINDINGS, SCANS
from results.service import ResultsService
from shared.clock import aware, now
from shared.database import Database
from shared.errors import NotFoundError, PermanentError
from shared.events import Event, ObjectRef, ScanCompletedV1, ScanExpiredV1, ScanRecordedV1
from shared.messaging import LocalBus
from shared.migration import migrate
from shared.objects import FileObjectStore
from shared.scan import Coverage, CoverageGap, CoverageLevel, CoverageReason, ScanStatus, Verdict
from shared.testing.bus import envelope, published
from shared.testing.scans import (
    ACCEPTED_AT,
    make_artifact,
    make_completed,
    make_document,
    make_failed,
    make_finding,
    make_uploaded,
)

Feed = Callable[..., Awaitable[None]]
Rows = Callable[..., Awaitable[list[dict[str, Any]]]]

INFECTED = make_document(
    [
        make_artifact(0, verdict=Verdict.MALICIOUS),
        make_artifact(
            1,
            name="up\0load.php",
            verdict=Verdict.MALICIOUS,
            findings=(make_finding(), make_finding(Verdict.SUSPICIOUS, shadow=True, score=None)),
        ),
    ]
)


async def test_an_upload_makes_a_queued_scan(feed: Feed, rows: Rows, database: Database) -> None:
    await feed(make_uploaded(name="Straße.TXT"))

    (row,) = await rows()
    assert row["name_folded"] == "strasse.txt"
    assert (row["status"], row["verdict"], row["coverage_level"]) == ("queued", "unknown", "none")
    assert (aware(row["submitted_at"]), row["finished_at"]) == (ACCEPTED_AT, None)
    assert await published(database) == []


async def test_a_completed_scan_is_recorded_with_artifacts_and_findings(
    feed: Feed, rows: Rows, database: Database
) -> None:
    await feed(make_uploaded())
    await feed(make_completed(document=INFECTED))

    (scan,) = await rows()
    assert (scan["status"], scan["verdict"]) == ("completed", "malicious")
    assert (scan["artifact_count"], scan["finding_count"]) == (2, 1)
    assert aware(scan["submitted_at"]) == ACCEPTED_AT
    assert [row["name"] for row in await rows(ARTIFACTS)] == ["notes.txt", "up\N{REPLACEMENT CHARACTER}load.php"]
    assert [(row["artifact_id"], row["position"], row["shadow"]) for row in await rows(FINDINGS)] == [
        (1, 0, False),
        (1, 1, True),
    ]
    (event,) = await published(database)
    assert isinstance(event, ScanRecordedV1)
    assert event == ScanRecordedV1(
        submission_id=INFECTED.submission_id,
        scan_id=INFECTED.scan_id,
        user_id="alice",
        sha256=INFECTED.root.sha256,
        size_bytes=INFECTED.root.size_bytes,
        name="notes.txt",
        status=ScanStatus.COMPLETED,
        verdict=Verdict.MALICIOUS,
        coverage=CoverageLevel.COMPLETE,
        artifact_count=2,
        finding_count=1,
        recorded_at=event.recorded_at,
    )


async def test_each_reason_of_missing_coverage_is_announced_once(feed: Feed, database: Database) -> None:
    gaps = [
        CoverageGap(reason=reason, detail=f"Gap {number}.")
        for number, reason in enumerate(
            [CoverageReason.ENCRYPTED, CoverageReason.TOO_LARGE, CoverageReason.ENCRYPTED], start=1
        )
    ]
    coverage = Coverage(level=CoverageLevel.PARTIAL, gaps=tuple(gaps))
    document = make_document([make_artifact(coverage=coverage, verdict=Verdict.UNKNOWN)])

    await feed(make_completed(document=document))

    (event,) = await published(database)
    assert isinstance(event, ScanRecordedV1)
    assert event.coverage_reasons == (CoverageReason.ENCRYPTED, CoverageReason.TOO_LARGE)


async def test_a_failed_scan_is_recorded_as_unknown(feed: Feed, rows: Rows, database: Database) -> None:
    await feed(make_failed(reason="The bytes are gone."))

    (scan,) = await rows()
    assert (scan["status"], scan["verdict"], scan["reason"]) == ("failed", "unknown", "The bytes are gone.")
    assert scan["coverage"] == {"level": "none", "gaps": [{"reason": "error", "detail": "The bytes are gone."}]}
    (event,) = await published(database)
    assert isinstance(event, ScanRecordedV1)
    assert (event.status, event.reason) == (ScanStatus.FAILED, "The bytes are gone.")


async def test_a_result_before_its_announcement_gets_its_dates_later(
    feed: Feed, rows: Rows, database: Database
) -> None:
    await feed(make_completed())
    await feed(make_uploaded())

    (scan,) = await rows()
    assert scan["status"] == "completed"
    assert aware(scan["submitted_at"]) == ACCEPTED_AT
    assert aware(scan["deadline_at"]) == ACCEPTED_AT + timedelta(seconds=300)
    assert len(await published(database)) == 1


async def test_dates_with_another_offset_are_kept_in_utc(feed: Feed, rows: Rows) -> None:
    local = ACCEPTED_AT.astimezone(tz=datetime.strptime("+0530", "%z").tzinfo)

    await feed(make_uploaded(accepted_at=local))

    (scan,) = await rows()
    assert scan["submitted_at"].replace(tzinfo=UTC) == ACCEPTED_AT


async def test_a_document_by_reference_is_read_and_checked(feed: Feed, rows: Rows, objects: FileObjectStore) -> None:
    data = make_document().model_dump_json().encode()
    ref = ObjectRef(key="documents/1.json", sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    await objects.put_bytes(ref.key, data)

    await feed(make_completed(document_ref=ref, document=None))

    (scan,) = await rows()
    assert (scan["document"], scan["document_ref"]) == (None, ref.model_dump())
    assert len(await rows(ARTIFACTS)) == 1


def _with(**changes: Any) -> ScanCompletedV1:
    return make_completed().model_copy(update=changes)


MISSING = ObjectRef(key="documents/none.json", sha256="0" * 64, size_bytes=1)


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (_with(document=None), DocumentMismatchError),
        (_with(document=make_document().model_copy(update={"artifacts": ()})), DocumentMismatchError),
        (_with(document=make_document(number=2)), DocumentMismatchError),
        (_with(document=make_document([make_artifact(sha256="f" * 64)])), DocumentMismatchError),
        (_with(document=None, document_ref=MISSING), NotFoundError),
    ],
    ids=["no document", "no artifact", "of another scan", "of other bytes", "not in the store"],
)
async def test_a_result_that_cannot_be_trusted_is_refused(
    event: ScanCompletedV1, error: type[Exception], feed: Feed, rows: Rows, database: Database
) -> None:
    await feed(make_uploaded())

    with pytest.raises(error):
        await feed(event)

    assert [row["status"] for row in await rows()] == ["queued"]
    assert await published(database) == []


async def test_a_damaged_document_is_refused(feed: Feed, objects: FileObjectStore) -> None:
    await objects.put_bytes(MISSING.key, b"{}")

    with pytest.raises(PermanentError):
        await feed(_with(document=None, document_ref=MISSING))


@pytest.mark.parametrize("first", ["completed", "failed", "expired"])
async def test_the_first_end_of_a_scan_stays(
    first: str, feed: Feed, service: ResultsService, rows: Rows, database: Database
) -> None:
    async def expire() -> None:
        await feed(make_uploaded(), "uploaded")
        await service.expire_overdue()

    steps: dict[str, Callable[[], Awaitable[None]]] = {
        "completed": lambda: feed(make_completed()),
        "failed": lambda: feed(make_failed()),
        "expired": expire,
    }
    await steps.pop(first)()
    for step in steps.values():
        await step()

    assert [row["status"] for row in await rows()] == [first]
    assert len(await published(database)) == 1


async def test_an_upload_that_arrives_past_its_deadline_expires(
    feed: Feed, service: ResultsService, rows: Rows, database: Database
) -> None:
    await feed(make_uploaded())

    assert await service.expire_overdue() == 1
    assert await service.expire_overdue() == 0

    (scan,) = await rows()
    assert (scan["status"], scan["verdict"], scan["coverage_level"]) == ("expired", "unknown", "none")
    assert scan["coverage"]["gaps"] == [{"reason": "timeout", "detail": scan["reason"]}]
    (event,) = await published(database)
    assert isinstance(event, ScanExpiredV1)
    assert event.reason == "The file reached the scanners only after its 300 seconds were over: the bus was away."


async def test_a_scan_before_its_deadline_does_not_expire(feed: Feed, service: ResultsService, rows: Rows) -> None:
    await feed(make_uploaded(deadline_at=now() + timedelta(seconds=60)))

    assert await service.expire_overdue() == 0
    assert [row["status"] for row in await rows()] == ["queued"]


EVENTS_OF_A_SCAN: dict[str, Event] = {
    "uploaded": make_uploaded(deadline_at=datetime(2999, 1, 1, tzinfo=UTC)),
    "completed": make_completed(document=INFECTED),
}


DELIVERIES = st.lists(st.sampled_from(sorted(EVENTS_OF_A_SCAN)), max_size=6).flatmap(
    lambda extra: st.permutations([*EVENTS_OF_A_SCAN, *extra])
)


@settings(deadline=None, max_examples=40)
@given(order=DELIVERIES, fresh_ids=st.booleans())
def test_any_order_of_deliveries_ends_in_the_same_state(order: list[str], *, fresh_ids: bool) -> None:
    """`fresh_ids`: each delivery is a message of its own, so that only the state can tell."""

    async def run(directory: Path) -> tuple[Sequence[Any], int, list[Event]]:
        database = Database(f"sqlite+aiosqlite:///{directory}/results.sqlite3", schema="results")
        await migrate(database)
        router = create_event_router(ResultsService(database, FileObjectStore(directory), LocalBus(None)))
        for number, name in enumerate(order):
            event = EVENTS_OF_A_SCAN[name]
            event_id = f"{name}-{number}" if fresh_ids else name
            await router.handle(envelope(event, event_id=event_id))
        async with database.read() as session:
            columns = [column for column in SCANS.c if column.name != "known_at"]
            state = (await session.execute(sa.select(*columns))).all()
            artifacts = await session.scalar(sa.select(sa.func.count()).select_from(ARTIFACTS))
        events = await published(database)
        await database.close()
        return state, artifacts or 0, events

    with TemporaryDirectory() as directory:
        (scan,), artifacts, events = asyncio.run(run(Path(directory)))

    assert (scan.status, scan.verdict) == ("completed", "malicious")
    assert aware(scan.submitted_at) == ACCEPTED_AT
    assert artifacts == 2
    assert [type(event) for event in events] == [ScanRecordedV1]
