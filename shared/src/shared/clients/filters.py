"""Which submissions are meant: for lists, and for what is done with many of them."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from shared.scan import Frozen, ScanStatus, Verdict


class ScanFilter(Frozen):
    """Which submissions are meant; all conditions must hold."""

    verdict: Verdict | None = None
    status: ScanStatus | None = None
    name: str | None = Field(default=None, max_length=255, description="Part of the file name, any case.")
    sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-fA-F]{4,64}$",
        description="All or the first digits; of the file or of anything inside.",
    )
    content_type: str | None = Field(
        default=None, max_length=64, description="Type of the file or of anything inside, e.g. `php` (Magika's label)."
    )
    after: datetime | None = Field(default=None, description="Submitted at or after.")
    before: datetime | None = Field(default=None, description="Submitted before.")
