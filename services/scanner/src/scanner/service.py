"""Use case of the scanner service: an announced file becomes a scan document, once."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from opentelemetry import metrics, trace

from scanner import storage
from scanner.engine import ScanEngine, ScanProgress
from shared.clock import now
from shared.database import Database
from shared.errors import NotFoundError, PermanentError
from shared.events import (
    Event,
    FileUploadedV1,
    RescanRequestedV1,
    ScanCompletedV1,
    ScanFailedV1,
    ScanProgressedV1,
    ScanStartedV1,
)
from shared.folders import WorkFolder
from shared.messaging import Bus, Message
from shared.objects import ObjectStore, download
from shared.scan import ScanDocument

ScanOrder = FileUploadedV1 | RescanRequestedV1
RECORDING_SECONDS = 10.0
"""Kept back from a scan's deadline, so that its result is recorded before results gives it up."""

_logger = logging.getLogger(__name__)
_tracer = trace.get_tracer(__name__)
_meter = metrics.get_meter(__name__)
_scan_seconds = _meter.create_histogram("fumehood.scan.duration", "s", "Time from taking a file up to its verdict.")
_verdicts = _meter.create_counter("fumehood.scan.verdicts", description="Scans by verdict and coverage.")


class ScannerService:
    """Scans files. The event is marked as handled in the transaction that queues the result."""

    def __init__(self, database: Database, objects: ObjectStore, bus: Bus, engine: ScanEngine, work_dir: Path) -> None:
        self._database = database
        self._objects = objects
        self._bus = bus
        self._engine = engine
        self._work_dir = work_dir
        self._telling: set[asyncio.Task[None]] = set()

    async def scan(self, order: ScanOrder, event_id: str) -> None:
        """Scan the file and queue the result; do nothing for an event handled before or out of time.

        Raises UnavailableError when storage or database is away, or the GPU has failed, so that the
        message is retried.
        """
        budget_seconds = (order.deadline_at - now()).total_seconds() - RECORDING_SECONDS
        if budget_seconds <= 0:
            _logger.warning("scan is out of time", extra={"submission_id": order.submission_id})
            return
        async with self._database.read() as session:
            if await storage.is_handled(session, event_id):
                return
        self._tell(
            ScanStartedV1(
                submission_id=order.submission_id, scan_id=order.scan_id, user_id=order.user_id, started_at=now()
            )
        )
        try:
            document = await self._look_at(order, budget_seconds)
        except (NotFoundError, PermanentError) as error:
            _logger.exception("scan failed", extra={"submission_id": order.submission_id})
            await self._record(_failed(order, error.message), event_id)
            return
        await self._record(await self._completed(order, document), event_id)

    async def _look_at(self, order: ScanOrder, budget_seconds: float) -> ScanDocument:
        with (
            _tracer.start_as_current_span("scan", attributes={"fumehood.submission_id": order.submission_id}) as span,
            WorkFolder("scan", self._work_dir) as folder,
        ):
            path = folder.path / "file"
            await download(self._objects, order.file, path)
            document = await self._engine.scan(
                path,
                name=order.name,
                scan_id=order.scan_id,
                submission_id=order.submission_id,
                budget_seconds=budget_seconds,
                on_progress=lambda progress: self._tell(_progressed(order, progress)),
                passwords=order.options.passwords,
                background=isinstance(order, RescanRequestedV1),
            )
            await self._engine.check()
            span.set_attribute("fumehood.verdict", document.verdict.value)
        _scan_seconds.record((document.finished_at - document.started_at).total_seconds())
        _verdicts.add(1, {"verdict": document.verdict.value, "coverage": document.coverage.level.value})
        return document

    async def _completed(self, order: ScanOrder, document: ScanDocument) -> ScanCompletedV1:
        reference = await storage.put_document(self._objects, document)
        return ScanCompletedV1(
            submission_id=order.submission_id,
            scan_id=order.scan_id,
            user_id=order.user_id,
            file=order.file,
            name=order.name,
            completed_at=document.finished_at,
            document=document if reference is None else None,
            document_ref=reference,
        )

    async def _record(self, outcome: Event, event_id: str) -> None:
        async with self._database.transaction() as transaction:
            if await transaction.first_time(event_id):
                await transaction.publish(outcome)

    def _tell(self, event: ScanStartedV1 | ScanProgressedV1) -> None:
        """Send to whoever watches live; nothing waits for it."""
        task = asyncio.create_task(self._bus.publish_transient(Message.of(event)))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)


def _progressed(order: ScanOrder, progress: ScanProgress) -> ScanProgressedV1:
    return ScanProgressedV1(
        submission_id=order.submission_id,
        scan_id=order.scan_id,
        user_id=order.user_id,
        stage=progress.stage,
        artifacts_found=progress.artifacts_found,
        artifacts_done=progress.artifacts_done,
        findings=progress.findings,
    )


def _failed(order: ScanOrder, reason: str) -> ScanFailedV1:
    return ScanFailedV1(
        submission_id=order.submission_id,
        scan_id=order.scan_id,
        user_id=order.user_id,
        file=order.file,
        name=order.name,
        failed_at=now(),
        reason=reason,
    )
