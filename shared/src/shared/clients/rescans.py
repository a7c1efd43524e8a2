"""Jobs that scan past submissions again, as the results service keeps them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from shared.clients.filters import ScanFilter
from shared.scan import Frozen


class RescanState(StrEnum):
    """Where a job stands. The last two are terminal."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


class RescanAct(StrEnum):
    """What can be done with a job."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


class RescanEstimate(Frozen):
    """What a job would do."""

    submissions: int


class RescanJob(Frozen):
    """A job: past submissions are scanned again, latest first, a few at a time beside what is uploaded."""

    id: str
    user_id: str
    state: RescanState
    filters: ScanFilter
    created_at: datetime
    total: int = Field(description="Submissions that matched when the job was made.")
    requested: int = Field(description="Scans asked for so far.")
    ended: int = Field(description="How many of these have ended, one way or another.")
    changed: int = Field(description="How many of these changed the verdict.")
    unfinished: int = Field(description="How many of these failed or expired; the earlier verdict stays.")
    gone: int = Field(description="Files that were not scanned, because their bytes are not stored any more.")
