import ast
import random
import re

from script_threat.tables import LANGUAGES, armoured, binary, long_numbers, made_tables

LITERAL = re.compile(rb"'[^'\n]*'|\"[^\"\n]*\"")


def test_tables_repeat_with_their_seed() -> None:
    assert made_tables(30) == made_tables(30)
    assert made_tables(30) != made_tables(30, seed=12)


def test_tables_are_benign_and_differ() -> None:
    samples = made_tables(200)
    assert {sample.label for sample in samples} == {0}
    assert {sample.language for sample in samples} == set(LANGUAGES)
    assert len({sample.data for sample in samples}) == 200


def test_tables_hold_mostly_values() -> None:
    for sample in made_tables(60):
        words = re.findall(rb"[a-z_]{3,}", LITERAL.sub(b"", sample.data.lower()))
        assert len(words) * 8 < len(sample.data)


def test_binary_constants_say_what_they_are() -> None:
    made = [binary("python", random.Random(seed)) for seed in range(20)]
    assert all(isinstance(ast.literal_eval(data.decode().split(" = ", 1)[1]), str | bytes) for data in made)


def test_certificates_and_keys_are_whole_python() -> None:
    for seed in range(20):
        for form in (armoured, long_numbers):
            ast.parse(form("python", random.Random(seed)))


def test_signature_blocks_are_comments() -> None:
    made = [armoured("powershell", random.Random(seed)) for seed in range(20)]
    signed = [data for data in made if b"Begin signature block" in data]
    assert signed
    assert all(line.startswith(b"# ") for data in signed for line in data.splitlines())
