"""The results service as others see it."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from shared.clients.base import ServiceClient
from shared.scan import Artifact, Coverage, DetectorInfo, Frozen, ScanStatus, Verdict
from shared.web.tokens import Caller


class ScanSummary(Frozen):
    """A submission with the state of its latest scan, as shown in lists."""

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


class ScanDetail(ScanSummary):
    """A submission with everything found."""

    started_at: datetime | None = None
    artifacts: tuple[Artifact, ...] = ()
    detectors: tuple[DetectorInfo, ...] = ()


class ScanFilter(Frozen):
    """Which submissions to list; all conditions must hold."""

    verdict: Verdict | None = None
    status: ScanStatus | None = None
    name: str | None = Field(default=None, max_length=255, description="Part of the file name, any case.")
    sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-fA-F]{4,64}$",
        description="All or the first digits; of the file or of anything inside.",
    )
    after: datetime | None = Field(default=None, description="Submitted at or after.")
    before: datetime | None = Field(default=None, description="Submitted before.")


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
    """GET /internal/v1/submissions, /internal/v1/submissions/{id}, /internal/v1/files/{sha256}."""

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
