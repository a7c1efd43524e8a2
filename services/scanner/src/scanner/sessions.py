"""ONNX Runtime sessions: opened on the provider that was asked for, run with bound inputs and outputs."""

from __future__ import annotations

import logging
import queue
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors

from scanner.batcher import BatchLimits
from scanner.config import EngineSettings
from scanner.errors import DetectorError, OutOfMemoryError, PackRefusedError
from scanner.host_memory import HostMemory
from scanner.providers import CPU, not_working, provider_in_use, provider_options, wanted_provider

logger = logging.getLogger(__name__)

Row = NDArray[Any]

RUNTIME_ERRORS = (
    onnx_errors.EPFail,
    onnx_errors.Fail,
    onnx_errors.InvalidArgument,
    onnx_errors.InvalidGraph,
    onnx_errors.InvalidProtobuf,
    onnx_errors.NoSuchFile,
    onnx_errors.NotImplemented,
    onnx_errors.RuntimeException,
    RuntimeError,  # all that a run with bound tensors raises, and a provider that cannot be loaded
)
_OUT_OF_MEMORY = (
    "bad_alloc",  # the processor
    "Failed to allocate memory",  # the arena: the GPU gives no more
    "smaller than requested bytes",  # the arena: over its limit
    "out of memory",  # CUDA itself
    "ALLOC_FAILED",  # cuBLAS, cuDNN
)
_NO_ARENA = "memory arena shrink list"
_CUDA_FAILURE = re.compile(r"CUDA failure (\d+)")
_LOST = frozenset({46, 100, 101, 214, 219, 220, 226, 700, 702, 709, 710, *range(714, 721), 999})
"""Errors after which no CUDA call of the process succeeds any more (cudaError_t: faults, hardware, no device)."""

# Measured by `python -m bench models`, see docs/benchmarks.md; those of the GPU are still to be measured.
CPU_BATCH, CPU_WAIT_MILLISECONDS = 4, 0.0
GPU_BATCH, GPU_WAIT_MILLISECONDS = 64, 2.0
GPU_RUNS = 2
"""One run is prepared and copied while the other computes."""


class ModelSession:
    """A loaded model: what it runs on, how much it takes at a time, and its runs.

    The memory of the inputs is kept from run to run. On a GPU a batch is filled up to a power of
    two, because for every new shape memory is planned and algorithms are chosen again.
    """

    def __init__(self, session: Any, provider: str, limits: BatchLimits) -> None:
        self.session = session
        self.provider = provider
        self.limits = limits
        self.lost = False
        """Whether the GPU has failed in a way that only another process gets over."""
        self._shrink = False
        self._memories: queue.SimpleQueue[HostMemory] = queue.SimpleQueue()
        for _ in range(limits.parallel_runs):
            self._memories.put(HostMemory(pinned=self.on_gpu))

    @property
    def on_gpu(self) -> bool:
        """Whether operators of the model run on a GPU; shapes are padded to few sizes then."""
        return self.provider != CPU

    def limit_batch(self, size: int) -> None:
        """Never run more than `size` rows at once from now on."""
        self.limits = self.limits.with_max_batch(size)

    def run(
        self, outputs: Sequence[str], tensor: str, rows: Sequence[Row], *, length: int = 0, padding: int = 0
    ) -> list[NDArray[np.float32]]:
        """Run the model once on rows of one type; safe from several threads.

        Rows of one dimension may differ in length and are filled up with `padding`, to `length` if
        that is more. Returns one array for each output, with as many entries as there are rows.
        Raises OutOfMemoryError when less at once might do, DetectorError for all else.
        """
        try:
            if rows[0].dtype.kind == "O":  # text cannot be bound
                found = self.session.run(list(outputs), {tensor: np.stack(rows)})
            else:
                found = self._run_bound(outputs, tensor, rows, length, padding)
        except (MemoryError, *RUNTIME_ERRORS) as error:
            raise self._explained(error, len(rows)) from error
        for array in found:
            if array.shape[:1] not in {(len(rows),), (self._padded(len(rows)),)}:
                raise DetectorError(f"The model gives results of shape {array.shape} for {len(rows)} files.")
        return [array[: len(rows)] for array in found]

    def warm_up(self, outputs: Sequence[str], tensor: str, smallest: Row, largest: Row, padding: int = 0) -> None:
        """Run the largest and the smallest batch on a GPU, so that no scan waits for it to get ready.

        TensorRT builds its engines for what it has seen; the arena gets its full size. Where the
        largest batch does not fit, the limit is halved until it does. Raises DetectorError.
        """
        if not self.on_gpu:
            return
        self.run(outputs, tensor, [smallest], padding=padding)
        while True:
            try:
                self.run(outputs, tensor, [largest] * self.limits.max_batch, padding=padding)
            except OutOfMemoryError:
                if self.limits.max_batch == 1:
                    raise
                self.limit_batch(self.limits.max_batch // 2)
                logger.warning("a batch is too large for the memory; at most %d from now on", self.limits.max_batch)
            else:
                return

    def _run_bound(
        self, outputs: Sequence[str], tensor: str, rows: Sequence[Row], length: int, padding: int
    ) -> list[NDArray[np.float32]]:
        memory = self._memories.get()
        try:
            binding = self.session.io_binding()
            # On a GPU the copy is made here, so the memory is filled before.
            binding.bind_cpu_input(tensor, self._filled(memory, rows, length, padding))
            for name in outputs:
                binding.bind_output(name, "cpu")
            self._execute(binding)
            found: list[NDArray[np.float32]] = binding.copy_outputs_to_cpu()
            return found
        finally:
            self._memories.put(memory)

    def _filled(self, memory: HostMemory, rows: Sequence[Row], length: int, padding: int) -> Row:
        first = rows[0]
        shape = first.shape if first.ndim != 1 else (max(length, *(len(row) for row in rows)),)
        batch = memory.array((self._padded(len(rows)), *shape), first.dtype)
        batch[...] = padding
        for place, row in zip(batch, rows, strict=False):
            place[tuple(slice(size) for size in row.shape)] = row
        return batch

    def _padded(self, rows: int) -> int:
        return min(max(self.limits.max_batch, rows), 1 << (rows - 1).bit_length()) if self.on_gpu else rows

    def _execute(self, binding: Any) -> None:
        """Run; after a want of memory the arena then gives back what it holds in pieces of no more use."""
        if self._shrink:
            self._shrink = False
            options = onnxruntime.RunOptions()
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "gpu:0")
            try:
                self.session.run_with_iobinding(binding, options)
            except RUNTIME_ERRORS as error:
                if _NO_ARENA not in str(error):
                    raise
            else:
                return
        self.session.run_with_iobinding(binding)

    def _explained(self, error: Exception, rows: int) -> DetectorError:
        device = self.provider.removesuffix("ExecutionProvider")
        if isinstance(error, MemoryError) or any(sign in str(error) for sign in _OUT_OF_MEMORY):
            self._shrink = self.on_gpu
            what = "one input" if rows == 1 else f"{rows} inputs at once"
            return OutOfMemoryError(f"The memory for model runs on {device} is too small for {what}.")
        failure = _CUDA_FAILURE.search(str(error))
        self.lost = self.lost or (failure is not None and int(failure[1]) in _LOST)
        logger.warning("a model run failed on %s: %s", device, error)
        return DetectorError(f"The model run failed on {device}.")


