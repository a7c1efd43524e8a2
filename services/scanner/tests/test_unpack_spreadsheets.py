"""Sheets of binary workbooks, old and new: formulas of macros come out as text, whatever the sheet is called."""

from __future__ import annotations

import io
import struct

import pytest

from scanner.sandbox.answers import ANSWERS, ChildFound, GapFound, SignSeen
from scanner.sandbox.messages import JobLimits
from scanner.testing import Archives, Scan
from scanner.testing.compound_file import compound_file
from scanner.unpackers.base import Sink
from scanner.unpackers.spreadsheet import BinarySheetUnpacker
from scanner.unpackers.spreadsheet.cells import MAX_TOKENS
from scanner.unpackers.spreadsheet.formulas import XLS, XLSB, Formula
from scanner.unpackers.spreadsheet.workbook import Workbook
from shared.scan import CoverageReason, Verdict

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
    assert macro.size_bytes == len('A5: =EXEC("notepad")')
    assert "xlm-macro" in {finding.label for artifact in document.artifacts for finding in artifact.findings}


def test_cells_are_told_with_their_names() -> None:
    text = record(TEXT_CELL, struct.pack("<LLL", 27, 0, 5) + "hello".encode("utf-16-le"))
    shared = record(427, struct.pack("<LLLL", 9, 12, 2, 2) + struct.pack("<L", 3) + integer(1))
    lines, _, reasons = searched(
        sheet(formula_cell(0, HELLO, TEXT_FORMULA), formula_cell(25, integer(7), TRUTH_FORMULA), row(6), text, shared)
    )

    assert lines == ['A5: =EXEC("notepad")', "Z5: =7", "AB7: hello", "C10: =1"]
    assert reasons == []


