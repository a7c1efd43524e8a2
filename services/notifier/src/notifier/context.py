"""What the notifier process holds for its whole life."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from notifier.addresses import AddressGuard, Resolver
from notifier.channels import WebhookChannel
from notifier.config import Settings
from notifier.models import RetrySchedule
from notifier.network import SystemResolver
from notifier.sealing import Seal
from notifier.sender import Sender
from notifier.service import NotifierService
from shared.database import Database
from shared.messaging import Bus, OutboxRelay
from shared.web.app import Check

# A claim lasts longer than a try and its record in the database: it runs out only when its process has died.
_RECORDING_TIME = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Context:
    """Clients and the service built on them."""

    settings: Settings
    database: Database
    bus: Bus
    service: NotifierService
    sender: Sender

    def checks(self) -> dict[str, Check]:
        """Return what must work before the service takes requests."""
        return {"database": self.database.check, "bus": self.bus.check, "sender": self.sender.check}


@asynccontextmanager
async def open_context(settings: Settings, bus: Bus) -> AsyncIterator[Context]:
    """Open the database, start relay and sender, and close them in reverse order at the end."""
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url.get_secret_value(), schema="notifier")
        stack.push_async_callback(database.close)
        relay = OutboxRelay(database, bus)
        stack.push_async_callback(relay.close)
        await relay.start()
        resolver = SystemResolver()
        stack.callback(resolver.close)
        guard = create_guard(settings, resolver)
        channel = WebhookChannel(guard, timeout_seconds=settings.webhook_timeout_seconds)
        stack.push_async_callback(channel.close)
        service = create_service(settings, database, guard)
        sender = Sender(
            service,
            channel.send,
            concurrency=settings.webhook_concurrency,
            history=timedelta(days=settings.webhook_history_days),
        )
        service.on_deliveries_queued = sender.wake
        stack.push_async_callback(sender.close)
        await sender.start()
        yield Context(settings, database, bus, service, sender)


def create_guard(settings: Settings, resolver: Resolver) -> AddressGuard:
    """Return the rules for addresses that the settings make."""
    return AddressGuard(
        resolver,
        allow_private=settings.webhook_allow_private,
        ports=settings.webhook_allowed_ports,
        https_only=settings.https_only,
    )


def create_service(settings: Settings, database: Database, guard: AddressGuard) -> NotifierService:
    """Return the service that the settings make."""
    return NotifierService(
        database,
        guard,
        Seal(settings.signing_secret()),
        RetrySchedule(settings.webhook_retry_delays),
        lease=timedelta(seconds=2 * settings.webhook_timeout_seconds) + _RECORDING_TIME,
        subscriptions_per_user=settings.webhook_subscriptions_per_user,
    )
