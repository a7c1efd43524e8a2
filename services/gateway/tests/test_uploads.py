"""Files on their way through: limits before reading, nothing held, nothing half done."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from gateway.config import Settings
from gateway.context import Context
from gateway.models.accounts import User
from shared.testing.bus import until

FORM = "multipart/form-data; boundary=xyz"
HEAD = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
TAIL = b"\r\n--xyz--\r\n"
LIMIT = 1_000_000 + 64 * 1024


async def chunks(count: int, size: int = 1 << 16) -> AsyncIterator[bytes]:
    block = bytes(size)
    yield HEAD
    for _ in range(count):
        yield block
    yield TAIL


async def test_a_script_gets_json_and_a_plain_form_gets_the_page(browser: Any) -> None:
    headers = {"X-CSRF-Token": browser.csrf_token, "Accept": "application/json"}
    script = await browser.post("/files", files={"file": ("a", b"abc")}, headers=headers)
    form = {"csrf_token": (None, browser.csrf_token), "file": ("a", b"abc")}
    plain = await browser.post("/files", files=form, headers={"Accept": "text/html"})

    assert script.status_code == 202
    assert plain.status_code == 303
    assert plain.headers["Location"].startswith("/submissions/")


@pytest.mark.parametrize("token", ["", "wrong", "x" * 10_000])
async def test_without_its_token_a_form_is_refused_and_nothing_reaches_the_upload_service(
    browser: Any, world: Any, token: str
) -> None:
    form = {"csrf_token": (None, token), "file": ("a", b"abc")}
    answer = await browser.post("/files", files=form, headers={"Accept": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
    assert world.received_bytes == 0


async def test_a_token_after_the_file_comes_too_late(browser: Any, world: Any) -> None:
    form = {"file": ("a", b"abc"), "csrf_token": (None, browser.csrf_token)}
    answer = await browser.post("/files", files=form, headers={"Accept": "application/json"})

    assert answer.status_code == 403
    assert world.received_bytes == 0


async def test_a_body_that_says_it_is_too_large_is_refused_unread(api: httpx.AsyncClient, world: Any) -> None:
    async def never() -> AsyncIterator[bytes]:
        yield pytest.fail("the body was read")

    headers = {"Content-Type": FORM, "Content-Length": str(LIMIT + 1), "Expect": "100-continue"}
    answer = await api.post("/api/v1/files", content=never(), headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert answer.headers["Connection"] == "close"
    assert answer.json()["max_file_bytes"] == 1_000_000
    assert world.calls == []


async def test_a_body_of_unknown_length_is_stopped_at_the_limit(api: httpx.AsyncClient, world: Any) -> None:
    answer = await api.post("/api/v1/files", content=chunks(40), headers={"Content-Type": FORM})

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert world.received_bytes <= LIMIT
    assert world.submissions == {}


async def test_what_the_upload_service_says_reaches_the_client(api: httpx.AsyncClient, world: Any) -> None:
    world.too_large = True
    answer = await api.post("/api/v1/files", content=chunks(3), headers={"Content-Type": FORM})

    assert (answer.status_code, answer.json()["detail"]) == (413, "The limit is 3 bytes.")


async def test_a_body_without_a_length_is_refused(api: httpx.AsyncClient) -> None:
    request = api.build_request("POST", "/api/v1/files", headers={"Content-Type": FORM})
    del request.headers["Content-Length"]
    answer = await api.send(request)

    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")


async def test_a_body_that_stops_coming_is_broken_off(api: httpx.AsyncClient, world: Any) -> None:
    async def stalling() -> AsyncIterator[bytes]:
        yield HEAD
        await asyncio.sleep(30)

    answer = await asyncio.wait_for(
        api.post("/api/v1/files", content=stalling(), headers={"Content-Type": FORM}), timeout=15
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "broken_upload")
    assert world.submissions == {}


async def test_a_client_that_goes_away_leaves_nothing(app: FastAPI, context: Context, user: User, world: Any) -> None:
    sent = await exchange(
        app,
        context.tokens.issue(user),
        [
            {"type": "http.request", "body": HEAD, "more_body": True},
            {"type": "http.disconnect"},
        ],
    )

    assert sent[0]["status"] == 400
    assert world.submissions == {}


async def test_an_early_answer_is_followed_by_reading_the_rest(app: FastAPI, context: Context) -> None:
    rest = [{"type": "http.request", "body": b"x", "more_body": True} for _ in range(5)]
    left = [*rest, {"type": "http.request", "body": b"", "more_body": False}]
    sent = await exchange(app, "no token", left)

    assert sent[0]["status"] == 401
    assert (b"connection", b"close") in sent[0]["headers"]
    assert [message.get("more_body") for message in sent[1:]] == [True, False]
    assert left == []


@pytest.mark.integration
@pytest.mark.parametrize("announced", [True, False])
async def test_a_client_that_sends_all_of_a_large_body_first_reads_the_answer(
    app: FastAPI, context: Context, user: User, *, announced: bool
) -> None:
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", ws="none", log_config=None))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
    block = bytes(1 << 20)
    length = f"Content-Length: {20 * len(block)}" if announced else "Transfer-Encoding: chunked"
    token = context.tokens.issue(user)
    writer.write(
        f"POST /api/v1/files HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {FORM}\r\n{length}\r\n\r\n".encode()
    )
    for _ in range(20):
        writer.write(block if announced else b"%x\r\n%b\r\n" % (len(block), block))
        await writer.drain()
    answer = await reader.read()
    writer.close()
    server.should_exit = True
    await serving

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"too_large"' in answer


async def test_a_gibibyte_goes_through_in_little_memory(start: Any, settings: Settings, world: Any) -> None:
    app: FastAPI = await start(settings.model_copy(update={"max_file_bytes": 2 << 30}))
    context: Context = app.state.context
    user = await context.accounts.create_account("big@example.org", "user")  # type: ignore[arg-type]
    headers = {"Content-Type": FORM, "Authorization": f"Bearer {context.tokens.issue(user)}"}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.post("/api/v1/files", content=chunks(1 << 14), headers=headers)

    assert answer.status_code == 202
    assert world.received_bytes > 1 << 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


async def test_uploads_are_limited_per_user(start: Any, settings: Settings, world: Any) -> None:
    app: FastAPI = await start(settings.model_copy(update={"uploads_per_minute": 2}))
    context: Context = app.state.context
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        statuses = []
        for email in ("one@example.org", "one@example.org", "one@example.org", "two@example.org"):
            user = await context.accounts.create_account(email, "user")  # type: ignore[arg-type]
            headers = {"Authorization": f"Bearer {context.tokens.issue(user)}"}
            statuses.append((await client.post("/api/v1/files", files={"file": b"a"}, headers=headers)).status_code)

    assert statuses == [202, 202, 429, 202]


async def exchange(app: FastAPI, token: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send a chunked upload message by message; return what the app sent. Takes the messages off the list."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = {
        "host": "gateway",
        "authorization": f"Bearer {token}",
        "content-type": FORM,
        "transfer-encoding": "chunked",
    }
    scope = {
        "type": "http", "method": "POST", "path": "/api/v1/files", "raw_path": b"/api/v1/files", "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()], "scheme": "http",
        "server": ("gateway", 80), "client": ("192.0.2.1", 1), "asgi": {"version": "3.0"}, "http_version": "1.1",
    }  # fmt: skip
    await app(scope, receive, send)  # type: ignore[arg-type]
    return sent
