"""Dynamic batching: the model work of all files in flight goes through one batcher per model."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from opentelemetry import metrics

from scanner.errors import BatcherClosedError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_meter = metrics.get_meter("fumehood.scanner")
_batch_size = _meter.create_histogram(
    "fumehood.scanner.batch.size", unit="{input}", description="Inputs in one model run."
)
_batch_seconds = _meter.create_histogram(
    "fumehood.scanner.batch.duration", unit="s", description="Time of one model run."
)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How a batcher works: sizes in inputs, the wait in seconds."""

    max_batch: int = 4
    wait_seconds: float = 0.002
    parallel_runs: int = 1
    queue: int = 1024


@dataclass(slots=True)
class _Waiting(Generic[ItemT, ResultT]):
    item: ItemT
    future: asyncio.Future[ResultT]
    since: float = field(default_factory=time.monotonic)


class Batcher(Generic[ItemT, ResultT]):
    """Collects single inputs into batches of one bucket and runs them in threads.

    `run` gets a list of items and returns as many results in the same order. When a batch of
    several fails it is halved and tried again, so that one bad input (or a batch too large for
    the device) costs only itself.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[ItemT]], Sequence[ResultT]],
        executor: Executor,
        limits: BatchLimits,
        bucket: Callable[[ItemT], int] = lambda _item: 0,
    ) -> None:
        self._name = name
        self._run = run
        self._executor = executor
        self._limits = limits
        self._bucket = bucket
        self._waiting: dict[int, deque[_Waiting[ItemT, ResultT]]] = defaultdict(deque)
        self._room = asyncio.Semaphore(limits.queue)
        self._arrived = asyncio.Event()
        self._runners = [
            asyncio.create_task(self._serve(), name=f"batcher {name}") for _ in range(limits.parallel_runs)
        ]
        self._closed = False

    async def submit(self, item: ItemT) -> ResultT:
        """Return the result for one item; waits while the queue is full. Raises what the run raised."""
        async with self._room:
            if self._closed:
                raise BatcherClosedError(f"The batcher of {self._name} is closed.")
            future: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
            self._waiting[self._bucket(item)].append(_Waiting(item, future))
            self._arrived.set()
            return await future

    async def close(self) -> None:
        """Refuse further work, fail what has not begun, wait for what is running."""
        self._closed = True
        for queue in self._waiting.values():
            while queue:
                waiting = queue.popleft()
                if not waiting.future.done():
                    waiting.future.set_exception(BatcherClosedError(f"The batcher of {self._name} is closed."))
        self._arrived.set()
        await asyncio.gather(*self._runners)

    async def _serve(self) -> None:
        while not self._closed:
            batch = await self._next_batch()
            if batch:
                await self._run_batch(batch)

    async def _next_batch(self) -> list[_Waiting[ItemT, ResultT]]:
        """Wait until the oldest bucket is full or its first item has waited long enough."""
        await self._arrived.wait()
        queue = self._oldest()
        if queue is None:
            if not self._closed:
                self._arrived.clear()
            return []
        left = queue[0].since + self._limits.wait_seconds - time.monotonic()
        if len(queue) < self._limits.max_batch and left > 0 and not self._closed:
            await asyncio.sleep(left)
        batch: list[_Waiting[ItemT, ResultT]] = []
        while queue and len(batch) < self._limits.max_batch:
            waiting = queue.popleft()
            if not waiting.future.done():  # its caller was cancelled
                batch.append(waiting)
        return batch

    def _oldest(self) -> deque[_Waiting[ItemT, ResultT]] | None:
        filled = [queue for queue in self._waiting.values() if queue]
        return min(filled, key=lambda queue: queue[0].since, default=None)

    async def _run_batch(self, batch: list[_Waiting[ItemT, ResultT]]) -> None:
        _batch_size.record(len(batch), {"model": self._name})
        started = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(self._executor, self._run, [waiting.item for waiting in batch])
            answered = list(zip(batch, results, strict=True))
        except Exception as error:  # noqa: BLE001 -- handed to the callers, who know what it means
            await self._halve(batch, error)
            return
        _batch_seconds.record(time.monotonic() - started, {"model": self._name})
        for waiting, result in answered:
            if not waiting.future.done():
                waiting.future.set_result(result)

    async def _halve(self, batch: list[_Waiting[ItemT, ResultT]], error: Exception) -> None:
        if len(batch) == 1:
            if not batch[0].future.done():
                batch[0].future.set_exception(error)
            return
        middle = len(batch) // 2
        await self._run_batch(batch[:middle])
        await self._run_batch(batch[middle:])
