"""A process of little memory with a real model that needs much: what `test_sessions.py` runs and reads.

The model makes 16 MiB of every number of its input on the way to one result a row, so the memory of
a run grows with the batch and with the length of its rows.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from scanner.batcher import Batcher
from scanner.config import EngineSettings
from scanner.errors import OutOfMemoryError
from scanner.sessions import ModelSession, Row, open_session

NUMBERS = 4 << 20
ROOM_BYTES = 320 << 20
"""Enough for four rows of one number with all copies, not for eight, nor for one row of 64 numbers."""


def hungry() -> bytes:
    """Return the model: the square root of the largest number of each row."""
    constants = {"axis": [2], "spread": [1, 1, NUMBERS], "axes": [1, 2]}
    graph = helper.make_graph(
        [
            helper.make_node("Unsqueeze", ["x", "axis"], ["column"]),
            helper.make_node("Expand", ["column", "spread"], ["wide"]),
            helper.make_node("Sqrt", ["wide"], ["roots"]),
            helper.make_node("ReduceMax", ["roots", "axes"], ["y"], keepdims=0),
        ],
        "hungry",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["files", "length"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["files"])],
        [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    serialized: bytes = made.SerializeToString()
    return serialized


def with_little_memory(model: ModelSession) -> None:
    """Load what is loaded at first use, then allow `ROOM_BYTES` more address space than there is."""
    model.run(["y"], "x", [np.ones(1, np.float32)])
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


async def batched(model: ModelSession) -> dict[str, object]:
    """Hand in sixteen rows that fit in fours, then one that never fits, then four again."""
    sizes: list[int] = []

    def run(rows: Sequence[Row]) -> list[float]:
        sizes.append(len(rows))
        return [float(value) for value in model.run(["y"], "x", rows)[0]]

    with ThreadPoolExecutor(1) as executor:
        batcher = Batcher("hungry", run, executor, model.limits, bucket=len)
        with_little_memory(model)
        first = await asyncio.gather(*(batcher.submit(np.full(1, n * n, np.float32)) for n in range(16)))
        try:
            await batcher.submit(np.ones(64, np.float32))
            large = "fits"
        except OutOfMemoryError as error:
            large = error.message
        last = await asyncio.gather(*(batcher.submit(np.full(1, n * n, np.float32)) for n in range(4)))
        await batcher.close()
    return {"first": first, "large": large, "last": last, "sizes": sizes}


def warmed(model: ModelSession) -> dict[str, object]:
    """Make the model ready for the largest batch that fits, as is done on a GPU."""
    with_little_memory(model)
    model.provider = "CUDAExecutionProvider"
    one = np.ones(1, np.float32)
    model.warm_up(["y"], "x", one, one)
    return {"max_batch": model.limits.max_batch}


if __name__ == "__main__":
    settings = EngineSettings(model_provider="cpu", model_batch=16, model_threads=1, batch_wait_milliseconds=50)
    opened = open_session(hungry(), settings)
    json.dump(asyncio.run(batched(opened)) if sys.argv[1] == "batched" else warmed(opened), sys.stdout)
