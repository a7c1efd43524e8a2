"""The batcher: batches form, errors and cancellations reach the right callers, nothing hangs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from scanner.batcher import Batcher, BatchLimits
from scanner.errors import BatcherClosedError, OutOfMemoryError


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


class Doubler:
    """A model that doubles numbers, refuses negative ones and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, batch: Sequence[int]) -> list[int]:
        self.go.wait(10)
        self.batches.append(list(batch))
        if min(batch) < 0:
            raise ValueError("negative")
        return [2 * item for item in batch]


async def test_every_caller_gets_its_own_result(executor: ThreadPoolExecutor) -> None:
    batcher = Batcher("test", Doubler(), executor, BatchLimits(max_batch=8, parallel_runs=2))

    results = await asyncio.gather(*(batcher.submit(number) for number in range(500)))

    assert results == [2 * number for number in range(500)]
    await batcher.close()


async def test_inputs_that_arrive_together_share_a_run(executor: ThreadPoolExecutor) -> None:
    model = Doubler()
    batcher = Batcher("test", model, executor, BatchLimits(max_batch=4, wait_seconds=0.2))

    await asyncio.gather(*(batcher.submit(number) for number in range(8)))

    assert [len(batch) for batch in model.batches] == [4, 4]
    await batcher.close()


async def test_a_lone_input_waits_no_longer_than_the_window(executor: ThreadPoolExecutor) -> None:
    batcher = Batcher("test", Doubler(), executor, BatchLimits(max_batch=64, wait_seconds=0.05))

    async with asyncio.timeout(2):
        assert await batcher.submit(1) == 2

    await batcher.close()


async def test_a_full_batch_does_not_wait(executor: ThreadPoolExecutor) -> None:
    batcher = Batcher("test", Doubler(), executor, BatchLimits(max_batch=2, wait_seconds=600))

    async with asyncio.timeout(10):
        assert await asyncio.gather(*(batcher.submit(number) for number in range(4))) == [0, 2, 4, 6]

    await batcher.close()


async def test_a_bucket_that_fills_up_does_not_wait_for_an_older_one(executor: ThreadPoolExecutor) -> None:
    limits = BatchLimits(max_batch=2, wait_seconds=600)
    batcher = Batcher("test", Doubler(), executor, limits, bucket=lambda item: item % 2)
    older = asyncio.create_task(batcher.submit(1))
    await asyncio.sleep(0.01)

    async with asyncio.timeout(10):
        assert await asyncio.gather(*map(batcher.submit, (2, 4))) == [4, 8]

    older.cancel()
    await batcher.close()


async def test_batches_hold_one_bucket_each(executor: ThreadPoolExecutor) -> None:
    model = Doubler()
    limits = BatchLimits(max_batch=16, wait_seconds=0.05)
    batcher = Batcher("test", model, executor, limits, bucket=lambda item: item % 2)

    await asyncio.gather(*(batcher.submit(number) for number in range(10)))

    assert sorted(model.batches) == [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]
    await batcher.close()


async def test_one_bad_input_fails_alone(executor: ThreadPoolExecutor) -> None:
    batcher = Batcher("test", Doubler(), executor, BatchLimits(max_batch=8, wait_seconds=0.05))

    results = await asyncio.gather(*(batcher.submit(number) for number in (0, 1, 2, -3, 4)), return_exceptions=True)

    assert [*results[:3], results[4]] == [0, 2, 4, 8]
    assert isinstance(results[3], ValueError)
    await batcher.close()


class Narrow(Doubler):
    """A model with memory for three inputs, and none for a hundred or more."""

    def __call__(self, batch: Sequence[int]) -> list[int]:
        results = super().__call__(batch)
        if len(batch) > 3 or max(batch) >= 100:
            raise OutOfMemoryError("Too little memory.")
        return results


async def test_after_a_want_of_memory_batches_stay_small_for_a_while(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Narrow()
    batcher = Batcher("test", model, executor, BatchLimits(max_batch=8, wait_seconds=0.05))

    assert await asyncio.gather(*(batcher.submit(number) for number in range(16))) == [2 * n for n in range(16)]
    sizes = [len(batch) for batch in model.batches]
    monkeypatch.setattr("scanner.batcher.CAUTIOUS_SECONDS", 1e-9)  # the while is over
    assert await asyncio.gather(*(batcher.submit(number) for number in range(8))) == [2 * n for n in range(8)]

    assert sizes == [8, 4, 2, 2, 4, 2, 2, *[2] * 4]
    assert len(model.batches[len(sizes)]) == 8
    await batcher.close()


async def test_one_input_too_large_for_the_memory_fails_alone_and_lowers_nothing(executor: ThreadPoolExecutor) -> None:
    model = Narrow()
    batcher = Batcher("test", model, executor, BatchLimits(max_batch=2, wait_seconds=0.05))

    with pytest.raises(OutOfMemoryError):
        await batcher.submit(100)
    assert await asyncio.gather(*map(batcher.submit, (1, 2))) == [2, 4]

    assert [len(batch) for batch in model.batches] == [1, 2]
    await batcher.close()


async def test_a_cancelled_caller_does_not_disturb_the_others(executor: ThreadPoolExecutor) -> None:
    model = Doubler()
    batcher = Batcher("test", model, executor, BatchLimits(max_batch=4, wait_seconds=0.05))
    callers = [asyncio.create_task(batcher.submit(number)) for number in range(3)]
    await asyncio.sleep(0)

    callers[1].cancel()
    results = await asyncio.gather(*callers, return_exceptions=True)

    assert results[0] == 0
    assert isinstance(results[1], asyncio.CancelledError)
    assert results[2] == 4
    assert model.batches == [[0, 2]]
    await batcher.close()


async def test_callers_wait_while_the_queue_is_full(executor: ThreadPoolExecutor) -> None:
    model = Doubler()
    model.go.clear()
    batcher = Batcher("test", model, executor, BatchLimits(max_batch=1, wait_seconds=0, queue=2))
    callers = [asyncio.create_task(batcher.submit(number)) for number in range(5)]
    await asyncio.sleep(0.05)

    waiting = sum(len(bucket.waiting) for bucket in batcher._buckets.values())
    model.go.set()

    assert waiting <= 2
    assert await asyncio.gather(*callers) == [0, 2, 4, 6, 8]
    await batcher.close()


async def test_closing_fails_what_waits_and_refuses_more(executor: ThreadPoolExecutor) -> None:
    model = Doubler()
    model.go.clear()
    batcher = Batcher("test", model, executor, BatchLimits(max_batch=1, wait_seconds=0))
    first = asyncio.create_task(batcher.submit(1))
    second = asyncio.create_task(batcher.submit(2))
    await asyncio.sleep(0.05)

    closing = asyncio.create_task(batcher.close())
    await asyncio.sleep(0.05)
    model.go.set()
    await closing

    assert await first == 2
    with pytest.raises(BatcherClosedError):
        await second
    with pytest.raises(BatcherClosedError):
        await batcher.submit(3)


async def test_a_model_that_answers_too_little_is_an_error_for_its_callers(executor: ThreadPoolExecutor) -> None:
    batcher: Batcher[int, int] = Batcher("test", lambda _batch: [], executor, BatchLimits())

    with pytest.raises(ValueError, match="shorter"):
        await batcher.submit(1)

    await batcher.close()
