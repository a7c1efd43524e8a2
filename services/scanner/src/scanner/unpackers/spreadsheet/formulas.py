"""Formulas of binary workbooks ([MS-XLSB] 2.5.98, [MS-XLS] 2.5.198), from their tokens back to text.

What is put together of constants, `CHAR(101)&"xec"`, is shown as the text that it is.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from scanner.unpackers.spreadsheet.functions import USER_DEFINED, acts, fixed_arguments, function_name

_Piece: TypeAlias = "str | list[_Piece]"
"""Of an expression; joined at the end only, so that a long formula costs no more than its length."""

_BINARY = {
    0x03: "+", 0x04: "-", 0x05: "*", 0x06: "/", 0x07: "^", 0x08: "&", 0x09: "<", 0x0A: "<=", 0x0B: "=", 0x0C: ">=",
    0x0D: ">", 0x0E: "<>", 0x0F: " ", 0x10: ",", 0x11: ":",
}  # fmt: skip
_UNARY = {0x12: ("+", ""), 0x13: ("-", ""), 0x14: ("", "%"), 0x15: ("(", ")")}
_STRING, _EXTENDED, _ATTRIBUTE, _CALL, _CALL_WITH_COUNT = 0x17, 0x18, 0x19, 0x21, 0x22
_CLASSES, _CLASSLESS = 0x60, 0x20
# Results that were kept of references; the tokens that make them follow.
_KEPT_RESULTS = {0x26: 6, 0x27: 6, 0x28: 6, 0x29: 2}
_CHOOSE, _SUM = 0x04, 0x10
_COUNT_MASK = 0x7F
_ERRORS = {0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A"}
_COLUMN_MASK, _RELATIVE_COLUMN, _RELATIVE_ROW = 0x3FFF, 0x4000, 0x8000
_ALPHABET = 26
_CONCATENATION = 0x08
_CHAR = 111
_MAX_FOLDED_CHARACTERS = 8192
"""As many as a formula of Excel may have."""
_CHARACTER_CODE = re.compile("[0-9]{1,3}")


def address(row: int, column: int) -> str:
    """Return a cell's name; the upper bits of the column say which part of it is relative."""
    letters, number = "", column & _COLUMN_MASK
    while number >= 0:
        letters = chr(ord("A") + number % _ALPHABET) + letters
        number = number // _ALPHABET - 1
    return f"{'' if column & _RELATIVE_COLUMN else '$'}{letters}{'' if column & _RELATIVE_ROW else '$'}{row + 1}"


def _area(first_row: int, last_row: int, first_column: int, last_column: int) -> str:
    return f"{address(first_row, first_column)}:{address(last_row, last_column)}"


