"""Is the evidence right? Masks the ranges shown, and random ranges of the same sizes, and compares the scores."""

import random
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from script_threat.inference import Evidence, inspect_script

RANGES_SHOWN = 5  # the heaviest ranges of a finding


@dataclass(frozen=True)
class EvidenceProof:
    """Mean fall of the logit, and in how many scripts the shown ranges mattered more than random ones."""

    scripts: int
    fall_shown: float
    fall_random: float
    shown_wins: float


def mask(data: bytes, ranges: list[Evidence]) -> bytes:
    """The script with the ranges overwritten by full stops."""
    masked = bytearray(data)
    for part in ranges:
        masked[part.start : part.end] = b"." * (part.end - part.start)
    return bytes(masked)


def random_ranges(shown: list[Evidence], size: int, rng: random.Random) -> list[Evidence]:
    """Ranges as long as those shown, anywhere in a script of `size` bytes."""
    found = []
    for part in shown:
        length = part.end - part.start
        start = rng.randint(0, max(0, size - length))
        found.append(Evidence(start, start + length, 0.0))
    return found


def prove_evidence(session: ort.InferenceSession, scripts: list[bytes], draws: int = 5, seed: int = 7) -> EvidenceProof:
    """Compares masking the shown ranges with the mean of `draws` random choices, script by script."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    shown_falls, random_falls = [], []
    for data in scripts:
        before = inspect_script(session, data)
        shown = before.evidence[:RANGES_SHOWN]
        if not shown:
            continue
        shown_falls.append(before.logit - inspect_script(session, mask(data, shown)).logit)
        others = [
            before.logit - inspect_script(session, mask(data, random_ranges(shown, len(data), rng))).logit
            for _ in range(draws)
        ]
        random_falls.append(sum(others) / draws)
    wins = np.array(shown_falls) > np.array(random_falls)
    return EvidenceProof(
        len(shown_falls), float(np.mean(shown_falls)), float(np.mean(random_falls)), float(wins.mean())
    )
