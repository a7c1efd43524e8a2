"""Sessions: the provider that was asked for or a clear word, bound runs, and too little memory for a batch."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from pydantic import ValidationError

from scanner.batcher import BatchLimits
from scanner.config import EngineSettings
from scanner.engine import ScanEngine
from scanner.errors import DetectorError, OutOfMemoryError, PackRefusedError
from scanner.host_memory import HostMemory
from scanner.providers import CPU, CUDA, TENSORRT, provider_options, wanted_provider
from scanner.sessions import ModelSession, open_session

EVERY = (TENSORRT, CUDA, CPU)
HUNGRY = Path(__file__).with_name("hungry_model.py")
no_gpu_package = pytest.mark.skipif(
    CUDA in onnxruntime.get_available_providers(), reason="onnxruntime-gpu is installed"
)


def doubling(kind: int = TensorProto.FLOAT, operator: str = "Add") -> bytes:
    """Add the input to itself."""
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "x"], ["y"])],
        "doubling",
        [helper.make_tensor_value_info("x", kind, ["files", "length"])],
        [helper.make_tensor_value_info("y", kind, None)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    serialized: bytes = made.SerializeToString()
    return serialized


@pytest.fixture
def model() -> ModelSession:
    return open_session(doubling(), EngineSettings(model_provider="cpu", model_threads=2, model_batch=6))


def row(*values: float) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def lines(found: list[NDArray[Any]]) -> list[list[float]]:
    return [[float(value) for value in line] for line in found[0]]


def test_auto_takes_cuda_where_it_is_installed_and_tensorrt_only_by_name() -> None:
    assert wanted_provider(EngineSettings(), EVERY) == CUDA
    assert wanted_provider(EngineSettings(), [CPU]) == CPU
    assert wanted_provider(EngineSettings(model_provider="cpu"), EVERY) == CPU
    assert wanted_provider(EngineSettings(model_provider="tensorrt"), EVERY) == TENSORRT


@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
def test_a_provider_that_is_named_and_not_installed_is_an_error_that_says_what_to_do(name: str) -> None:
    settings = EngineSettings.model_validate({"model_provider": name})

    with pytest.raises(PackRefusedError, match=rf"FUMEHOOD_MODEL_PROVIDER is {name}.*--target gpu|TensorRT"):
        wanted_provider(settings, [CPU])


def test_a_provider_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError, match="model_provider"):
        EngineSettings.model_validate({"model_provider": "gpu"})


@no_gpu_package
async def test_an_engine_that_was_told_to_use_cuda_does_not_start_without_it(settings: EngineSettings) -> None:
    with pytest.raises(PackRefusedError, match="FUMEHOOD_MODEL_PROVIDER is cuda"):
        await ScanEngine.start(settings.model_copy(update={"model_provider": "cuda"}))


def test_gpu_memory_is_bounded_and_scores_are_in_full_precision() -> None:
    (name, options), last = provider_options(CUDA, EngineSettings(gpu_memory_bytes=1 << 30), b"")

    assert (name, last) == (CUDA, (CPU, {}))
    assert options["gpu_mem_limit"] == "1073741824"
    assert options["arena_extend_strategy"] == "kSameAsRequested"
    assert options["use_tf32"] == "0"


def test_tensorrt_keeps_its_engines_apart_by_model_and_falls_back_on_cuda(tmp_path: Path) -> None:
    settings = EngineSettings(tensorrt_cache_dir=tmp_path)
    one, other = (provider_options(TENSORRT, settings, model) for model in (b"one", b"other"))

    assert [name for name, _ in one] == [TENSORRT, CUDA, CPU]
    folders = {options[0][1]["trt_engine_cache_path"] for options in (one, other)}
    assert len(folders) == 2
    assert all(Path(folder).parent == tmp_path and Path(folder).is_dir() for folder in folders)
    assert "trt_engine_cache_enable" not in provider_options(TENSORRT, EngineSettings(), b"one")[0][1]


def test_the_provider_told_is_the_one_in_use(model: ModelSession) -> None:
    assert model.provider == CPU
    assert not model.on_gpu
    assert model.limits.max_batch == 6


def test_a_model_that_cannot_be_loaded_is_refused() -> None:
    with pytest.raises(PackRefusedError, match="cannot load"):
        open_session(b"no model", EngineSettings())


def test_rows_of_different_length_are_filled_up(model: ModelSession) -> None:
    assert lines(model.run(["y"], "x", [row(1, 2), row(3)], padding=9)) == [[2, 4], [6, 18]]
    assert lines(model.run(["y"], "x", [row(1)], length=3)) == [[2, 0, 0]]


def test_the_memory_of_the_inputs_is_used_again_and_results_are_not_in_it(model: ModelSession) -> None:
    first = model.run(["y"], "x", [row(1), row(2), row(3)])
    second = model.run(["y"], "x", [row(7)])
    third = model.run(["y"], "x", [row(8), row(9)])

    assert (lines(first), lines(second), lines(third)) == ([[2], [4], [6]], [[14]], [[16], [18]])


def test_runs_side_by_side_do_not_meet(model: ModelSession) -> None:
    def run(number: int) -> list[list[float]]:
        return lines(model.run(["y"], "x", [row(number, number)] * (1 + number % 6)))

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(run, range(400)))

    assert found == [[[2 * number] * 2] * (1 + number % 6) for number in range(400)]


def test_on_a_gpu_batches_have_few_sizes_and_the_filling_is_cut_off(model: ModelSession) -> None:
    padded = ModelSession(model.session, CUDA, model.limits)  # shapes as on a GPU, run here

    assert [padded._padded(rows) for rows in (1, 2, 3, 4, 5, 6)] == [1, 2, 4, 4, 6, 6]
    assert lines(padded.run(["y"], "x", [row(1), row(2), row(3)])) == [[2], [4], [6]]


def test_a_run_that_fails_says_where_and_logs_why(model: ModelSession, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(DetectorError, match="failed on CPU"):
        model.run(["y"], "x", [np.ones(2, np.int64)])

    assert "int64" in caplog.text


class FailingGpu:
    """What ONNX Runtime shows of a device in trouble."""

    def __init__(self, failure: str) -> None:
        self._failure = failure

    def io_binding(self) -> FailingGpu:
        raise RuntimeError(f"Error in execution: {self._failure} ; GPU=0 ; expr=cudaMemcpyAsync(...)")


@pytest.mark.parametrize(
    ("failure", "lost", "memory"),
    [
        ("CUDA failure 700: an illegal memory access was encountered", True, False),
        ("CUDA failure 2: out of memory", False, True),
        ("CUDA failure 9: invalid configuration argument", False, False),
    ],
)
def test_a_gpu_that_is_lost_is_told_from_one_that_is_full(failure: str, *, lost: bool, memory: bool) -> None:
    broken = ModelSession(FailingGpu(failure), CUDA, BatchLimits())

    with pytest.raises(DetectorError) as raised:
        broken.run(["y"], "x", [row(1)])

    assert (broken.lost, isinstance(raised.value, OutOfMemoryError)) == (lost, memory)


def test_a_model_that_answers_for_too_few_rows_is_an_error() -> None:
    graph = helper.make_graph(
        [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=1)],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["files", "length"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    one = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()

    with pytest.raises(DetectorError, match="for 3 files"):
        open_session(one, EngineSettings(model_provider="cpu")).run(["y"], "x", [row(1)] * 3)


def test_without_page_locked_memory_ordinary_memory_is_used() -> None:
    memory = HostMemory(pinned=True)
    memory.array((2, 3), np.float32)[...] = 7

    assert memory.array((2, 3), np.float32).tolist() == [[7] * 3] * 2
    assert memory.array((50, 3), np.int32).shape == (50, 3)


def hungry(task: str) -> dict[str, Any]:
    """Run the model of `hungry_model.py` in a process that may not take much memory."""
    done = subprocess.run(
        [sys.executable, HUNGRY, task],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_batch_too_large_for_the_memory_is_halved_and_a_single_one_fails_alone() -> None:
    found = hungry("batched")

    assert found["first"] == list(range(16))
    assert found["large"] == "The memory for model runs on CPU is too small for one input."
    assert found["last"] == list(range(4))
    assert found["sizes"][0] == 16
    assert found["sizes"].index(1) > found["sizes"].index(16)
    assert max(found["sizes"][1:]) <= 8
    assert max(found["sizes"][found["sizes"].index(1) :]) <= 4


def test_warming_up_finds_the_largest_batch_that_fits() -> None:
    assert hungry("warmed")["max_batch"] in {2, 4, 8}


def test_too_little_memory_is_an_error_of_a_detector() -> None:
    assert issubclass(OutOfMemoryError, DetectorError)
