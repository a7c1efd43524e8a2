"""The text at the places of findings: whole lines where they are short, bounded, never controls."""

from __future__ import annotations

from scanner.content import ByteRange
from scanner.excerpts import BESIDE_CHARACTERS, MAX_EXCERPTS, TEXT_CHARACTERS, TEXT_LINES, excerpt_of, with_excerpts
from scanner.testing import Scan
from scanner.unpackers.encodings import utf16_codec
from shared.scan import Excerpt, Location
from shared.testing.scans import make_finding

SHELL = b"<?php\n$a = 1;\nsystem($_GET['c']); // run\n$b = 2;\n"


def place_of(data: bytes, text: bytes) -> Location:
    start = data.index(text)
    return Location(start=start, end=start + len(text), first_line=1, last_line=1)


def excerpt(data: bytes, text: bytes) -> Excerpt:
    return excerpt_of(place_of(data, text), ByteRange.of(data), utf16_codec(data))


def test_the_lines_are_completed() -> None:
    assert excerpt(SHELL, b"$_GET") == Excerpt(before="system(", text="$_GET", after="['c']); // run")


def test_a_place_of_several_lines_keeps_them() -> None:
    assert excerpt(SHELL, b"1;\nsystem") == Excerpt(before="$a = ", text="1;\nsystem", after="($_GET['c']); // run")


def test_long_places_and_lines_are_cut() -> None:
    data = b"x" * 1000 + b"y" * 1000 + b"z" * 1000
    found = excerpt(data, b"y" * 1000)
    assert found == Excerpt(before="x" * BESIDE_CHARACTERS, text="y" * TEXT_CHARACTERS, after="", cut=True)
    assert excerpt(data, b"y" * 10).after == "y" * BESIDE_CHARACTERS


def test_many_short_lines_are_cut() -> None:
    data = b"x\n" * 100
    found = excerpt(data, data)
    assert (found.text, found.cut) == ("x\n" * TEXT_LINES, True)


def test_utf16_is_read_as_text() -> None:
    data = "\ufeffset x = 1\r\nExecute(größe)\r\n".encode("utf-16-le")
    found = excerpt(data, "größe".encode("utf-16-le"))
    assert found == Excerpt(before="Execute(", text="größe", after=")")


def test_a_place_that_begins_inside_a_utf16_character_is_still_text() -> None:
    data = "\ufeffExecute(one)".encode("utf-16-le")
    found = excerpt_of(Location(start=3, end=9, first_line=1), ByteRange.of(data), utf16_codec(data))
    assert found.text == "Exec"


def test_bytes_that_are_no_text_and_controls_are_replaced() -> None:
    found = excerpt(b"a\x1b[2Jb\0c\xff\xfe", b"\x1b[2Jb\0c\xff")
    assert found.text == "\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c\N{REPLACEMENT CHARACTER}"
    assert found.after == ""


def test_a_place_behind_the_end_is_empty() -> None:
    location = Location(start=500, end=600, first_line=9)
    assert excerpt_of(location, ByteRange.of(b"short"), None) == Excerpt(text="")


def test_only_the_first_places_with_lines_have_one() -> None:
    place = place_of(SHELL, b"system")
    lineless = Location(start=0, end=5)
    finding = make_finding(locations=(lineless, *[place] * (MAX_EXCERPTS + 1)))
    (found,) = with_excerpts([finding], ByteRange.of(SHELL))
    shown = [location.excerpt is not None for location in found.locations]
    assert shown == [False, *[True] * (MAX_EXCERPTS - 1), False, False]


async def test_a_scan_shows_what_a_rule_found(scan: Scan) -> None:
    document = await scan("shell.php", SHELL)
    excerpts = [place.excerpt for finding in document.root.findings for place in finding.locations if place.excerpt]
    assert any("system($_GET['c'])" in one.before + one.text + one.after for one in excerpts)


async def test_the_test_file_is_not_repeated_in_reports(scan: Scan, eicar: bytes) -> None:
    """Its text would set off every scanner that a report passes."""
    document = await scan("eicar.com", eicar)
    assert eicar.decode() not in document.model_dump_json().replace("\\\\", "\\")
