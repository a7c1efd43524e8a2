"""Names shown as they are, sizes and times in words, the worst of a large tree first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.presentation.programs import program_view
from shared.presentation.text import duration_text, is_hidden, plain_name, runs, shorten, size_text
from shared.presentation.tree import in_tree_order, most_telling, worst_findings
from shared.presentation.words import gaps_by_reason, percent, place_text, verdict_sentence
from shared.scan import (
    Coverage,
    CoverageGap,
    CoverageLevel,
    CoverageReason,
    Location,
    PackageRole,
    ProgramSignature,
    Verdict,
)
from shared.testing.scans import COMPLETE, make_artifact, make_finding, make_program

PARTIAL = Coverage(
    level=CoverageLevel.PARTIAL,
    gaps=(
        CoverageGap(reason=CoverageReason.ENCRYPTED, detail="One."),
        CoverageGap(reason=CoverageReason.TOO_LARGE, detail="Two."),
        CoverageGap(reason=CoverageReason.ENCRYPTED, detail="Three."),
        CoverageGap(reason=CoverageReason.ENCRYPTED, detail="One."),
    ),
)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("notes.txt", "notes.txt"),
        ("invoice\u202efdp.exe", "invoice<U+202E>fdp.exe"),
        ("a\0\u200b\u00a0b", "a<U+0000><U+200B><U+00A0>b"),
        ("\U000e0041", "<U+E0041>"),
        ("a\U000e0153\ufe02", "a<U+E0153><U+FE02>"),
        ("\u2764\ufe0f.txt", "\u2764\ufe0f.txt"),
        ("日本 é", "日本 é"),
    ],
)
def test_hidden_characters_are_named(name: str, shown: str) -> None:
    assert plain_name(name) == shown


@given(st.text(max_size=300))
def test_no_hidden_character_survives(name: str) -> None:
    assert not any(is_hidden(character) for character in plain_name(name))
    assert "".join(piece for piece, _ in runs(name)) == name


@given(st.text(max_size=300), st.integers(min_value=30, max_value=100))
def test_a_short_form_is_made_of_start_and_end(name: str, width: int) -> None:
    head, tail = shorten(name, width)

    assert name.startswith(head)
    assert name.endswith(tail)
    assert len(head) + len(tail) <= len(name)


def test_a_long_name_keeps_its_extension() -> None:
    head, tail = shorten("x" * 4000 + ".pdf.exe")

    assert len(head + tail) <= 72
    assert tail.endswith(".pdf.exe")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (650 * 1024**2, "682 MB"),
        (5 * 10**18, "5000 PB"),
    ],
)
def test_sizes_have_three_digits_at_most(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0 s"), (0.42, "0.4 s"), (12, "12 s"), (60, "1 min"), (125, "2 min 5 s"), (4200, "1 h 10 min")],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert duration_text(timedelta(seconds=seconds)) == text


def test_children_stand_below_their_parent() -> None:
    artifacts = [make_artifact(0), make_artifact(1), make_artifact(2), make_artifact(3, parent_id=1)]

    assert [artifact.id for artifact in in_tree_order(artifacts)] == [0, 1, 3, 2]


def test_a_very_deep_tree_is_no_problem() -> None:
    artifacts = [make_artifact(number, parent_id=number - 1 if number else None) for number in range(5000)]

    assert len(in_tree_order(artifacts)) == 5000


def test_of_a_large_tree_the_worst_are_kept_with_their_parents() -> None:
    artifacts = [make_artifact(number) for number in range(50)]
    artifacts[40] = make_artifact(40, parent_id=39, verdict=Verdict.MALICIOUS)
    artifacts[45] = make_artifact(45, verdict=Verdict.SUSPICIOUS)

    assert [artifact.id for artifact in most_telling(artifacts, 5)] == [0, 1, 39, 40, 45]


def test_findings_that_count_come_first_the_worst_first() -> None:
    artifact = make_artifact(
        findings=(
            make_finding(label="shadow", shadow=True),
            make_finding(Verdict.SUSPICIOUS, label="third"),
            make_finding(label="second", score=0.2),
            make_finding(label="first", score=0.9),
        )
    )

    assert [finding.label for _, finding in worst_findings([artifact])] == ["first", "second", "third", "shadow"]


def test_gaps_are_grouped_and_said_once() -> None:
    assert gaps_by_reason(PARTIAL) == {
        CoverageReason.ENCRYPTED: ("One.", "Three."),
        CoverageReason.TOO_LARGE: ("Two.",),
    }


def test_the_sentence_never_says_more_than_was_looked_at() -> None:
    infected = [make_artifact(0), make_artifact(1, findings=(make_finding(), make_finding(Verdict.SUSPICIOUS)))]

    assert verdict_sentence(Verdict.CLEAN, COMPLETE, infected[:1]).endswith("Nothing was found.")
    assert verdict_sentence(Verdict.UNKNOWN, PARTIAL, infected[:1]) == (
        "Nothing was found, but not everything was looked at (locked with a password and too large), "
        "so this is not called clean."
    )
    assert verdict_sentence(Verdict.MALICIOUS, PARTIAL, infected) == (
        "1 detector found known or likely threats in 1 of 2 files. Not everything was looked at."
    )


def test_what_counts_less_by_its_place_is_said_and_not_called_clean() -> None:
    aside = make_finding(Verdict.UNKNOWN, weighed_from=Verdict.SUSPICIOUS)
    package = [make_artifact(0), make_artifact(1, findings=(aside,), role=PackageRole.OTHER)]

    assert verdict_sentence(Verdict.UNKNOWN, COMPLETE, package) == (
        "A model finds something in 1 file that the package does not run by itself. "
        "That alone is not called suspicious, and not clean."
    )


@pytest.mark.parametrize(("share", "whole"), [(0, 0), (0.001, 1), (0.5, 50), (0.999, 99), (1, 100)])
def test_only_certainty_is_a_hundred_percent(share: float, whole: int) -> None:
    assert percent(share) == whole


def test_a_place_is_lines_and_bytes() -> None:
    assert place_text(Location(start=6, end=7)) == "byte 6"
    assert place_text(Location(start=0, end=2000, first_line=1, last_line=3)) == (
        "lines 1\N{EN DASH}3, bytes 0\N{EN DASH}1,999"
    )


def test_the_headers_of_a_program_in_words() -> None:
    view = program_view(make_program(signature=ProgramSignature.BROKEN, signer="CN=Somebody"), sections=1)

    facts = dict(view.facts)
    assert facts["Format"] == "PE program"
    assert facts["Packed with"] == "UPX"
    assert facts["Begins at"] == "0x1000 in UPX0"
    assert "does not fit" in facts["Signature"]
    assert facts["Imports"] == "5 functions"
    assert facts["Behind the program"] == "12.0 kB"
    assert [(row.name, row.entropy, row.rights) for row in view.sections] == [("UPX0", "7.91", "read, write, run")]
    assert view.sections_left_out == 1
    assert view.functions_left_out == 3


def test_an_entry_point_outside_of_the_code_is_said() -> None:
    view = program_view(make_program(entry_section=None, entry_in_code=False))

    assert dict(view.facts)["Begins at"] == "0x1000, outside of its code"
