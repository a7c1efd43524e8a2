"""Events that the notifier publishes."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from shared.events.base import Event


class DeliveryFailedV1(Event):
    """A subscriber could not be told of an event; the notifier gave up."""

    type: ClassVar[str] = "notifier.delivery_failed.v1"

    user_id: str
    subscription_id: str
    event_id: str
    event_type: str
    attempts: int
    reason: str
    failed_at: datetime
