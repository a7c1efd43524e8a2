"""Sessions, the sign-in form, CSRF tokens and the one-time link."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fakeredis import FakeServer
from fastapi import FastAPI
from redis.asyncio import Redis

from gateway.config import Settings
from gateway.context import Context
from gateway.main import new_sign_in_link
from gateway.models.accounts import User
from gateway.schema import AUDIT_LOG, USERS
from shared import clock

PASSWORD = "correct horse battery"
SESSION = "fumehood-session"
NewBrowser = Callable[[], Any]


async def test_signing_in_starts_a_session_and_leads_to_the_page_asked_for(visitor: Any, user: User) -> None:
    sent_away = await visitor.get("/settings?tab=1", headers={"Accept": "text/html"})
    await visitor.open(sent_away.headers["Location"])
    answer = await visitor.submit("/sign-in", email=" USER@example.org", password=PASSWORD, next="/settings?tab=1")

    assert (sent_away.status_code, sent_away.headers["Location"]) == (303, "/sign-in?next=/settings%3Ftab%3D1")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/settings?tab=1")
    assert (await visitor.get("/settings")).status_code == 200


async def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(visitor: Any, user: User) -> None:
    await visitor.open("/sign-in")
    answer = await visitor.submit("/sign-in", email=user.email, password=PASSWORD)

    cookie = answer.headers["Set-Cookie"].lower()
    assert cookie.startswith(f"{SESSION}=")
    assert {"httponly", "samesite=lax", "path=/"} <= set(cookie.split("; "))


async def test_the_session_id_is_new_at_each_sign_in_and_the_old_one_is_dead(browser: Any, user: User) -> None:
    before = browser.cookies[SESSION]
    await browser.open("/sign-in")
    await browser.submit("/sign-in", email=user.email, password=PASSWORD)

    assert browser.cookies[SESSION] != before
    old = {"Cookie": f"{SESSION}={before}"}
    async with httpx.AsyncClient(transport=browser._transport, base_url="http://gateway", headers=old) as thief:
        assert (await thief.get("/submissions")).status_code == 401


async def test_the_cache_holds_no_session_id(browser: Any, cache: Redis) -> None:
    keys = [key async for key in cache.scan_iter("*session:*")]

    assert len(keys) == 1
    assert browser.cookies[SESSION] not in keys[0]


@pytest.mark.parametrize(("email", "password"), [("user@example.org", "wrong"), ("nobody@example.org", PASSWORD)])
async def test_a_wrong_password_and_an_unknown_account_look_the_same(
    visitor: Any, user: User, email: str, password: str
) -> None:
    await visitor.open("/sign-in")
    answer = await visitor.submit("/sign-in", email=email, password=password)

    assert answer.status_code == 401
    assert "E-mail and password do not match." in answer.text
    assert SESSION not in visitor.cookies


async def test_sign_out_ends_the_session(browser: Any) -> None:
    stolen = {"Cookie": f"{SESSION}={browser.cookies[SESSION]}"}
    answer = await browser.submit("/sign-out")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
    assert SESSION not in browser.cookies
    assert (await browser.get("/", headers=stolen)).status_code == 401


async def test_a_session_ends_when_idle(browser: Any, context: Context, cache: Redis) -> None:
    (key,) = [key async for key in cache.scan_iter("*session:*")]
    assert 0 < await cache.ttl(key) <= context.settings.session_idle_seconds

    await cache.delete(key)

    assert (await browser.get("/submissions")).status_code == 401


async def test_a_session_ends_at_its_full_age_however_busy(
    browser: Any, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = clock.now() + timedelta(seconds=context.settings.session_lifetime_seconds)
    monkeypatch.setattr("gateway.auth.sessions.now", lambda: later)

    assert (await browser.get("/submissions")).status_code == 401


async def test_a_disabled_account_is_out_at_once(
    browser: Any, api: httpx.AsyncClient, visitor: Any, context: Context, user: User
) -> None:
    async with context.database.transaction() as transaction:
        await transaction.session.execute(sa.update(USERS).values(disabled=True))

    assert (await browser.get("/submissions")).status_code == 401
    assert (await api.get("/api/v1/submissions")).status_code == 401
    await visitor.open("/sign-in")
    assert (await visitor.submit("/sign-in", email=user.email, password=PASSWORD)).status_code == 401


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
     "/\t/evil.example", "http:evil", "", "/a\r\nSet-Cookie: x=1"],
)  # fmt: skip
async def test_sign_in_never_leads_to_another_site(visitor: Any, user: User, target: str) -> None:
    await visitor.open("/sign-in")
    answer = await visitor.submit("/sign-in", email=user.email, password=PASSWORD, next=target)

    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize("token", ["", "wrong", "\u00e9"])
async def test_a_form_without_the_right_token_is_refused(browser: Any, token: str) -> None:
    answer = await browser.post("/sign-out", data={"csrf_token": token})

    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
    assert (await browser.get("/")).status_code == 200


async def test_a_token_of_another_session_is_refused(new_browser: NewBrowser, browser: Any, admin: User) -> None:
    async with new_browser() as mallory:
        await mallory.sign_in(admin.email)
        stolen = mallory.csrf_token

    answer = await browser.post("/sign-out", headers={"X-CSRF-Token": stolen})

    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")


async def test_the_sign_in_form_needs_the_token_of_this_browser(
    new_browser: NewBrowser, visitor: Any, user: User
) -> None:
    async with new_browser() as mallory:
        await mallory.open("/sign-in")
    await visitor.open("/sign-in")
    visitor.csrf_token = mallory.csrf_token

    answer = await visitor.submit("/sign-in", email=user.email, password=PASSWORD)

    assert answer.status_code == 403
    assert SESSION not in visitor.cookies


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
     {"Sec-Fetch-Site": "same-site"}],
)  # fmt: skip
async def test_a_request_that_the_browser_says_is_foreign_is_refused(browser: Any, headers: dict[str, str]) -> None:
    answer = await browser.post("/sign-out", headers={"X-CSRF-Token": browser.csrf_token, **headers})

    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")


async def test_the_api_takes_a_session_only_with_its_token(browser: Any) -> None:
    body = {"url": "https://example.org/hook"}
    without = await browser.post("/api/v1/webhooks", json=body)
    with_token = await browser.post("/api/v1/webhooks", json=body, headers={"X-CSRF-Token": browser.csrf_token})

    assert (await browser.get("/api/v1/submissions")).status_code == 200
    assert (without.status_code, with_token.status_code) == (403, 201)


async def test_too_many_attempts_at_one_account_are_stopped_even_with_the_right_password(
    visitor: Any, user: User, settings: Settings
) -> None:
    await visitor.open("/sign-in")
    for _ in range(settings.sign_ins_per_account):
        await visitor.submit("/sign-in", email=user.email, password="wrong")

    answer = await visitor.submit("/sign-in", email=user.email, password=PASSWORD)

    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "Too many requests" in answer.text


async def test_too_many_attempts_from_one_address_are_stopped(visitor: Any, settings: Settings) -> None:
    async def attempt(number: int) -> httpx.Response:
        form = {"username": f"user{number}@example.org", "password": "wrong"}
        answer: httpx.Response = await visitor.post("/api/v1/auth/token", data=form)
        return answer

    statuses = {(await attempt(number)).status_code for number in range(settings.sign_ins_per_address)}
    answer = await attempt(settings.sign_ins_per_address)

    assert statuses == {401}

    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")


async def test_every_act_is_in_the_audit_log(browser: Any, context: Context, user: User) -> None:
    await browser.submit("/sign-out")
    await browser.open("/sign-in")
    await browser.submit("/sign-in", email=user.email, password="wrong")

    async with context.database.read() as session:
        rows = (await session.execute(sa.select(AUDIT_LOG).order_by(AUDIT_LOG.c.id))).all()
    assert [row.action for row in rows] == ["account_created", "signed_in", "signed_out", "sign_in_failed"]
    assert {row.address for row in rows[1:]} == {"127.0.0.1"}
    assert "wrong" not in str(rows)


async def test_a_link_makes_the_administrator_once(visitor: Any, context: Context) -> None:
    path = await context.accounts.ensure_administrator()
    assert path is not None
    previews = [await visitor.open(path) for _ in range(2)]
    answer = await visitor.submit(path, email="Me@Example.org", password=PASSWORD)
    home = await visitor.open("/")
    again = await visitor.open(path)

    assert [preview.status_code for preview in previews] == [200, 200]
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "me@example.org" in home.text
    assert "Administrator" in home.text
    assert again.status_code == 404
    assert await context.accounts.ensure_administrator() is None


async def test_a_spent_link_changes_nothing(visitor: Any, context: Context) -> None:
    path = await context.accounts.create_administrator_link()
    await visitor.open(path)
    await visitor.submit(path, email="me@example.org", password=PASSWORD)

    answer = await visitor.submit(path, email="mallory@example.org", password="another password")

    assert answer.status_code == 404
    assert (await visitor.sign_in("me@example.org")).status_code == 303


async def test_a_new_link_makes_the_earlier_one_void(visitor: Any, context: Context) -> None:
    first = await context.accounts.ensure_administrator()
    second = await context.accounts.ensure_administrator()

    assert (await visitor.open(first)).status_code == 404
    assert (await visitor.open(second)).status_code == 200


async def test_the_command_line_makes_a_link_beside_a_running_gateway(visitor: Any, settings: Settings) -> None:
    address = await new_sign_in_link(settings.model_copy(update={"public_url": "https://scan.example.org"}))

    assert address.startswith("https://scan.example.org/welcome/")
    assert (await visitor.open(address.removeprefix("https://scan.example.org"))).status_code == 200


async def test_a_link_expires(visitor: Any, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await context.accounts.create_administrator_link()
    later = clock.now() + timedelta(seconds=context.settings.sign_in_link_seconds + 1)
    monkeypatch.setattr("gateway.storage.now", lambda: later)

    assert (await visitor.open(path)).status_code == 404


@pytest.mark.parametrize(
    ("email", "password", "message"),
    [("me@example.org", "short", "at least 12 characters"), ("no address", PASSWORD, "not an e-mail address"),
     ("user@example.org", PASSWORD, "Another account has this e-mail")],
)  # fmt: skip
async def test_a_link_survives_input_that_cannot_be_used(
    visitor: Any, context: Context, user: User, email: str, password: str, message: str
) -> None:
    path = await context.accounts.create_administrator_link()
    await visitor.open(path)
    answer = await visitor.submit(path, email=email, password=password)

    assert answer.status_code == 422
    assert message in answer.text
    assert (await visitor.open(path)).status_code == 200


async def test_a_new_password_ends_all_sessions_and_tokens(
    browser: Any, visitor: Any, api: httpx.AsyncClient, context: Context, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = clock.now() + timedelta(seconds=2)
    monkeypatch.setattr("gateway.storage.now", lambda: later)
    path = await context.accounts.create_link(user)
    await visitor.open(path)
    await visitor.submit(path, email=user.email, password="a new good password")

    assert (await browser.get("/submissions")).status_code == 401
    assert (await api.get("/api/v1/submissions")).status_code == 401


async def test_an_administrator_of_the_settings_needs_no_link(start: Any, settings: Settings, world: Any) -> None:
    given = settings.model_copy(update={"admin_email": "root@example.org", "admin_password": settings.service_secret})
    app: FastAPI = await start(given)

    form = {"username": "root@example.org", "password": settings.service_secret.get_secret_value()}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.post("/api/v1/auth/token", data=form)

    assert answer.status_code == 200
    assert await app.state.context.accounts.ensure_administrator() is None


async def test_without_the_cache_sign_in_and_sessions_are_unavailable(browser: Any, cache_server: FakeServer) -> None:
    cache_server.connected = False

    page = await browser.get("/", headers={"Accept": "text/html"})
    token = await browser.post("/api/v1/auth/token", data={"username": "a@b.c", "password": "x"})

    assert page.status_code == 503
    assert "Part of Fumehood is not answering" in page.text
    assert (token.status_code, token.json()["code"]) == (503, "unavailable")
    assert (await browser.get("/readyz")).json()["problems"] == {"cache": "The cache does not answer."}
    assert (await browser.get("/healthz")).status_code == 200
