"""Errors that only the reports service raises."""

from __future__ import annotations

from shared.errors import ConflictError, PermanentError


class ScanNotEndedError(ConflictError):
    """There is nothing to report yet."""

    code = "scan_not_ended"
    title = "Scan not ended"


class ReportNotMadeError(PermanentError):
    """The report could not be rendered; the facts themselves are not affected."""

    code = "report_not_made"
    title = "Report not made"
