"""Use cases of the notifier: keep subscriptions, queue deliveries, record how they went."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import timedelta
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from notifier import storage
from notifier.addresses import AddressGuard
from notifier.errors import TooManySubscriptionsError
from notifier.models import ANNOUNCED_TYPES, Announcement, Attempt, DueDelivery, RetrySchedule
from notifier.sealing import Seal, new_webhook_secret
from shared.clients.notifier import NewSubscription, Subscription
from shared.clock import now
from shared.database import Database, Transaction
from shared.errors import InvalidInputError, NotAllowedError, NotFoundError
from shared.events import DeliveryFailedV1
from shared.web import Caller

logger = logging.getLogger(__name__)

# So that one slow receiver cannot hold all places of the sender.
PER_SUBSCRIPTION = 2


class NotifierService:
    """Keeps subscriptions and deliveries. A delivery that is queued ends delivered or failed, at least once sent."""

    def __init__(
        self,
        database: Database,
        guard: AddressGuard,
        seal: Seal,
        schedule: RetrySchedule,
        *,
        lease: timedelta,
        subscriptions_per_user: int,
    ) -> None:
        self._database = database
        self._guard = guard
        self._seal = seal
        self._schedule = schedule
        self._lease = lease
        self._subscriptions_per_user = subscriptions_per_user
        self.on_deliveries_queued: Callable[[], None] = lambda: None

    async def create_subscription(self, caller: Caller, new: NewSubscription) -> Subscription:
        """Add a webhook and return it with its secret, which nobody can read again.

        Raises AddressNotAllowedError, AddressNotFoundError, InvalidInputError, NotAllowedError
        and TooManySubscriptionsError.
        """
        _check(caller, new)
        target = self._guard.parse(new.url)
        await self._guard.resolve(target.host, target.port)
        secret = new_webhook_secret()
        subscription = Subscription(
            id=str(uuid4()),
            user_id=caller.user_id,
            url=new.url,
            event_types=tuple(dict.fromkeys(new.event_types)),
            everyone=new.everyone,
            created_at=now(),
            secret=secret,
        )
        async with self._database.transaction() as transaction:
            # Two requests at the same moment may end one over the limit, which does no harm.
            if await storage.count_subscriptions(transaction.session, caller.user_id) >= self._subscriptions_per_user:
                message = f"You have {self._subscriptions_per_user} webhooks, which is the limit; delete one first."
                raise TooManySubscriptionsError(message)
            await storage.insert_subscription(transaction.session, subscription, self._seal.close(secret))
        return subscription

    async def list_subscriptions(self, caller: Caller) -> tuple[Subscription, ...]:
        """Return the caller's webhooks with their last deliveries."""
        async with self._database.read() as session:
            return await storage.list_subscriptions(session, caller.user_id)

    async def delete_subscription(self, caller: Caller, subscription_id: str) -> None:
        """Remove a webhook that the caller may see. Raises NotFoundError."""
        async with self._database.transaction() as transaction:
            owner = await storage.find_owner(transaction.session, subscription_id)
            if owner is None or not caller.may_see(owner):
                raise NotFoundError("There is no such webhook.")
            await storage.delete_subscription(transaction.session, subscription_id)

    async def announce(self, announcement: Announcement) -> None:
        """Queue one delivery for every subscription that wants to hear of the event; once per event id."""
        async with self._database.read() as session:
            if not await self._listeners(session, announcement):
                return  # most events, and nothing of them has to be kept
        async with self._database.transaction() as transaction:
            if not await transaction.first_time(announcement.event_id):
                return
            wanted = await self._listeners(transaction.session, announcement)
            if wanted:
                await storage.insert_deliveries(transaction.session, announcement, wanted)
        if wanted:
            self.on_deliveries_queued()

    async def claim(self, limit: int, busy: Collection[str]) -> list[DueDelivery]:
        """Return deliveries that are due; they are this process's until the lease ends."""
        async with self._database.transaction() as transaction:
            return await storage.claim_due(
                transaction.session, limit=limit, per_subscription=PER_SUBSCRIPTION, busy=busy, lease=self._lease
            )

    def secret_of(self, delivery: DueDelivery) -> str:
        """Return the secret that signs the delivery. Raises UnreadableSecretError."""
        return self._seal.open(delivery.sealed_secret)

    async def record(self, delivery: DueDelivery, attempt: Attempt) -> None:
        """Record how a try went: delivered, to be tried again, or failed for good and announced as such."""
        wait = None if attempt.hopeless else self._schedule.wait(delivery.attempts + 1, attempt.retry_after_seconds)
        async with self._database.transaction() as transaction:
            if attempt.delivered:
                await storage.record_delivered(transaction.session, delivery, attempt)
            elif wait is not None:
                await storage.record_retry(transaction.session, delivery, attempt, wait)
            else:
                await self._give_up(transaction, delivery, attempt)

    async def forget_ended(self, age: timedelta) -> None:
        """Remove deliveries that ended longer ago than the age."""
        async with self._database.transaction() as transaction:
            await storage.delete_ended_deliveries(transaction.session, now() - age)

    async def _listeners(self, session: AsyncSession, announcement: Announcement) -> list[str]:
        subscribers = await storage.find_subscribers(session, announcement.event.user_id)
        return [one.id for one in subscribers if announcement.event.type in one.event_types]

    async def _give_up(self, transaction: Transaction, delivery: DueDelivery, attempt: Attempt) -> None:
        if not await storage.record_failed(transaction.session, delivery, attempt):
            return
        if attempt.gone:
            await storage.disable_subscription(transaction.session, delivery.subscription_id)
        await transaction.publish(
            DeliveryFailedV1(
                user_id=delivery.user_id,
                subscription_id=delivery.subscription_id,
                event_id=delivery.event_id,
                event_type=delivery.event_type,
                attempts=delivery.attempts + 1,
                reason=attempt.error or "",
                failed_at=now(),
            )
        )
        logger.warning(
            "webhook given up",
            extra={"delivery_id": delivery.id, "subscription_id": delivery.subscription_id, "reason": attempt.error},
        )


def _check(caller: Caller, new: NewSubscription) -> None:
    unknown = sorted(set(new.event_types) - set(ANNOUNCED_TYPES))
    if unknown:
        raise InvalidInputError(f"No webhook is sent for {unknown[0]}; there are {', '.join(ANNOUNCED_TYPES)}.")
    if new.everyone and not caller.sees_everything:
        raise NotAllowedError("Only an administrator may have a webhook for everybody's submissions.")
