"""The API journey of a program, and its errors."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from openapi_spec_validator import validate

from gateway.context import Context
from gateway.models.accounts import User
from gateway.openapi import document
from shared.events import ScanRecordedV1
from shared.scan import CoverageLevel, ScanStatus, Verdict
from shared.testing.bus import envelope

FILE = {"file": ("a.txt", b"abc")}


async def test_a_program_gets_a_token_submits_a_file_and_reads_its_submission(
    app: FastAPI, user: User, world: Any
) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        form = {"username": "User@Example.org", "password": "correct horse battery"}
        token = (await client.post("/api/v1/auth/token", data=form)).json()
        client.headers["Authorization"] = f"Bearer {token['access_token']}"
        accepted = await client.post("/api/v1/files", files=FILE, headers={"Idempotency-Key": "k-1"})
        read = await client.get(accepted.json()["links"]["self"])

    assert (token["token_type"], token["expires_in"]) == ("bearer", 900)
    assert accepted.status_code == 202
    assert accepted.headers["Location"] == accepted.json()["links"]["self"]
    assert world.received_headers["idempotency-key"] == "k-1"
    assert read.json()["status"] == "queued"
    assert read.json()["links"]["report_pdf"].endswith("/report.pdf")
    assert {caller.user_id for _, caller in world.calls} == {user.id}


async def test_waiting_ends_when_the_scan_is_recorded(
    api: httpx.AsyncClient, context: Context, user: User, world: Any
) -> None:
    submission = world.accept(user.id)
    waiting = asyncio.create_task(api.get(f"/api/v1/submissions/{submission.id}?wait=30"))
    await asyncio.sleep(0.05)

    world.record(submission, status=ScanStatus.COMPLETED)
    await context.live.receive(envelope(recorded(submission)))
    answer = (await asyncio.wait_for(waiting, 3)).json()

    assert (answer["status"], answer["verdict"]) == ("completed", "malicious")
    assert answer["artifacts"][0]["name"] == "report.zip"


async def test_waiting_ends_when_the_time_is_up(api: httpx.AsyncClient, user: User, world: Any) -> None:
    submission = world.accept(user.id)

    answer = await api.get(f"/api/v1/submissions/{submission.id}?wait=0.05")

    assert answer.json()["status"] == "queued"


async def test_filters_and_cursor_are_passed_on(api: httpx.AsyncClient, world: Any) -> None:
    await api.get("/api/v1/submissions?verdict=clean&name=inv&cursor=abc&limit=7&after=2026-01-01T00:00:00Z")

    assert world.queries == [
        {"verdict": "clean", "name": "inv", "cursor": "abc", "limit": "7", "after": "2026-01-01T00:00:00Z"}
    ]


async def test_a_list_has_links_and_the_next_cursor(api: httpx.AsyncClient, user: User, world: Any) -> None:
    for _ in range(2):
        world.record(world.accept(user.id))

    page = (await api.get("/api/v1/submissions")).json()

    assert page["next_cursor"] == "more"
    assert page["items"][0]["links"]["page"] == f"/submissions/{page['items'][0]['id']}"


async def test_bytes_are_looked_up_by_hash(api: httpx.AsyncClient, user: User, world: Any) -> None:
    world.record(world.accept(user.id), status=ScanStatus.COMPLETED)

    answer = await api.get(f"/api/v1/files/{'A' * 64}")

    assert answer.json()["verdict"] == "malicious"
    assert answer.json()["submissions"][0]["links"]["self"].startswith("/api/v1/submissions/")


@pytest.mark.parametrize("form", ["json", "html", "pdf"])
async def test_reports_are_passed_through_under_a_name_of_ours(
    api: httpx.AsyncClient, user: User, world: Any, form: str
) -> None:
    world.name = "\r\nSet-Cookie: x=1; filename=evil.exe"
    submission = world.accept(user.id)
    world.record(submission, status=ScanStatus.COMPLETED)

    answer = await api.get(f"/api/v1/submissions/{submission.id}/report.{form}")

    assert answer.text == f"report as {form}"
    assert answer.headers["Content-Disposition"].endswith(f'; filename="fumehood-{submission.id}.{form}"')
    assert answer.headers["Content-Security-Policy"].startswith("sandbox;")


async def test_a_report_of_a_running_scan_is_a_conflict(api: httpx.AsyncClient, user: User, world: Any) -> None:
    submission = world.accept(user.id)
    world.record(submission)

    answer = await api.get(f"/api/v1/submissions/{submission.id}/report.pdf")

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


async def test_webhooks_are_added_listed_and_removed(api: httpx.AsyncClient) -> None:
    made = await api.post("/api/v1/webhooks", json={"url": "https://example.org/hook"})
    listed = await api.get("/api/v1/webhooks")
    removed = await api.delete(f"/api/v1/webhooks/{made.json()['id']}")
    again = await api.delete(f"/api/v1/webhooks/{made.json()['id']}")

    assert (made.status_code, made.json()["secret"]) == (201, "whsec_c2VjcmV0")
    assert [hook["secret"] for hook in listed.json()] == [None]
    assert (removed.status_code, again.status_code) == (204, 404)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/submissions/unknown", 404),
        ("GET", "/api/v1/submissions/unknown/report.pdf", 404),
        ("GET", "/api/v1/submissions/unknown/report.exe", 422),
        ("GET", "/api/v1/submissions/a%3Flimit=1", 422),
        ("GET", "/api/v1/submissions/..%23/report.json", 422),
        ("GET", "/api/v1/submissions/%00", 422),
        ("DELETE", "/api/v1/webhooks/a%3Fb", 422),
        ("GET", "/api/v1/files/abc", 422),
        ("GET", f"/api/v1/files/{'0' * 64}", 404),
        ("GET", "/api/v1/submissions?limit=101", 422),
        ("GET", "/api/v1/submissions?verdict=fine", 422),
        ("GET", "/api/v1/submissions/x?wait=61", 422),
        ("GET", "/api/v1/nothing", 404),
        ("PUT", "/api/v1/submissions", 405),
        ("POST", "/api/v1/webhooks", 422),
    ],
)
async def test_every_error_is_a_problem(api: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await api.request(method, path, headers={"Accept": "text/html"})

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


async def test_a_submission_of_somebody_else_is_not_found_but_an_administrator_sees_it(
    api: httpx.AsyncClient, context: Context, admin: User, world: Any
) -> None:
    theirs = world.accept("somebody-else")
    world.record(theirs, status=ScanStatus.COMPLETED)
    as_admin = {"Authorization": f"Bearer {context.tokens.issue(admin)}"}

    for path in (f"/api/v1/submissions/{theirs.id}", f"/api/v1/submissions/{theirs.id}/report.json"):
        assert (await api.get(path)).status_code == 404
        assert (await api.get(path, headers=as_admin)).status_code == 200
    assert (await api.get("/api/v1/submissions")).json()["items"] == []


@pytest.mark.parametrize("service", ["upload", "results", "reports", "notifier"])
async def test_a_service_that_is_away_gives_a_503_that_says_when_to_come_back(
    api: httpx.AsyncClient, user: User, world: Any, service: str
) -> None:
    submission = world.accept(user.id)
    world.away.add(service)
    calls = {
        "upload": api.post("/api/v1/files", files=FILE),
        "results": api.get(f"/api/v1/submissions/{submission.id}"),
        "reports": api.get(f"/api/v1/submissions/{submission.id}/report.pdf"),
        "notifier": api.get("/api/v1/webhooks"),
    }
    answer = await calls.pop(service)
    for call in calls.values():
        call.close()

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert service in answer.json()["detail"]
    assert (await api.get("/readyz")).status_code == 200


def test_the_openapi_document_is_valid_and_names_problems(app: FastAPI) -> None:
    made = document(app)

    validate(made)
    paths = made["paths"]
    assert not [path for path in paths if not path.startswith(("/api/v1/", "/.well-known/"))]
    for path, operations in paths.items():
        for operation in operations.values():
            assert operation["summary"], path
            assert operation["description"], path
            errors = [answer for status, answer in operation["responses"].items() if int(status) >= 400]
            assert all(list(answer["content"]) == ["application/problem+json"] for answer in errors), path


def recorded(submission: Any) -> ScanRecordedV1:
    return ScanRecordedV1(
        submission_id=submission.id,
        scan_id=submission.scan_id,
        user_id=submission.user_id,
        sha256=submission.sha256,
        size_bytes=submission.size_bytes,
        name=submission.name,
        status=ScanStatus.COMPLETED,
        verdict=Verdict.MALICIOUS,
        coverage=CoverageLevel.COMPLETE,
        artifact_count=1,
        finding_count=1,
        recorded_at=submission.accepted_at,
    )
