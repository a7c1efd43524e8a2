"""Sheets of binary workbooks (xlsb, [MS-XLSB]), and of the older ones in `workbook`: what their macros say.

A workbook may keep its sheets of macros under any name, so a sheet counts as one also by what it calls.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from scanner.unpackers.base import GapReason, Sink, read_bounded, seven_bit_number
from scanner.unpackers.signs import Sign
from scanner.unpackers.spreadsheet.cells import MAX_RECORDS, Cells, cell_name
from scanner.unpackers.spreadsheet.formulas import XLSB

MAX_PARSED_BYTES = 64 * 1024 * 1024
_MACRO_SHEETS = "macrosheets/"
# The record that begins a sheet, and its size, 0; more than one byte may say so.
_BEGINNINGS = tuple(b"\x81\x01" + b"\x80" * more + b"\0" for more in range(4))
_ROW, _TEXT_CELL, _TEXT_FORMULA = 0, 6, 8
# Bytes of the result between cell and formula: of a number, a truth value, an error.
_FORMULAS = {9: 8, 10: 1, 11: 1}
# Bytes before the formula: the area alone, the area with flags.
_AREA_FORMULAS = {427: 16, 426: 17}
_CELL_BYTES, _FLAGS_BYTES = 8, 2


class BinarySheetUnpacker:
    """Makes the formulas and texts of a sheet of macros a child. Of other sheets nothing is kept."""

    name = "binary sheet"
    labels: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether it begins with the record that begins a sheet."""
        return head.startswith(_BEGINNINGS)

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:
        """Store the formulas where macros are called, or where the name says that it holds macros."""
        data = read_bounded(source, MAX_PARSED_BYTES, "searched for macros", sink)
        sheet = _Sheet(data, has_macros=_MACRO_SHEETS in name.lower())
        store_macros(sheet, sink)
        if sheet.damaged:
            sink.gap(GapReason.ERROR, "The sheet is damaged or cut off.")


def store_macros(cells: Cells, sink: Sink) -> None:
    """Read the cells, and store what they say if there are macros by what is said, or by what is called."""
    lines = list(cells.lines())
    if cells.acts or cells.has_macros:
        sink.sign(Sign.XLM_MACRO)
        if lines:
            sink.store("macro formulas.txt", "Excel 4.0 macro", ["\n".join(lines).encode("utf-8", "replace")], (), "")
    if cells.full:
        sink.gap(GapReason.LIMIT_REACHED, "The sheet is larger than the limit; the rest was not searched for macros.")


class _Sheet(Cells):
    layout = XLSB

    def __init__(self, data: bytes, *, has_macros: bool) -> None:
        super().__init__(has_macros=has_macros)
        self._data = data
        self._row = 0

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Yield kind and bytes of the records (2.1.4) as far as the limits allow."""
        position = 0
        for _ in range(MAX_RECORDS):
            if position >= len(self._data) or self.full:
                return
            kind, position = seven_bit_number(self._data, position, 2)
            size, position = seven_bit_number(self._data, position, 4)
            if position + size > len(self._data):
                self.damaged = True
                return
            yield kind, self._data[position : position + size]
            position += size
        self.full = True

    def line(self, kind: int, record: bytes) -> str | None:
        """Return the cell that a record describes, if it holds a text or a formula."""
        if kind == _ROW:
            (self._row,) = struct.unpack_from("<L", record)
        elif kind == _TEXT_CELL:
            (size,) = struct.unpack_from("<L", record, _CELL_BYTES)
            text = record[_CELL_BYTES + 4 : _CELL_BYTES + 4 + 2 * size].decode("utf-16-le", "replace")
            return f"{self._cell(record)}: {text}"
        elif kind == _TEXT_FORMULA:
            (size,) = struct.unpack_from("<L", record, _CELL_BYTES)
            return f"{self._cell(record)}: ={self._formula(record, _CELL_BYTES + 4 + 2 * size + _FLAGS_BYTES)}"
        elif kind in _FORMULAS:
            return f"{self._cell(record)}: ={self._formula(record, _CELL_BYTES + _FORMULAS[kind] + _FLAGS_BYTES)}"
        elif kind in _AREA_FORMULAS:
            row, column = struct.unpack_from("<L4xL", record)
            return f"{cell_name(row, column)}: ={self._formula(record, _AREA_FORMULAS[kind])}"
        return None

    def _cell(self, record: bytes) -> str:
        return cell_name(self._row, struct.unpack_from("<L", record)[0])

    def _formula(self, record: bytes, start: int) -> str:
        (size,) = struct.unpack_from("<L", record, start)
        return self.formula(record[start + 4 :], size).text()
