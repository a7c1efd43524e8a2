"""Bodies of the public API."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from shared.clients import FileSummary, ScanDetail, ScanPage, ScanSummary
from shared.clients.upload import Submission
from shared.scan import Frozen, ScanStatus

_ID = "7f0f5e46-3f0c-4d0b-9d43-6a3c5b0d6a0e"
_SHA256 = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"


class Token(Frozen):
    """An access token (RFC 6749, section 5.1)."""

    access_token: str = Field(description="Send it as `Authorization: Bearer TOKEN`.", examples=["eyJhbGc..."])
    token_type: str = Field(default="bearer", examples=["bearer"])
    expires_in: int = Field(description="Seconds until it expires.", examples=[900])


class SubmissionLinks(Frozen):
    """Paths on this server that belong to a submission."""

    self: str = Field(examples=[f"/api/v1/submissions/{_ID}"])
    page: str = Field(description="The page for people.", examples=[f"/submissions/{_ID}"])
    report_json: str = Field(examples=[f"/api/v1/submissions/{_ID}/report.json"])
    report_html: str = Field(examples=[f"/api/v1/submissions/{_ID}/report.html"])
    report_pdf: str = Field(examples=[f"/api/v1/submissions/{_ID}/report.pdf"])

    @classmethod
    def of(cls, submission_id: str) -> SubmissionLinks:
        """Return the links of a submission."""
        base = f"/api/v1/submissions/{submission_id}"
        return cls(
            self=base,
            page=f"/submissions/{submission_id}",
            report_json=f"{base}/report.json",
            report_html=f"{base}/report.html",
            report_pdf=f"{base}/report.pdf",
        )


class AcceptedSubmission(Frozen):
    """A file that was accepted: its bytes are stored, and it will be scanned."""

    id: str = Field(description="Follows the submission everywhere.", examples=[_ID])
    status: ScanStatus = Field(default=ScanStatus.QUEUED)
    sha256: str = Field(examples=[_SHA256])
    links: SubmissionLinks

    @classmethod
    def of(cls, submission: Submission) -> Self:
        """Return the answer to an upload."""
        return cls(id=submission.id, sha256=submission.sha256, links=SubmissionLinks.of(submission.id))


class SubmissionItem(ScanSummary):
    """A submission in a list."""

    links: SubmissionLinks

    @classmethod
    def of(cls, summary: ScanSummary) -> Self:
        """Return a submission with its links."""
        return cls(**dict(summary), links=SubmissionLinks.of(summary.id))


class SubmissionAnswer(ScanDetail):
    """A submission with everything found so far."""

    links: SubmissionLinks

    @classmethod
    def of(cls, detail: ScanDetail) -> Self:
        """Return a submission with its links."""
        return cls(**dict(detail), links=SubmissionLinks.of(detail.id))


class SubmissionList(Frozen):
    """One page of submissions, newest first."""

    items: tuple[SubmissionItem, ...]
    next_cursor: str | None = Field(default=None, description="The `cursor` of the next page; null on the last.")

    @classmethod
    def of(cls, page: ScanPage) -> Self:
        """Return a page with links."""
        return cls(items=tuple(SubmissionItem.of(item) for item in page.items), next_cursor=page.next_cursor)


class FileAnswer(FileSummary):
    """What is known of some bytes, over all submissions that you may see."""

    submissions: tuple[SubmissionItem, ...] = Field(description="Latest first, at most 20.")

    @classmethod
    def of(cls, summary: FileSummary) -> Self:
        """Return what is known with links to the submissions."""
        items = tuple(SubmissionItem.of(item) for item in summary.submissions)
        return cls(**{**dict(summary), "submissions": items})
