"""The journey of a person: sign in, drop a zip, watch the verdict arrive, open the report."""

from __future__ import annotations

import base64
import io
import re
import struct
import zipfile
import zlib
from pathlib import Path

import httpx
import pypdf
import pytest
from installations import ADMINISTRATOR, Installation
from playwright.async_api import Page, expect

pytestmark = pytest.mark.e2e

VERDICT_MILLISECONDS = 60_000
# Put together here, so that no file of the repository is one.
WEB_SHELL = b"<?php if (isset($_" + b"POST['c'])) { @eval($_" + b"POST['c']); } ?>\n"
HOSTILE_NAME = "<img src=x onerror=alert(1)>\u202efdp.php"


def picture() -> bytes:
    """Return a PNG of 8 x 8 grey pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(range(8)) for _ in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def website() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("site/readme.txt", "Pictures of the summer.\n" * 40)
        archive.writestr("site/picture.png", picture())
        archive.writestr("site/uploads/avatar.php", WEB_SHELL)
    return buffer.getvalue()


async def sign_in(page: Page, url: str) -> None:
    await page.goto(f"{url}/sign-in")
    await page.get_by_label("E-mail").fill(ADMINISTRATOR[0])
    await page.get_by_label("Password").fill(ADMINISTRATOR[1])
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Scan files")).to_be_visible()
    await page.wait_for_load_state()


async def drop(page: Page, name: str, data: bytes) -> None:
    """Drop a file onto the drop zone, as a hand would."""
    transfer = await page.evaluate_handle(
        """([name, base64]) => {
            const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name));
            return transfer;
        }""",
        [name, base64.b64encode(data).decode()],
    )
    await page.dispatch_event("form.hood", "drop", {"dataTransfer": transfer})


async def test_a_zip_with_a_web_shell_is_dropped_and_reported(
    installation: Installation, page: Page, tmp_path: Path
) -> None:
    await sign_in(page, installation.url)
    await drop(page, "website.zip", website())

    uploads = page.get_by_role("region", name="Uploads")
    await expect(uploads.get_by_text("Malicious")).to_be_visible(timeout=VERDICT_MILLISECONDS)
    await uploads.get_by_role("link", name="website.zip").click()

    await expect(page.get_by_role("heading", name="website.zip")).to_be_visible()
    findings = page.get_by_role("region", name="Findings")
    await expect(findings.get_by_text("avatar.php").first).to_be_visible()
    for name in ("readme.txt", "picture.png"):
        await expect(page.get_by_text(name).first).to_be_visible()

    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="PDF report").click()
    path = tmp_path / "report.pdf"
    await (await downloading.value).save_as(path)
    text = "".join(leaf.extract_text() for leaf in pypdf.PdfReader(path).pages)
    for fact in ("website.zip", "Malicious", "avatar.php", "readme.txt", "picture.png"):
        assert fact in text


async def test_the_scan_page_shows_the_verdict_without_a_reload(installation: Installation, page: Page) -> None:
    await sign_in(page, installation.url)
    with installation.api() as api:
        members = {f"part{number}.txt": f"part {number}\n" * 200 for number in range(400)}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in members.items():
                archive.writestr(name, text)
        accepted = api.post("/api/v1/files", files={"file": ("many.zip", buffer.getvalue())}).json()
        loads = 0

        def count(_: object) -> None:
            nonlocal loads
            loads += 1

        page.on("load", count)
        await page.goto(f"{installation.url}{accepted['links']['page']}")

        await expect(page.get_by_text("401 of 401").or_(page.get_by_text("Clean")).first).to_be_visible(
            timeout=VERDICT_MILLISECONDS
        )
        assert loads == 1


async def test_a_hostile_name_stays_text(installation: Installation, page: Page) -> None:
    await sign_in(page, installation.url)
    await drop(page, HOSTILE_NAME, WEB_SHELL)
    uploads = page.get_by_role("region", name="Uploads")
    await expect(uploads.get_by_text("Malicious").first).to_be_visible(timeout=VERDICT_MILLISECONDS)

    for path in ("/", "/submissions"):
        await page.goto(installation.url + path)
        await expect(page.get_by_text("U+202E").first).to_be_visible()
        assert await page.locator("img[src=x]").count() == 0
    assert "\u202e" not in await page.locator("main").inner_text()


async def test_history_is_filtered_and_phone_width_does_not_overflow(installation: Installation, page: Page) -> None:
    await sign_in(page, installation.url)
    with installation.api() as api:
        for name in ("alpha-find-me.txt", "beta.txt"):
            accepted = api.post("/api/v1/files", files={"file": (name, b"harmless words\n" * 30)}).json()
            api.get(f"/api/v1/submissions/{accepted['id']}", params={"wait": 30})

    await page.goto(f"{installation.url}/submissions?name=find-me")
    await expect(page.get_by_text("alpha-find-me.txt").first).to_be_visible()
    await expect(page.get_by_text("beta.txt")).to_have_count(0)

    await page.set_viewport_size({"width": 390, "height": 800})
    for path in ("/", "/submissions", "/settings", "/sign-in", "/nothing-here"):
        await page.goto(installation.url + path)
        width = await page.evaluate("() => document.documentElement.scrollWidth")
        assert width <= 390, path


def test_the_api_journey(installation: Installation) -> None:
    with installation.api() as api:
        answer = api.post("/api/v1/files", files={"file": ("website.zip", website())})
        assert answer.status_code == 202
        links = answer.json()["links"]

        scan = api.get(links["self"], params={"wait": 60}).json()
        assert (scan["status"], scan["verdict"]) == ("completed", "malicious")
        names = {artifact["name"].rsplit("/", 1)[-1]: artifact["verdict"] for artifact in scan["artifacts"]}
        assert names == {
            "website.zip": "malicious",
            "readme.txt": "clean",
            "picture.png": "clean",
            "avatar.php": "malicious",
        }

        assert api.get(links["report_json"]).json()["scan"]["verdict"] == "malicious"
        assert "avatar.php" in api.get(links["report_html"]).text
        assert api.get(links["report_pdf"]).content.startswith(b"%PDF-")
        assert api.get(f"/api/v1/files/{scan['sha256']}").json()["verdict"] == "malicious"
        assert answer.json()["id"] in {item["id"] for item in api.get("/api/v1/submissions").json()["items"]}


def test_nobody_else_gets_in(installation: Installation) -> None:
    with installation.api() as api:
        accepted = api.post("/api/v1/files", files={"file": ("mine.txt", b"mine")}).json()

    answer = httpx.get(f"{installation.url}/api/v1/submissions/{accepted['id']}")
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    page = httpx.get(f"{installation.url}/submissions/{accepted['id']}", headers={"Accept": "text/html"})
    assert re.search(r"/sign-in", page.headers.get("location", ""))