def open_session(model: Path | bytes, settings: EngineSettings) -> ModelSession:
    """Load a model from a file or from bytes.

    Raises PackRefusedError when it cannot be loaded, or not on the provider that the settings name.
    """
    wanted = wanted_provider(settings, onnxruntime.get_available_providers())
    try:
        session = _load(model, settings, wanted)
    except RUNTIME_ERRORS as error:
        if wanted == CPU:
            raise PackRefusedError(f"ONNX Runtime cannot load the model: {type(error).__name__}.") from error
        logger.warning("ONNX Runtime cannot load a model on %s: %s", wanted, error)
        session = None
    if session is None or wanted not in session.get_providers():
        on_processor = open_session(model, settings.model_copy(update={"model_provider": "cpu"}))
        if settings.model_provider != "auto":
            raise not_working(wanted)
        logger.warning("models run on the processor: %s is installed but does not work here", wanted)
        return on_processor
    provider = provider_in_use(session, wanted)
    return ModelSession(session, provider, _limits(settings, on_gpu=provider != CPU))


def _load(model: Path | bytes, settings: EngineSettings, wanted: str) -> Any:
    """On the processor many runs on one thread each, side by side, are faster than one run on many threads."""
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # The arena and the plans for each shape would keep the memory of the largest batches for ever.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if wanted != CPU:
        # The wheels of CUDA and cuDNN are found only when loaded by hand; a missing one is no error here.
        onnxruntime.preload_dlls(directory="")
    # Without this a session that fails once goes on on the processor and says so on standard output only.
    return onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model),
        options,
        providers=provider_options(wanted, settings, model),
        enable_fallback=0,
    )


def _limits(settings: EngineSettings, *, on_gpu: bool) -> BatchLimits:
    wait = settings.batch_wait_milliseconds
    if wait is None:
        wait = GPU_WAIT_MILLISECONDS if on_gpu else CPU_WAIT_MILLISECONDS
    return BatchLimits(
        max_batch=settings.model_batch or (GPU_BATCH if on_gpu else CPU_BATCH),
        wait_seconds=wait / 1000,
        parallel_runs=GPU_RUNS if on_gpu else settings.model_threads or settings.cores,
        queue=settings.batch_queue,
    )
