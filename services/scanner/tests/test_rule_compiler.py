"""Folders of rules as they are found in the wild: what is broken is named, the rest works."""

from __future__ import annotations

from pathlib import Path

import pytest
import yara_x

from scanner.detectors.pack import rule_files
from scanner.detectors.rule_compiler import CompiledRules, compile_rules, file_globals
from scanner.errors import PackRefusedError


def compiled(folder: Path, **files: str | bytes) -> CompiledRules:
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / f"{name}.yar").write_bytes(data)
    return compile_rules(folder, rule_files(folder))


def matching(rules: CompiledRules, content: bytes, name: str = "a.txt") -> set[str]:
    scanner = yara_x.Scanner(rules.rules)
    for key, value in file_globals(name).items():
        scanner.set_global(key, value)
    return {rule.identifier for rule in scanner.scan(content).matching_rules}


GOOD = 'rule good { strings: $a = "word" condition: $a }\n'


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ("rule bad { condition: $missing }", "a.yar:2: unknown pattern `$missing`"),
        ("rule bad { strings $a condition: }", "a.yar:2: syntax error"),
        ('import "cuckoox"\nrule bad { condition: cuckoox.sync(1) }', "a.yar:2: unknown module `cuckoox`"),
        ("rule bad { condition: unheard_of == 1 }", "a.yar:2: unknown identifier `unheard_of`"),
        ('include "other.yar"', "a.yar:2: "),
    ],
)
def test_a_broken_rule_is_named_and_the_rest_works(tmp_path: Path, broken: str, problem: str) -> None:
    rules = compiled(tmp_path, a=GOOD + broken, b=GOOD.replace("good", "other"))

    assert rules.problems[0].startswith(problem)
    assert matching(rules, b"a word") == {"good", "other"}


def test_an_index_file_names_what_is_compiled_anyway(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "shell.yar").write_text(GOOD)
    rules = compiled(tmp_path, index='include "./web/shell.yar"\ninclude "./web/../../outside.yar"\n')

    assert [problem.split(": ")[0] for problem in rules.problems] == ["index.yar:2"]
    assert matching(rules, b"word") == {"good"}


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    rules = compiled(tmp_path, a=GOOD, b=b"rule \xff")

    assert rules.problems == ("b.yar: not UTF-8",)


def test_nothing_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackRefusedError, match=r"None of its rules can be compiled: a\.yar:1"):
        compiled(tmp_path, a="rule bad { condition: $missing }")


def test_variables_of_community_collections_have_the_name_of_the_file(tmp_path: Path) -> None:
    rules = compiled(
        tmp_path,
        a='rule named { condition: filename == "x.php" and filepath contains "up/" and extension == ".php" '
        'and filetype == "" and owner == "" }',
    )

    assert rules.problems == ()
    assert matching(rules, b"1", "up/x.php") == {"named"}
    assert matching(rules, b"1", "up/x.txt") == set()


def test_expressions_that_yara_accepts_are_accepted(tmp_path: Path) -> None:
    """YARA takes a brace that opens no repetition for itself; collections rely on it."""
    rules = compiled(tmp_path, a=r"rule lax { strings: $a = /x{y/ condition: $a }")

    assert matching(rules, b"x{y") == {"lax"}


def test_one_name_in_two_files_is_no_mistake(tmp_path: Path) -> None:
    assert compiled(tmp_path, a=GOOD, b=GOOD).problems == ()
