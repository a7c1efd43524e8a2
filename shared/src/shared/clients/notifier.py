"""The notifier as others see it."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from shared.clients.base import ServiceClient
from shared.scan import Frozen
from shared.web.tokens import Caller


class NewSubscription(Frozen):
    """Where to send which events."""

    url: str = Field(max_length=2000, description="Address that takes the webhook; https outside development.")
    event_types: tuple[str, ...] = Field(
        default=("results.scan_recorded.v1", "results.scan_expired.v1"), min_length=1, description="Types to send."
    )
    everyone: bool = Field(default=False, description="Of everybody's submissions; administrators only.")


class Delivery(Frozen):
    """One attempt series to tell one subscriber of one event."""

    event_id: str
    event_type: str
    status: str = Field(description="pending, delivered or failed.")
    attempts: int
    last_status_code: int | None = None
    last_error: str | None = None
    updated_at: datetime


class Subscription(Frozen):
    """A webhook subscription. The secret is shown once, when it is made."""

    id: str
    user_id: str
    url: str
    event_types: tuple[str, ...]
    everyone: bool = Field(default=False, description="Of everybody's submissions, not only the user's own.")
    created_at: datetime
    disabled_at: datetime | None = Field(
        default=None, description="When the receiver answered 410 Gone; nothing is sent since."
    )
    secret: str | None = Field(default=None, description="`whsec_...`, only in the answer to its creation.")
    last_delivery: Delivery | None = None


class NotifierClient(ServiceClient):
    """/internal/v1/subscriptions."""

    async def create_subscription(self, caller: Caller, new: NewSubscription) -> Subscription:
        """Add a webhook. Raises InvalidInputError's problem for an address that is not allowed."""
        answer = await self._call(caller, "POST", "/internal/v1/subscriptions", json=new.model_dump(mode="json"))
        return Subscription.model_validate_json(answer.content)

    async def list_subscriptions(self, caller: Caller) -> tuple[Subscription, ...]:
        """Return the caller's webhooks with their last delivery."""
        answer = await self._call(caller, "GET", "/internal/v1/subscriptions")
        return tuple(Subscription.model_validate(item) for item in answer.json())

    async def delete_subscription(self, caller: Caller, subscription_id: str) -> None:
        """Remove a webhook. Raises NotFoundError's problem."""
        await self._call(caller, "DELETE", f"/internal/v1/subscriptions/{subscription_id}")
