"""What the sheets of both binary formats share: cells with formulas become lines, within limits."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator

from scanner.unpackers.spreadsheet.formulas import Formula, Layout, address

MAX_RECORDS = 2_000_000
MAX_TOKENS = 1_000_000
_RELATIVE = 0xC000


class Cells(ABC):
    """Reads records one by one; the classes of the formats say what stands in them."""

    layout: Layout

    def __init__(self, *, has_macros: bool = False) -> None:
        self._tokens = 0
        self.has_macros = has_macros
        """Whether it is said, by name or type, that there are macros."""
        self.acts = self.full = self.damaged = False
        """Whether formulas call what only macros have; whether there is more than was read."""

    @abstractmethod
    def records(self) -> Iterator[tuple[int, bytes]]:
        """Yield kind and bytes of the records as far as the limits allow."""

    @abstractmethod
    def line(self, kind: int, record: bytes) -> str | None:
        """Return what a record says, None if it is neither formula nor text. Raises struct.error and LookupError."""

    def lines(self) -> Iterator[str]:
        """Yield the cells with formulas and texts, each with its name."""
        for kind, record in self.records():
            try:
                line = self.line(kind, record)
            except (struct.error, LookupError):
                self.damaged = True
            else:
                if line is not None:
                    yield line

    def formula(self, tokens: bytes, size: int) -> Formula:
        """Return a formula of that many bytes, of which the first are given."""
        formula = Formula(tokens[:size], self.layout)
        self._tokens += formula.count
        self.acts |= formula.acts
        self.damaged |= formula.damaged or size > len(tokens)
        self.full |= self._tokens > MAX_TOKENS
        return formula


def cell_name(row: int, column: int) -> str:
    """Return the name of a cell, without signs for what is fixed in it."""
    return address(row, column & ~_RELATIVE | _RELATIVE)
