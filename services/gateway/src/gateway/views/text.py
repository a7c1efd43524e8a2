"""Text for people as markup: moments, and names that nobody should trust (see shared.presentation.text)."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta

from markupsafe import Markup, escape

from shared.clock import aware
from shared.presentation.text import LINE_CHARACTERS, NAME_WIDTH, code_point, plain_name, runs, shorten
from shared.scan import Frozen


class When(Frozen):
    """A moment as a `<time>` element needs it."""

    iso: str
    absolute: str
    relative: str


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


def visible(text: str, kept: str = "") -> Markup:
    """Return text as safe markup with every hidden character, but those `kept`, drawn as a chip that names it."""
    return Markup("").join(_chip(piece) if hidden else escape(piece) for piece, hidden in runs(text, kept))


def visible_lines(text: str) -> Markup:
    """Return a piece of a file as safe markup for a block that shows lines and tabs."""
    return visible(text, LINE_CHARACTERS)


def when(moment: datetime, now: datetime) -> When:
    """Return a moment in absolute and relative words; a time without a zone is taken as UTC."""
    moment = aware(moment)
    return When(
        iso=moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
        absolute=f"{moment:%Y-%m-%d %H:%M:%S} UTC",
        relative=relative_text(aware(now) - moment, moment),
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


def _chip(character: str) -> Markup:
    name = unicodedata.name(character, "control character")
    return Markup('<span class="code-point" title="{}">{}</span>').format(name.capitalize(), code_point(character))
