"""What the notifier works with: subscriptions as stored, deliveries under way, attempts."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

from shared.events import Event, ReportFailedV1, ReportReadyV1, ScanExpiredV1, ScanRecordedV1
from shared.scan import Frozen

Announced = ScanRecordedV1 | ScanExpiredV1 | ReportReadyV1 | ReportFailedV1
ANNOUNCED_TYPES = tuple(event.type for event in (ScanRecordedV1, ScanExpiredV1, ReportReadyV1, ReportFailedV1))

# Where our objects lie says nothing to the outside.
_INTERNAL_FIELDS: dict[type[Event], dict[str, set[str]]] = {ReportReadyV1: {"report": {"key"}}}
_LONGEST_WAIT = timedelta(hours=24)


class DeliveryStatus(StrEnum):
    """Where a delivery stands. The last two are terminal."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Payload(Frozen):
    """The body of a webhook (Standard Webhooks, "Payload structure")."""

    type: str
    timestamp: datetime
    data: dict[str, object]


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event that subscribers want to hear of, with what its envelope said."""

    event: Announced
    event_id: str
    occurred_at: datetime
    trace_context: dict[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """Return the body of the webhook: the bytes that are signed and sent, the same at every try."""
        data = self.event.model_dump(mode="json", exclude=_INTERNAL_FIELDS.get(type(self.event)))
        return Payload(type=self.event.type, timestamp=self.occurred_at, data=data).model_dump_json().encode()


@dataclass(frozen=True, slots=True)
class StoredSubscription:
    """The part of a subscription that a new event is matched with."""

    id: str
    event_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """A delivery that this process has claimed and will try now. `attempts` counts those before."""

    id: str
    subscription_id: str
    user_id: str
    url: str
    sealed_secret: str
    event_id: str
    event_type: str
    body: bytes
    attempts: int
    trace_context: dict[str, str]


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one try ended. No `error` means delivered."""

    status_code: int | None = None
    error: str | None = None
    retry_after_seconds: float | None = None
    hopeless: bool = False

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it."""
        return self.error is None

    @property
    def gone(self) -> bool:
        """Whether the receiver wants no more of this subscription (410 Gone)."""
        return self.status_code == 410


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """How long to wait after each failed try. After the last delay there is one more try."""

    delays_seconds: tuple[float, ...]
    jitter: Callable[[], float] = lambda: random.uniform(0.9, 1.3)  # noqa: S311 - spreads load, guards nothing

    def wait(self, failed_attempts: int, retry_after_seconds: float | None) -> timedelta | None:
        """Return the pause after that many failed tries, None when no try is left.

        The receiver's Retry-After makes the pause longer, up to a day, never shorter.
        """
        if failed_attempts > len(self.delays_seconds):
            return None
        wait = timedelta(seconds=self.delays_seconds[failed_attempts - 1] * self.jitter())
        return min(max(wait, timedelta(seconds=retry_after_seconds or 0)), max(wait, _LONGEST_WAIT))


def delivery_id(event_id: str, subscription_id: str) -> str:
    """Return the `webhook-id` of an event for a subscription: the same however often it is computed."""
    return f"msg_{uuid5(UUID(subscription_id), event_id).hex}"
