from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from shared.events import FileUploadedV1
from shared.messaging import Message
from shared.messaging.tables import OUTBOX
from shared.web import Caller, Role, issue_service_token
from upload.context import Context
from upload.schema import FILES, SUBMISSIONS

SECRET = "a secret of the tests, long enough for HS256"
MULTIPART = {"Content-Type": "multipart/form-data; boundary=XX"}


def token(user: str, audience: str = "upload") -> dict[str, str]:
    caller = Caller(user_id=user, role=Role.USER)
    return {"Authorization": f"Bearer {issue_service_token(SECRET, caller, audience)}"}


async def post(client: httpx.AsyncClient, name: str, data: bytes, **headers: str) -> httpx.Response:
    return await client.post("/internal/v1/files", files={"file": (name, data)}, headers=headers)


def form(body: bytes, disposition: str = 'form-data; name="file"; filename="a.txt"') -> bytes:
    return b"--XX\r\nContent-Disposition: " + disposition.encode() + b"\r\n\r\n" + body + b"\r\n--XX--\r\n"


async def stored(context: Context) -> tuple[int, int]:
    async with context.database.read() as session:
        files = await session.scalar(sa.select(sa.func.count()).select_from(FILES))
        submissions = await session.scalar(sa.select(sa.func.count()).select_from(SUBMISSIONS))
    return files or 0, submissions or 0


def objects(context: Context) -> list[Path]:
    root = context.objects.spool_directory().parent
    return [path for path in root.rglob("*") if path.is_file()]


async def test_an_accepted_file_is_stored_and_announced(client: httpx.AsyncClient, context: Context) -> None:
    seen: asyncio.Queue[FileUploadedV1] = asyncio.Queue()

    async def keep(message: Message) -> None:
        await seen.put(FileUploadedV1.model_validate_json(message.body))

    await context.bus.consume("scanner.upload.file_uploaded.v1", keep)

    answer = await post(client, "shell.php", b"<?php echo 1;")

    assert answer.status_code == 202
    body = answer.json()
    assert body["sha256"] == hashlib.sha256(b"<?php echo 1;").hexdigest()
    assert (body["name"], body["size_bytes"], body["user_id"]) == ("shell.php", 13, "alice")
    event = await asyncio.wait_for(seen.get(), 5)
    assert (event.submission_id, event.scan_id) == (body["id"], body["scan_id"])
    assert b"".join([chunk async for chunk in context.objects.stream(event.file.key)]) == b"<?php echo 1;"


async def test_the_same_bytes_are_stored_once(client: httpx.AsyncClient, context: Context) -> None:
    first, second = await post(client, "a", b"same"), await post(client, "b", b"same")

    assert first.json()["id"] != second.json()["id"]
    assert await stored(context) == (1, 2)
    assert len(objects(context)) == 1


async def test_a_repeated_idempotency_key_gives_the_same_submission(
    client: httpx.AsyncClient, context: Context
) -> None:
    key = {"Idempotency-Key": "once"}
    answers = await asyncio.gather(*(post(client, "a", b"same", **key) for _ in range(5)))

    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await stored(context) == (1, 1)


async def test_an_idempotency_key_used_for_other_bytes_is_refused(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "once"}
    await post(client, "a", b"one", **key)
    answer = await post(client, "a", b"two", **key)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


async def test_keys_of_two_users_do_not_meet(client: httpx.AsyncClient) -> None:
    first = await post(client, "a", b"one", **{"Idempotency-Key": "once"})
    second = await post(client, "a", b"two", **{"Idempotency-Key": "once", **token("mallory")})

    assert first.json()["id"] != second.json()["id"]


async def test_an_empty_file_is_accepted(client: httpx.AsyncClient) -> None:
    answer = await post(client, "empty", b"")

    assert (answer.status_code, answer.json()["size_bytes"]) == (202, 0)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        (r"C:\Windows\system32\cmd.exe", "cmd.exe"),
        ("..", "unnamed"),
        ("a\x00b\x1b[31m.txt", "a\ufffdb\ufffd[31m.txt"),
        ("invoice\u202efdp.exe", "invoice\u202efdp.exe"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        ("ünï.txt", "ünï.txt"),
    ],
)
async def test_hostile_names_are_made_safe_to_store(client: httpx.AsyncClient, name: str, kept: str) -> None:
    disposition = f'form-data; name="file"; filename="{name}"'.replace("\\", "\\\\")
    answer = await client.post("/internal/v1/files", content=form(b"x", disposition), headers=MULTIPART)

    assert answer.status_code == 202
    assert answer.json()["name"] == kept


