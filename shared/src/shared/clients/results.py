"""The results service as others see it."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from shared.clients.base import ServiceClient
from shared.clients.comparison import Comparison, ComparisonQuery, ShadowVersion
from shared.clients.filters import ScanFilter
from shared.clients.rescans import RescanAct, RescanEstimate, RescanJob
from shared.scan import Artifact, Coverage, CoverageLevel, DetectorInfo, Frozen, ScanStatus, Verdict
from shared.web.tokens import Caller


class ScanSummary(Frozen):
    """A submission with the scan that counts: the latest that completed, else the latest."""

    id: str = Field(description="The submission's id.")
    scan_id: str
    user_id: str
    name: str = Field(description="File name as submitted; untrusted.")
    sha256: str
    size_bytes: int
    status: ScanStatus
    verdict: Verdict = Field(description="`unknown` until the scan has ended.")
    coverage: Coverage
    artifact_count: int = 0
    finding_count: int = 0
    submitted_at: datetime
    deadline_at: datetime
    finished_at: datetime | None = None
    reason: str | None = Field(default=None, description="Why the scan failed or expired.")
    requested_at: datetime | None = Field(
        default=None, description="When the submission was to be scanned again; null where this is its first scan."
    )
    previous_verdict: Verdict | None = Field(default=None, description="Of a rescan: what was said before it.")


class PastScan(Frozen):
    """A scan of a submission that is not the one that counts."""

    scan_id: str
    status: ScanStatus
    verdict: Verdict
    coverage: CoverageLevel
    requested_at: datetime = Field(description="Of the first scan: when the file was submitted.")
    finished_at: datetime | None = None
    reason: str | None = None


class ScanDetail(ScanSummary):
    """A submission with everything found."""

    started_at: datetime | None = None
    artifacts: tuple[Artifact, ...] = ()
    detectors: tuple[DetectorInfo, ...] = ()
    rescan: PastScan | None = Field(default=None, description="The scan that is to replace this one, while it is open.")
    history: tuple[PastScan, ...] = Field(default=(), description="Other ended scans, latest first, at most 20.")

    @property
    def open(self) -> bool:
        """Whether a scan of the submission has not ended, its first or a later one."""
        return not self.status.terminal or self.rescan is not None


class ScanPage(Frozen):
    """One page, newest first. `next_cursor` is None on the last one."""

    items: tuple[ScanSummary, ...]
    next_cursor: str | None = None


class FileSummary(Frozen):
    """What is known of some bytes, over all submissions the caller may see."""

    sha256: str
    size_bytes: int
    verdict: Verdict = Field(description="Of the latest completed scan; `unknown` if there is none.")
    coverage: Coverage
    first_seen_at: datetime
    last_seen_at: datetime
    submissions: tuple[ScanSummary, ...] = Field(description="Latest first, at most 20.")


class ResultsClient(ServiceClient):
    """/internal/v1/submissions, /files, /rescans and /shadows."""

    async def get_scan(self, caller: Caller, submission_id: str) -> ScanDetail:
        """Return a submission with its latest scan. Raises NotFoundError's problem if it may not be seen."""
        answer = await self._call(caller, "GET", f"/internal/v1/submissions/{submission_id}")
        return ScanDetail.model_validate_json(answer.content)

    async def list_scans(
        self, caller: Caller, where: ScanFilter, *, cursor: str | None = None, limit: int = 50
    ) -> ScanPage:
        """Return one page of the caller's submissions (an administrator's: everyone's)."""
        query = (
            where.model_dump(mode="json", exclude_none=True) | {"limit": limit} | ({"cursor": cursor} if cursor else {})
        )
        answer = await self._call(caller, "GET", "/internal/v1/submissions", params=query)
        return ScanPage.model_validate_json(answer.content)

    async def get_file(self, caller: Caller, sha256: str) -> FileSummary:
        """Return what is known of the bytes. Raises NotFoundError's problem if the caller never submitted them."""
        answer = await self._call(caller, "GET", f"/internal/v1/files/{sha256}")
        return FileSummary.model_validate_json(answer.content)

    async def rescan(self, caller: Caller, submission_id: str) -> None:
        """Have a submission scanned again. Raises ConflictError's problem while it is being scanned."""
        await self._call(caller, "POST", f"/internal/v1/submissions/{submission_id}/rescan")

    async def estimate_rescan(self, caller: Caller, where: ScanFilter) -> RescanEstimate:
        """Return what a job would do. Administrators only, as all jobs."""
        body = where.model_dump(mode="json")
        return RescanEstimate.model_validate_json(
            (await self._call(caller, "POST", "/internal/v1/rescans/estimate", json=body)).content
        )

    async def start_rescan(self, caller: Caller, where: ScanFilter) -> RescanJob:
        """Begin a job. Raises ConflictError's problem while another one is not over."""
        answer = await self._call(caller, "POST", "/internal/v1/rescans", json=where.model_dump(mode="json"))
        return RescanJob.model_validate_json(answer.content)

    async def latest_rescan(self, caller: Caller) -> RescanJob:
        """Return the job that was made last. Raises NotFoundError's problem if there was none."""
        answer = await self._call(caller, "GET", "/internal/v1/rescans/latest")
        return RescanJob.model_validate_json(answer.content)

    async def change_rescan(self, caller: Caller, rescan_id: str, act: RescanAct) -> RescanJob:
        """Pause, resume or cancel a job. Raises NotFoundError's and ConflictError's problems."""
        answer = await self._call(caller, "POST", f"/internal/v1/rescans/{rescan_id}/{act.value}")
        return RescanJob.model_validate_json(answer.content)

    async def list_shadows(self, caller: Caller) -> tuple[ShadowVersion, ...]:
        """Return the versions that ran in shadow, the latest first. Administrators only."""
        answer = await self._call(caller, "GET", "/internal/v1/shadows")
        return tuple(ShadowVersion.model_validate(item) for item in answer.json())

    async def compare(self, caller: Caller, detector: str, query: ComparisonQuery) -> Comparison:
        """Compare a detector in shadow with the live ones. Raises NotFoundError's problem where it never ran."""
        path, params = f"/internal/v1/shadows/{detector}", query.model_dump(mode="json", exclude_none=True)
        return Comparison.model_validate_json((await self._call(caller, "GET", path, params=params)).content)
