"""Names, sizes, times and places as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from gateway.views.text import file_name, when
from shared.presentation.text import count_text, duration_text, plain_name, shorten, size_text
from shared.presentation.words import percent, place_text
from shared.scan import Location

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "markup"),
    [
        ("plain.txt", '<bdi class="name" dir="ltr" title="plain.txt">plain.txt</bdi>'),
        (
            "a\u202eb",
            (
                '<bdi class="name" dir="ltr" title="a&lt;U+202E&gt;b">a'
                '<span class="code-point" title="Right-to-left override">U+202E</span>b</bdi>'
            ),
        ),
        ("<b>&", '<bdi class="name" dir="ltr" title="&lt;b&gt;&amp;">&lt;b&gt;&amp;</bdi>'),
        ("", '<bdi class="name muted">(no name)</bdi>'),
    ],
)
def test_file_names_are_shown_safely(name: str, markup: str) -> None:
    assert file_name(name) == markup


def test_a_lone_surrogate_in_a_name_can_still_be_sent() -> None:
    assert "U+DC80" in file_name("bad\udc80name").encode().decode()


def test_long_names_keep_their_start_and_extension() -> None:
    head, tail = shorten("a" * 4000 + ".tar.gz", 40)
    assert head == "a" * 23
    assert tail == "a" * 9 + ".tar.gz"


def test_names_of_hidden_characters_are_cut_by_what_they_take_on_screen() -> None:
    assert len(re.findall("code-point", file_name("\u202e" * 4000, 72))) <= 12


def test_plain_names_write_hidden_characters_out() -> None:
    assert plain_name("a\r\nb\u3164") == "a<U+000D><U+000A>b<U+3164>"


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_960, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (650_000_000, "650 MB"),
        (3 * 10**18, "3000 PB"),
    ],
)
def test_sizes(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.9, "9.9 s"),
        (9.99, "10 s"),
        (59.7, "1 min"),
        (125, "2 min 5 s"),
        (4200, "1 h 10 min"),
        (-3, "0.0 s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=10), "just now"),
        (timedelta(seconds=50), "1 min ago"),
        (timedelta(minutes=89), "89 min ago"),
        (timedelta(hours=26), "26 h ago"),
        (timedelta(days=3), "3 d ago"),
        (timedelta(days=30), "30 Jan 2026"),
        (timedelta(hours=-2), "1 Mar 2026"),
    ],
)
def test_moments(age: timedelta, text: str) -> None:
    assert when(NOW - age, NOW).relative == text


def test_times_without_a_zone_are_utc() -> None:
    shown = when(NOW.replace(tzinfo=None), NOW)
    assert (shown.iso, shown.absolute) == ("2026-03-01T12:00:00Z", "2026-03-01 12:00:00 UTC")


def test_counts() -> None:
    assert [count_text(n, "file") for n in (0, 1, 1204)] == ["0 files", "1 file", "1,204 files"]


@pytest.mark.parametrize(("share", "shown"), [(0.0, 0), (0.001, 1), (0.5, 50), (0.999, 99), (1.0, 100)])
def test_only_certainty_is_a_hundred_percent(share: float, shown: int) -> None:
    assert percent(share) == shown


@pytest.mark.parametrize(
    ("location", "text"),
    [
        (Location(start=0, end=1), "byte 0"),
        (Location(start=10, end=2000), "bytes 10\u20131,999"),
        (Location(start=5, end=9, first_line=3), "line 3, bytes 5\u20138"),
        (Location(start=5, end=9, first_line=3, last_line=4), "lines 3\u20134, bytes 5\u20138"),
        (Location(start=7, end=7), "byte 7"),
    ],
)
def test_places(location: Location, text: str) -> None:
    assert place_text(location) == text
