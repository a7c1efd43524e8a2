"""Settings of the results service."""

from __future__ import annotations

from pydantic import Field

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read from the environment, once, in `main.py`."""

    deadline_sweep_seconds: float = Field(
        default=1.0, gt=0, le=60, description="How often the results service looks for scans past their deadline."
    )
    deadline_catch_up_seconds: float = Field(
        default=30.0,
        ge=0,
        description="After a start, expiry waits for results that are still on the bus, but no longer than this.",
    )
    rescans_outstanding: int = Field(
        default=8,
        ge=1,
        le=1000,
        description="Scans of a rescan job that wait or run at the same time; more with many scanners.",
    )
    rescan_deadline_seconds: int = Field(
        default=900, ge=30, le=900, description="Time in which a file that is scanned again must be done."
    )
    rescan_feed_seconds: float = Field(
        default=1.0, gt=0, le=60, description="How often the results service looks whether a rescan job can go on."
    )
