"""Events in: everything that subscribers may hear of. A rescan is told of only if it changed the verdict."""

from __future__ import annotations

from opentelemetry import propagate

from notifier.models import Announced, Announcement
from notifier.service import NotifierService
from shared.events import ReportFailedV1, ReportReadyV1, ScanExpiredV1, ScanRecordedV1
from shared.messaging import EventMeta, EventRouter


def create_event_router(service: NotifierService) -> EventRouter:
    """Return the event handlers of the notifier."""
    router = EventRouter()

    @router.on(ScanRecordedV1)
    async def announce_recorded_scan(event: ScanRecordedV1, meta: EventMeta) -> None:
        if event.is_news:
            await service.announce(_announcement(event, meta))

    @router.on(ScanExpiredV1)
    async def announce_expired_scan(event: ScanExpiredV1, meta: EventMeta) -> None:
        if event.is_news:
            await service.announce(_announcement(event, meta))

    @router.on(ReportReadyV1)
    async def announce_ready_report(event: ReportReadyV1, meta: EventMeta) -> None:
        await service.announce(_announcement(event, meta))

    @router.on(ReportFailedV1)
    async def announce_failed_report(event: ReportFailedV1, meta: EventMeta) -> None:
        await service.announce(_announcement(event, meta))

    return router


def _announcement(event: Announced, meta: EventMeta) -> Announcement:
    trace_context: dict[str, str] = {}
    propagate.inject(trace_context)
    return Announcement(event, meta.id, meta.time, trace_context)
