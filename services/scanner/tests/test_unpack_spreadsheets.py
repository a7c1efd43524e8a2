"""Sheets of binary workbooks: formulas of macros come out as text, whatever the sheet is called."""

from __future__ import annotations

import io
import struct

import pytest

from scanner.sandbox.answers import ANSWERS, ChildFound, GapFound, SignSeen
from scanner.sandbox.messages import JobLimits
from scanner.testing import Archives, Scan
from scanner.unpackers.base import Sink
from scanner.unpackers.spreadsheet import MAX_TOKENS, BinarySheetUnpacker
from scanner.unpackers.spreadsheet.formulas import Formula
from shared.scan import CoverageReason

LIMITS = JobLimits(artifacts=10, unpacked_bytes=1 << 22, member_bytes=1 << 22, ratio=100, cpu_seconds=10)
NUMBER_FORMULA, TEXT_FORMULA, TRUTH_FORMULA, TEXT_CELL = 9, 8, 10, 6
RESULTS = {NUMBER_FORMULA: bytes(8), TEXT_FORMULA: struct.pack("<L", 1) + b"x\0", TRUTH_FORMULA: b"\1"}


def string(text: str) -> bytes:
    return struct.pack("<BH", 0x17, len(text)) + text.encode("utf-16-le")


def integer(value: int) -> bytes:
    return struct.pack("<BH", 0x1E, value)


def call(number: int, count: int) -> bytes:
    return struct.pack("<BBH", 0x42, count, number)


def fixed_call(number: int) -> bytes:
    return struct.pack("<BH", 0x41, number)


CONCATENATED = 0x08
EXEC, CALL, CHAR, COUNT, ALERT, UNKNOWN_COMMAND = 110, 150, 111, 0, 0x8076, 0x8FFF
HELLO = string("note") + string("pad") + bytes([CONCATENATED]) + call(EXEC, 1)


def record(kind: int, content: bytes) -> bytes:
    written = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size = len(content)
    while size > 0x7F:
        written, size = written + bytes([size & 0x7F | 0x80]), size >> 7
    return written + bytes([size]) + content


def formula_cell(column: int, tokens: bytes, kind: int = NUMBER_FORMULA) -> bytes:
    written = struct.pack("<L", len(tokens)) + tokens + bytes(4)
    return record(kind, struct.pack("<LL", column, 0) + RESULTS[kind] + bytes(2) + written)


def row(number: int) -> bytes:
    return record(0, struct.pack("<L", number) + bytes(13))


def sheet(*cells: bytes) -> bytes:
    return record(129, b"") + record(147, bytes(19)) + record(145, b"") + row(4) + b"".join(cells) + record(146, b"")


def searched(content: bytes, name: str = "xl/worksheets/sheet1.bin") -> tuple[list[str], bool, list[CoverageReason]]:
    """Return the lines of the macros, whether they were reported, and what could not be looked at."""
    sent: list[bytes] = []
    spool = io.BytesIO()
    sink = Sink(spool, LIMITS, len(content), sent.append)
    BinarySheetUnpacker().unpack(io.BytesIO(content), name, sink)
    sink.finish()
    answers = [ANSWERS.validate_json(line) for line in b"".join(sent).splitlines()]
    assert sum(isinstance(answer, ChildFound) for answer in answers) == bool(spool.getvalue())
    return (
        spool.getvalue().decode().splitlines(),
        any(isinstance(answer, SignSeen) for answer in answers),
        [answer.gap.reason for answer in answers if isinstance(answer, GapFound)],
    )


async def test_formulas_of_a_macro_sheet_come_out(scan: Scan, archives: Archives) -> None:
    parts = {"[Content_Types].xml": b"<Types/>", "xl/macrosheets/sheet1.bin": sheet(formula_cell(0, HELLO))}
    document = await scan("x.xlsb", archives.zip(parts))

    (macro,) = [artifact for artifact in document.artifacts if artifact.origin == "Excel 4.0 macro"]
    assert macro.size_bytes == len('A5: =EXEC("note"&"pad")')
    assert "xlm-macro" in {finding.label for artifact in document.artifacts for finding in artifact.findings}


