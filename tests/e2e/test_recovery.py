"""A scanner killed in the middle of its work loses nothing and does nothing twice."""

from __future__ import annotations

import io
import random
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from installations import Installation, wait_for
from webhooks import WebhookReceiver

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SUBMISSIONS = 60
MEMBERS = 20
STILL_OPEN = 10
ENDED = {"completed", "failed", "expired"}


def archive(number: int) -> bytes:
    """Return a zip whose members differ from those of every other one."""
    words = random.Random(number)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for member in range(MEMBERS):
            lines = [f"value_{words.random()} = {words.random()}" for _ in range(200)]
            file.writestr(f"part{member}.py", "import os\n" + "\n".join(lines))
    return buffer.getvalue()


def submit_all(api: httpx.Client) -> list[str]:
    def submit(number: int) -> str:
        answer = api.post("/api/v1/files", files={"file": (f"archive{number}.zip", archive(number))})
        assert answer.status_code == 202, answer.text
        submission_id: str = answer.json()["id"]
        return submission_id

    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(submit, range(SUBMISSIONS)))


def listed(api: httpx.Client) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.get("/api/v1/submissions", params={"limit": 100}).json()["items"]
    return items


def open_ids(api: httpx.Client) -> set[str]:
    return {item["id"] for item in listed(api) if item["status"] not in ENDED}


def test_killed_scanner_finishes_every_submission_exactly_once(
    own_installation: Installation, receiver: WebhookReceiver
) -> None:
    with own_installation.api() as api:
        assert api.post("/api/v1/webhooks", json={"url": receiver.address}).status_code == 201
        accepted = submit_all(api)
        wait_for("the first scan ends", lambda: len(open_ids(api)) < SUBMISSIONS, 120)

    own_installation.kill("scanner")
    own_installation.start("scanner")

    with own_installation.api() as api:
        assert len(open_ids(api)) >= STILL_OPEN, "the scanner was killed too late to show anything"
        wait_for("every scan ends", lambda: not open_ids(api), 300, interval_seconds=0.5)
        assert sorted(item["id"] for item in listed(api)) == sorted(accepted)
        for submission_id in accepted:
            detail = api.get(f"/api/v1/submissions/{submission_id}").json()
            assert detail["status"] == "completed", detail
            assert len(detail["artifacts"]) == 1 + MEMBERS
        wait_for("every webhook arrives", lambda: set(receiver.received) >= set(accepted), 60)
    assert {submission: len(events) for submission, events in receiver.received.items()} == dict.fromkeys(accepted, 1)
