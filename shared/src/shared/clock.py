"""The time, in one place, so that a test can set it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


def aware(moment: datetime) -> datetime:
    """Return the moment in UTC; SQLite gives datetimes back without their zone, and all are UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
