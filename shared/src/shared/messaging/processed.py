"""Forgetting handled events: their marks are needed only as long as a message may come again."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from shared.clock import now
from shared.errors import UnavailableError
from shared.messaging.tables import PROCESSED_EVENTS

if TYPE_CHECKING:
    from shared.database import Database  # imports this package for its tables

KEPT = timedelta(days=7)

_BATCH_MAX = 1_000
_EVERY_SECONDS = 3600.0

_logger = logging.getLogger(__name__)


async def prune(database: Database) -> int:
    """Delete the marks older than `KEPT` in small transactions; return how many. Raises UnavailableError."""
    oldest = now() - KEPT
    old = sa.select(PROCESSED_EVENTS.c.event_id).where(PROCESSED_EVENTS.c.processed_at < oldest).limit(_BATCH_MAX)
    statement = sa.delete(PROCESSED_EVENTS).where(PROCESSED_EVENTS.c.event_id.in_(old))
    total = 0
    while True:
        async with database.transaction() as transaction:
            result = cast("sa.CursorResult[Any]", await transaction.session.execute(statement))
        total += result.rowcount
        if result.rowcount < _BATCH_MAX:
            return total


async def keep_pruned(database: Database) -> None:
    """Prune at every hour, until cancelled."""
    while True:
        try:
            await prune(database)
        except UnavailableError as error:
            _logger.warning("Handled events of %s are not pruned now: %s", database.schema, error.message)
        except Exception:
            _logger.exception("Handled events of %s cannot be pruned.", database.schema)
        await asyncio.sleep(_EVERY_SECONDS)