@pytest.mark.parametrize(
    ("tokens", "name", "lines"),
    [
        (HELLO, "xl/worksheets/sheet1.bin", ['A5: =EXEC("notepad")']),
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
        (integer(65) + fixed_call(CHAR), '"A"'),
        (integer(101) + fixed_call(CHAR) + string("x") + b"\x08" + integer(1) + b"\x08", '"ex"&1'),
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
    formula = Formula(tokens, XLSB)

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
    formula = Formula(tokens, XLSB)

    assert (formula.text(), formula.damaged) == (text, True)


@pytest.mark.parametrize("cut", [1, 20, 45])
def test_a_cut_sheet_is_said(cut: int) -> None:
    assert CoverageReason.ERROR in searched(sheet(formula_cell(0, HELLO))[:-cut])[2]


def test_lying_sizes_are_said() -> None:
    content = struct.pack("<LL", 0, 0) + bytes(10) + struct.pack("<L", 0x7FFFFFFF) + HELLO

    lines, said, reasons = searched(sheet(record(NUMBER_FORMULA, content)))

    assert (lines, said, reasons) == (['A5: =EXEC("notepad")'], True, [CoverageReason.ERROR])


def test_more_tokens_than_the_limit_are_said() -> None:
    long = integer(1) + b"\x12" * 16_000
    content = sheet(*[formula_cell(0, long)] * (MAX_TOKENS // 16_000 + 2), formula_cell(0, HELLO))

    assert searched(content) == ([], False, [CoverageReason.LIMIT_REACHED])


def old_record(kind: int, content: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


def beginning(sheet: int, version: int = 0x0600) -> bytes:
    return old_record(0x809, struct.pack("<HH", version, sheet) + bytes(12))


def short_string(text: str) -> bytes:
    return struct.pack("<BBB", 0x17, len(text), 0) + text.encode("latin-1")


def old_formula(row: int, column: int, tokens: bytes) -> bytes:
    return old_record(0x06, struct.pack("<HHH", row, column, 15) + bytes(14) + struct.pack("<H", len(tokens)) + tokens)


GLOBALS, WORKSHEET, MACROS, END = 0x05, 0x10, 0x40, old_record(0x0A)
WIDE_TEXT = "gr\u00fc\u00df dich"
# A text that goes on in the next record, where its characters take one byte and no longer two.
SHARED_TEXTS = old_record(
    0xFC, struct.pack("<LLHB", 2, 2, 3, 0) + b"two" + struct.pack("<HB", 9, 1) + WIDE_TEXT[:4].encode("utf-16-le")
) + old_record(0x3C, b"\0" + WIDE_TEXT[4:].encode("latin-1"))
AUTO_OPEN = old_record(
    0x18, struct.pack("<HBBHHHL", 0x20, 0, 1, 7, 0, 1, 0) + b"\0\1" + struct.pack("<BHHH", 0x3A, 0, 0, 0)
)


def workbook(*cells: bytes, sheet: int = MACROS, version: int = 0x0600) -> bytes:
    named = old_record(0x85, struct.pack("<LBBB", 0, 0, sheet == MACROS, 1) + b"\0a")
    start = beginning(GLOBALS, version) + named + AUTO_OPEN + SHARED_TEXTS + END
    return start + beginning(sheet, version) + b"".join(cells) + END


def read(content: bytes) -> tuple[list[str], Workbook]:
    found = Workbook(content)
    return list(found.lines()), found


OLD_HELLO = integer(110) + fixed_call(CHAR) + short_string("otepad") + bytes([CONCATENATED]) + call(EXEC, 1)


def test_macros_of_an_old_workbook_come_out() -> None:
    texts = [old_record(0xFD, struct.pack("<HHHL", 3, 27, 0, number)) for number in (0, 1)]
    label = old_record(0x204, struct.pack("<HHHHB", 4, 0, 0, 2, 0) + b"hi")
    shared = old_record(0x4BC, struct.pack("<HHBBxBH", 6, 8, 2, 2, 3, 3) + integer(7))
    lines, found = read(workbook(old_formula(0, 0, OLD_HELLO), *texts, label, shared))

    assert lines == [
        "Auto_Open: =sheet.0!$A$1",
        'A1: =EXEC("notepad")',
        "AB4: two",
        f"AB4: {WIDE_TEXT}",
        "A5: hi",
        "C7: =7",
    ]
    assert (found.acts, found.has_macros, found.damaged, found.full) == (True, True, False, False)


def test_of_other_sheets_only_what_acts_is_kept() -> None:
    lines, found = read(workbook(old_formula(0, 0, integer(1)), old_formula(1, 0, OLD_HELLO), sheet=WORKSHEET))

    assert lines[1:] == ['A2: =EXEC("notepad")']
    assert (found.acts, found.has_macros) == (True, False)


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (struct.pack("<BHH", 0x44, 9, 0xC003), "D10"),
        (struct.pack("<BHHHH", 0x25, 0, 8, 0x4000, 0x8001), "A$1:$B9"),
        (struct.pack("<BHHHHH", 0x3B, 1, 0, 8, 0xC000, 0xC001), "sheet.1!A1:B9"),
        (b"\x2a" + bytes(4) + b"\x2b" + bytes(8) + b"\x0b", "#REF!=#REF!"),
        (b"\x3c" + bytes(6) + b"\x3d" + bytes(10) + b"\x0b", "#REF!=#REF!"),
        (b"\x60" + bytes(7), "{array}"),
        (b"\x17\2\1a\0\xac\x20", '"a\u20ac"'),
        (short_string("u") + short_string("f") + integer(0) + call(CALL, 3), 'CALL("u","f",0)'),
    ],
)
def test_old_tokens_become_text(tokens: bytes, text: str) -> None:
    formula = Formula(tokens, XLS)

    assert (formula.text(), formula.damaged) == (text, False)


@pytest.mark.parametrize("bad", [OLD_HELLO[:-1], b"\x7f", short_string("x" * 9)[:-3], b"\x17"])
def test_damage_in_an_old_workbook_is_said(bad: bytes) -> None:
    lines, found = read(workbook(old_formula(0, 0, bad), old_formula(1, 0, OLD_HELLO)))

    assert found.damaged
    assert lines[-1] == 'A2: =EXEC("notepad")'


def test_a_cut_old_workbook_is_said() -> None:
    assert read(workbook(old_formula(0, 0, OLD_HELLO))[:-10])[1].damaged


def test_macros_of_excel_95_are_said_not_to_be_read() -> None:
    lines, found = read(workbook(old_formula(0, 0, OLD_HELLO), version=0x0500))

    assert (lines, found.has_macros, found.older) == ([], True, True)


def test_nothing_is_read_of_an_encrypted_workbook() -> None:
    content = beginning(GLOBALS) + old_record(0x2F, bytes(54)) + workbook(old_formula(0, 0, OLD_HELLO))

    lines, found = read(content)

    assert (lines, found.encrypted, found.damaged) == ([], True, False)


async def test_macros_of_an_old_workbook_are_reported(scan: Scan) -> None:
    call_tokens = b"".join(short_string(text) for text in ("Shell32", "Shell" + "ExecuteA", "JJCCCJJ"))
    content = workbook(old_formula(0, 0, call_tokens + call(CALL, 3)))
    document = await scan("x.xls", compound_file({"Workbook": content}))

    (macro,) = [artifact for artifact in document.artifacts if artifact.origin == "Excel 4.0 macro"]
    assert "macro_formula_starts_program" in {finding.label for finding in macro.findings}
    assert document.verdict is Verdict.MALICIOUS
