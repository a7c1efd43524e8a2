"""Scans: record what happened to them, expire them, look them up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from opentelemetry import metrics

from results.errors import DocumentMismatchError
from results.models import Cursor, EndedScan, Ending, OverdueScan, StoredScan
from results.storage import lookup, recording
from shared.clients.filters import ScanFilter
from shared.clients.results import FileSummary, ScanDetail, ScanPage
from shared.clock import now
from shared.database import Database, Transaction
from shared.errors import NotFoundError, UnavailableError
from shared.events import (
    FileUploadedV1,
    RescanRequestedV1,
    ScanCompletedV1,
    ScanExpiredV1,
    ScanFailedV1,
    ScanRecordedV1,
)
from shared.messaging import Bus
from shared.objects import ObjectStore, read_bytes
from shared.scan import ScanDocument, Verdict
from shared.web import Caller

logger = logging.getLogger(__name__)
_scans_ended = metrics.get_meter("results").create_counter(
    "fumehood.scans.ended", description="Scans that ended, by status and verdict."
)
_SCANNER_QUEUES = {False: f"scanner.{FileUploadedV1.type}", True: f"scanner.{RescanRequestedV1.type}"}
"""Where files wait for a scanner: fresh ones, and those to be scanned again."""
_SCANNER_RESULTS = tuple(f"results.{event.type}" for event in (ScanCompletedV1, ScanFailedV1))
_SWEEP_BATCH = 200
_HISTORY = 20
_THREAD_WORTHY_BYTES = 1 << 20


class ResultsService:
    """Keeps what became of every submission. The first terminal state of a scan stays, whatever comes later."""

    def __init__(self, database: Database, objects: ObjectStore, bus: Bus) -> None:
        self._database = database
        self._objects = objects
        self._bus = bus
        self.on_rescan_ended: Callable[[], None] = lambda: None

    async def record_upload(self, event: FileUploadedV1, event_id: str) -> None:
        """Record that a scan was asked for."""
        async with self._database.transaction() as transaction:
            if await transaction.first_time(event_id):
                await recording.announce_scan(transaction.session, event)

    async def record_completed(self, event: ScanCompletedV1, event_id: str) -> None:
        """Record what a scan found. Raises DocumentMismatchError if the document is not of this scan."""
        document = await self._document_of(event)
        ending = Ending.completed(event, document)
        async with self._database.transaction() as transaction:
            ended = await self._end(transaction, event, event_id, ending)
            if ended is not None:
                await recording.insert_contents(transaction.session, document)
        self._ended(ending, ended)

    async def record_failed(self, event: ScanFailedV1, event_id: str) -> None:
        """Record that a scan could not be done."""
        ending = Ending.failed(event)
        async with self._database.transaction() as transaction:
            ended = await self._end(transaction, event, event_id, ending)
        self._ended(ending, ended)

    async def expire_overdue(self) -> int:
        """End scans past their deadline, at most 200 at once; return how many."""
        moment = now()
        async with self._database.read() as session:
            if not await recording.has_overdue(session, moment):
                return 0
        waiting = {is_rescan: await self._depth(queue) for is_rescan, queue in _SCANNER_QUEUES.items()}
        async with self._database.transaction() as transaction:
            overdue = await recording.claim_overdue(transaction.session, moment, _SWEEP_BATCH)
            reasons = [scan.why(waiting[scan.requested_at is not None]) for scan in overdue]
            for scan, reason in zip(overdue, reasons, strict=True):
                await _expire(transaction, scan, Ending.expired(reason, moment))
        for scan, reason in zip(overdue, reasons, strict=True):
            logger.warning("scan expired", extra={"scan_id": scan.scan_id, "detail": reason})
        if any(scan.requested_at for scan in overdue):
            self.on_rescan_ended()
        _count(Ending.expired("", moment), len(overdue))
        return len(overdue)

    async def has_backlog(self) -> bool:
        """Return whether results of scanners wait on the bus, or may wait because it does not answer."""
        depths = [await self._depth(queue) for queue in _SCANNER_RESULTS]
        return any(depth is None or depth > 0 for depth in depths)

    async def get_scan(self, caller: Caller, submission_id: str) -> ScanDetail:
        """Return a submission with everything found. Raises NotFoundError."""
        async with self._database.read() as session:
            stored = await lookup.find_scan(session, submission_id)
        if stored is None or not caller.may_see(stored.summary.user_id):
            raise NotFoundError("There is no such submission.")
        return await self._detail(stored)

    async def list_scans(self, caller: Caller, where: ScanFilter, *, cursor: str | None, limit: int) -> ScanPage:
        """Return one page, newest first. Raises InvalidInputError for a cursor that is not ours."""
        start = Cursor.parse(cursor) if cursor else None
        async with self._database.read() as session:
            scans = await lookup.list_scans(session, caller, where, start, limit + 1)
        more = len(scans) > limit
        return ScanPage(items=tuple(scans[:limit]), next_cursor=str(Cursor.after(scans[limit - 1])) if more else None)

    async def get_file(self, caller: Caller, sha256: str) -> FileSummary:
        """Return what is known of some bytes. Raises NotFoundError if the caller never submitted them."""
        async with self._database.read() as session:
            summary = await lookup.find_file(session, caller, sha256)
        if summary is None:
            raise NotFoundError("No file with this SHA-256 was submitted.")
        return summary

    async def _end(
        self, transaction: Transaction, event: ScanCompletedV1 | ScanFailedV1, event_id: str, ending: Ending
    ) -> EndedScan | None:
        if not await transaction.first_time(event_id):
            return None
        ended = await recording.end_scan(transaction.session, event, ending)
        if ended is None:
            logger.info("scan had ended already", extra={"scan_id": event.scan_id, "status": ending.status})
            return None
        if ended.previous_verdict is not None:
            await recording.make_current(transaction.session, ended, ending.status)
        await transaction.publish(_recorded(event, ending, ended.previous_verdict))
        return ended

    def _ended(self, ending: Ending, ended: EndedScan | None) -> None:
        if ended is None:
            return
        _count(ending, 1)
        if ended.previous_verdict is not None:
            self.on_rescan_ended()

    async def _document_of(self, event: ScanCompletedV1) -> ScanDocument:
        document = event.document
        if document is None and event.document_ref is not None:
            document = await _parsed(await read_bytes(self._objects, event.document_ref))
        if document is None or not document.artifacts:
            raise DocumentMismatchError(f"The result of scan {event.scan_id} came without a document.")
        if (document.scan_id, document.root.sha256) != (event.scan_id, event.file.sha256):
            raise DocumentMismatchError(f"The document of scan {event.scan_id} is that of another scan or file.")
        return document

    async def _detail(self, stored: StoredScan) -> ScanDetail:
        data = stored.document
        if data is None and stored.document_ref is not None:
            data = await read_bytes(self._objects, stored.document_ref)
        fields = dict(stored.summary) | {
            "started_at": stored.started_at,
            "rescan": next((scan for scan in stored.others if not scan.status.terminal), None),
            "history": tuple(scan for scan in stored.others if scan.status.terminal)[:_HISTORY],
        }
        if data is not None:
            document = await _parsed(data)
            fields |= {"coverage": document.coverage, "artifacts": document.artifacts, "detectors": document.detectors}
        return ScanDetail(**fields)

    async def _depth(self, queue: str) -> int | None:
        try:
            return await self._bus.depth(queue)
        except UnavailableError:
            return None


async def _parsed(data: bytes) -> ScanDocument:
    if len(data) < _THREAD_WORTHY_BYTES:
        return ScanDocument.model_validate_json(data)
    return await asyncio.to_thread(ScanDocument.model_validate_json, data)


async def _expire(transaction: Transaction, scan: OverdueScan, ending: Ending) -> None:
    await recording.expire_scan(transaction.session, scan.scan_id, ending)
    if scan.previous_verdict is not None:
        ended = EndedScan(scan.scan_id, scan.submission_id, scan.previous_verdict)
        await recording.make_current(transaction.session, ended, ending.status)
    await transaction.publish(
        ScanExpiredV1(
            submission_id=scan.submission_id,
            scan_id=scan.scan_id,
            user_id=scan.user_id,
            sha256=scan.sha256,
            size_bytes=scan.size_bytes,
            name=scan.name,
            reason=ending.reason or "",
            previous_verdict=scan.previous_verdict,
            expired_at=ending.finished_at,
        )
    )


def _count(ending: Ending, number: int) -> None:
    if number:
        _scans_ended.add(number, {"status": ending.status, "verdict": ending.verdict})


def _recorded(
    event: ScanCompletedV1 | ScanFailedV1, ending: Ending, previous_verdict: Verdict | None
) -> ScanRecordedV1:
    return ScanRecordedV1(
        submission_id=event.submission_id,
        scan_id=event.scan_id,
        user_id=event.user_id,
        sha256=event.file.sha256,
        size_bytes=event.file.size_bytes,
        name=event.name,
        status=ending.status,
        verdict=ending.verdict,
        coverage=ending.coverage.level,
        coverage_reasons=tuple(dict.fromkeys(gap.reason for gap in ending.coverage.gaps)),
        artifact_count=ending.artifact_count,
        finding_count=ending.finding_count,
        reason=ending.reason,
        previous_verdict=previous_verdict,
        recorded_at=now(),
    )
