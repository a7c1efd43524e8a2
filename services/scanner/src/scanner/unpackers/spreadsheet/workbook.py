"""Workbooks of Excel 97 to 2003 (xls, [MS-XLS]): what their macros say."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from scanner.unpackers.spreadsheet.cells import MAX_RECORDS, Cells, cell_name
from scanner.unpackers.spreadsheet.formulas import XLS, plain_text

_FORMULA, _NAME, _ENCRYPTED, _CONTINUED, _SHEET, _STRINGS = 0x06, 0x18, 0x2F, 0x3C, 0x85, 0xFC
_STRING_CELL, _TEXT_CELL, _ARRAY, _SHARED, _BEGINNING = 0xFD, 0x204, 0x221, 0x4BC, 0x809
_EXCEL_97, _OF_MACROS = 0x0600, 0x40
_SHEET_OF_MACROS = 1
# Where the size of the formula stands.
_FORMULAS = {_FORMULA: 20, _SHARED: 8, _ARRAY: 12}
_OF_AREAS = frozenset({_SHARED, _ARRAY})
_BUILT_IN = 0x20
_BUILT_IN_NAMES = {1: "Auto_Open", 2: "Auto_Close", 10: "Auto_Activate", 11: "Auto_Deactivate"}
_WIDE, _EXTENDED, _FORMATTED = 0x01, 0x04, 0x08


class Workbook(Cells):
    """The stream of a workbook: names and, sheet after sheet, cells."""

    layout = XLS

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data
        self._in_macros = False
        self._strings: list[bytes] = []
        self._texts: list[str] | None = None
        self.encrypted = False
        """Whether nothing after its first records can be read."""
        self.older = False
        """Whether it is of a version before Excel 97, whose formulas are written another way."""

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Yield kind and bytes of the records (2.1.4) as far as the limits allow."""
        position, before = 0, 0
        for _ in range(MAX_RECORDS):
            if position + 4 > len(self._data) or self.full or self.encrypted:
                return
            kind, size = struct.unpack_from("<HH", self._data, position)
            record = self._data[position + 4 : position + 4 + size]
            self.damaged |= len(record) < size
            if kind == _STRINGS or (kind == _CONTINUED and before == _STRINGS):
                self._strings.append(record)
                kind = _STRINGS
            yield kind, record
            position += 4 + size
            before = kind
        self.full = True

    def line(self, kind: int, record: bytes) -> str | None:
        """Return the name or cell that a record describes, if it is part of macros."""
        if kind == _BEGINNING:
            version, sheet = struct.unpack_from("<HH", record)
            self.older |= version != _EXCEL_97
            self._in_macros = sheet == _OF_MACROS
            self.has_macros |= self._in_macros
        elif kind == _ENCRYPTED:
            self.encrypted = True
        elif kind == _SHEET:
            self.has_macros |= record[5] == _SHEET_OF_MACROS
        elif not self.older:
            return self._name(record) if kind == _NAME else self._cell(kind, record)
        return None

    def _name(self, record: bytes) -> str | None:
        flags, length, size = struct.unpack_from("<HxBH", record)
        name, end = plain_text(record, 14, length)
        if flags & _BUILT_IN:
            name = _BUILT_IN_NAMES.get(ord(name[:1] or "\0"), "")
        formula = self.formula(record[end:], size).text() if size else ""
        return f"{name}: ={formula}" if name else None

    def _cell(self, kind: int, record: bytes) -> str | None:
        says = None
        if kind in _FORMULAS:
            says = self._formula(record, _FORMULAS[kind])
        elif self._in_macros and kind == _STRING_CELL:
            says = self._text(*struct.unpack_from("<L", record, 6))
        elif self._in_macros and kind == _TEXT_CELL:
            says = plain_text(record, 8, *struct.unpack_from("<H", record, 6))[0]
        if says is None:
            return None
        row, column = struct.unpack_from("<HxxB" if kind in _OF_AREAS else "<HH", record)
        return f"{cell_name(row, column)}: {says}"

    def _formula(self, record: bytes, start: int) -> str | None:
        (size,) = struct.unpack_from("<H", record, start)
        formula = self.formula(record[start + 2 :], size)
        return f"={formula.text()}" if formula.acts or self._in_macros else None

    def _text(self, number: int) -> str:
        if self._texts is None:
            self._texts = list(_shared_texts(self._strings))
        return self._texts[number]


def _shared_texts(records: list[bytes]) -> Iterator[str]:
    """Yield the texts that cells share (2.4.265), as far as they can be read; they may go on from record to record."""
    number, position = 0, 8
    try:
        while number < len(records):
            if position >= len(records[number]):
                number, position = number + 1, 0
                continue
            length, flags = struct.unpack_from("<HB", records[number], position)
            position += 3
            runs = extended = 0
            if flags & _FORMATTED:
                (runs,) = struct.unpack_from("<H", records[number], position)
                position += 2
            if flags & _EXTENDED:
                (extended,) = struct.unpack_from("<L", records[number], position)
                position += 4
            pieces = []
            while True:
                wide = flags & _WIDE
                piece = records[number][position : position + (length << wide)]
                pieces.append(piece.decode("utf-16-le" if wide else "latin-1", "replace"))
                length -= len(piece) >> wide
                position += len(piece)
                if length <= 0:
                    break
                number, position = number + 1, 1
                flags = records[number][0]  # how the rest is written may change
            yield "".join(pieces)
            position += 4 * runs + extended
            while number < len(records) and position > len(records[number]):
                number, position = number + 1, position - len(records[number])
    except (struct.error, LookupError):
        return
