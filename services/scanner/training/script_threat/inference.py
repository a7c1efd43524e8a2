"""Reference inference in numpy and ONNX Runtime: what a service has to do with the model pack, and no more."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from script_threat.preprocessing import ALIGNMENT, Offsets, Script, normalise, tokenise, window_starts

WINDOWS_PER_RUN = 8  # bounds the memory of one session run
MOST_LEFT_OUT = 64  # bytes inside one range of evidence, by the shortening of spaces and runs


@dataclass(frozen=True)
class Evidence:
    """A byte range of the original file [start, end) and what it added to the logit."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True)
class Inspection:
    """The logit of a script and the ranges of the deciding window, heaviest first."""

    logit: float
    evidence: list[Evidence]


def open_model(path: Path, threads: int = 1) -> ort.InferenceSession:
    """An ONNX Runtime session on the CPU that keeps its memory flat."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_cpu_mem_arena = False
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_windows(
    session: ort.InferenceSession, script: Script, starts: list[int]
) -> tuple[npt.NDArray[np.float32], list[npt.NDArray[np.float32]]]:
    """The logit and the evidence of each window."""
    scores: list[np.float32] = []
    evidence: list[npt.NDArray[np.float32]] = []
    for first in range(0, len(starts), WINDOWS_PER_RUN):
        tokens = tokenise(script.codes, starts[first : first + WINDOWS_PER_RUN])
        found, places = session.run(["score", "evidence"], {"tokens": tokens})
        scores.extend(found)
        evidence.extend(places)
    return np.array(scores, dtype=np.float32), evidence


def inspect_script(session: ort.InferenceSession, data: bytes) -> Inspection:
    """The largest logit among the windows, and where in the original that window found it."""
    script = normalise(data)
    starts = window_starts(len(script.codes))
    scores, evidence = run_windows(session, script, starts)
    best = int(scores.argmax())
    return Inspection(float(scores[best]), locate_evidence(script, starts[best], evidence[best]))


def locate_evidence(script: Script, start: int, weights: npt.NDArray[np.float32]) -> list[Evidence]:
    """Positions of a window with a positive weight as byte ranges of the original, heaviest first."""
    found = []
    for place in np.argsort(-weights, kind="stable"):
        first = start + int(place) * ALIGNMENT
        last = min(first + ALIGNMENT, len(script.codes)) - 1
        if weights[place] <= 0 or first > last:
            continue
        begin, end = stretch(script.offsets[first : last + 1])
        found.append(Evidence(begin, end, float(weights[place])))
    return found


def stretch(offsets: Offsets) -> tuple[int, int]:
    """The range of most of the offsets: where much was left out between two of them, it ends."""
    parts = np.split(offsets, np.flatnonzero(np.diff(offsets) > MOST_LEFT_OUT) + 1)
    longest = max(parts, key=len)
    return int(longest[0]), int(longest[-1]) + 1
