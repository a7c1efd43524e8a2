"""Submissions as one thing, put together from the upload, results and reports services and the live view."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

import httpx

from gateway.live import LiveHub, Watch
from gateway.upload_body import UploadBody
from shared.clients import FileSummary, ReportsClient, ResultsClient, ScanDetail, ScanFilter, ScanPage, ScanSummary
from shared.clients.upload import Submission, UploadClient
from shared.errors import AppError, ClientError
from shared.events import ReportFormat
from shared.scan import Coverage, CoverageLevel, ScanStatus, Verdict
from shared.web import Caller

READ_AGAIN_SECONDS = 5.0


class SubmissionService:
    """Passes uploads through and answers for submissions; the services decide who may see what."""

    def __init__(self, upload: UploadClient, results: ResultsClient, reports: ReportsClient, live: LiveHub) -> None:
        self._upload = upload
        self._results = results
        self._reports = reports
        self._live = live

    async def submit(self, caller: Caller, body: UploadBody) -> Submission:
        """Pass a body through to the upload service as it arrives; the answer means that the bytes are safe.

        Raises TooLargeError, BrokenUploadError, or the problem that the service answers.
        """
        try:
            return await self._upload.upload(caller, body.chunks(), body.headers)
        except (AppError, httpx.HTTPError):
            if body.failure is not None:
                raise body.failure from None
            raise

    async def detail(self, caller: Caller, submission_id: str) -> ScanDetail:
        """Return all that is known of a submission, at once after its upload too. Raises NotFoundError's problem."""
        try:
            detail = await self._results.get_scan(caller, submission_id)
        except ClientError as error:
            if error.status != 404:
                raise
            detail = _queued(await self._upload.get_submission(caller, submission_id))
        if detail.status is ScanStatus.QUEUED and await self._live.progress(detail.scan_id) is not None:
            return detail.model_copy(update={"status": ScanStatus.SCANNING})
        rescan = detail.rescan
        if rescan is not None and await self._live.progress(rescan.scan_id) is not None:
            scanning = rescan.model_copy(update={"status": ScanStatus.SCANNING})
            return detail.model_copy(update={"rescan": scanning})
        return detail

    async def wait(self, caller: Caller, submission_id: str, seconds: float) -> ScanDetail:
        """Return the submission when no scan of it is open or the time is up, whichever is first."""
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        with self._live.watch(submission_id=submission_id) as watch:
            detail = await self.detail(caller, submission_id)
            while detail.open and (left := until - clock()) > 0:
                await _ended(watch, min(left, READ_AGAIN_SECONDS))
                detail = await self.detail(caller, submission_id)
            return detail

    async def rescan(self, caller: Caller, submission_id: str) -> None:
        """Have a submission scanned again. Raises NotFoundError's problem, or ConflictError's while it is scanned."""
        await self._results.rescan(caller, submission_id)

    async def page(self, caller: Caller, where: ScanFilter, *, cursor: str | None, limit: int) -> ScanPage:
        """Return one page of the caller's submissions, newest first."""
        page = await self._results.list_scans(caller, where, cursor=cursor, limit=limit)
        items = tuple([await self._with_progress(item) for item in page.items])
        return page.model_copy(update={"items": items})

    async def file(self, caller: Caller, sha256: str) -> FileSummary:
        """Return what is known of some bytes."""
        return await self._results.get_file(caller, sha256)

    def report(
        self, caller: Caller, submission_id: str, form: ReportFormat
    ) -> AbstractAsyncContextManager[httpx.Response]:
        """Give a report as a stream. Raises NotFoundError's problem, or ConflictError's before the scan has ended."""
        return self._reports.open_report(caller, submission_id, form)

    async def _with_progress(self, summary: ScanSummary) -> ScanSummary:
        if summary.status is ScanStatus.QUEUED and await self._live.progress(summary.scan_id) is not None:
            return summary.model_copy(update={"status": ScanStatus.SCANNING})
        return summary


async def _ended(watch: Watch, seconds: float) -> None:
    """Return when the watched scan has ended or the time is up."""
    clock = asyncio.get_running_loop().time
    until = clock() + seconds
    while (left := until - clock()) > 0:
        if any(update.status.terminal for update in await watch.take(left)):
            return


def _queued(submission: Submission) -> ScanDetail:
    return ScanDetail(
        id=submission.id,
        scan_id=submission.scan_id,
        user_id=submission.user_id,
        name=submission.name,
        sha256=submission.sha256,
        size_bytes=submission.size_bytes,
        status=ScanStatus.QUEUED,
        verdict=Verdict.UNKNOWN,
        coverage=Coverage(level=CoverageLevel.NONE),
        submitted_at=submission.accepted_at,
        deadline_at=submission.deadline_at,
    )
