"""Text for people: sizes, times, counts, and names that nobody should trust.

A file name comes from whoever made the file. Control and direction characters in it can hide an
extension or reorder the page around it (Unicode TR36, section 3.1; CVE-2021-42574), so they are
shown as the code points that they are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import timedelta

NAME_WIDTH = 72
"""Columns of a file name that are shown before its middle is cut out."""
LINE_CHARACTERS = "\n\t"
"""Hidden characters that a block of text shows by itself."""

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
# Letters and marks that draw nothing: Hangul fillers, the grapheme joiner, Braille blank, Mongolian separators, and the
# selectors of variants, in which data is hidden; not the two that emoji have.
_BLANK_CHARACTERS = frozenset("\u115f\u1160\u3164\uffa0\u034f\u2800\u180b\u180c\u180d\u180e") | frozenset(
    map(chr, (*range(0xFE00, 0xFE0E), *range(0xE0100, 0xE01F0)))
)
_CODE_POINT_WIDTH = 6
_TAIL_MIN_WIDTH = 16
_SIZE_UNITS = ("kB", "MB", "GB", "TB", "PB")


def is_hidden(character: str) -> bool:
    """Return whether a character would be invisible, or change how its neighbours are drawn."""
    if character in _BLANK_CHARACTERS:
        return True
    category = unicodedata.category(character)
    return category in _HIDDEN_CATEGORIES or (category == "Zs" and character != " ")


def code_point(character: str) -> str:
    """Return the `U+202E` form of a character."""
    return f"U+{ord(character):04X}"


def runs(text: str, kept: str = "") -> Iterator[tuple[str, bool]]:
    """Yield the text in pieces: what can be shown as it is (False), and each hidden character by itself (True).

    The characters of `kept` are not taken for hidden.
    """
    start = 0
    for position, character in enumerate(text):
        if not is_hidden(character) or character in kept:
            continue
        if start < position:
            yield text[start:position], False
        yield character, True
        start = position + 1
    if start < len(text):
        yield text[start:], False


def plain_name(name: str) -> str:
    """Return a name for places without markup, hidden characters written as `<U+202E>`."""
    return "".join(f"<{code_point(piece)}>" if hidden else piece for piece, hidden in runs(name))


def shorten(name: str, width: int = NAME_WIDTH) -> tuple[str, str]:
    """Return the start and the end of a name that fit in `width` columns; the end is empty if all of it fits.

    The end keeps 16 columns at least, so that the extension can be read.
    """
    if len(name) <= width and sum(map(_columns, name)) <= width:
        return name, ""
    tail_width = max(_TAIL_MIN_WIDTH, width // 3)
    return _take(name, width - tail_width - 1), _take(name[::-1], tail_width)[::-1]


def size_text(size_bytes: int) -> str:
    """Return a size in decimal units with at most three significant digits, e.g. `1.5 kB`."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    size, unit = size_bytes / 1000, _SIZE_UNITS[0]
    for larger in _SIZE_UNITS[1:]:
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if size >= 99.95 else f"{size:.1f} {unit}"


def count_text(count: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun, e.g. `1 file`, `1,204 files`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def duration_text(duration: timedelta) -> str:
    """Return a duration with one or two units, e.g. `0.4 s`, `12 s`, `2 min 5 s`, `1 h 10 min`."""
    seconds = max(0.0, duration.total_seconds())
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _columns(character: str) -> int:
    if is_hidden(character):
        return _CODE_POINT_WIDTH
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _take(text: str, width: int) -> str:
    for end, character in enumerate(text):
        width -= _columns(character)
        if width < 0:
            return text[:end]
    return text
