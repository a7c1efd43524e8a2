"""Scans in the background have few places of their own: they take none from scans that somebody waits for."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

from scanner.engine import ScanEngine
from scanner.service import ScannerService
from shared.clock import now
from shared.database import Database
from shared.events import ObjectRef, RescanRequestedV1, ScanCompletedV1
from shared.objects import FileObjectStore
from shared.testing.bus import RecordingBus, published

TEXT = b"Some words about nothing in particular.\n" * 20
TEXT_SHA256 = hashlib.sha256(TEXT).hexdigest()


async def test_neither_lane_takes_places_of_the_other(engine: ScanEngine, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(TEXT)

    async def scan(*, background: bool) -> Any:
        return await engine.scan(path, name="words.txt", scan_id="1", submission_id="1", background=background)

    for slots, free in ((engine._background_slots, False), (engine._tools.slots, True)):
        taken = slots._value
        assert taken >= 1
        for _ in range(taken):
            await slots.acquire()
        assert (await asyncio.wait_for(scan(background=free), 30)).artifacts
        waiting = asyncio.create_task(scan(background=not free))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        for _ in range(taken):
            slots.release()
        assert (await asyncio.wait_for(waiting, 30)).artifacts


async def test_a_rescan_is_done_in_the_background(
    engine: ScanEngine, database: Database, objects: FileObjectStore, tmp_path: Path
) -> None:
    key = f"files/aa/{TEXT_SHA256}"
    await objects.put_bytes(key, TEXT)
    bus = RecordingBus()
    await bus.start()
    service = ScannerService(database, objects, bus, engine, tmp_path)
    order = RescanRequestedV1(
        submission_id="s", scan_id="c", user_id="u", name="words.txt", accepted_at=now(),
        deadline_at=now().replace(year=2100), file=ObjectRef(key=key, sha256=TEXT_SHA256, size_bytes=len(TEXT)),
    )  # fmt: skip
    taken = engine._background_slots._value
    for _ in range(taken):
        await engine._background_slots.acquire()

    scanning = asyncio.create_task(service.scan(order, "event"))
    await asyncio.sleep(0.1)
    assert await published(database) == []
    for _ in range(taken):
        engine._background_slots.release()
    await asyncio.wait_for(scanning, 30)

    assert [type(event) for event in await published(database)] == [ScanCompletedV1]
    await bus.close()