def test_cells_are_told_with_their_names() -> None:
    text = record(TEXT_CELL, struct.pack("<LLL", 27, 0, 5) + "hello".encode("utf-16-le"))
    shared = record(427, struct.pack("<LLLL", 9, 12, 2, 2) + struct.pack("<L", 3) + integer(1))
    lines, _, reasons = searched(
        sheet(formula_cell(0, HELLO, TEXT_FORMULA), formula_cell(25, integer(7), TRUTH_FORMULA), row(6), text, shared)
    )

    assert lines == ['A5: =EXEC("note"&"pad")', "Z5: =7", "AB7: hello", "C10: =1"]
    assert reasons == []


@pytest.mark.parametrize(
    ("tokens", "name", "lines"),
    [
        (HELLO, "xl/worksheets/sheet1.bin", ['A5: =EXEC("note"&"pad")']),
        (string("hi") + call(ALERT, 1), "xl/worksheets/sheet1.bin", ['A5: =ALERT("hi")']),
        (call(UNKNOWN_COMMAND, 0), "xl/worksheets/sheet1.bin", ["A5: =COMMAND.4095()"]),
        (integer(1) + call(COUNT, 1), "xl/worksheets/sheet1.bin", []),
        (integer(1) + call(COUNT, 1), "xl/MacroSheets/sheet1.bin", ["A5: =COUNT(1)"]),
    ],
)
def test_a_sheet_is_one_of_macros_by_its_name_or_by_what_it_calls(tokens: bytes, name: str, lines: list[str]) -> None:
    assert searched(sheet(formula_cell(0, tokens)), name) == (lines, bool(lines), [])


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (integer(65) + fixed_call(CHAR), "CHAR(65)"),
        (string('a"b'), '"a""b"'),
        (string("u") + string("f") + string("JJ") + integer(0) + call(CALL, 4), 'CALL("u","f","JJ",0)'),
        (struct.pack("<BLH", 0x44, 9, 0xC003), "D10"),
        (struct.pack("<BLH", 0x24, 0, 26), "$AA$1"),
        (struct.pack("<BLLHH", 0x25, 0, 8, 0x4000, 0x8001), "A$1:$B9"),
        (struct.pack("<BHLH", 0x5A, 2, 0, 0xC000), "sheet.2!A1"),
        (struct.pack("<BL", 0x43, 3) + integer(1) + call(255, 2), "name.3(1)"),
        (struct.pack("<Bd", 0x1F, 0.5) + b"\x13\x15", "(-0.5)"),
        (b"\x1d\1\x1c\x2a\x0b", "TRUE=#N/A"),
        (integer(1) + struct.pack("<BBH", 0x19, 0x10, 0), "SUM(1)"),
        (struct.pack("<BBHHH", 0x19, 0x04, 1, 0, 0) + integer(1), "1"),
        (struct.pack("<BLHBLH", 0x26, 0, 7, 0x24, 0, 0xC000), "A1"),
        (fixed_call(999), "FUNCTION.999()"),
        (call(UNKNOWN_COMMAND, 0), "COMMAND.4095()"),
    ],
)
def test_tokens_become_text(tokens: bytes, text: str) -> None:
    formula = Formula(tokens)

    assert (formula.text(), formula.damaged) == (text, False)


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (string("seen") + b"\x7f", '"seen"'),
        (string("seen") + call(EXEC, 9), '"seen"'),
        (string("seen") + b"\x18\x77", '"seen"'),
        (string("one") + string("two"), '"one" "two"'),
        (string("cut")[:-2], '"cu"'),
        (b"", ""),
    ],
)
def test_what_a_damaged_formula_says_is_kept(tokens: bytes, text: str) -> None:
    formula = Formula(tokens)

    assert (formula.text(), formula.damaged) == (text, True)


@pytest.mark.parametrize("cut", [1, 20, 45])
def test_a_cut_sheet_is_said(cut: int) -> None:
    assert CoverageReason.ERROR in searched(sheet(formula_cell(0, HELLO))[:-cut])[2]


def test_lying_sizes_are_said() -> None:
    content = struct.pack("<LL", 0, 0) + bytes(10) + struct.pack("<L", 0x7FFFFFFF) + HELLO

    lines, said, reasons = searched(sheet(record(NUMBER_FORMULA, content)))

    assert (lines, said, reasons) == (['A5: =EXEC("note"&"pad")'], True, [CoverageReason.ERROR])


def test_more_tokens_than_the_limit_are_said() -> None:
    long = integer(1) + b"\x12" * 16_000
    content = sheet(*[formula_cell(0, long)] * (MAX_TOKENS // 16_000 + 2), formula_cell(0, HELLO))

    assert searched(content) == ([], False, [CoverageReason.LIMIT_REACHED])
