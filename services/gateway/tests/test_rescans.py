"""Scanning again and detectors on trial, through pages and API: who may, what is said, what the socket sends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gateway.context import Context
from gateway.handlers.answers import row_of_update
from gateway.models.accounts import User
from gateway.models.live import update_of
from shared.clients import Comparison, Submission
from shared.clock import now
from shared.events import ObjectRef, RescanRequestedV1, ScanProgressedV1, ScanRecordedV1
from shared.scan import CoverageLevel, ScanStatus, Verdict
from shared.testing.bus import envelope

HTML = {"Accept": "text/html"}


@pytest.fixture
def scanned(user: User, world: Any) -> Any:
    submission = world.accept(user.id)
    world.record(submission, status=ScanStatus.COMPLETED)
    return submission


@pytest.fixture
async def admin_api(app: FastAPI, context: Context, admin: User) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {context.tokens.issue(admin)}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        yield client


@pytest.fixture
async def admin_browser(new_browser: Callable[[], Any], admin: User) -> AsyncIterator[Any]:
    async with new_browser() as browser:
        await browser.sign_in(admin.email)
        yield browser


def compared(world: Any, **changes: Any) -> Comparison:
    values: dict[str, Any] = {
        "detector": "model", "version": "2", "reference": None, "others": (), "first_at": now(), "last_at": now(),
        "artifacts": 4, "alone": 0, "agreed": 3, "pairs": (), "live_scores": (4,) + (0,) * 9,
        "shadow_scores": (3,) + (0,) * 8 + (1,), "newly_flagged": 0, "no_longer_flagged": 0, "otherwise_flagged": 0,
        "changed": (),
    }  # fmt: skip
    found = Comparison(**values | changes)
    world.comparisons[found.detector] = found
    return found


def requested(submission: Any) -> RescanRequestedV1:
    return RescanRequestedV1(
        submission_id=submission.id, scan_id="rescan-1", user_id=submission.user_id, name=submission.name,
        file=ObjectRef(key="files/a", sha256="a" * 64, size_bytes=3), accepted_at=now(), deadline_at=now(),
    )  # fmt: skip


def progressed(submission: Any) -> ScanProgressedV1:
    return ScanProgressedV1(
        submission_id=submission.id, scan_id="rescan-1", user_id=submission.user_id, stage="inspecting",
        artifacts_found=7, artifacts_done=2,
    )  # fmt: skip


def recorded(submission: Any, verdict: Verdict, status: ScanStatus = ScanStatus.COMPLETED) -> ScanRecordedV1:
    return ScanRecordedV1(
        submission_id=submission.id, scan_id="rescan-1", user_id=submission.user_id, sha256="a" * 64, size_bytes=3,
        name=submission.name, status=status, verdict=verdict, coverage=CoverageLevel.COMPLETE, artifact_count=1,
        finding_count=0, previous_verdict=Verdict.MALICIOUS, recorded_at=now(),
    )  # fmt: skip


async def test_the_button_asks_for_a_scan_once(browser: Any, scanned: Any) -> None:
    page = await browser.open(f"/submissions/{scanned.id}")
    assert "Scan again" in page.text
    asked = await browser.submit(f"/submissions/{scanned.id}/rescan")
    again = await browser.submit(f"/submissions/{scanned.id}/rescan")
    waiting = await browser.open(f"/submissions/{scanned.id}")

    assert (asked.status_code, asked.headers["location"]) == (303, f"/submissions/{scanned.id}")
    assert again.status_code == 409
    assert "being scanned right now" in again.text
    assert "Waiting to be scanned again" in waiting.text
    assert f'ws-connect="/ws/submissions/{scanned.id}"' in waiting.text
    assert "Malicious" in waiting.text


async def test_nobody_asks_for_somebody_elses(browser: Any, world: Any) -> None:
    theirs = world.accept("somebody-else")
    world.record(theirs, status=ScanStatus.COMPLETED)

    assert (await browser.submit(f"/submissions/{theirs.id}/rescan")).status_code == 404
    assert world.scans[theirs.id].rescan is None


async def test_a_form_from_elsewhere_asks_for_nothing(browser: Any, scanned: Any, world: Any) -> None:
    answer = await browser.post(f"/submissions/{scanned.id}/rescan", data={"csrf_token": "wrong"}, headers=HTML)

    assert answer.status_code == 403
    assert world.scans[scanned.id].rescan is None


async def test_the_page_follows_a_rescan_to_its_end(
    open_socket: Any, browser: Any, context: Context, scanned: Any, world: Any
) -> None:
    await browser.submit(f"/submissions/{scanned.id}/rescan")
    async with open_socket(f"/ws/submissions/{scanned.id}", browser) as socket:
        await socket.next()
        assert "Waiting to be scanned again" in await socket.text()
        await context.live.receive(envelope(progressed(scanned)))
        during = await socket.text()
        assert "Being scanned again" in during
        assert "2 of 7 found so far" in during

        detail = world.scans[scanned.id].model_copy(update={"rescan": None, "scan_id": "rescan-1"})
        world.scans[scanned.id] = detail.model_copy(
            update={"verdict": Verdict.CLEAN, "previous_verdict": Verdict.MALICIOUS}
        )
        await context.live.receive(envelope(recorded(scanned, Verdict.CLEAN)))
        last = await socket.text()
        assert "Changed from Malicious to Clean" in last
        assert 'data-live-scan="false"' in last
        assert (await socket.next())["code"] == 1000


async def test_lists_keep_the_verdict_until_a_rescan_has_another(
    open_socket: Any, browser: Any, context: Context, scanned: Any
) -> None:
    async with open_socket("/ws/submissions", browser) as socket:
        await socket.next()
        assert "Malicious" in await socket.text()
        for event in (requested(scanned), progressed(scanned)):
            await context.live.receive(envelope(event))
        await context.live.receive(envelope(recorded(scanned, Verdict.CLEAN)))
        assert "Clean" in await socket.text()
        await socket.leave()


def test_a_rescan_that_failed_leaves_the_verdict_in_lists() -> None:
    submission = Submission(
        id="s", scan_id="c", user_id="u", name="a", sha256="a" * 64, size_bytes=3, accepted_at=now(), deadline_at=now()
    )
    update = update_of(envelope(recorded(submission, Verdict.UNKNOWN, ScanStatus.FAILED)))
    assert update is not None

    assert row_of_update(update).mark.label == "Malicious"


async def test_the_api_asks_and_waits(api: httpx.AsyncClient, scanned: Any, context: Context, world: Any) -> None:
    asked = await api.post(f"/api/v1/submissions/{scanned.id}/rescan")
    refused = await api.post(f"/api/v1/submissions/{scanned.id}/rescan")
    waited = await api.get(f"/api/v1/submissions/{scanned.id}", params={"wait": 0.2})

    assert (asked.status_code, asked.json()["rescan"]["status"]) == (202, "queued")
    assert asked.json()["verdict"] == "malicious"
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert waited.json()["rescan"]["scan_id"] == "rescan-1"


async def test_jobs_are_for_administrators(api: httpx.AsyncClient, world: Any) -> None:
    for method, path in (
        ("POST", "/rescans"),
        ("POST", "/rescans/estimate"),
        ("GET", "/rescans/latest"),
        ("POST", "/rescans/job-1/pause"),
        ("GET", "/shadows"),
        ("GET", "/shadows/model"),
    ):
        answer = await api.request(method, f"/api/v1{path}", json={} if method == "POST" else None)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), path
    assert not [path for path, _ in world.calls if "rescans" in path or "shadows" in path]


async def test_an_administrator_runs_a_job(admin_api: httpx.AsyncClient, scanned: Any) -> None:
    none = await admin_api.get("/api/v1/rescans/latest")
    counted = await admin_api.post("/api/v1/rescans/estimate", json={"verdict": "clean"})
    started = await admin_api.post("/api/v1/rescans", json={"content_type": "php"})
    paused = await admin_api.post("/api/v1/rescans/job-1/pause")
    wrong = await admin_api.post("/api/v1/rescans/job-1/explode")

    assert none.status_code == 404
    assert counted.json() == {"submissions": 1}
    assert (started.status_code, started.json()["filters"]["content_type"]) == (201, "php")
    assert paused.json()["state"] == "paused"
    assert wrong.status_code == 422


async def test_the_page_of_detectors_on_trial_is_for_administrators(browser: Any, admin_browser: Any) -> None:
    refused = await browser.get("/settings/detectors", headers=HTML)
    empty = await admin_browser.get("/settings/detectors", headers=HTML)

    assert refused.status_code == 403
    assert "/settings/detectors" not in (await browser.get("/settings", headers=HTML)).text
    assert "/settings/detectors" in (await admin_browser.get("/settings", headers=HTML)).text
    assert "No detector has run in shadow yet" in empty.text
    assert "fumehood admin detectors add PATH --shadow" in empty.text


async def test_a_comparison_is_shown_and_narrowed_down(admin_browser: Any, world: Any) -> None:
    compared(world)
    page = await admin_browser.get("/settings/detectors?shadow=model@2&days=7&reference=rules", headers=HTML)

    assert "75.0 %" in page.text
    assert world.queries[-1]["reference"] == "rules"
    assert "since" in world.queries[-1]
    other = await admin_browser.get("/settings/detectors?shadow=%3Cscript%3E&days=-1&reference=none", headers=HTML)
    assert other.status_code == 200
    assert "75.0 %" in other.text
    assert "<script>" not in other.text.replace("<script src", "").replace("<script defer", "")


async def test_nothing_in_this_time_is_said_so(admin_browser: Any, world: Any) -> None:
    compared(world, artifacts=0, alone=2, agreed=0)

    assert "2 files were looked at in shadow only" in (await admin_browser.get("/settings/detectors")).text


async def test_the_api_compares(admin_api: httpx.AsyncClient, world: Any) -> None:
    found = compared(world)
    listed = (await admin_api.get("/api/v1/shadows")).json()
    answer = await admin_api.get("/api/v1/shadows/model", params={"version": "2", "limit": 50})

    assert [(one["detector"], one["version"]) for one in listed] == [("model", "2")]
    assert Comparison.model_validate(answer.json()) == found
    assert world.queries[-1] == {"version": "2", "limit": "50"}
    assert (await admin_api.get("/api/v1/shadows/other")).status_code == 404
    assert (await admin_api.get("/api/v1/shadows/..%2Fsubmissions")).status_code == 404
