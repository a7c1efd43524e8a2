"""A submission as a row: in the history, under the drop zone and as a live chip."""

from __future__ import annotations

from datetime import date, datetime
from urllib.parse import urlencode

from pydantic import field_validator

from gateway.views.text import When, when
from gateway.views.verdicts import VerdictMark, scan_mark
from shared.presentation.text import size_text
from shared.presentation.words import VERDICT_LABELS
from shared.scan import CoverageLevel, Frozen, ScanStatus, Verdict


class SubmissionFacts(Frozen):
    """What the pages need to know of one submission; the back end fills it from the results service."""

    id: str
    file_name: str
    size_bytes: int
    sha256: str
    status: ScanStatus
    submitted_at: datetime
    verdict: Verdict | None = None
    coverage: CoverageLevel | None = None
    finished_at: datetime | None = None
    deadline_at: datetime | None = None
    failure: str | None = None
    """Why the scan failed or expired: one sentence for people."""
    submitted_by: str | None = None
    """E-mail of the owner, where the viewer is someone else."""
    previous_verdict: Verdict | None = None
    """What was said before the submission was scanned again, if it was."""

    @property
    def changed_from(self) -> Verdict | None:
        """The earlier verdict, where scanning again changed it."""
        changed = self.status is ScanStatus.COMPLETED and self.previous_verdict is not self.verdict
        return self.previous_verdict if changed else None


class SubmissionRow(Frozen):
    """One submission in a list."""

    id: str
    file_name: str
    size: str
    size_bytes: int
    sha256: str
    submitted: When
    submitted_by: str | None
    mark: VerdictMark
    partial: bool
    live: bool
    changed_from: str | None = None

    @property
    def url(self) -> str:
        """Address of the scan page."""
        return f"/submissions/{self.id}"


class SubmissionFilters(Frozen):
    """What the history is narrowed down to; the names are those of the query parameters."""

    verdict: Verdict | None = None
    name: str = ""
    sha256: str = ""
    after: date | None = None
    before: date | None = None

    @field_validator("verdict", "after", "before", mode="before")
    @classmethod
    def _blank_is_absent(cls, value: object) -> object:
        """A form sends every field, the empty ones too."""
        return None if value == "" else value

    @property
    def active(self) -> bool:
        """Whether any filter is set."""
        return bool(self.verdict or self.name or self.sha256 or self.after or self.before)

    def url(self, cursor: str | None = None) -> str:
        """Return the address of the history with these filters, from `cursor` on."""
        values = {**self.model_dump(mode="json"), "cursor": cursor}
        query = urlencode({name: value for name, value in values.items() if value})
        return f"/submissions?{query}" if query else "/submissions"


def submission_row(facts: SubmissionFacts, now: datetime) -> SubmissionRow:
    """Return a submission as a list shows it at `now`."""
    return SubmissionRow(
        id=facts.id,
        file_name=facts.file_name,
        size=size_text(facts.size_bytes),
        size_bytes=facts.size_bytes,
        sha256=facts.sha256,
        submitted=when(facts.submitted_at, now),
        submitted_by=facts.submitted_by,
        mark=scan_mark(facts.status, facts.verdict),
        partial=facts.status is ScanStatus.COMPLETED and facts.coverage in {CoverageLevel.PARTIAL, CoverageLevel.NONE},
        live=not facts.status.terminal,
        changed_from=VERDICT_LABELS[facts.changed_from] if facts.changed_from else None,
    )
