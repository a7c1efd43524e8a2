"""Headers, HTTPS, hosts and limits that every request passes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey
from pydantic import SecretStr, ValidationError

from gateway.config import Settings
from shared.settings import Environment

HTML = {"Accept": "text/html"}


@pytest.fixture
def production(settings: Settings) -> Settings:
    key = ECKey.generate_key("P-256", private=True).as_pem(private=True).decode()
    return settings.model_copy(
        update={"environment": Environment.PRODUCTION, "jwt_private_key": SecretStr(key), "allowed_hosts": ("gateway",)}
    )


@pytest.fixture
async def outside(start: Any, production: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway in production, without TLS unless it asks for https."""
    app = await start(production)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/sign-in", 200), ("/submissions", 200), ("/settings", 200),  ("/nothing", 404),
     ("/api/v1/submissions", 200), ("/api/openapi.json", 200), ("/.well-known/jwks.json", 200), ("/healthz", 200),
     ("/readyz", 200), ("/static/js/app.js", 200), ("/static/nothing.js", 404), ("/welcome/x", 404)],
)  # fmt: skip
async def test_every_answer_carries_the_security_headers(browser: Any, path: str, status: int) -> None:
    answer = await browser.get(path, headers=HTML)

    assert answer.status_code == status
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "connect-src 'self' ws://gateway wss://gateway;" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Permissions-Policy" in answer.headers
    assert answer.headers["X-Request-ID"]
    if not path.startswith("/static/js"):
        assert answer.headers["Cache-Control"] == "no-store"


async def test_a_strange_host_does_not_get_into_the_policy(visitor: Any) -> None:
    answer = await visitor.get("/sign-in", headers={"Host": "x; script-src *"})

    assert "script-src *" not in answer.headers["Content-Security-Policy"]


async def test_in_production_plain_http_is_redirected_or_refused(outside: httpx.AsyncClient) -> None:
    page = await outside.get("/sign-in?next=/x")
    form = await outside.post("/api/v1/auth/token", data={"username": "a", "password": "b"})

    assert (page.status_code, page.headers["Location"]) == (308, "https://gateway/sign-in?next=/x")
    assert (form.status_code, form.json()["code"]) == (403, "https_required")


async def test_in_production_probes_need_neither_tls_nor_a_known_host(outside: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/readyz"):
        assert (await outside.get(path, headers={"Host": "10.1.2.3"})).status_code == 200


async def test_in_production_cookies_are_bound_to_this_host_over_tls(outside: httpx.AsyncClient) -> None:
    answer = await outside.get("https://gateway/sign-in", headers=HTML)

    cookie = answer.headers["Set-Cookie"].lower()
    assert cookie.startswith("__host-fumehood-visitor=")
    assert {"secure", "httponly", "samesite=lax", "path=/"} <= set(cookie.split("; "))
    assert "domain" not in cookie
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=63072000")


async def test_an_unknown_host_is_not_answered(outside: httpx.AsyncClient) -> None:
    answer = await outside.get("https://gateway/sign-in", headers={"Host": "evil.example"})

    assert (answer.status_code, answer.json()["code"]) == (421, "wrong_host")


async def test_development_sends_no_hsts(visitor: Any) -> None:
    assert "Strict-Transport-Security" not in (await visitor.get("/sign-in")).headers


async def test_a_form_may_not_be_large(visitor: Any) -> None:
    answer = await visitor.post("/sign-in", data={"email": "x" * (1 << 20)})

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_a_chunked_form_may_not_be_large_either(visitor: Any) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * (1 << 16)

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await visitor.post("/api/v1/auth/token", content=endless(), headers=headers)

    assert answer.status_code in {400, 413}


async def test_requests_are_limited_per_user_and_for_others_per_address(start: Any, settings: Settings) -> None:
    app = await start(settings.model_copy(update={"requests_per_minute": 2}))
    user = await app.state.context.accounts.create_account("user@example.org", "user")
    headers = {"Authorization": f"Bearer {app.state.context.tokens.issue(user)}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        known = [await client.get("/api/v1/submissions", headers=headers) for _ in range(3)]
        unknown = [await client.get("/api/v1/submissions") for _ in range(3)]

    assert [answer.status_code for answer in known] == [200, 200, 429]
    assert [answer.status_code for answer in unknown] == [401, 401, 429]
    assert 0 < int(known[2].headers["Retry-After"]) <= 60


def test_production_names_what_is_missing() -> None:
    with pytest.raises(ValidationError, match=r"FUMEHOOD_DATABASE_URL.*FUMEHOOD_CACHE_URL, FUMEHOOD_JWT_PRIVATE_KEY"):
        Settings(environment=Environment.PRODUCTION)