async def test_a_very_long_name_is_shortened_and_keeps_its_extension(client: httpx.AsyncClient) -> None:
    name = (await post(client, "n" * 4000 + ".exe", b"x")).json()["name"]

    assert len(name) <= 255
    assert name.endswith(".exe")


async def test_a_file_over_the_limit_is_refused_before_it_is_read(client: httpx.AsyncClient, spool: Path) -> None:
    chunks_read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal chunks_read
        chunks_read += 1
        yield b"x"

    headers = {**MULTIPART, "Content-Length": "1000000"}
    answer = await client.post("/internal/v1/files", content=body(), headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert answer.json()["max_file_bytes"] == 100_000
    assert chunks_read == 0
    assert list(spool.iterdir()) == []


async def test_a_chunked_body_over_the_limit_is_cut(client: httpx.AsyncClient, context: Context, spool: Path) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield form(b"")[:-10]
        while True:
            sent += 10_000
            yield b"x" * 10_000

    answer = await client.post("/internal/v1/files", content=endless(), headers=MULTIPART)

    assert answer.status_code == 413
    assert sent <= 200_000
    assert list(spool.iterdir()) == []
    assert await stored(context) == (0, 0)


BROKEN = {
    "no multipart": (b"hello", {"Content-Type": "text/plain"}),
    "no boundary": (b"hello", {"Content-Type": "multipart/form-data"}),
    "not a form": (b"hello", MULTIPART),
    "empty body": (b"", MULTIPART),
    "cut": (form(b"x" * 500)[:-20], MULTIPART),
    "cut before the end mark": (form(b"x")[:-4], MULTIPART),
    "wrong field": (form(b"x", 'form-data; name="data"; filename="a"'), MULTIPART),
    "no file name": (form(b"x", 'form-data; name="file"'), MULTIPART),
    "two files": (form(b"x")[:-6] + b"\r\n" + form(b"y"), MULTIPART),
    "long field": (form(b"p" * 2000, 'form-data; name="password"'), MULTIPART),
    "endless header": (b"--XX\r\nContent-Disposition: " + b"a" * 90_000, MULTIPART),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_broken_form_is_refused_and_leaves_nothing(
    client: httpx.AsyncClient, context: Context, spool: Path, case: str
) -> None:
    body, headers = BROKEN[case]
    answer = await client.post("/internal/v1/files", content=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "broken_upload")
    assert list(spool.iterdir()) == []
    assert await stored(context) == (0, 0)


async def test_an_upload_that_stalls_is_broken_off(client: httpx.AsyncClient, spool: Path) -> None:
    async def stalling() -> AsyncIterator[bytes]:
        yield form(b"x" * 100)[:80]
        await asyncio.sleep(30)

    answer = await client.post("/internal/v1/files", content=stalling(), headers=MULTIPART)

    assert (answer.status_code, answer.json()["code"]) == (400, "broken_upload")
    assert list(spool.iterdir()) == []


async def test_passwords_of_the_form_travel_with_the_event(client: httpx.AsyncClient, context: Context) -> None:
    data = {"password": ["infected", "s3cret"]}
    await client.post("/internal/v1/files", files={"file": ("a.zip", b"PK")}, data=data)

    async with context.database.read() as session:
        options = await session.scalar(sa.select(SUBMISSIONS.c.options))
    assert options == {"passwords": ["infected", "s3cret"]}


async def test_a_submission_is_shown_to_its_owner_only(client: httpx.AsyncClient) -> None:
    created = (await post(client, "a", b"x")).json()
    path = f"/internal/v1/submissions/{created['id']}"

    assert (await client.get(path)).json() == created
    assert (await client.get(path, headers=token("mallory"))).status_code == 404


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Bearer nonsense"}, token("alice", "results"), {"Authorization": ""}]
)
async def test_a_call_without_a_token_for_this_service_is_refused(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await post(client, "a", b"x", **headers)

    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


async def test_row_and_event_are_committed_together(client: httpx.AsyncClient, context: Context) -> None:
    async def broken_publish(*_: object) -> str:
        raise OSError("disk full")

    from shared.database import Transaction  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transaction, "publish", broken_publish)
        with pytest.raises(OSError, match="disk full"):
            await post(client, "a", b"x")

    assert await stored(context) == (0, 0)
    async with context.database.read() as session:
        assert (await session.scalar(sa.select(sa.func.count()).select_from(OUTBOX))) == 0


async def test_abandoned_spool_files_are_removed_at_start(spool: Path) -> None:
    from upload.receive import remove_abandoned  # noqa: PLC0415

    old, young = spool / "upload-old", spool / "upload-young"
    old.write_bytes(b"x")
    young.write_bytes(b"x")
    os.utime(old, (0, 0))

    remove_abandoned(spool)

    assert [path.name for path in spool.iterdir()] == ["upload-young"]
