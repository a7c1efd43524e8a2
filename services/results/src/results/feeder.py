"""The loop that feeds the scanners from the running rescan job, a few at a time."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from results.service import RescanService
from shared.errors import UnavailableError
from shared.web import stop

logger = logging.getLogger(__name__)


class RescanFeeder:
    """Tops up what is outstanding whenever a rescan ends, and every so often. Runs beside each replica."""

    def __init__(self, service: RescanService, *, interval_seconds: float) -> None:
        self._service = service
        self._interval_seconds = interval_seconds
        self._something = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on with a job that was running when the process ended."""
        self._task = asyncio.create_task(self._run(), name="rescan feeder")

    def wake(self) -> None:
        """Look at once whether there is room."""
        self._something.set()

    async def close(self) -> None:
        """Stop; another replica or the next start goes on."""
        if self._task is not None:
            await stop(self._task)

    async def _run(self) -> None:
        while True:
            await self._feed()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval_seconds):
                    await self._something.wait()
            self._something.clear()

    async def _feed(self) -> None:
        try:
            await self._service.feed()
        except UnavailableError as error:
            logger.warning("rescans wait", extra={"detail": error.message})
        except Exception:
            # The loop must outlive any defect: the job goes on where it was.
            logger.exception("rescans cannot be asked for")
