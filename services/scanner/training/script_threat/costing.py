"""What the model costs on the CPU, and what Magika costs for the same files."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

MAGIKA_BLOCK, MAGIKA_PART, MAGIKA_PADDING = 4096, 1024, 256
WARM_UP_FILES = 20


def magika_tokens(data: bytes) -> npt.NDArray[np.int32]:
    """Magika's input: the stripped first and last 1,024 bytes, int32 [1, 2048]."""
    head = data[:MAGIKA_BLOCK].lstrip()[:MAGIKA_PART]
    tail = data[-MAGIKA_BLOCK:].rstrip()[-MAGIKA_PART:]
    tokens = np.full((1, 2 * MAGIKA_PART), MAGIKA_PADDING, dtype=np.int32)
    tokens[0, : len(head)] = np.frombuffer(head, dtype=np.uint8)
    tokens[0, 2 * MAGIKA_PART - len(tail) :] = np.frombuffer(tail, dtype=np.uint8)
    return tokens


def magika_runner(session: ort.InferenceSession) -> Callable[[bytes], object]:
    """A function that does for one file what Magika does."""
    return lambda data: session.run(["target_label"], {"bytes": magika_tokens(data)})


def cpu_milliseconds(run: Callable[[bytes], object], bodies: Sequence[bytes]) -> float:
    """Mean processor time of one call, after a few that are not counted."""
    for data in bodies[:WARM_UP_FILES]:
        run(data)
    started = time.process_time()
    for data in bodies:
        run(data)
    return (time.process_time() - started) / len(bodies) * 1000
