import ast
import random

import pytest

from script_threat.dataset import Sample
from script_threat.preprocessing import normalise
from script_threat.wrapped import FORMS, wrap, wrapped_scripts

ROWS = [Sample(language, 1, language, language, weak=False, data=b"print(1)\n" * 300) for language in FORMS]


def test_wrapped_scripts_repeat_with_their_seed_and_are_malicious() -> None:
    made = wrapped_scripts(ROWS, 40)
    assert made == wrapped_scripts(ROWS, 40)
    assert {sample.label for sample in made} == {1}
    assert [sample.language for sample in made] == [language for language in FORMS for _ in range(10)]


def test_languages_without_a_sure_malicious_row_are_left_out() -> None:
    weak = [Sample("w", 1, "python", "w", weak=True, data=b"x")]
    assert wrapped_scripts(weak, 40) == []


@pytest.mark.parametrize("form", FORMS["python"])
def test_python_forms_are_python(form: bytes) -> None:
    ast.parse(wrap(b"print(1)", form, random.Random(1)))


@pytest.mark.parametrize("language", FORMS)
def test_the_model_reads_the_line_and_next_to_nothing_of_the_payload(language: str) -> None:
    for form in FORMS[language]:
        data = wrap(random.Random(2).randbytes(4000), form, random.Random(1))
        assert len(normalise(data).codes) < len(form) + 100
