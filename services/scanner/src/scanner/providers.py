"""Which execution provider of ONNX Runtime a model runs on, and how that is set up.

TensorRT (by name only), then CUDA, then the CPU. A provider that the operator names must be there;
`auto` takes the best that works, and says so when that is less than what is installed.

https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html
https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from scanner.config import EngineSettings
from scanner.errors import PackRefusedError

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"

_NAMED = {"cpu": CPU, "cuda": CUDA, "tensorrt": TENSORRT}
_NEEDS = {
    CUDA: "an NVIDIA GPU with its driver, and the scanner's extra `gpu` (the image made with --target gpu)",
    TENSORRT: "an NVIDIA GPU with its driver, the scanner's extra `gpu`, and the libraries of TensorRT",
}


def wanted_provider(settings: EngineSettings, available: Sequence[str]) -> str:
    """Return the provider to ask for. Raises PackRefusedError when one was named that is not installed."""
    if settings.model_provider == "auto":
        return CUDA if CUDA in available else CPU
    named = _NAMED[settings.model_provider]
    if named not in available:
        raise not_working(named)
    return named


def not_working(provider: str) -> PackRefusedError:
    """Return the error for a provider that was named and does not work here."""
    name = next(name for name, known in _NAMED.items() if known == provider)
    return PackRefusedError(
        f"FUMEHOOD_MODEL_PROVIDER is {name}, which does not work here. It needs {_NEEDS[provider]}. "
        "ONNX Runtime says in the log what is missing. Say auto to use the processor where there is no GPU."
    )


def provider_options(wanted: str, settings: EngineSettings, model: Path | bytes) -> list[tuple[str, dict[str, str]]]:
    """Return the providers of a session with their options, best first; the CPU is always the last."""
    chosen = []
    if wanted == TENSORRT:
        chosen.append((TENSORRT, _tensorrt_options(settings, model)))
    if wanted in {CUDA, TENSORRT}:
        chosen.append((CUDA, _cuda_options(settings)))
    return [*chosen, (CPU, {})]


def provider_in_use(session: Any, wanted: str) -> str:
    """Return the provider that runs operators of this session: `wanted`, or the CPU if it got none of them.

    A session of whose operators the GPU can run none says all the same that it is on CUDA. The
    session must have been opened with `session.record_ep_graph_assignment_info`.
    """
    if wanted in session.get_providers():
        assigned = {part.ep_name for part in session.get_provider_graph_assignment_info()}
        return next((name for name in (wanted, CUDA) if name in assigned), CPU)
    return CPU


def _cuda_options(settings: EngineSettings) -> dict[str, str]:
    return {
        # By default the arena doubles when it is full, and takes all there is.
        "gpu_mem_limit": str(settings.gpu_memory_bytes),
        "arena_extend_strategy": "kSameAsRequested",
        # The default tries every algorithm again for each new shape.
        "cudnn_conv_algo_search": "HEURISTIC",
        # The thresholds were calibrated on scores in full float32.
        "use_tf32": "0",
    }


def _tensorrt_options(settings: EngineSettings, model: Path | bytes) -> dict[str, str]:
    options = {"trt_max_workspace_size": str(settings.gpu_memory_bytes)}
    if settings.tensorrt_cache_dir is not None:
        # Engines are named by the graph, not by the weights: a new version of a model must not find those of the old.
        content = model if isinstance(model, bytes) else model.read_bytes()
        version = f"{hashlib.sha256(content).hexdigest()[:16]}-{onnxruntime.__version__}"
        folder = settings.tensorrt_cache_dir / version
        folder.mkdir(parents=True, exist_ok=True)
        options |= {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(folder),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(folder),
        }
    return options
