"""Does the verdict survive a change of form? The shares of scripts above a threshold before and after each."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from script_threat.augmentation import (
    WRAPPERS,
    comment_lines,
    rename_identifiers,
    split_strings,
    wrap_base64,
)
from script_threat.dataset import Sample

PADDING_BYTES = 65_536


@dataclass(frozen=True)
class Variant:
    """A named change of form; applies says for which scripts it makes sense."""

    name: str
    change: Callable[[Sample, bytes, random.Random], bytes]
    applies: Callable[[Sample], bool] = lambda _: True


@dataclass(frozen=True)
class RobustnessRow:
    """What became of the scripts under one change; `kept` are the malicious verdicts that stayed."""

    name: str
    scripts: int
    suspicious: float
    malicious: float
    kept: float


def in_utf16(sample: Sample, _prose: bytes, _rng: random.Random) -> bytes:
    """UTF-16 with a byte-order mark."""
    return b"\xff\xfe" + sample.data.decode("latin1").encode("utf-16-le")


def repeated(prose: bytes, size: int) -> bytes:
    """`size` bytes of benign script."""
    prose = prose or b"-\n"
    return (prose * (size // len(prose) + 1))[:size]


VARIANTS = (
    Variant("as it is", lambda sample, _prose, _rng: sample.data),
    Variant("4 KiB of benign script appended", lambda s, prose, _rng: s.data + b"\n" + repeated(prose, 4096)),
    Variant("64 KiB of benign script appended", lambda s, prose, _rng: s.data + b"\n" + repeated(prose, PADDING_BYTES)),
    Variant(
        "64 KiB of benign script put first", lambda s, prose, _rng: repeated(prose, PADDING_BYTES) + b"\n" + s.data
    ),
    Variant("40 comment lines put first", lambda s, prose, rng: comment_lines(prose, s.language, 40, rng) + s.data),
    Variant("2,000 comment lines put first", lambda s, p, rng: comment_lines(p, s.language, 2000, rng) + s.data),
    Variant("64 KiB of spaces put first", lambda s, _prose, _rng: b" " * PADDING_BYTES + s.data),
    Variant("UTF-16", in_utf16, lambda s: b"\0" not in s.data[:4096]),
    Variant("identifiers renamed", lambda s, _prose, rng: rename_identifiers(s.data, rng)),
    Variant("string literals split", lambda s, _prose, rng: split_strings(s.data, rng, s.language)),
    Variant(
        "wrapped in base64",
        lambda s, _prose, rng: wrap_base64(s.data, rng, s.language),
        lambda s: s.language in WRAPPERS,
    ),
)


def measure_robustness(
    score: Callable[[bytes], float],
    malicious: list[Sample],
    prose: dict[str, list[bytes]],
    suspicious_threshold: float,
    malicious_threshold: float,
    seed: int = 7,
) -> list[RobustnessRow]:
    """One row a variant; `prose` holds benign scripts by language to pad with."""
    plain = [score(sample.data) for sample in malicious]
    rows = []
    for variant in VARIANTS:
        rng = random.Random(seed)  # noqa: S311 - not for secrets
        pairs = []
        for sample, before in zip(malicious, plain, strict=True):
            if not variant.applies(sample):
                continue
            text = rng.choice(prose[sample.language])
            pairs.append((before, score(variant.change(sample, text, rng))))
        flagged = [after for before, after in pairs if before > malicious_threshold]
        rows.append(
            RobustnessRow(
                variant.name,
                len(pairs),
                sum(after > suspicious_threshold for _, after in pairs) / len(pairs),
                sum(after > malicious_threshold for _, after in pairs) / len(pairs),
                sum(after > malicious_threshold for after in flagged) / max(1, len(flagged)),
            )
        )
    return rows
