from script_threat.tables import LANGUAGES, made_tables


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
        lines = sample.data.splitlines()
        assert len(lines) >= 3
        assert sum(line.rstrip().endswith((b",", b"</tr>", b"_")) or b"# " in line for line in lines) > len(lines) / 4
