"""The process that turns HTML into PDF: one job after the other from standard input to standard output.

The process ends with its input. It fetches nothing: images and fonts come as data: URLs or not at
all. Its memory is bounded by the operating system.
"""

from __future__ import annotations

import base64
import os
import resource
import sys
from functools import cache
from importlib.resources import files
from typing import BinaryIO

from weasyprint import CSS, HTML
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import URLFetcher

from reports.pdf.protocol import DONE, FAILED, LENGTH

_NICENESS = 10
"""Reports stand back behind scans that run on the same machine."""

_FONTS = (
    ("Plex Sans", 400, "ibm-plex-sans-latin-400-normal.woff2"),
    ("Plex Sans", 600, "ibm-plex-sans-latin-600-normal.woff2"),
    ("Plex Sans Ext", 400, "ibm-plex-sans-latin-ext-400-normal.woff2"),
    ("Plex Sans Ext", 600, "ibm-plex-sans-latin-ext-600-normal.woff2"),
    ("Plex Mono", 400, "ibm-plex-mono-latin-400-normal.woff2"),
)


def main() -> None:
    """Serve jobs until standard input ends. The first argument is the limit of memory, in bytes."""
    memory_bytes = int(sys.argv[1])
    jobs = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _fonts()  # before the limit: what cannot read the machine's fonts for want of memory caches that there are none
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICENESS)
    while html := _read_job(jobs):
        status, content = _answer(html)
        answers.write(status + LENGTH.pack(len(content)) + content)
        answers.flush()


def to_pdf(html: bytes) -> bytes:
    """Return the HTML as a tagged PDF (PDF/UA-1) with bookmarks and metadata."""
    fonts, faces = _fonts()
    document = HTML(string=html.decode(), url_fetcher=_fetcher())
    pdf: bytes = document.write_pdf(stylesheets=[faces], font_config=fonts, pdf_variant="pdf/ua-1")
    return pdf


def _answer(html: bytes) -> tuple[bytes, bytes]:
    try:
        return DONE, to_pdf(html)
    except MemoryError:
        return FAILED, b"It would take more memory than the limit."
    except Exception as error:  # noqa: BLE001 - whatever WeasyPrint raises is the answer to this job
        return FAILED, f"{type(error).__name__}: {error}".encode()[:500]


def _read_job(jobs: BinaryIO) -> bytes:
    header = jobs.read(LENGTH.size)
    return jobs.read(*LENGTH.unpack(header)) if len(header) == LENGTH.size else b""


def _fetcher() -> URLFetcher:
    return URLFetcher(allowed_protocols=("data",), allow_redirects=False)


@cache
def _fonts() -> tuple[FontConfiguration, CSS]:
    configuration = FontConfiguration()
    rules = [_font_face(family, weight, name) for family, weight, name in _FONTS]
    return configuration, CSS(string="".join(rules), font_config=configuration, url_fetcher=_fetcher())


def _font_face(family: str, weight: int, name: str) -> str:
    data = base64.b64encode((files("reports") / "fonts" / name).read_bytes()).decode()
    source = f"url(data:font/woff2;base64,{data}) format('woff2')"
    return f"@font-face {{ font-family: '{family}'; font-weight: {weight}; src: {source}; }}"


if __name__ == "__main__":
    main()
