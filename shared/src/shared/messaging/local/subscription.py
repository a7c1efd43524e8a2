"""A consumer of one queue in the local bus: claims due messages and runs their handlers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from shared.errors import UnavailableError
from shared.messaging.failure import GiveUp, after_failure, run
from shared.messaging.local import rows
from shared.messaging.local.rows import Claim
from shared.messaging.local.store import LocalStore, Operation
from shared.messaging.message import Handler, RetryPolicy

_LONGEST_SLEEP_SECONDS = 30.0
_PAUSE_AFTER_ERROR_SECONDS = 1.0

_logger = logging.getLogger(__name__)


class LocalSubscription:
    """Keeps up to `prefetch` handlers running as long as there are due messages."""

    def __init__(
        self,
        store: LocalStore,
        queue: str,
        handler: Handler,
        *,
        prefetch: int,
        policy: RetryPolicy,
        on_cancel: Callable[[LocalSubscription], None],
    ) -> None:
        self.queue = queue
        self._store = store
        self._handler = handler
        self._prefetch = prefetch
        self._policy = policy
        self._on_cancel = on_cancel
        self._running: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self._dispatcher = asyncio.create_task(self._dispatch(), name=f"dispatch {queue}")

    def wake(self) -> None:
        """Look for due messages now."""
        self._wake.set()

    async def cancel(self, *, drain_seconds: float | None = None) -> None:
        """Take no new message and wait for the handlers; put back what runs longer than that."""
        self._stopping = True
        self._wake.set()
        await self._dispatcher
        self._on_cancel(self)
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=drain_seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def _dispatch(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                pause = await self._claim()
            except UnavailableError as error:
                _logger.warning("Cannot take messages from %s: %s", self.queue, error.message)
                pause = _PAUSE_AFTER_ERROR_SECONDS
            except Exception:
                _logger.exception("Cannot take messages from %s.", self.queue)
                pause = _PAUSE_AFTER_ERROR_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _claim(self) -> float:
        """Start the handlers of due messages; return after how many seconds to look again."""
        free = self._prefetch - len(self._running)
        if free <= 0:
            return _LONGEST_SLEEP_SECONDS
        claims, due_in_seconds = await self._store.call(partial(rows.claim, queue=self.queue, limit=free))
        for claim in claims:
            task = asyncio.create_task(self._work(claim), name=f"handle {self.queue} {claim.message.id}")
            self._running.add(task)
            task.add_done_callback(self._worked)
        if len(claims) == free or due_in_seconds is None:
            return _LONGEST_SLEEP_SECONDS
        return min(due_in_seconds, _LONGEST_SLEEP_SECONDS)

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error("A message of %s stays unsettled until the next start.", self.queue, exc_info=error)

    async def _work(self, claim: Claim) -> None:
        try:
            operation = await self._outcome(claim)
        except asyncio.CancelledError:
            await self._store.call(partial(rows.release, row_id=claim.row_id))
            raise
        await self._settle(operation)

    async def _outcome(self, claim: Claim) -> Operation[None]:
        failure = await run(self._handler, claim.message)
        if failure is None:
            return partial(rows.remove, row_id=claim.row_id)
        decision = after_failure(failure, claim.message.attempt, self._policy)
        if isinstance(decision, GiveUp):
            return partial(rows.bury, row_id=claim.row_id, reason=decision.reason)
        return partial(
            rows.postpone,
            row_id=claim.row_id,
            attempt=decision.attempt,
            delay_seconds=decision.delay_seconds,
        )

    async def _settle(self, operation: Operation[None]) -> None:
        while True:
            try:
                return await self._store.call(operation)
            except UnavailableError as error:
                if not self._store.is_open:
                    raise
                _logger.warning("Cannot settle a message of %s: %s", self.queue, error.message)
                await asyncio.sleep(_PAUSE_AFTER_ERROR_SECONDS)
