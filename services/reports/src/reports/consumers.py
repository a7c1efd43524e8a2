"""Events in: scans that ended, and reports that somebody asked for."""

from __future__ import annotations

from reports.service import ReportsService
from shared.events import ReportRequestedV1, ScanRecordedV1
from shared.messaging import EventMeta, EventRouter


def create_event_router(service: ReportsService) -> EventRouter:
    """Return the event handlers of this service."""
    router = EventRouter()

    @router.on(ScanRecordedV1)
    async def report_recorded_scan(event: ScanRecordedV1, meta: EventMeta) -> None:
        await service.report_recorded(event, meta.id)

    @router.on(ReportRequestedV1)
    async def make_requested_report(event: ReportRequestedV1, meta: EventMeta) -> None:
        await service.report_requested(event, meta.id)

    return router
