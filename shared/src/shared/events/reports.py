"""Events that the reports service publishes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from shared.events.base import Event, ObjectRef


class ReportFormat(StrEnum):
    """The renderings of a scan."""

    JSON = "json"
    HTML = "html"
    PDF = "pdf"


class ReportRequestedV1(Event):
    """Somebody asked for a report that is to be made in the background."""

    type: ClassVar[str] = "reports.report_requested.v1"
    consumers: ClassVar[tuple[str, ...]] = ("reports",)

    submission_id: str
    scan_id: str
    user_id: str
    format: ReportFormat
    requested_at: datetime


class ReportReadyV1(Event):
    """A report is stored and can be downloaded."""

    type: ClassVar[str] = "reports.report_ready.v1"
    consumers: ClassVar[tuple[str, ...]] = ("notifier",)

    submission_id: str
    scan_id: str
    user_id: str
    format: ReportFormat
    report: ObjectRef
    ready_at: datetime


class ReportFailedV1(Event):
    """A report could not be made."""

    type: ClassVar[str] = "reports.report_failed.v1"
    consumers: ClassVar[tuple[str, ...]] = ("notifier",)

    submission_id: str
    scan_id: str
    user_id: str
    format: ReportFormat
    reason: str
    failed_at: datetime
