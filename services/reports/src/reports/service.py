"""Use cases of the reports service: make reports as scans end or on request, and hand them out."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from importlib.metadata import version
from uuid import uuid4
from weakref import WeakValueDictionary

from opentelemetry import trace

from reports import storage
from reports.errors import ReportNotMadeError, ScanNotEndedError
from reports.models import Report, ReportIdentity
from reports.render import Renderer
from shared.clients.results import ResultsClient, ScanDetail
from shared.clock import now
from shared.database import Database
from shared.events import (
    ObjectRef,
    ReportFailedV1,
    ReportFormat,
    ReportReadyV1,
    ReportRequestedV1,
    ScanRecordedV1,
)
from shared.objects import ObjectStore
from shared.web import Caller, service_caller

logger = logging.getLogger(__name__)
tracer = trace.get_tracer("reports")
_VERSION = version("fumehood-reports")


class ReportsService:
    """Makes each format of a report once; every format of one scan carries the same facts and the same identity."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        results: ResultsClient,
        renderer: Renderer,
        formats: Sequence[ReportFormat],
    ) -> None:
        self._database = database
        self._objects = objects
        self._results = results
        self._renderer = renderer
        self._formats = formats
        self._making: WeakValueDictionary[tuple[str, ReportFormat], asyncio.Lock] = WeakValueDictionary()

    async def report_recorded(self, event: ScanRecordedV1, event_id: str) -> None:
        """Make the formats that are wanted of every scan; none of a rescan that says what was known."""
        if not event.is_news:
            return
        await self._make_and_announce(event, event_id, self._formats)

    async def report_requested(self, event: ReportRequestedV1, event_id: str) -> None:
        """Make the format that somebody asked for."""
        await self._make_and_announce(event, event_id, (event.format,))

    async def get_report(self, caller: Caller, submission_id: str, form: ReportFormat) -> ObjectRef:
        """Return where the report is stored; it is made now if it is not.

        Raises what the results service says of a submission that the caller may not see,
        ScanNotEndedError, and ReportNotMadeError.
        """
        return await self._made(await self._results.get_scan(caller, submission_id), form)

    async def _make_and_announce(
        self, event: ScanRecordedV1 | ReportRequestedV1, event_id: str, formats: Sequence[ReportFormat]
    ) -> None:
        if not formats:
            return
        scan = await self._results.get_scan(service_caller("reports"), event.submission_id)
        if scan.scan_id != event.scan_id:
            logger.info("scan was superseded before its report", extra={"scan_id": event.scan_id})
            return
        outcomes = [await self._outcome(scan, form) for form in formats]
        async with self._database.transaction() as transaction:
            if await transaction.first_time(event_id):
                for outcome in outcomes:
                    await transaction.publish(outcome)

    async def _outcome(self, scan: ScanDetail, form: ReportFormat) -> ReportReadyV1 | ReportFailedV1:
        ids = {"submission_id": scan.id, "scan_id": scan.scan_id, "user_id": scan.user_id, "format": form}
        try:
            return ReportReadyV1.model_validate(ids | {"report": await self._made(scan, form), "ready_at": now()})
        except (ReportNotMadeError, ScanNotEndedError) as error:
            logger.warning("report not made", extra={"scan_id": scan.scan_id, "detail": error.message})
            return ReportFailedV1.model_validate(ids | {"reason": error.message, "failed_at": now()})

    async def _made(self, scan: ScanDetail, form: ReportFormat) -> ObjectRef:
        """Return where a format is stored; of two callers at once one makes it and the other waits for it."""
        if not scan.status.terminal:
            raise ScanNotEndedError("The scan has not ended yet; its report can be made when it has.")
        key = (scan.scan_id, form)
        lock = self._making.get(key) or self._making.setdefault(key, asyncio.Lock())
        async with lock:
            async with self._database.read() as session:
                identity, stored = await storage.find_report(session, scan.scan_id, form)
            if stored is not None and await self._objects.exists(stored.key):
                return stored
            fresh = ReportIdentity(id=str(uuid4()), generated_at=now(), fumehood_version=_VERSION)
            return await self._make(scan, form, identity or fresh)

    async def _make(self, scan: ScanDetail, form: ReportFormat, identity: ReportIdentity) -> ObjectRef:
        """Make and store a format; the first format that is stored decides which report this is, for all."""
        with tracer.start_as_current_span("render report", attributes={"fumehood.report.format": form}):
            data = await self._renderer.render(Report.of(scan, identity), form)
        digest = hashlib.sha256(data).hexdigest()
        # The digest in the key keeps what another replica may have stored meanwhile apart.
        key = f"reports/{scan.scan_id}.{digest[:16]}.{form.value}"
        stored = ObjectRef(key=key, sha256=digest, size_bytes=len(data))
        await self._objects.put_bytes(stored.key, data)
        async with self._database.transaction() as transaction:
            agreed = await storage.claim_identity(transaction.session, scan, identity)
            if agreed.id == identity.id:
                await storage.put_rendering(transaction.session, scan.scan_id, form, stored)
                return stored
        await self._objects.delete(stored.key)
        return await self._make(scan, form, agreed)
