"""A report in each of its formats, made off the event loop."""

from __future__ import annotations

import asyncio
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reports.models import Report
from reports.pdf import PdfPool
from reports.view import Limits, moment_text, view_of
from shared.events import ReportFormat
from shared.presentation.text import LINE_CHARACTERS, code_point, count_text, plain_name, runs, shorten, size_text
from shared.presentation.words import percent

SCREEN = Limits(artifacts=1000, findings=300, locations=20)
PAPER = Limits(artifacts=200, findings=50, locations=10)


class Renderer:
    """Renders reports: JSON and HTML in a thread, PDF in processes of their own."""

    def __init__(self, pool: PdfPool) -> None:
        self._pool = pool

    async def render(self, report: Report, form: ReportFormat) -> bytes:
        """Return the bytes of one format. Raises ReportNotMadeError."""
        if form is ReportFormat.JSON:
            return await asyncio.to_thread(render_json, report)
        if form is ReportFormat.HTML:
            return await asyncio.to_thread(render_screen, report)
        return await self._pool.render(await asyncio.to_thread(render_paper, report))


def render_json(report: Report) -> bytes:
    """Return the report as JSON; this format alone leaves nothing out."""
    return report.model_dump_json().encode()


def render_screen(report: Report) -> bytes:
    """Return the report as one self-contained HTML file."""
    return _environment().get_template("pages/screen.html").render(dict(view_of(report, SCREEN))).encode()


def render_paper(report: Report) -> bytes:
    """Return the HTML from which the PDF is made."""
    return _environment().get_template("pages/paper.html").render(dict(view_of(report, PAPER))).encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": count_text,
        "file_name": _file_name,
        "moment": moment_text,
        "percent": lambda share: f"{percent(share)}\N{NO-BREAK SPACE}%",
        "plain_name": _plain_name,
        "plain_text": plain_name,
        "size": size_text,
        "visible": _visible,
        "visible_lines": _visible_lines,
    }
    return environment


def _visible(text: str, kept: str = "") -> Markup:
    """Return untrusted text as safe markup, hidden characters but those `kept` as the code points they are."""
    chip = Markup('<span class="code-point">{}</span>')
    return Markup("").join(
        chip.format(code_point(piece)) if is_hidden else escape(piece) for piece, is_hidden in runs(text, kept)
    )


def _visible_lines(text: str) -> Markup:
    """Return a piece of a file as safe markup for a block that shows lines and tabs."""
    return _visible(text, LINE_CHARACTERS)


def _file_name(name: str, width: int) -> Markup:
    """Return an untrusted name as safe markup: isolated, from left to right, cut in the middle if it is long."""
    if not name:
        return Markup('<span class="muted">(no name)</span>')
    head, tail = shorten(name, width)
    shown = _visible(head) + (
        Markup('<span class="muted">\N{HORIZONTAL ELLIPSIS}</span>') + _visible(tail) if tail else ""
    )
    return Markup('<bdi class="name" dir="ltr">{}</bdi>').format(shown)


def _plain_name(name: str, width: int) -> str:
    """Return an untrusted name for places without markup."""
    head, tail = shorten(name or "(no name)", width)
    return plain_name(head) + (f"\N{HORIZONTAL ELLIPSIS}{plain_name(tail)}" if tail else "")
