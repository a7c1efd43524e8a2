"""ONNX Runtime sessions: one place that chooses the execution provider and the thread counts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors

from scanner.config import EngineSettings
from scanner.errors import DetectorError, PackRefusedError

logger = logging.getLogger(__name__)

RUNTIME_ERRORS = (
    onnx_errors.Fail,
    onnx_errors.InvalidArgument,
    onnx_errors.InvalidGraph,
    onnx_errors.InvalidProtobuf,
    onnx_errors.NoSuchFile,
    onnx_errors.NotImplemented,
    onnx_errors.RuntimeException,
)

CPU_PROVIDER = "CPUExecutionProvider"
GPU_BATCH = 64
CPU_BATCH = 4


@dataclass(frozen=True, slots=True)
class ModelSession:
    """A loaded model together with what its provider is good at."""

    session: Any
    provider: str
    max_batch: int
    parallel_runs: int

    def run(self, outputs: Sequence[str], inputs: dict[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Run the model once; safe from several threads. Raises DetectorError."""
        try:
            arrays: list[NDArray[np.float32]] = self.session.run(list(outputs), inputs)
        except RUNTIME_ERRORS as error:
            raise DetectorError(f"The model run failed on {self.provider}: {type(error).__name__}.") from error
        return arrays


def wanted_providers(settings: EngineSettings, available: Sequence[str]) -> list[str]:
    """Return the providers to ask for, best first: TensorRT (opt-in), CUDA, CPU."""
    wanted = []
    if settings.use_gpu and settings.use_tensorrt:
        wanted.append("TensorrtExecutionProvider")
    if settings.use_gpu:
        wanted.append("CUDAExecutionProvider")
    return [name for name in wanted if name in available] + [CPU_PROVIDER]


def open_session(model: Path | bytes, settings: EngineSettings) -> ModelSession:
    """Load a model from a file or from bytes. Raises PackRefusedError when it cannot be loaded.

    On the CPU many single-threaded runs side by side are faster than one run on many threads,
    and the memory arena is off because it keeps the peak of the largest batch for ever.
    """
    providers = wanted_providers(settings, onnxruntime.get_available_providers())
    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = False
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    if "CUDAExecutionProvider" in providers:
        # The wheels of CUDA and cuDNN are found only when loaded by hand; a missing one is no error here.
        onnxruntime.preload_dlls(directory="")
    try:
        session = onnxruntime.InferenceSession(source, options, providers=providers)
    except RUNTIME_ERRORS as error:
        raise PackRefusedError(f"ONNX Runtime cannot load the model: {type(error).__name__}.") from error
    # The session falls back with only a log line: what it says now is what is in use.
    provider = session.get_providers()[0]
    if provider != providers[0]:
        logger.warning("model runs on %s although %s was asked for", provider, providers[0])
    if provider == CPU_PROVIDER:
        return ModelSession(session, provider, CPU_BATCH, settings.model_threads or settings.cores)
    return ModelSession(session, provider, GPU_BATCH, 2)
