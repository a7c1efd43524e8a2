"""What the scanner's tests share: a running engine, and archives of our own making."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import py7zr
import pytest

from scanner.consumers import create_rescan_router, create_upload_router
from scanner.engine import EngineSettings, ScanEngine
from scanner.service import ScannerService
from scanner.testing import Archives, Scan
from shared.database import Database
from shared.events import Event
from shared.messaging import EventRouter
from shared.migration import migrate
from shared.objects import FileObjectStore
from shared.scan import ScanDocument
from shared.testing.bus import RecordingBus, envelope


@pytest.fixture
def settings(tmp_path: Path) -> EngineSettings:
    work = tmp_path / "work"
    work.mkdir()
    return EngineSettings(work_dir=work, sandbox_workers=1, max_artifacts=200, sandbox_seconds=20)


@pytest.fixture
async def engine(settings: EngineSettings) -> AsyncIterator[ScanEngine]:
    running = await ScanEngine.start(settings)
    yield running
    await running.close()


@pytest.fixture
def scan(engine: ScanEngine, tmp_path: Path) -> Scan:
    async def scan_bytes(
        name: str, content: bytes, budget_seconds: float = 50, passwords: tuple[str, ...] = ()
    ) -> ScanDocument:
        path = tmp_path / "submitted"
        path.write_bytes(content)
        return await engine.scan(
            path,
            name=name,
            scan_id="scan",
            submission_id="submission",
            budget_seconds=budget_seconds,
            passwords=passwords,
        )

    return scan_bytes


@pytest.fixture
def eicar() -> bytes:
    # Put together at run time, so that no file of the repository sets off antivirus software.
    return rb"X5O!P%@AP[4\PZX54(P^)7CC)7}" + b"$EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"


@pytest.fixture
def archives() -> Archives:
    return Archives()


@pytest.fixture
def sevenzip() -> Callable[[dict[str, bytes]], bytes]:
    def make(members: dict[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with py7zr.SevenZipFile(buffer, "w") as archive:
            for name, content in members.items():
                archive.writestr(content, name)
        return buffer.getvalue()

    return make


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/scanner.sqlite3", schema="scanner")
    await migrate(database)
    yield database
    await database.close()


@pytest.fixture
def objects(tmp_path: Path) -> FileObjectStore:
    return FileObjectStore(tmp_path / "objects")


@pytest.fixture
async def bus() -> AsyncIterator[RecordingBus]:
    bus = RecordingBus()
    await bus.start()
    yield bus
    await bus.close()


@pytest.fixture
def service(
    database: Database, objects: FileObjectStore, bus: RecordingBus, engine: ScanEngine, settings: EngineSettings
) -> ScannerService:
    assert settings.work_dir is not None
    return ScannerService(database, objects, bus, engine, settings.work_dir)


@pytest.fixture
def feed(service: ScannerService) -> Callable[..., Awaitable[None]]:
    """Hand an event to its consumer; the same id is the same message."""
    routers: dict[str, EventRouter] = {
        "upload": create_upload_router(service),
        "results": create_rescan_router(service),
    }

    async def feed(event: Event, event_id: str | None = None) -> None:
        await routers[event.owner()].handle(envelope(event, event_id=event_id))

    return feed
