"""What the results process holds for its whole life."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from results.config import Settings
from results.feeder import RescanFeeder
from results.service import ComparisonService, RescanService, ResultsService
from results.sweeper import DeadlineSweeper
from shared.database import Database
from shared.messaging import Bus, OutboxRelay
from shared.objects import ObjectStore
from shared.web.app import Check


@dataclass(frozen=True, slots=True)
class Context:
    """Clients and the service built on them."""

    settings: Settings
    database: Database
    objects: ObjectStore
    bus: Bus
    service: ResultsService
    rescans: RescanService
    comparison: ComparisonService

    def checks(self) -> dict[str, Check]:
        """Return what must work before the service takes requests."""
        return {"database": self.database.check, "objects": self.objects.check, "bus": self.bus.check}


@asynccontextmanager
async def open_context(settings: Settings, bus: Bus, objects: ObjectStore) -> AsyncIterator[Context]:
    """Open the database, start the relay, the sweeper and the feeder, and close all of them at the end."""
    database = Database(settings.database_url.get_secret_value(), schema="results")
    service = ResultsService(database, objects, bus)
    rescans = RescanService(
        database,
        objects,
        lifetime=timedelta(seconds=settings.rescan_deadline_seconds),
        outstanding=settings.rescans_outstanding,
    )
    relay = OutboxRelay(database, bus)
    feeder = RescanFeeder(rescans, interval_seconds=settings.rescan_feed_seconds)
    service.on_rescan_ended = rescans.on_job_started = feeder.wake
    sweeper = DeadlineSweeper(
        service, interval_seconds=settings.deadline_sweep_seconds, catch_up_seconds=settings.deadline_catch_up_seconds
    )
    await relay.start()
    await sweeper.start()
    await feeder.start()
    try:
        yield Context(settings, database, objects, bus, service, rescans, ComparisonService(database))
    finally:
        await feeder.close()
        await sweeper.close()
        await relay.close()
        await database.close()
