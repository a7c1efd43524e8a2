import random

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("onnxruntime")

from script_threat.dataset import Sample
from script_threat.inference import Evidence
from script_threat.proof import mask, random_ranges
from script_threat.robustness import VARIANTS, measure_robustness

SAMPLES = [Sample(str(index), 1, "python", "", weak=False, data=b"marker = 'abcdefgh'\n" * 3) for index in range(4)]
PROSE = {"python": [b"print('nothing')\n"]}


def test_a_scorer_that_ignores_padding_keeps_its_verdicts() -> None:
    def score(data: bytes) -> float:
        return 0.95 if b"abc" in data else 0.1

    rows = {row.name: row for row in measure_robustness(score, SAMPLES, PROSE, 0.5, 0.9)}
    assert len(rows) == len(VARIANTS)
    assert rows["64 KiB of benign script put first"].kept == 1.0
    assert rows["UTF-16"].kept == 0.0
    assert rows["as it is"].scripts == 4


def test_masking_changes_only_the_ranges() -> None:
    assert mask(b"0123456789", [Evidence(2, 4, 1.0), Evidence(8, 10, 0.5)]) == b"01..4567.."


def test_random_ranges_have_the_sizes_of_those_shown() -> None:
    shown = [Evidence(0, 64, 1.0), Evidence(100, 130, 0.5)]
    found = random_ranges(shown, 200, random.Random(1))
    assert [part.end - part.start for part in found] == [64, 30]
    assert all(part.start >= 0 and part.end <= 200 for part in found)
