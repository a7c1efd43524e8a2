"""The processes that make PDF: bounded in time and memory, cut off from files and network, replaced when they die."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader

from reports.errors import ReportNotMadeError
from reports.pdf import PdfPool
from reports.pdf.worker import to_pdf

PAGE = b'<!doctype html><html lang="en"><title>Page</title><p>Hello</p></html>'
ENDLESS = b'<!doctype html><html lang="en"><title>Page</title>' + b"<table><tr><td>" * 1000
GIBIBYTE = 1 << 30


@pytest.fixture
async def pool() -> AsyncIterator[PdfPool]:
    pool = PdfPool(workers=1, timeout_seconds=30, memory_bytes=2 * GIBIBYTE)
    yield pool
    await pool.close()


async def test_one_process_serves_many_documents(pool: PdfPool) -> None:
    for _ in range(3):
        pdf = await pool.render(PAGE)
        assert PdfReader(BytesIO(pdf)).pages[0].extract_text() == "Hello"

    assert [worker.jobs for worker in pool._idle] == [3]


async def test_a_document_that_takes_too_long_is_given_up(pool: PdfPool) -> None:
    pool._timeout_seconds = 0.05
    with pytest.raises(ReportNotMadeError, match=r"not finished within 0\.05 seconds"):
        await pool.render(PAGE)

    pool._timeout_seconds = 30
    assert await pool.render(PAGE)


async def test_a_process_that_died_is_replaced(pool: PdfPool) -> None:
    await pool.render(PAGE)
    os.kill(pool._idle[0]._process.pid, signal.SIGKILL)

    assert await pool.render(PAGE)


async def test_a_document_that_breaks_the_renderer_says_so(pool: PdfPool) -> None:
    with pytest.raises(ReportNotMadeError):
        await pool.render(ENDLESS)

    assert await pool.render(PAGE)


async def test_a_process_that_cannot_start_says_so(pool: PdfPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(ReportNotMadeError, match="ended before it was done"):
        await pool.render(PAGE)


async def test_too_little_memory_is_said_and_spoils_no_cache_of_fonts(
    pool: PdfPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    settings = tmp_path / "fonts.conf"
    settings.write_text(
        f"<fontconfig><dir>/usr/share/fonts</dir><dir>/usr/local/share/fonts</dir><cachedir>{cache}</cachedir></fontconfig>"
    )
    monkeypatch.setenv("FONTCONFIG_FILE", str(settings))
    pool._memory_bytes = 32 << 20

    with pytest.raises(ReportNotMadeError):
        await pool.render(PAGE)

    # Without fonts it would warn; a process that could not read them would have noted that there are none.
    process = await asyncio.create_subprocess_exec(sys.executable, "-W", "error", "-c", "import weasyprint")
    assert await process.wait() == 0


async def test_nothing_is_left_behind(pool: PdfPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    await pool.render(PAGE)
    assert len(list(tmp_path.iterdir())) == 1
    await pool.close()

    assert list(tmp_path.iterdir()) == []


async def test_a_process_inherits_no_secrets(pool: PdfPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUMEHOOD_SERVICE_SECRET", "hidden")

    await pool.render(PAGE)

    environment = Path(f"/proc/{pool._idle[0]._process.pid}/environ").read_bytes()
    assert b"FUMEHOOD" not in environment


@pytest.mark.parametrize("url", ["file://{path}", "http://127.0.0.1:9/", "https://example.org/x.png", "ftp://x/y"])
def test_nothing_is_fetched(url: str, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.css"
    sheet.write_text("p::after { content: ' fetched' }")
    address = url.format(path=sheet)
    page = PAGE.replace(b"<p>", f'<link rel="stylesheet" href="{address}"><img alt="" src="{address}"><p>'.encode())

    assert PdfReader(BytesIO(to_pdf(page))).pages[0].extract_text().strip() == "Hello"


def test_data_urls_are_shown() -> None:
    sheet = "data:text/css,p::after%7Bcontent:'%20shown'%7D"
    page = PAGE.replace(b"<p>", f'<link rel="stylesheet" href="{sheet}"><p>'.encode())

    assert PdfReader(BytesIO(to_pdf(page))).pages[0].extract_text() == "Hello shown"
