import random

import numpy as np
import pytest

from script_threat.linear import LinearModel
from script_threat.mining import mine
from script_threat.ngrams import BUCKETS, SIZES, hashed_ngrams
from script_threat.preprocessing import ALIGNMENT, WINDOW, Bytes
from script_threat.segments import BLOCKS, BOUNDS, MEMBERSHIP, OFFSETS, segment_logits, segment_of

MARK = b"a rare mark; "
TEXT = b"the usual words of a script, "


def codes_of(data: bytes) -> Bytes:
    return np.frombuffer(data, dtype=np.uint8)


@pytest.fixture(scope="module")
def linear() -> LinearModel:
    """Likes the mark and dislikes the text."""
    weights = np.zeros(BUCKETS + 1, dtype=np.float32)
    weights[hashed_ngrams(codes_of(TEXT * 2), SIZES)] = -1
    weights[hashed_ngrams(codes_of(MARK * 2), SIZES)] = 2
    return LinearModel(weights, -0.5)


def test_the_whole_window_comes_first_and_costs_nothing() -> None:
    assert BOUNDS[0] == (0, BLOCKS)
    assert OFFSETS[0] == 0
    assert (OFFSETS[1:] > 0).all()
    assert (MEMBERSHIP.sum(axis=1) == [end - start for start, end in BOUNDS]).all()


def test_every_block_is_in_parts_of_every_length() -> None:
    for length in {end - start for start, end in BOUNDS}:
        inside = [row for row, (start, end) in enumerate(BOUNDS) if end - start == length]
        assert (MEMBERSHIP[inside].sum(axis=0) > 0).all()


def test_a_part_is_scored_like_a_window_of_its_own(linear: LinearModel) -> None:
    codes = codes_of((TEXT * 200)[: WINDOW // 2] + (MARK * 400)[: WINDOW // 2])
    logits = segment_logits(codes, SIZES, linear.weights, linear.bias)
    part = int(logits.argmax())
    alone = segment_logits(segment_of(codes, part), SIZES, linear.weights, linear.bias)[0]
    assert BOUNDS[part][0] >= BLOCKS // 2
    assert logits[part] + OFFSETS[part] == pytest.approx(alone, abs=0.5)


def test_parts_beyond_the_end_do_not_count(linear: LinearModel) -> None:
    logits = segment_logits(codes_of((TEXT * 5)[: 2 * ALIGNMENT]), SIZES, linear.weights, linear.bias)
    assert np.isfinite(logits).tolist() == [start < 2 for start, _ in BOUNDS]
    assert segment_logits(codes_of(b""), SIZES, linear.weights, linear.bias)[0] == linear.bias


def test_mining_takes_the_worst_of_malicious_scripts_and_what_looks_like_it(linear: LinearModel) -> None:
    long = (TEXT * 200)[: WINDOW - 512] + (MARK * 50)[:512]
    windows = [(0, codes_of(TEXT * 20)), (0, codes_of(long)), (1, codes_of(TEXT * 20)), (2, codes_of(MARK * 5))]
    mined = mine(windows, np.array([1, 0, 0]), SIZES, linear, random.Random(1))
    assert [owner for owner, _ in mined.pieces].count(2) == 1
    assert 1 not in [owner for owner, _ in mined.pieces]
    worst = mined.pieces[-1]
    assert worst[0] == 0
    assert MARK in worst[1].tobytes()
    assert mined.weights.tolist()[-1] == 0.25
