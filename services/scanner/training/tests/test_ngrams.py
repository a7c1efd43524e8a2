import random

import numpy as np
import pytest

from script_threat.ngrams import BUCKETS, hashed_ngrams

pytest.importorskip("pyarrow")

from script_threat.windows import cut_windows, largest, make_sets


def test_each_different_ngram_counts_once() -> None:
    codes = np.frombuffer(b"abcabcabc", dtype=np.uint8)
    found = hashed_ngrams(codes, (3,))
    assert len(found) == 3
    assert (np.diff(found) > 0).all()
    assert found.min() >= 1
    assert found.max() <= BUCKETS


def test_too_short_for_an_ngram() -> None:
    assert len(hashed_ngrams(np.frombuffer(b"ab", dtype=np.uint8), (3, 4))) == 0


def test_windows_remember_their_script() -> None:
    windows = make_sets(cut_windows({0: b"x = 1", 1: b"word " * 2000}, None, random.Random(1)), (3,))
    assert windows.owners.tolist() == [0, 1, 1, 1]
    assert set(windows.set_of(1)) == set(windows.set_of(2))
    assert largest(np.array([0.5, 1.0, 3.0, 2.0]), windows.owners, 2).tolist() == [0.5, 3.0]
