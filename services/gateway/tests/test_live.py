"""The hub: bounded, shared through the cache, deaf to nonsense."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Redis

from gateway import live
from gateway.live import LiveHub
from shared.clock import now
from shared.events import FileUploadedV1, ObjectRef, ScanExpiredV1, ScanProgressedV1, ScanStartedV1
from shared.messaging import Bus
from shared.scan import ScanStatus
from shared.testing.bus import envelope, until


def started(number: int = 1, user_id: str = "alice") -> ScanStartedV1:
    return ScanStartedV1(submission_id=f"s-{number}", scan_id=f"x-{number}", user_id=user_id, started_at=now())


def uploaded(number: int = 1) -> FileUploadedV1:
    return FileUploadedV1(
        submission_id=f"s-{number}", scan_id=f"x-{number}", user_id="alice", name="a",
        accepted_at=now(), deadline_at=now(),
        file=ObjectRef(key="files/a", sha256="a" * 64, size_bytes=1),
    )  # fmt: skip


async def test_progress_is_seen_by_other_replicas(bus: Bus, cache: Redis, monkeypatch: Any) -> None:
    monkeypatch.setattr(live, "FLUSH_SECONDS", 0.01)
    here, there = LiveHub(bus, cache, "t:"), LiveHub(bus, cache, "t:")
    await here.start()
    await bus.publish_transient(
        envelope(
            ScanProgressedV1(
                submission_id="s-1",
                scan_id="x-1",
                user_id="alice",
                stage="unpacking",
                artifacts_found=5,
                artifacts_done=2,
            )
        )
    )

    async def shared() -> bool:
        return await there.progress("x-1") is not None

    await until(shared, timeout_seconds=3)
    await here.close()

    progress = await there.progress("x-1")
    assert progress is not None
    assert (progress.stage, progress.artifacts_done, progress.artifacts_found) == ("unpacking", 2, 5)
    assert 0 < await cache.ttl("t:progress:x-1") <= live.PROGRESS_SECONDS


async def test_a_slow_watcher_keeps_only_the_latest_of_a_bounded_number(bus: Bus, cache: Redis) -> None:
    hub = LiveHub(bus, cache, "t:")
    with hub.watch() as watch:
        for number in range(live.WAITING_UPDATES + 50):
            await hub.receive(envelope(started(number)))
            await hub.receive(envelope(started(number)))
        updates = await watch.take(1)

    assert len(updates) == live.WAITING_UPDATES
    assert updates[-1].submission_id == f"s-{live.WAITING_UPDATES + 49}"


async def test_a_watch_gets_what_it_is_for(bus: Bus, cache: Redis) -> None:
    hub = LiveHub(bus, cache, "t:")
    with hub.watch(user_id="alice") as alice, hub.watch(submission_id="s-2") as second, hub.watch() as everyone:
        await hub.receive(envelope(started(1, "alice")))
        await hub.receive(envelope(started(2, "bob")))
        taken = [[update.submission_id for update in await watch.take(0.01)] for watch in (alice, second, everyone)]

    assert taken == [["s-1"], ["s-2"], ["s-1", "s-2"]]


async def test_an_upload_that_is_heard_of_late_does_not_hide_its_scan(bus: Bus, cache: Redis) -> None:
    hub = LiveHub(bus, cache, "t:")
    with hub.watch() as watch:
        await hub.receive(envelope(started(1)))
        await hub.receive(envelope(uploaded(1)))
        (update,) = await watch.take(1)

    assert update.status is ScanStatus.SCANNING


async def test_an_expired_scan_has_ended(bus: Bus, cache: Redis) -> None:
    hub = LiveHub(bus, cache, "t:")
    await hub.receive(envelope(started(1)))
    expired = ScanExpiredV1(
        submission_id="s-1", scan_id="x-1", user_id="alice", sha256="a" * 64, size_bytes=1, name="a", reason="late",
        expired_at=now(),
    )  # fmt: skip
    with hub.watch() as watch:
        await hub.receive(envelope(expired))
        (update,) = await watch.take(1)

    assert update.status is ScanStatus.EXPIRED
    assert await hub.progress("x-1") is None


async def test_without_the_cache_the_hub_goes_on(bus: Bus, cache: Redis, cache_server: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(live, "FLUSH_SECONDS", 0.01)
    hub = LiveHub(bus, cache, "t:")
    await hub.start()
    cache_server.connected = False
    await hub.receive(envelope(started(1)))
    await asyncio.sleep(0.05)

    assert await hub.progress("x-1") is not None
    assert await hub.progress("x-2") is None
    await hub.close()
