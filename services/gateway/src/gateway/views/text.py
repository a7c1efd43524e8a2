"""Text for people: sizes, times, and names that nobody should trust.

A file name comes from whoever made the file. Control and direction characters in it can hide an
extension or reorder the page around it (Unicode TR36, section 3.1; CVE-2021-42574), so they are shown
as the code points that they are.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

from markupsafe import Markup, escape

from shared.scan import Frozen

NAME_WIDTH = 72
"""Columns of a file name that are shown before its middle is cut out."""

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
# Letters and marks that draw nothing: Hangul fillers, the grapheme joiner, Braille blank, Mongolian separators.
_BLANK_CHARACTERS = frozenset("\u115f\u1160\u3164\uffa0\u034f\u2800\u180b\u180c\u180d\u180e")
_CODE_POINT_WIDTH = 6
_SIZE_UNITS = ("kB", "MB", "GB", "TB", "PB")


class When(Frozen):
    """A moment as a `<time>` element needs it."""

    iso: str
    absolute: str
    relative: str


def is_hidden(character: str) -> bool:
    """Return whether a character would be invisible, or change how its neighbours are drawn."""
    if character in _BLANK_CHARACTERS:
        return True
    category = unicodedata.category(character)
    return category in _HIDDEN_CATEGORIES or (category == "Zs" and character != " ")


def code_point(character: str) -> str:
    """Return the `U+202E` form of a character."""
    return f"U+{ord(character):04X}"


def plain_name(name: str) -> str:
    """Return a name for attributes and page titles, hidden characters written as `<U+202E>`."""
    return "".join(f"<{code_point(c)}>" if is_hidden(c) else c for c in name)


def shorten(name: str, width: int = NAME_WIDTH) -> tuple[str, str]:
    """Return the start and the end of a name that fit in `width` columns; the end is empty if all of it fits.

    The end keeps 16 columns at least, so that the extension can be read.
    """
    if sum(map(_columns, name)) <= width:
        return name, ""
    tail_width = max(16, width // 3)
    head = _take(name, width - tail_width - 1)
    tail = _take(name[::-1], tail_width)[::-1]
    return head, tail


def file_name(name: str, width: int = NAME_WIDTH) -> Markup:
    """Return an untrusted name as safe markup: isolated, hidden characters visible, long ones cut in the middle.

    It always runs from left to right, so that the extension is at the right end in any script.
    """
    if not name:
        return Markup('<bdi class="name muted">(no name)</bdi>')
    head, tail = shorten(name, width)
    shown = visible(head)
    if tail:
        shown += Markup('<span class="cut" aria-hidden="true">…</span>') + visible(tail)
    return Markup('<bdi class="name" dir="ltr" title="{}">{}</bdi>').format(plain_name(name), shown)


def visible(text: str) -> Markup:
    """Return text as safe markup with every hidden character drawn as a chip that names it."""
    return Markup("").join(_chip(c) if is_hidden(c) else escape(c) for c in text)


def size_text(size_bytes: int) -> str:
    """Return a size in decimal units with at most three significant digits, e.g. `1.5 kB`."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    size = float(size_bytes)
    for unit in _SIZE_UNITS:
        size /= 1000
        if size < 999.5 or unit == _SIZE_UNITS[-1]:
            break
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


def when(moment: datetime, now: datetime) -> When:
    """Return a moment in absolute and relative words; a time without a zone is taken as UTC."""
    moment = as_utc(moment)
    return When(
        iso=moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
        absolute=f"{moment:%Y-%m-%d %H:%M:%S} UTC",
        relative=relative_text(as_utc(now) - moment, moment),
    )


def relative_text(age: timedelta, moment: datetime) -> str:
    """Return how long ago a moment was; the date itself when that was more than a week ago or is to come."""
    seconds = age.total_seconds()
    if -60 < seconds < 45:
        return "just now"
    for limit, size, unit in ((5400, 60, "min"), (129600, 3600, "h"), (604800, 86400, "d")):
        if 0 < seconds < limit:
            return f"{max(1, round(seconds / size))} {unit} ago"
    return f"{moment.day} {moment:%b %Y}"


def as_utc(moment: datetime) -> datetime:
    """Return a moment in UTC; SQLite gives times without a zone, and they are UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def joined(words: tuple[str, ...]) -> str:
    """Return words as a list in a sentence: `a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _chip(character: str) -> Markup:
    name = unicodedata.name(character, "control character")
    return Markup('<span class="code-point" title="{}">{}</span>').format(name.capitalize(), code_point(character))


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
