"""A reports service on a SQLite file, an in-memory bus, and a results service that knows what a test tells it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from reports.consumers import create_event_router
from reports.models import Report
from reports.render import Renderer
from reports.service import ReportsService
from shared.clients.results import ResultsClient, ScanDetail
from shared.database import Database
from shared.errors import NotFoundError
from shared.events import Event, ReportFormat
from shared.messaging import LocalBus
from shared.migration import migrate
from shared.objects import FileObjectStore
from shared.scan import Coverage, CoverageGap, CoverageLevel, CoverageReason, ScanDocument, ScanStatus, Verdict
from shared.testing.bus import envelope
from shared.testing.scans import ACCEPTED_AT, make_document
from shared.web import verify_service_token
from shared.web.problems import MEDIA_TYPE

SECRET = "s" * 32
Feed = Callable[..., Awaitable[None]]
MakeScan = Callable[..., ScanDetail]


class KnownResults(httpx.MockTransport):
    """The HTTP face of the results service over a dictionary of submissions."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.scans: dict[str, ScanDetail] = {}
        self.calls = 0

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        caller = verify_service_token(SECRET, request.headers["authorization"].removeprefix("Bearer "), "results")
        scan = self.scans.get(request.url.path.removeprefix("/internal/v1/submissions/"))
        if scan is None or not caller.may_see(scan.user_id):
            error = NotFoundError("There is no such submission.")
            problem = {"detail": error.message, "code": error.code, "title": error.title}
            return httpx.Response(404, json=problem, headers={"Content-Type": MEDIA_TYPE})
        return httpx.Response(200, content=scan.model_dump_json())


class CountingRenderer(Renderer):
    """Renders a line instead of a document, counts, and fails when told to."""

    def __init__(self) -> None:
        self.rendered: list[ReportFormat] = []
        self.error: Exception | None = None

    async def render(self, report: Report, form: ReportFormat) -> bytes:
        self.rendered.append(form)
        if self.error is not None:
            raise self.error
        return f"{form} {report.report.id} {report.report.generated_at}".encode()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/reports.sqlite3", schema="reports")
    await migrate(database)
    yield database
    await database.close()


@pytest.fixture
def objects(tmp_path: Path) -> FileObjectStore:
    return FileObjectStore(tmp_path / "objects")


@pytest.fixture
async def bus() -> AsyncIterator[LocalBus]:
    bus = LocalBus(None)
    await bus.start()
    yield bus
    await bus.close()


@pytest.fixture
def known() -> KnownResults:
    return KnownResults()


@pytest.fixture
def renderer() -> CountingRenderer:
    return CountingRenderer()


@pytest.fixture
async def service(
    database: Database, objects: FileObjectStore, known: KnownResults, renderer: CountingRenderer
) -> AsyncIterator[ReportsService]:
    results = ResultsClient("results", "http://results", SECRET, known)
    yield ReportsService(database, objects, results, renderer, (ReportFormat.PDF,))
    await results.close()


@pytest.fixture
def feed(service: ReportsService) -> Feed:
    """Return a function that hands an event to its consumer; the same id is the same message."""
    router = create_event_router(service)

    async def feed(event: Event, event_id: str | None = None) -> None:
        await router.handle(envelope(event, event_id=event_id))

    return feed


@pytest.fixture
def make_scan() -> MakeScan:
    """Return a function that makes what the results service knows of a completed scan."""

    def make_scan(document: ScanDocument | None = None, **changes: Any) -> ScanDetail:
        document = document or make_document()
        values: dict[str, Any] = {
            "id": document.submission_id,
            "scan_id": document.scan_id,
            "user_id": "alice",
            "name": document.root.name,
            "sha256": document.root.sha256,
            "size_bytes": document.root.size_bytes,
            "status": ScanStatus.COMPLETED,
            "verdict": document.verdict,
            "coverage": document.coverage,
            "artifact_count": len(document.artifacts),
            "finding_count": sum(not finding.shadow for item in document.artifacts for finding in item.findings),
            "submitted_at": ACCEPTED_AT,
            "deadline_at": ACCEPTED_AT + timedelta(seconds=300),
            "started_at": document.started_at,
            "finished_at": document.finished_at,
            "artifacts": document.artifacts,
            "detectors": document.detectors,
        }
        return ScanDetail(**values | changes)

    return make_scan


@pytest.fixture
def make_lost_scan(make_scan: MakeScan) -> MakeScan:
    """Return a function that makes what is known of a scan that expired."""

    def make_lost_scan(**changes: Any) -> ScanDetail:
        reason = "A scanner was given the file but did not finish it within 300 seconds."
        gaps = (CoverageGap(reason=CoverageReason.TIMEOUT, detail=reason),)
        values: dict[str, Any] = {
            "status": ScanStatus.EXPIRED,
            "verdict": Verdict.UNKNOWN,
            "coverage": Coverage(level=CoverageLevel.NONE, gaps=gaps),
            "reason": reason,
            "started_at": None,
            "finished_at": ACCEPTED_AT + timedelta(seconds=301),
            "artifact_count": 0,
            "artifacts": (),
            "detectors": (),
        }
        return make_scan(**values | changes)

    return make_lost_scan
