"""The loop that sends what is due, safe with many replicas and after any death."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from datetime import timedelta
from typing import Protocol

from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from notifier.errors import UnreadableSecretError
from notifier.models import Attempt, DueDelivery
from shared.errors import UnavailableError
from shared.web import stop

logger = logging.getLogger(__name__)
_tracer = trace.get_tracer(__name__)
_attempts = metrics.get_meter(__name__).create_counter(
    "fumehood.webhook.attempts", description="Tries to deliver a webhook, by outcome."
)

POLL_SECONDS = 2.0
_FORGET_EVERY_SECONDS = 3600.0

Send = Callable[[DueDelivery, str], Awaitable[Attempt]]


class Deliveries(Protocol):
    """What the loop needs of the service."""

    async def claim(self, limit: int, busy: Collection[str]) -> list[DueDelivery]:
        """Return deliveries that are due."""

    def secret_of(self, delivery: DueDelivery) -> str:
        """Return the secret that signs the delivery."""

    async def record(self, delivery: DueDelivery, attempt: Attempt) -> None:
        """Record how a try went."""

    async def forget_ended(self, age: timedelta) -> None:
        """Remove old deliveries."""


class Sender:
    """Claims due deliveries and sends them, a bounded number at the same time.

    A delivery whose process dies before the outcome is recorded is sent again when its
    claim runs out: a receiver may get it twice, with the same `webhook-id`.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        send: Send,
        *,
        concurrency: int,
        history: timedelta,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._deliveries = deliveries
        self._send = send
        self._concurrency = concurrency
        self._history = history
        self._poll_seconds = poll_seconds
        self._wake = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._busy: Counter[str] = Counter()
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to send."""
        self._loops = [asyncio.create_task(self._run()), asyncio.create_task(self._forget())]

    async def close(self) -> None:
        """Claim nothing more, let what is under way end, which the time limit of a try bounds."""
        for loop in self._loops:
            await stop(loop)
        await asyncio.gather(*self._under_way)

    def wake(self) -> None:
        """Look for due deliveries now."""
        self._wake.set()

    async def check(self) -> None:
        """Raise UnavailableError unless the loop runs."""
        if not self._loops or any(loop.done() for loop in self._loops):
            raise UnavailableError("The sender of webhooks does not run.")

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            if not await self._send_due():
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_seconds):
                        await self._wake.wait()

    async def _send_due(self) -> bool:
        """Start what is due and fits; return whether there may be more."""
        free = self._concurrency - len(self._under_way)
        if free <= 0:
            return False
        try:
            claimed = await self._deliveries.claim(free, list(self._busy))
        except UnavailableError as error:
            logger.warning("webhooks wait for the database", extra={"reason": error.message})
            return False
        except Exception:
            logger.exception("due webhooks cannot be claimed")
            return False
        for delivery in claimed:
            self._busy[delivery.subscription_id] += 1
            task = asyncio.create_task(self._deliver(delivery))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return bool(claimed)

    async def _deliver(self, delivery: DueDelivery) -> None:
        try:
            attempt = await self._try(delivery)
            await self._deliveries.record(delivery, attempt)
        except UnavailableError as error:
            # The claim runs out and the delivery is sent again.
            logger.warning("webhook outcome not recorded", extra={"delivery_id": delivery.id, "reason": error.message})
        except Exception:
            logger.exception("webhook not sent", extra={"delivery_id": delivery.id})
        finally:
            self._release(delivery.subscription_id)
            self._wake.set()

    async def _try(self, delivery: DueDelivery) -> Attempt:
        context = propagate.extract(delivery.trace_context)
        attributes: dict[str, str | int] = {
            "fumehood.event.type": delivery.event_type,
            "fumehood.webhook.id": delivery.id,
            "fumehood.attempt": delivery.attempts + 1,
        }
        with _tracer.start_as_current_span("send webhook", context, SpanKind.CLIENT, attributes) as span:
            try:
                attempt = await self._send(delivery, self._deliveries.secret_of(delivery))
            except UnreadableSecretError as error:
                attempt = Attempt(error=error.message, hopeless=True)
            if attempt.status_code is not None:
                span.set_attribute("http.response.status_code", attempt.status_code)
            if attempt.error is not None:
                span.set_status(Status(StatusCode.ERROR, attempt.error))
        _attempts.add(1, {"outcome": "delivered" if attempt.delivered else "refused"})
        return attempt

    def _release(self, subscription_id: str) -> None:
        self._busy[subscription_id] -= 1
        if not self._busy[subscription_id]:
            del self._busy[subscription_id]

    async def _forget(self) -> None:
        while True:
            try:
                await self._deliveries.forget_ended(self._history)
            except UnavailableError as error:
                logger.warning("old deliveries stay for now", extra={"reason": error.message})
            await asyncio.sleep(_FORGET_EVERY_SECONDS)
