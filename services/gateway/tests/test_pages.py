"""Pages through the handlers: what they show, to whom, and that nothing hostile gets out of its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.context import Context
from gateway.models.accounts import User
from shared.scan import ScanStatus

HOSTILE = "a\u202egpj.exe\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}.pdf"
HTML = {"Accept": "text/html"}
HTMX = {"HX-Request": "true"}


@pytest.fixture
def scanned(user: User, world: Any) -> Any:
    world.name = HOSTILE
    submission = world.accept(user.id)
    world.record(submission, status=ScanStatus.COMPLETED)
    return submission


async def test_a_hostile_name_is_text_on_every_page(browser: Any, scanned: Any) -> None:
    for path in ("/", "/submissions", f"/submissions/{scanned.id}"):
        page = await browser.get(path, headers=HTML)
        assert page.status_code == 200
        assert "&lt;script&gt;" in page.text
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert "{{7*7}}" in page.text
        assert "\u202e" not in page.text


@pytest.mark.parametrize("query", ["name=%22%3E%3Cscript%3Ealert(1)", "sha256=zz", "verdict=%3Cb%3E", "after=never"])
async def test_filters_that_make_no_sense_do_no_harm(browser: Any, query: str) -> None:
    page = await browser.get(f"/submissions?{query}", headers=HTML)

    assert page.status_code == 200
    assert "<script>alert" not in page.text


async def test_filters_become_conditions(browser: Any, world: Any) -> None:
    await browser.get("/submissions?verdict=clean&name=+inv+&sha256=ABCD&after=2026-01-01&before=2026-01-31&cursor=c")

    assert world.queries[-1] == {
        "verdict": "clean",
        "name": "inv",
        "sha256": "abcd",
        "after": "2026-01-01T00:00:00Z",
        "before": "2026-02-01T00:00:00Z",
        "limit": "50",
        "cursor": "c",
    }


async def test_htmx_gets_the_rows_without_the_page(browser: Any, scanned: Any) -> None:
    rows = await browser.get("/submissions", headers=HTMX)

    assert rows.text.lstrip().startswith("<li")
    assert scanned.id in rows.text


async def test_a_scan_is_there_before_the_results_service_knows_it(browser: Any, user: User, world: Any) -> None:
    submission = world.accept(user.id)
    page = await browser.get(f"/submissions/{submission.id}", headers=HTML)

    assert page.status_code == 200
    assert f'ws-connect="/ws/submissions/{submission.id}"' in page.text


async def test_a_page_of_somebody_else_is_not_found(
    new_browser: Callable[[], Any], browser: Any, admin: User, world: Any
) -> None:
    theirs = world.accept("somebody-else")
    world.record(theirs, status=ScanStatus.COMPLETED)
    page = await browser.get(f"/submissions/{theirs.id}", headers=HTML)

    assert page.status_code == 404
    assert "Nothing here" in page.text
    assert page.headers["X-Request-ID"] in page.text
    async with new_browser() as other:
        await other.sign_in(admin.email)
        assert (await other.get(f"/submissions/{theirs.id}")).status_code == 200


async def test_an_administrator_sees_whose_a_submission_is(
    new_browser: Callable[[], Any], admin: User, scanned: Any, user: User
) -> None:
    async with new_browser() as other:
        await other.sign_in(admin.email)
        assert user.email in (await other.get("/submissions")).text


async def test_webhooks_are_added_with_their_secret_shown_once(browser: Any, world: Any) -> None:
    await browser.open("/settings")
    added = await browser.submit("/settings/webhooks", url="https://example.org/hook")
    later = await browser.open("/settings")
    removed = await browser.submit("/settings/webhooks/hook-0/delete")

    assert "whsec_c2VjcmV0" in added.text
    assert "whsec_c2VjcmV0" not in later.text
    assert "https://example.org/hook" in later.text
    assert (removed.status_code, world.webhooks) == (303, {})


async def test_an_address_that_is_refused_is_shown_again_with_the_reason(browser: Any) -> None:
    headers = {**HTMX, "X-CSRF-Token": browser.csrf_token}
    answer = await browser.post("/settings/webhooks", data={"url": "http://127.0.0.1/"}, headers=headers)

    assert answer.status_code == 422
    assert "private range" in answer.text
    assert 'value="http://127.0.0.1/"' in answer.text
    assert "<html" not in answer.text


async def test_a_report_is_downloaded_from_its_page(browser: Any, scanned: Any) -> None:
    html = await browser.get(f"/submissions/{scanned.id}/report.html", headers=HTML)
    pdf = await browser.get(f"/submissions/{scanned.id}/report.pdf", headers=HTML)

    assert html.headers["Content-Disposition"].startswith("inline")
    assert html.headers["Content-Security-Policy"].startswith("sandbox;")
    assert pdf.headers["Content-Disposition"] == f'attachment; filename="fumehood-{scanned.id}.pdf"'
    assert pdf.headers["Content-Type"] == "application/pdf"


async def test_a_service_that_is_away_gives_a_page_that_says_what_to_do(browser: Any, world: Any) -> None:
    world.away.add("results")
    page = await browser.get("/", headers=HTML)

    assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    assert "The results service does not answer." in page.text
    assert "Accepted files are safe" in page.text


async def test_htmx_and_scripts_get_problems(browser: Any, world: Any) -> None:
    world.away.add("results")
    for headers in (HTMX | HTML, {"Accept": "application/json"}):
        answer = await browser.get("/submissions", headers=headers)
        assert answer.headers["Content-Type"] == "application/problem+json"


async def test_an_error_that_nobody_expected_says_nothing_about_itself(
    browser: Any, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(context.submissions), "page", fail)
    page = await browser.get("/", headers=HTML)

    assert page.status_code == 500
    assert "Something broke here" in page.text
    assert "secret detail" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Request-ID"] in page.text


async def test_a_page_that_is_not_there_keeps_the_reader_signed_in(browser: Any) -> None:
    page = await browser.get("/nothing/here", headers=HTML)

    assert page.status_code == 404
    assert "Sign out" in page.text


async def test_the_documentation_needs_nothing_from_elsewhere(visitor: Any) -> None:
    page = await visitor.get("/docs", headers=HTML)
    document = await visitor.get("/api/openapi.json")

    assert page.status_code == 200
    assert "//" not in page.text.replace("</", "")
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert document.json()["openapi"].startswith("3.1")


async def test_static_files_are_kept_for_ever_when_asked_for_by_hash(visitor: Any) -> None:
    hashed = await visitor.get("/static/js/app.js?v=123")
    plain = await visitor.get("/static/js/app.js")
    unchanged = await visitor.get("/static/js/app.js", headers={"If-None-Match": plain.headers["ETag"]})

    assert hashed.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert plain.headers["Cache-Control"] == "public, no-cache"
    assert unchanged.status_code == 304
    assert (await visitor.get("/static/../config.py")).status_code == 404
