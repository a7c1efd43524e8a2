"""The loop that ends every scan by its deadline, whatever became of the scanners."""

from __future__ import annotations

import asyncio
import logging
import time

from results.service import ResultsService
from shared.errors import UnavailableError
from shared.web import stop, ticks

logger = logging.getLogger(__name__)


class DeadlineSweeper:
    """Expires overdue scans, every so often. Runs beside each replica.

    After a start it first lets the results come in that scanners delivered while nobody was
    here: they must not be beaten by a deadline that passed in the meantime.
    """

    def __init__(self, service: ResultsService, *, interval_seconds: float, catch_up_seconds: float) -> None:
        self._service = service
        self._interval_seconds = interval_seconds
        self._catch_up_seconds = catch_up_seconds
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look for overdue scans."""
        self._task = asyncio.create_task(self._run(), name="deadline sweeper")

    async def close(self) -> None:
        """Stop; what is overdue is ended by another replica or after the next start."""
        if self._task is not None:
            await stop(self._task)

    async def _run(self) -> None:
        await self._catch_up()
        async for _ in ticks(self._interval_seconds):
            await self._sweep()

    async def _catch_up(self) -> None:
        limit = time.monotonic() + self._catch_up_seconds
        async for _ in ticks(self._interval_seconds):
            if time.monotonic() >= limit or not await self._service.has_backlog():
                return

    async def _sweep(self) -> None:
        try:
            while await self._service.expire_overdue():
                pass
        except UnavailableError as error:
            logger.warning("deadlines cannot be checked now", extra={"detail": error.message})
        except Exception:
            # The loop must outlive any defect: a scan without an end is what this service exists to prevent.
            logger.exception("deadlines cannot be checked")
