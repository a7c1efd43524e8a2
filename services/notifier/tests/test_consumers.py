from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from notifier.consumers import create_event_router
from notifier.models import ANNOUNCED_TYPES
from notifier.service import NotifierService
from shared.clients.notifier import NewSubscription
from shared.events import (
    EVENTS,
    Event,
    ObjectRef,
    ReportFailedV1,
    ReportFormat,
    ReportReadyV1,
    ScanExpiredV1,
    ScanRecordedV1,
)
from shared.scan import CoverageLevel, ScanStatus, Verdict
from shared.testing.bus import envelope
from shared.web import Caller

MOMENT = datetime(2025, 3, 4, 12, 0, 0, tzinfo=UTC)
SUBJECT = {"submission_id": "s", "scan_id": "c", "user_id": "alice"}
FILE = {"sha256": "0" * 64, "size_bytes": 1, "name": "a.txt"}
RECORDED = {
    "status": ScanStatus.COMPLETED,
    "verdict": Verdict.MALICIOUS,
    "coverage": CoverageLevel.COMPLETE,
    "artifact_count": 3,
    "finding_count": 2,
    "recorded_at": MOMENT,
}
REPORT = {"format": ReportFormat.PDF}
EXAMPLES: list[Event] = [
    ScanRecordedV1.model_validate(SUBJECT | FILE | RECORDED),
    ScanExpiredV1.model_validate(SUBJECT | FILE | {"reason": "late", "expired_at": MOMENT}),
    ReportReadyV1.model_validate(
        SUBJECT | REPORT | {"report": ObjectRef(key="k", sha256="0" * 64, size_bytes=1), "ready_at": MOMENT}
    ),
    ReportFailedV1.model_validate(SUBJECT | REPORT | {"reason": "no fonts", "failed_at": MOMENT}),
]


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.type)
async def test_every_event_becomes_a_webhook_once(service: NotifierService, alice: Caller, event: Event) -> None:
    await service.create_subscription(alice, NewSubscription(url="https://example.org/", event_types=ANNOUNCED_TYPES))
    router, message = create_event_router(service), envelope(event)

    await router.handle(message)
    await router.handle(message)

    (delivery,) = await service.claim(10, ())
    body = json.loads(delivery.body)
    assert (body["type"], body["data"]["submission_id"]) == (event.type, "s")
    assert datetime.fromisoformat(body["timestamp"]) == message.time


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"previous_verdict": Verdict.CLEAN}, True),
        ({"previous_verdict": Verdict.MALICIOUS}, False),
        ({"previous_verdict": Verdict.CLEAN, "status": ScanStatus.FAILED, "verdict": Verdict.UNKNOWN}, False),
    ],
)
async def test_a_rescan_is_told_of_only_if_it_changed_the_verdict(
    service: NotifierService, alice: Caller, changes: dict[str, object], *, told: bool
) -> None:
    await service.create_subscription(alice, NewSubscription(url="https://example.org/"))
    router = create_event_router(service)

    await router.handle(envelope(ScanRecordedV1.model_validate(SUBJECT | FILE | RECORDED | changes)))

    assert len(await service.claim(10, ())) == told


async def test_a_rescan_that_expired_is_not_told_of(service: NotifierService, alice: Caller) -> None:
    await service.create_subscription(alice, NewSubscription(url="https://example.org/"))
    expired = {"reason": "late", "expired_at": MOMENT, "previous_verdict": Verdict.CLEAN}

    await create_event_router(service).handle(envelope(ScanExpiredV1.model_validate(SUBJECT | FILE | expired)))

    assert await service.claim(10, ()) == []


def test_there_is_a_handler_for_every_event_that_names_the_notifier() -> None:
    assert {event.type for event in EVENTS.values() if "notifier" in event.consumers} == set(ANNOUNCED_TYPES)
    assert {event.type for event in EXAMPLES} == set(ANNOUNCED_TYPES)
