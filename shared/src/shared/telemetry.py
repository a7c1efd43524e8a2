"""Logs, traces and metrics: one set-up for every process.

Traces and metrics are off unless an OTLP receiver is configured; then they are sent over
OTLP/HTTP. Log lines are one JSON object each, so nothing of a file's name can break a line.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING

from opentelemetry import metrics, trace
from typing_extensions import override

from shared.clock import now

if TYPE_CHECKING:
    from fastapi import FastAPI

    from shared.settings import ServiceSettings

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """One JSON object per record: time, level, logger, message, trace id and all `extra` fields."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": now().isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            entry["trace_id"] = trace.format_trace_id(span.trace_id)
        entry |= {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


class ConsoleFormatter(logging.Formatter):
    """For people: time, level and message; control characters of hostile names are escaped."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        extra = {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        fields = "".join(f" {key}={json.dumps(value, default=str)}" for key, value in extra.items())
        line = f"{now():%H:%M:%S} {record.levelname:<7} {record.name}: {json.dumps(record.getMessage())[1:-1]}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure_logging(settings: ServiceSettings) -> None:
    """Send all log records of this process to standard error in the format of the settings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else ConsoleFormatter())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for name in (
        "httpx",
        "httpcore",
        "aiormq",
        "botocore",
        "boto3",
        "urllib3",
        "fontTools",
        "weasyprint",
        "uvicorn.access",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def configure_telemetry(settings: ServiceSettings, service: str) -> None:
    """Start exporting traces and metrics of this process, if an OTLP receiver is configured."""
    if settings.otlp_endpoint is None:
        return
    from shared.otlp import start_export  # noqa: PLC0415 - slow to import and off by default

    start_export(settings.otlp_endpoint, service)


def instrument_app(app: FastAPI, settings: ServiceSettings) -> None:
    """Give the app a span for every request, if an OTLP receiver is configured."""
    if settings.otlp_endpoint is None:
        return
    from shared.otlp import trace_requests  # noqa: PLC0415 - slow to import and off by default

    trace_requests(app)


def shut_down_telemetry() -> None:
    """Send what is still held back. Call once, when the process ends."""
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        shutdown = getattr(provider, "shutdown", None)
        if shutdown is not None:
            shutdown()
