"""Settings of the reports service."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from shared.events import ReportFormat
from shared.settings import ServiceSettings

_MEBIBYTE = 1024 * 1024


def _split(value: Any) -> Any:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


class Settings(ServiceSettings):
    """Read from the environment, once, in `main.py`."""

    results_url: str = Field(default="http://127.0.0.1:8002", description="Internal address of the results service.")
    report_formats: Annotated[tuple[ReportFormat, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(ReportFormat.JSON,),
        description="Formats made of every scan as soon as it ends, e.g. `json,pdf`; others are made when asked for.",
    )
    report_workers: int = Field(default=2, ge=1, description="PDF reports that are rendered at the same time.")
    report_seconds: float = Field(default=60.0, gt=0, description="Time the rendering of one report may take.")
    report_memory_bytes: int = Field(
        default=2048 * _MEBIBYTE, ge=256 * _MEBIBYTE, description="Address space of one process that renders PDF."
    )
