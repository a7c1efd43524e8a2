"""Events in: files to scan, fresh ones and, in a lane of their own, those to be scanned again."""

from __future__ import annotations

from scanner.service import ScannerService
from shared.events import FileUploadedV1, RescanRequestedV1
from shared.messaging import EventMeta, EventRouter


def create_upload_router(service: ScannerService) -> EventRouter:
    """Return the handlers of the lane in which somebody waits."""
    router = EventRouter()

    @router.on(FileUploadedV1)
    async def scan_uploaded_file(event: FileUploadedV1, meta: EventMeta) -> None:
        await service.scan(event, meta.id)

    return router


def create_rescan_router(service: ScannerService) -> EventRouter:
    """Return the handlers of the background lane."""
    router = EventRouter()

    @router.on(RescanRequestedV1)
    async def rescan_file(event: RescanRequestedV1, meta: EventMeta) -> None:
        await service.scan(event, meta.id)

    return router
