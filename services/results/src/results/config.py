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
