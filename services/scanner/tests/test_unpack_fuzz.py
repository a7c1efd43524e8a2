"""Every unpacker against its corpus, cut and bent copies of it, and noise: honest answers, no exception."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner.unpackers import UNPACKERS

FUZZ = Path(__file__).parents[1] / "fuzz"


def _oracle() -> ModuleType:
    """The fuzzer's checks, which stand outside the package."""
    spec = importlib.util.spec_from_file_location("oracle", FUZZ / "oracle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["oracle"] = module
    spec.loader.exec_module(module)
    return module


check = _oracle().check
SEEDS = sorted((FUZZ / "corpus").glob("*/*"))


def test_every_unpacker_has_seeds() -> None:
    assert {seed.parent.name for seed in SEEDS} == set(UNPACKERS)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"{seed.parent.name}/{seed.name}")
def test_the_corpus_is_answered(seed: Path) -> None:
    check(seed.parent.name, seed.read_bytes())


@pytest.mark.parametrize("name", sorted(UNPACKERS))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_bent_seeds_are_answered(name: str, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from([seed for seed in SEEDS if seed.parent.name == name]))
    content = bytearray(seed.read_bytes())
    for position, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=8)
    ):
        content[position] = value
    cut = data.draw(st.integers(0, len(content)))
    check(name, bytes(content[cut:] if data.draw(st.booleans()) else content[: cut or len(content)]))


@pytest.mark.parametrize("name", sorted(UNPACKERS))
@settings(max_examples=20, deadline=None)
@given(noise=st.binary(max_size=2000))
def test_noise_is_answered(name: str, noise: bytes) -> None:
    check(name, noise)
