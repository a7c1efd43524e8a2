"""One event in, the events out: a file is scanned once, whatever happens around it."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pyzipper
from typing_extensions import override

from scanner.engine import EngineSettings, ScanEngine
from scanner.service import RECORDING_SECONDS, ScannerService
from shared.clock import now
from shared.database import Database
from shared.errors import UnavailableError
from shared.events import (
    Event,
    FileUploadedV1,
    ObjectRef,
    RescanRequestedV1,
    ScanCompletedV1,
    ScanFailedV1,
    ScanOptions,
    ScanProgressedV1,
    ScanStartedV1,
)
from shared.objects import FileObjectStore, read_bytes
from shared.scan import CoverageLevel, CoverageReason, ScanDocument, Verdict
from shared.testing.bus import RecordingBus, published, until

Feed = Callable[..., Awaitable[None]]
TEXT = b"The quick brown fox jumps over the lazy dog.\n" * 20


async def store(objects: FileObjectStore, content: bytes) -> ObjectRef:
    sha256 = hashlib.sha256(content).hexdigest()
    await objects.put_bytes(f"files/{sha256}", content)
    return ObjectRef(key=f"files/{sha256}", sha256=sha256, size_bytes=len(content))


def uploaded(file: ObjectRef, **changes: Any) -> FileUploadedV1:
    values: dict[str, Any] = {
        "submission_id": "submission-1",
        "scan_id": "scan-1",
        "user_id": "alice",
        "file": file,
        "name": "notes.txt",
        "accepted_at": now(),
        "deadline_at": now() + timedelta(seconds=60),
    }
    return FileUploadedV1(**values | changes)


async def test_an_uploaded_file_becomes_a_document(
    feed: Feed, database: Database, objects: FileObjectStore, bus: RecordingBus
) -> None:
    file = await store(objects, TEXT)
    await feed(uploaded(file))

    (event,) = await published(database)
    assert isinstance(event, ScanCompletedV1)
    assert (event.submission_id, event.scan_id, event.user_id) == ("submission-1", "scan-1", "alice")
    assert (event.file, event.name, event.document_ref) == (file, "notes.txt", None)
    assert event.document is not None
    assert event.document.verdict is Verdict.CLEAN
    assert event.document.root.sha256 == file.sha256


async def test_passwords_of_the_submission_open_its_archives(
    feed: Feed, database: Database, objects: FileObjectStore
) -> None:
    buffer = io.BytesIO()
    with pyzipper.AESZipFile(buffer, "w", encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(b"s3cret")
        archive.writestr("notes.txt", TEXT)
    file = await store(objects, buffer.getvalue())
    await feed(uploaded(file, name="notes.zip", options=ScanOptions(passwords=("s3cret",))))

    (event,) = await published(database)
    assert isinstance(event, ScanCompletedV1)
    assert event.document is not None
    assert event.document.verdict is Verdict.CLEAN


async def test_who_watches_is_told_start_and_progress(
    feed: Feed, objects: FileObjectStore, bus: RecordingBus, eicar: bytes
) -> None:
    await feed(uploaded(await store(objects, eicar), name="eicar.com"))
    await until(lambda: len(bus.events) >= 2)

    assert isinstance(bus.events[0], ScanStartedV1)
    last = bus.events[-1]
    assert isinstance(last, ScanProgressedV1)
    assert (last.stage, last.artifacts_found, last.artifacts_done) == ("finished", 1, 1)
    assert [found.finding.label for found in last.findings] == ["eicar-test-file"]


async def test_the_same_event_again_does_nothing(
    feed: Feed, database: Database, objects: FileObjectStore, bus: RecordingBus
) -> None:
    event = uploaded(await store(objects, TEXT))
    await feed(event, "event-1")
    await until(lambda: len(bus.events) >= 2)
    told = len(bus.events)
    await feed(event, "event-1")

    assert len(await published(database)) == 1
    assert len(bus.events) == told


async def test_two_replicas_with_the_same_event_publish_once(
    feed: Feed, database: Database, objects: FileObjectStore
) -> None:
    event = uploaded(await store(objects, TEXT))
    await asyncio.gather(feed(event, "event-1"), feed(event, "event-1"))

    assert len(await published(database)) == 1


async def test_a_rescan_takes_the_same_path(feed: Feed, database: Database, objects: FileObjectStore) -> None:
    event = uploaded(await store(objects, TEXT), scan_id="scan-2")
    await feed(RescanRequestedV1(**event.model_dump()))

    (completed,) = await published(database)
    assert isinstance(completed, ScanCompletedV1)
    assert completed.scan_id == "scan-2"


async def test_past_its_deadline_nothing_is_scanned(
    feed: Feed, database: Database, objects: FileObjectStore, bus: RecordingBus
) -> None:
    soon = now() + timedelta(seconds=RECORDING_SECONDS - 1)
    await feed(uploaded(await store(objects, TEXT), deadline_at=soon))

    assert await published(database) == []
    assert bus.events == []


async def test_the_budget_is_what_the_deadline_leaves(
    feed: Feed, database: Database, objects: FileObjectStore, archives: Any
) -> None:
    content = archives.zip({f"{number}.txt": TEXT * 50 + str(number).encode() for number in range(190)})
    soon = now() + timedelta(seconds=RECORDING_SECONDS + 0.5)
    await feed(uploaded(await store(objects, content), name="many.zip", deadline_at=soon))

    (event,) = await published(database)
    assert isinstance(event, ScanCompletedV1)
    document = event.document or ScanDocument.model_validate_json(await read_bytes(objects, event.document_ref))  # type: ignore[arg-type]
    assert document.finished_at < soon
    assert document.verdict is Verdict.UNKNOWN
    assert CoverageReason.TIMEOUT in {gap.reason for gap in document.coverage.gaps}


async def test_a_large_document_travels_by_reference(
    feed: Feed, database: Database, objects: FileObjectStore, archives: Any
) -> None:
    content = archives.zip({f"{number}.txt": b"%d" % number for number in range(150)})
    await feed(uploaded(await store(objects, content), name="many.zip"))

    (event,) = await published(database)
    assert isinstance(event, ScanCompletedV1)
    assert event.document is None
    assert event.document_ref is not None
    document = ScanDocument.model_validate_json(await read_bytes(objects, event.document_ref))
    assert len(document.artifacts) == 151
    assert document.coverage.level is CoverageLevel.COMPLETE


async def test_bytes_that_are_gone_fail_the_scan(feed: Feed, database: Database) -> None:
    await feed(uploaded(ObjectRef(key="files/none", sha256="0" * 64, size_bytes=3)))

    (event,) = await published(database)
    assert isinstance(event, ScanFailedV1)
    assert (event.submission_id, event.scan_id) == ("submission-1", "scan-1")
    assert event.reason


async def test_changed_bytes_fail_the_scan(feed: Feed, database: Database, objects: FileObjectStore) -> None:
    file = await store(objects, TEXT)
    await objects.put_bytes(file.key, b"something else")
    await feed(uploaded(file))

    (event,) = await published(database)
    assert isinstance(event, ScanFailedV1)
    assert "SHA-256" in event.reason


class AwayStore(FileObjectStore):
    """A store that does not answer while it is away."""

    away = True

    @override
    async def stream(self, key: str) -> AsyncIterator[bytes]:
        if self.away:
            raise UnavailableError("The store does not answer.")
        async for chunk in super().stream(key):
            yield chunk


async def test_a_store_that_is_away_is_tried_again(
    database: Database, bus: RecordingBus, engine: ScanEngine, tmp_path: Path
) -> None:
    objects = AwayStore(tmp_path / "objects")
    service = ScannerService(database, objects, bus, engine, tmp_path)
    event = uploaded(await store(objects, TEXT))
    with pytest.raises(UnavailableError):
        await service.scan(event, "event-1")
    assert await published(database) == []

    objects.away = False
    await service.scan(event, "event-1")
    (completed,) = await published(database)
    assert isinstance(completed, ScanCompletedV1)


async def test_what_a_scanner_with_a_failed_gpu_says_is_not_recorded(
    feed: Feed, database: Database, objects: FileObjectStore, engine: ScanEngine
) -> None:
    file = await store(objects, TEXT)
    engine._tools.identifier.model.lost = True

    with pytest.raises(UnavailableError, match="GPU"):
        await feed(uploaded(file), event_id="event-1")
    engine._tools.identifier.model.lost = False
    await feed(uploaded(file), event_id="event-1")

    (event,) = await published(database)
    assert isinstance(event, ScanCompletedV1)


async def test_nothing_stays_in_the_work_folder(
    feed: Feed, objects: FileObjectStore, settings: EngineSettings, archives: Any
) -> None:
    assert settings.work_dir is not None
    before = {path.name for path in settings.work_dir.iterdir()}
    await feed(uploaded(await store(objects, archives.zip({"a.txt": TEXT}))))

    assert {path.name for path in settings.work_dir.iterdir()} == before


async def test_many_files_at_once_each_get_their_own_result(
    feed: Feed, database: Database, objects: FileObjectStore, eicar: bytes
) -> None:
    contents = {f"scan-{number}": (eicar if number % 3 == 0 else TEXT + str(number).encode()) for number in range(30)}
    events: list[Event] = [uploaded(await store(objects, content), scan_id=scan) for scan, content in contents.items()]
    await asyncio.gather(*(feed(event) for event in events))

    verdicts = {
        event.scan_id: event.document.verdict
        for event in await published(database)
        if isinstance(event, ScanCompletedV1) and event.document is not None
    }
    assert verdicts == {
        scan: Verdict.MALICIOUS if content == eicar else Verdict.CLEAN for scan, content in contents.items()
    }