def _wide_text(tokens: bytes, position: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<H", tokens, position)
    return tokens[position + 2 : position + 2 + 2 * length].decode("utf-16-le", "replace"), position + 2 + 2 * length


def short_text(data: bytes, position: int) -> tuple[str, int]:
    """Return the text whose number of characters stands at the position ([MS-XLS] 2.5.240), and where it ends."""
    return plain_text(data, position + 1, data[position])


def plain_text(data: bytes, position: int, length: int) -> tuple[str, int]:
    """Return a text whose kind of characters stands at the position ([MS-XLS] 2.5.296), and where it ends."""
    wide = data[position] & 1
    end = position + 1 + (length << wide)
    return data[position + 1 : end].decode("utf-16-le" if wide else "latin-1", "replace"), end


class Layout(NamedTuple):
    """What differs between the formats."""

    operands: Mapping[int, tuple[str, Callable[..., str]]]
    """How values that stand in a formula are written, and what they are in text."""
    text: Callable[[bytes, int], tuple[str, int]]
    """Returns the text at a position, and where it ends."""
    extended_bytes: Mapping[int, int]


_VALUES: dict[int, tuple[str, Callable[..., str]]] = {
    0x16: ("<", lambda: ""),
    0x1C: ("<B", lambda code: _ERRORS.get(code, "#ERROR!")),
    0x1D: ("<B", lambda value: "TRUE" if value else "FALSE"),
    0x1E: ("<H", str),
    0x1F: ("<d", repr),
    0x23: ("<L", "name.{}".format),
    0x39: ("<HL", "name.{}.{}".format),
}


def _references(row: str) -> dict[int, tuple[str, Callable[..., str]]]:
    return {
        0x24: (f"<{row}H", address),
        0x25: (f"<{row * 2}HH", _area),
        0x2A: (f"<{struct.calcsize(f'<{row}H')}x", lambda: "#REF!"),
        0x2B: (f"<{struct.calcsize(f'<{row * 2}HH')}x", lambda: "#REF!"),
        0x2C: (f"<{row}H", address),
        0x2D: (f"<{row * 2}HH", _area),
        0x3A: (f"<H{row}H", lambda sheet, *cell: f"sheet.{sheet}!{address(*cell)}"),
        0x3B: (f"<H{row * 2}HH", lambda sheet, *cells: f"sheet.{sheet}!{_area(*cells)}"),
        0x3C: (f"<{struct.calcsize(f'<H{row}H')}x", lambda: "#REF!"),
        0x3D: (f"<{struct.calcsize(f'<H{row * 2}HH')}x", lambda: "#REF!"),
    }


XLSB = Layout(
    {**_VALUES, **_references("L"), 0x01: ("<L", "shared.{}".format), 0x20: ("<14x", lambda: "{array}")},
    _wide_text,
    {0x19: 12, 0x1D: 4},
)
XLS = Layout(
    {
        **_VALUES,
        **_references("H"),
        0x01: ("<HH", "shared.{}.{}".format),
        0x02: ("<HH", "table.{}.{}".format),
        0x20: ("<7x", lambda: "{array}"),
    },
    short_text,
    dict.fromkeys(range(1, 0x20), 4),
)


class Formula:
    """A formula read from its tokens. It stops at what does not fit, and keeps what came before."""

    def __init__(self, tokens: bytes, layout: Layout) -> None:
        self.count = 0
        """Of tokens."""
        self.acts = False
        """Whether it calls what only sheets of macros have."""
        self.damaged = False
        self._tokens = tokens
        self._layout = layout
        self._position = 0
        self._stack: list[_Piece] = []
        try:
            while self._position < len(tokens):
                self._take()
        except (struct.error, LookupError):
            self.damaged = True
        self.damaged |= len(self._stack) != 1 or self._position > len(tokens)

    def text(self) -> str:
        """Return it as Excel shows it, but with numbers for sheets and names."""
        return " ".join(_joined(piece) for piece in self._stack)

    def _take(self) -> None:
        (token,) = self._read("<B")
        self.count += 1
        if token & _CLASSES:
            token = token & ~_CLASSES | _CLASSLESS
        if token in _BINARY:
            right, left = self._stack.pop(), self._stack.pop()
            folded = _folded(left, right) if token == _CONCATENATION else None
            self._stack.append(folded or [left, _BINARY[token], right])
        elif token in _UNARY:
            before, after = _UNARY[token]
            self._stack.append([before, self._stack.pop(), after])
        elif token in _KEPT_RESULTS:
            self._position += _KEPT_RESULTS[token]
        elif token == _ATTRIBUTE:
            self._take_attribute()
        elif token == _CALL:
            (number,) = self._read("<H")
            self._call(number, fixed_arguments(number))
        elif token == _CALL_WITH_COUNT:
            count, number = self._read("<BH")
            self._call(number, count & _COUNT_MASK)
        else:
            self._stack.append(self._operand(token))

    def _operand(self, token: int) -> str:
        if token == _STRING:
            text, self._position = self._layout.text(self._tokens, self._position)
            return _quoted(text)
        if token == _EXTENDED:
            (kind,) = self._read("<B")
            self._position += self._layout.extended_bytes[kind]
            return "table"
        form, told = self._layout.operands[token]
        return told(*self._read(form))

    def _take_attribute(self) -> None:
        """Take what says how the formula is evaluated and how it looks; only a sum is part of it."""
        flags, number = self._read("<BH")
        if flags & _CHOOSE:
            self._position += 2 * (number + 1)
        elif flags & _SUM:
            self._stack.append(["SUM(", self._stack.pop(), ")"])

    def _call(self, number: int, count: int) -> None:
        self.acts |= acts(number)
        start = len(self._stack) - count
        if start < 0:
            raise LookupError
        arguments = self._stack[start:]
        del self._stack[start:]
        if number == _CHAR and len(arguments) == 1 and _is_character_code(arguments[0]):
            self._stack.append(_quoted(bytes([int(str(arguments[0]))]).decode("cp1252", "replace")))
            return
        name = arguments.pop(0) if number == USER_DEFINED and arguments else function_name(number)
        separated = [piece for argument in arguments for piece in (",", argument)][1:]
        self._stack.append([name, "(", *separated, ")"])

    def _read(self, form: str) -> tuple[int, ...]:
        values = struct.unpack_from(form, self._tokens, self._position)
        self._position += struct.calcsize(form)
        return values


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _is_character_code(piece: _Piece) -> bool:
    return isinstance(piece, str) and _CHARACTER_CODE.fullmatch(piece) is not None and int(piece) < 256


def _folded(left: _Piece, right: _Piece) -> str | None:
    """Return the one text that two are side by side; None if one is no constant, or both too long for a formula."""
    if not isinstance(left, str) or not isinstance(right, str) or len(left) + len(right) > _MAX_FOLDED_CHARACTERS:
        return None
    return left[:-1] + right[1:] if left.startswith('"') and right.startswith('"') else None


def _joined(piece: _Piece) -> str:
    texts, waiting = [], [piece]
    while waiting:
        piece = waiting.pop()
        if isinstance(piece, str):
            texts.append(piece)
        else:
            waiting.extend(reversed(piece))
    return "".join(texts)
