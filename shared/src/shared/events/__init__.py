"""Every event on the bus: the contract between the services.

`EVENTS` maps routing key to class. docs/events holds the AsyncAPI document and the JSON
Schemas generated from these classes.
"""

from shared.events.base import Event, ObjectRef
from shared.events.notifier import DeliveryFailedV1
from shared.events.reports import ReportFailedV1, ReportFormat, ReportReadyV1, ReportRequestedV1
from shared.events.results import RescanRequestedV1, ScanExpiredV1, ScanRecordedV1
from shared.events.scanner import ArtifactFinding, ScanCompletedV1, ScanFailedV1, ScanProgressedV1, ScanStartedV1
from shared.events.upload import FileUploadedV1, ScanOptions

EVENTS: dict[str, type[Event]] = {
    event.type: event
    for event in (
        FileUploadedV1,
        ScanStartedV1,
        ScanProgressedV1,
        ScanCompletedV1,
        ScanFailedV1,
        ScanRecordedV1,
        ScanExpiredV1,
        RescanRequestedV1,
        ReportRequestedV1,
        ReportReadyV1,
        ReportFailedV1,
        DeliveryFailedV1,
    )
}

__all__ = [
    "EVENTS",
    "ArtifactFinding",
    "DeliveryFailedV1",
    "Event",
    "FileUploadedV1",
    "ObjectRef",
    "ReportFailedV1",
    "ReportFormat",
    "ReportReadyV1",
    "ReportRequestedV1",
    "RescanRequestedV1",
    "ScanCompletedV1",
    "ScanExpiredV1",
    "ScanFailedV1",
    "ScanOptions",
    "ScanProgressedV1",
    "ScanRecordedV1",
    "ScanStartedV1",
]
