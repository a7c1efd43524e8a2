"""Dynamic batching: the model work of all files in flight goes through one batcher per model."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from opentelemetry import metrics

from scanner.errors import BatcherClosedError, OutOfMemoryError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

CAUTIOUS_SECONDS = 60.0
"""After a want of memory the size of batches doubles this often until it is what it was."""

_logger = logging.getLogger(__name__)
_meter = metrics.get_meter("fumehood.scanner")
_batch_size = _meter.create_histogram(
    "fumehood.scanner.batch.size", unit="{input}", description="Inputs in one model run."
)
_batch_seconds = _meter.create_histogram(
    "fumehood.scanner.batch.duration", unit="s", description="Time of one model run."
)
_out_of_memory = _meter.create_counter(
    "fumehood.scanner.batch.out_of_memory", unit="{run}", description="Model runs for which the memory was too small."
)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How a batcher works: sizes in inputs, the wait in seconds."""

    max_batch: int = 4
    wait_seconds: float = 0.002
    parallel_runs: int = 1
    queue: int = 1024

    def with_max_batch(self, size: int) -> BatchLimits:
        """Return the same limits for batches of at most `size`."""
        return replace(self, max_batch=min(size, self.max_batch))


@dataclass(slots=True)
class _Waiting(Generic[ItemT, ResultT]):
    item: ItemT
    future: asyncio.Future[ResultT]
    since: float = field(default_factory=time.monotonic)


class _Bucket(Generic[ItemT, ResultT]):
    """Inputs that may share a run, and how many of them do."""

    def __init__(self, max_batch: int) -> None:
        self.waiting: deque[_Waiting[ItemT, ResultT]] = deque()
        self._max_batch = max_batch
        self._lowered = max_batch
        self._lowered_at = 0.0

    @property
    def max_batch(self) -> int:
        """Inputs in one run, as of now."""
        if self._lowered == self._max_batch:
            return self._max_batch
        doublings = int((time.monotonic() - self._lowered_at) / CAUTIOUS_SECONDS)
        size = self._lowered << min(doublings, 32)
        if size >= self._max_batch:
            self._lowered = size = self._max_batch
        return size

    @property
    def full(self) -> bool:
        return len(self.waiting) >= self.max_batch

    def lower(self, size: int) -> None:
        """Make smaller batches for a while."""
        self._lowered = min(size, self.max_batch)
        self._lowered_at = time.monotonic()

    def take(self) -> list[_Waiting[ItemT, ResultT]]:
        """Take the next batch; what nobody waits for any more is dropped."""
        batch: list[_Waiting[ItemT, ResultT]] = []
        while self.waiting and len(batch) < self.max_batch:
            waiting = self.waiting.popleft()
            if not waiting.future.done():  # its caller was cancelled
                batch.append(waiting)
        return batch


class Batcher(Generic[ItemT, ResultT]):
    """Collects single inputs into batches of one bucket and runs them in threads.

    `run` gets a list of items and returns as many results in the same order. When a batch of
    several fails it is halved and tried again, so that one bad input (or one too large for the
    device) costs only itself. After a want of memory the bucket's batches stay small for a while.
    `provider` is what the model runs on; the metrics tell it.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[ItemT]], Sequence[ResultT]],
        executor: Executor,
        limits: BatchLimits,
        bucket: Callable[[ItemT], int] = lambda _item: 0,
        provider: str = "",
    ) -> None:
        self._name = name
        self._attributes = {"model": name, "provider": provider}
        self._run = run
        self._executor = executor
        self._limits = limits
        self._bucket_of = bucket
        self._buckets: dict[int, _Bucket[ItemT, ResultT]] = {}
        self._room = asyncio.Semaphore(limits.queue)
        self._news = asyncio.Event()
        self._closed = False
        self._runners = [
            asyncio.create_task(self._serve(), name=f"batcher {name}") for _ in range(limits.parallel_runs)
        ]

    async def submit(self, item: ItemT) -> ResultT:
        """Return the result for one item; waits while the queue is full. Raises what the run raised."""
        async with self._room:
            if self._closed:
                raise BatcherClosedError(f"The batcher of {self._name} is closed.")
            future: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
            key = self._bucket_of(item)
            bucket = self._buckets.setdefault(key, _Bucket(self._limits.max_batch))
            bucket.waiting.append(_Waiting(item, future))
            if len(bucket.waiting) == 1 or bucket.full:
                self._news.set()
            return await future

    async def close(self) -> None:
        """Refuse further work, fail what has not begun, wait for what is running."""
        self._closed = True
        for bucket in self._buckets.values():
            while bucket.waiting:
                waiting = bucket.waiting.popleft()
                if not waiting.future.done():
                    waiting.future.set_exception(BatcherClosedError(f"The batcher of {self._name} is closed."))
        self._news.set()
        await asyncio.gather(*self._runners)

    async def _serve(self) -> None:
        while not self._closed:
            bucket = self._ready()
            if bucket is None:
                await self._something_new()
                continue
            batch = bucket.take()
            if batch:
                await self._run_batch(bucket, batch)

    def _ready(self) -> _Bucket[ItemT, ResultT] | None:
        """Return the bucket whose first input has waited long enough, else one that is full."""
        oldest = self._oldest()
        if oldest is None or self._seconds_left(oldest) <= 0:
            return oldest
        return next((bucket for bucket in self._buckets.values() if bucket.full), None)

    async def _something_new(self) -> None:
        """Wait until a bucket begins or fills up, or the oldest one has waited long enough."""
        oldest = self._oldest()
        self._news.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(None if oldest is None else self._seconds_left(oldest)):
                await self._news.wait()

    def _oldest(self) -> _Bucket[ItemT, ResultT] | None:
        filled = [bucket for bucket in self._buckets.values() if bucket.waiting]
        return min(filled, key=lambda bucket: bucket.waiting[0].since, default=None)

    def _seconds_left(self, bucket: _Bucket[ItemT, ResultT]) -> float:
        return bucket.waiting[0].since + self._limits.wait_seconds - time.monotonic()

    async def _run_batch(self, bucket: _Bucket[ItemT, ResultT], batch: list[_Waiting[ItemT, ResultT]]) -> None:
        _batch_size.record(len(batch), self._attributes)
        started = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(self._executor, self._run, [waiting.item for waiting in batch])
            answered = list(zip(batch, results, strict=True))
        except Exception as error:  # noqa: BLE001 -- handed to the callers, who know what it means
            await self._halve(bucket, batch, error)
            return
        _batch_seconds.record(time.monotonic() - started, self._attributes)
        for waiting, result in answered:
            if not waiting.future.done():
                waiting.future.set_result(result)

    async def _halve(
        self, bucket: _Bucket[ItemT, ResultT], batch: list[_Waiting[ItemT, ResultT]], error: Exception
    ) -> None:
        middle = len(batch) // 2
        if isinstance(error, OutOfMemoryError):
            _out_of_memory.add(1, self._attributes)
            _logger.warning("%s: %s", self._name, error.message)
            if middle:
                bucket.lower(middle)
        if not middle:
            if not batch[0].future.done():
                batch[0].future.set_exception(error)
            return
        await self._run_batch(bucket, batch[:middle])
        await self._run_batch(bucket, batch[middle:])
