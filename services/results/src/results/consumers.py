"""Events in: what the upload announced and what became of it at the scanners."""

from __future__ import annotations

from results.service import ResultsService
from shared.events import FileUploadedV1, ScanCompletedV1, ScanFailedV1
from shared.messaging import EventMeta, EventRouter


def create_event_router(service: ResultsService) -> EventRouter:
    """Return the event handlers of this service. Any order and any number of deliveries ends in the same state."""
    router = EventRouter()

    @router.on(FileUploadedV1)
    async def record_upload(event: FileUploadedV1, meta: EventMeta) -> None:
        await service.record_upload(event, meta.id)

    @router.on(ScanCompletedV1)
    async def record_completed(event: ScanCompletedV1, meta: EventMeta) -> None:
        await service.record_completed(event, meta.id)

    @router.on(ScanFailedV1)
    async def record_failed(event: ScanFailedV1, meta: EventMeta) -> None:
        await service.record_failed(event, meta.id)

    return router
