"""Settings of the upload service."""

from __future__ import annotations

from pydantic import Field

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read from the environment, once, in `main.py`."""

    max_file_bytes: int = Field(
        default=650_000_000, ge=1, description="Largest file that is accepted, in bytes; larger ones get 413."
    )
    scan_deadline_seconds: int = Field(
        default=300, ge=5, description="A scan that has not ended this long after its upload expires."
    )
    upload_idle_seconds: float = Field(
        default=60.0, gt=0, description="An upload that sends nothing for this long is broken off."
    )
