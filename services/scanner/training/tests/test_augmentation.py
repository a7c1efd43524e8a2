import base64
import random
import re

import pytest

from script_threat.augmentation import (
    COMMENT_MARKS,
    augment,
    break_lines,
    flood_comments,
    join_scripts,
    rename_identifiers,
    split_strings,
    wrap_base64,
)

SCRIPT = b"import os\ncounter = 1\nprint('a greeting', counter)\ncounter = counter + 1\n"
OTHER = b"def unused():\n    return 'nothing at all'\n" * 20


@pytest.fixture
def rng() -> random.Random:
    return random.Random(3)


def test_assigned_names_are_replaced_everywhere(rng: random.Random) -> None:
    changed = rename_identifiers(SCRIPT, rng)
    assert b"counter" not in changed
    assert b"import os" in changed
    assert b"print" in changed


def test_split_strings_join_to_the_same_text(rng: random.Random) -> None:
    changed = split_strings(b"x = 'abcdefghij'", rng, "php")
    pieces = [split_strings(b"x = 'abcdefghij'", random.Random(seed), "php") for seed in range(9)]
    assert any(b"'.'" in piece for piece in pieces)
    assert re.sub(rb"'\.'", b"", changed) == b"x = 'abcdefghij'"


@pytest.mark.parametrize("language", sorted(COMMENT_MARKS))
def test_flooding_keeps_the_script(language: str, rng: random.Random) -> None:
    changed = flood_comments(SCRIPT, rng, OTHER, language)
    assert len(changed) > len(SCRIPT)
    assert all(line in changed for line in SCRIPT.splitlines())


def test_joining_keeps_the_script_whole(rng: random.Random) -> None:
    assert all(SCRIPT in join_scripts(SCRIPT, OTHER, rng) for _ in range(20))


def test_base64_wraps_what_was_there() -> None:
    changed = wrap_base64(SCRIPT, random.Random(1), "python")
    longest = max(re.findall(rb"[A-Za-z0-9+/=]+", changed), key=len)
    assert base64.b64decode(longest) == SCRIPT
    assert wrap_base64(SCRIPT, random.Random(1), "vbs") == SCRIPT


def test_breaking_lines_moves_only_white_space(rng: random.Random) -> None:
    data = b"a;b;\n  c;\nd"
    assert re.sub(rb"\s", b"", break_lines(data, rng)) == b"a;b;c;d"


def test_the_chain_repeats_with_its_seed() -> None:
    first = [augment(SCRIPT, "python", 1, OTHER, random.Random(seed)) for seed in range(30)]
    second = [augment(SCRIPT, "python", 1, OTHER, random.Random(seed)) for seed in range(30)]
    assert first == second
    assert len(set(first)) > 5
