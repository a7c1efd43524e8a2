"""Files per second through a model's batcher, for a grid of batch sizes and waits, next to the raw session.

Baseline: the same ONNX Runtime session fed with prepared inputs in batches of that size, on as many
threads as the batcher has runs side by side, in the same run. `share` is the part of it that is left
when files are read, made into inputs, queued, batched and given back their scores. Callers hand in
file after file, so latency is that of a full scanner; it is mostly the wait for one's turn.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader

from scanner.config import EngineSettings, Settings
from scanner.content import ByteRange
from scanner.detectors.byte_model import ByteModelDetector
from scanner.detectors.loader import SHIPPED_PACKS, load_pack
from scanner.detectors.model import ModelDetector
from scanner.identify import TypeIdentifier
from scanner.sessions import ModelSession, Row
from scanner.threads import Threads
from shared.errors import AppError

CONTENT_TYPE = "content-type-model"
DEFAULT_PACK = "script-threat"
BATCHES = {"cpu": (1, 2, 4, 8, 16), "gpu": (8, 16, 32, 64, 128, 256)}
WAITS_MILLISECONDS = (0.0, 2.0, 5.0)
MAX_FILES = 1000
NEAR = 0.97
"""Settings this near to the best are as good; the one with the shorter latency is advised."""


@dataclass(frozen=True)
class Target:
    """A loaded model with its batcher."""

    name: str
    model: ModelSession
    rows: Callable[[ByteRange], Sequence[Row]]
    answer: Callable[[ByteRange], Awaitable[object]]


@dataclass(frozen=True)
class Speed:
    """Files per second, and processor time of all threads for each file, which other load disturbs less."""

    files_per_second: float
    cpu_milliseconds: float


@dataclass(frozen=True)
class Cell:
    """What one setting gave; latencies in milliseconds."""

    batch: int
    wait: float
    speed: Speed
    mean_batch: float
    latencies: tuple[float, float, float]
    raw: Speed

    @property
    def share(self) -> float:
        """The part of the raw session's speed."""
        return self.speed.files_per_second / self.raw.files_per_second

    def line(self) -> str:
        """Return the row of the table."""
        latencies = " | ".join(f"{latency:.0f}" for latency in self.latencies)
        return (
            f"| {self.batch} | {self.wait:g} | {self.speed.files_per_second:.0f} | {self.mean_batch:.1f} | {latencies} "
            f"| {self.speed.cpu_milliseconds:.1f} | {self.raw.files_per_second:.0f} | {self.raw.cpu_milliseconds:.1f} "
            f"| {self.share:.2f} |"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print a Markdown table and the advice."""
    parser = argparse.ArgumentParser(
        prog="python -m bench models", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pack",
        default=DEFAULT_PACK,
        metavar="NAME|DIR",
        help=f"a shipped pack with a model, a folder, or {CONTENT_TYPE} (default {DEFAULT_PACK})",
    )
    parser.add_argument("--provider", default="auto", choices=("auto", "cpu", "cuda", "tensorrt"))
    parser.add_argument("--seconds", type=float, default=3, help="for each measurement (default 3)")
    parser.add_argument("--files", type=Path, help="folder of files to score (default: Python's standard library)")
    parser.add_argument("--batches", type=_numbers, help="e.g. 1,4,16")
    parser.add_argument("--waits", type=_numbers, default=WAITS_MILLISECONDS, help="in milliseconds, e.g. 0,2")
    parser.add_argument("--in-flight", type=int, help="files handed in at once (default: enough for the largest batch)")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_measure(options))
    except AppError as error:
        sys.exit(f"bench: {error.message}")


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


async def _measure(options: argparse.Namespace) -> None:
    contents = [ByteRange.whole(path) for path in _files(options.files)]
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    settings = Settings(model_provider=options.provider, batch_queue=4096)
    async with _opened(options.pack, settings) as target:
        batches = [int(size) for size in options.batches or BATCHES["gpu" if target.model.on_gpu else "cpu"]]
        in_flight = options.in_flight or 2 * max(batches) * target.model.limits.parallel_runs
        _print_head(target, contents, in_flight)
    cells = []
    for batch, wait in product(batches, options.waits):
        changed = settings.model_copy(update={"model_batch": batch, "batch_wait_milliseconds": wait})
        async with _opened(options.pack, changed) as target:
            raw = await asyncio.to_thread(_raw_speed, target, contents, batch, options.seconds)
            cell = await _batched_speed(target, contents, reader, (batch, wait, in_flight, options.seconds), raw)
        print(cell.line(), flush=True)
        cells.append(cell)
    _print_advice(cells, on_gpu=target.model.on_gpu)


def _print_advice(cells: list[Cell], *, on_gpu: bool) -> None:
    """On the processor the processor time decides: all of it is at work anyway, and other load disturbs it less."""

    def merit(cell: Cell) -> float:
        return cell.speed.files_per_second if on_gpu else 1 / cell.speed.cpu_milliseconds

    most = max(map(merit, cells))
    best = min((cell for cell in cells if merit(cell) >= NEAR * most), key=lambda cell: cell.latencies[1])
    print(
        f"\nBest here: FUMEHOOD_MODEL_BATCH={best.batch} FUMEHOOD_BATCH_WAIT_MILLISECONDS={best.wait:g} "
        f"({best.speed.files_per_second:.0f} files/s, {best.share:.2f} of the raw session, "
        f"{best.raw.cpu_milliseconds / best.speed.cpu_milliseconds:.2f} by processor time)."
    )


def _files(folder: Path | None) -> list[Path]:
    if folder is not None:
        found = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    else:
        found = sorted(path for path in Path(sysconfig.get_paths()["stdlib"]).rglob("*.py") if path.stat().st_size)
    if not found:
        sys.exit(f"bench: there are no files in {folder}")
    # Spread over the folder, so that neighbours that are alike do not decide.
    return found[:: max(1, len(found) // MAX_FILES)][:MAX_FILES]


@asynccontextmanager
async def _opened(name: str, settings: EngineSettings) -> AsyncIterator[Target]:
    threads = Threads.start(settings)
    opened: TypeIdentifier | ByteModelDetector | ModelDetector
    try:
        if name == CONTENT_TYPE:
            opened = TypeIdentifier.load(settings, threads)
            target = Target(name, opened.model, opened.rows, opened.identify)
        else:
            detector = load_pack(_pack_folder(name), settings, threads).detector
            if not isinstance(detector, ByteModelDetector | ModelDetector):
                sys.exit(f"bench: {name} is no pack with a model; for the type of files say --pack {CONTENT_TYPE}")
            opened = detector
            target = Target(f"{opened.info.name} {opened.info.version}", opened.model, opened.rows, opened.score)
        yield target
        await opened.close()
    finally:
        threads.close()


def _pack_folder(name: str) -> Path:
    folder = Path(name)
    return folder if folder.is_dir() else SHIPPED_PACKS / name


def _raw_speed(target: Target, contents: list[ByteRange], batch: int, seconds: float) -> Speed:
    """Return the speed of the bare session with inputs that lie ready."""
    per_file = [target.rows(content) for content in contents]
    rows = sorted((row for rows in per_file for row in rows), key=len)
    session, tensor = target.model.session, target.model.session.get_inputs()[0].name
    prepared = [_stacked(rows[first : first + batch]) for first in range(0, len(rows), batch)]
    order = np.random.default_rng(0).permutation(len(prepared))
    turns = cycle(order)
    session.run(None, {tensor: prepared[0]})
    end = time.monotonic() + seconds

    def work() -> int:
        done = 0
        while time.monotonic() < end:
            inputs = prepared[next(turns)]
            session.run(None, {tensor: inputs})
            done += len(inputs)
        return done

    runs = target.model.limits.parallel_runs
    started, cpu_started = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(runs) as pool:
        done = sum(future.result() for future in [pool.submit(work) for _ in range(runs)])
    return _speed(done * len(contents) / len(rows), started, cpu_started)


def _speed(files: float, started: float, cpu_started: float) -> Speed:
    return Speed(files / (time.monotonic() - started), (time.process_time() - cpu_started) * 1000 / files)


def _stacked(rows: Sequence[Row]) -> Any:
    if rows[0].ndim != 1:
        return np.stack(rows)
    batch = np.zeros((len(rows), max(map(len, rows))), rows[0].dtype)
    for place, row in zip(batch, rows, strict=True):
        place[: len(row)] = row
    return batch


async def _batched_speed(
    target: Target,
    contents: list[ByteRange],
    reader: InMemoryMetricReader,
    setting: tuple[int, float, int, float],
    raw: Speed,
) -> Cell:
    batch, wait, in_flight, seconds = setting
    turns = cycle(contents)
    await asyncio.gather(*(target.answer(next(turns)) for _ in range(in_flight)))  # warm
    before = _batches(reader)
    latencies: list[float] = []
    started, cpu_started = time.monotonic(), time.process_time()

    async def call() -> None:
        while time.monotonic() - started < seconds:
            begun = time.monotonic()
            await target.answer(next(turns))
            latencies.append(time.monotonic() - begun)

    await asyncio.gather(*(call() for _ in range(in_flight)))
    speed = _speed(len(latencies), started, cpu_started)
    runs, inputs = (now - then for now, then in zip(_batches(reader), before, strict=True))
    p50, p95, p99 = np.percentile(np.array(latencies) * 1000, (50, 95, 99))
    return Cell(batch, wait, speed, inputs / max(1, runs), (p50, p95, p99), raw)


def _batches(reader: InMemoryMetricReader) -> tuple[int, float]:
    """Return the number of model runs so far and of their inputs, from the scanner's own metric."""
    data = reader.get_metrics_data()
    points = [
        point
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "fumehood.scanner.batch.size"
        for point in metric.data.data_points
        if isinstance(point, HistogramDataPoint)
    ]
    return sum(point.count for point in points), sum(point.sum for point in points)


def _print_head(target: Target, contents: list[ByteRange], in_flight: int) -> None:
    rows = [len(target.rows(content)) for content in contents]
    size = sum(content.size for content in contents) / len(contents)
    print(
        f"{target.name} on {target.model.provider}, {_device(target.model)}; "
        f"ONNX Runtime {onnxruntime.__version__}, {target.model.limits.parallel_runs} runs side by side.\n"
        f"{len(contents)} files of {size / 1024:.1f} KiB and {sum(rows) / len(rows):.1f} inputs on average, "
        f"{in_flight} in flight; load average before the run {os.getloadavg()[0]:.1f}.\n\n"
        "| batch at most | wait ms | files/s | mean batch | p50 ms | p95 ms | p99 ms | CPU ms/file "
        "| raw session files/s | its CPU ms/file | share |\n|---|---|---|---|---|---|---|---|---|---|---|",
        flush=True,
    )


def _device(model: ModelSession) -> str:
    cores = f"{len(os.sched_getaffinity(0))} cores of {_processor()}"
    if not model.on_gpu:
        return cores
    asked = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{asked.stdout.splitlines()[0] if asked.stdout else 'a GPU that nvidia-smi does not name'}, {cores}"


def _processor() -> str:
    lines: Iterator[str] = (line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
    return next(lines, ": an unnamed processor").partition(": ")[2]


if __name__ == "__main__":
    main()
