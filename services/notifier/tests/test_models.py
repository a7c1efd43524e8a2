from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from pydantic import ValidationError

from notifier.config import Settings
from notifier.errors import UnreadableSecretError
from notifier.models import Announcement, RetrySchedule, delivery_id
from notifier.sealing import Seal, new_webhook_secret
from shared.events import ObjectRef, ReportFormat, ReportReadyV1

MOMENT = datetime(2025, 3, 4, 12, 0, 0, tzinfo=UTC)


def test_the_pauses_grow_and_end() -> None:
    schedule = RetrySchedule((5, 30), jitter=lambda: 1.0)

    assert [schedule.wait(failed, None) for failed in (1, 2, 3)] == [
        timedelta(seconds=5),
        timedelta(seconds=30),
        None,
    ]


def test_the_pauses_are_spread() -> None:
    schedule = RetrySchedule((100,))
    pauses = {schedule.wait(1, None) for _ in range(20)}

    assert len(pauses) > 10
    assert all(pause is not None and timedelta(seconds=90) <= pause <= timedelta(seconds=130) for pause in pauses)


@pytest.mark.parametrize(("asked", "waited"), [(1, 5), (60, 60), (10**9, 24 * 3600)])
def test_retry_after_makes_a_pause_longer_up_to_a_day(asked: float, waited: float) -> None:
    assert RetrySchedule((5,), jitter=lambda: 1.0).wait(1, asked) == timedelta(seconds=waited)


def test_retry_after_gives_no_further_try() -> None:
    assert RetrySchedule(()).wait(1, 60) is None


def test_a_webhook_id_belongs_to_event_and_subscription() -> None:
    event, one, other = str(uuid4()), str(uuid4()), str(uuid4())

    assert delivery_id(event, one) == delivery_id(event, one)
    assert len({delivery_id(event, one), delivery_id(event, other), delivery_id(str(uuid4()), one)}) == 3
    assert len(delivery_id(event, one)) == 36


def test_the_body_tells_the_event_and_not_where_our_objects_lie() -> None:
    event = ReportReadyV1(
        submission_id="s",
        scan_id="c",
        user_id="alice",
        format=ReportFormat.PDF,
        report=ObjectRef(key="reports/secret-place", sha256="0" * 64, size_bytes=9),
        ready_at=MOMENT,
    )

    body = json.loads(Announcement(event, "e", MOMENT).body())

    assert body == {
        "type": "reports.report_ready.v1",
        "timestamp": "2025-03-04T12:00:00Z",
        "data": {
            "submission_id": "s",
            "scan_id": "c",
            "user_id": "alice",
            "format": "pdf",
            "report": {"sha256": "0" * 64, "size_bytes": 9},
            "ready_at": "2025-03-04T12:00:00Z",
        },
    }


def test_a_sealed_secret_opens_only_under_the_same_service_secret() -> None:
    secret = new_webhook_secret()
    sealed = Seal("one").close(secret)

    assert secret not in sealed
    assert Seal("one").open(sealed) == secret
    with pytest.raises(UnreadableSecretError):
        Seal("other").open(sealed)


def test_settings_are_read_as_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUMEHOOD_WEBHOOK_ALLOW_PRIVATE", "10.0.0.0/8, fd00::/8")
    monkeypatch.setenv("FUMEHOOD_WEBHOOK_ALLOWED_PORTS", "443,8000-8010")
    monkeypatch.setenv("FUMEHOOD_WEBHOOK_RETRY_DELAYS", "1, 2.5")
    settings = Settings()

    assert [str(network) for network in settings.webhook_allow_private] == ["10.0.0.0/8", "fd00::/8"]
    assert [str(ports) for ports in settings.webhook_allowed_ports] == ["443", "8000-8010"]
    assert settings.webhook_retry_delays == (1.0, 2.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALLOW_PRIVATE", "10.0.0.1/8"), ("ALLOWED_PORTS", ""), ("ALLOWED_PORTS", "x"), ("RETRY_DELAYS", "-1")],
)
def test_settings_that_make_no_sense_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"FUMEHOOD_WEBHOOK_{name}", value)

    with pytest.raises(ValidationError, match=name.lower()):
        Settings()
