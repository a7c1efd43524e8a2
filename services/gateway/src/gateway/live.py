"""The live view: every event on the bus, handed to those who watch its submission or its user.

Each replica has one hub with one tap. A watcher subscribes first and reads the present state
then, so it misses nothing; it keeps only the latest update of each submission, so a slow one
costs no memory and skips to where things are.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from redis.asyncio import Redis

from gateway.models.live import Progress, Update, update_of
from shared.cache import unavailable_when_away
from shared.errors import UnavailableError
from shared.messaging import Bus, Message, Subscription
from shared.scan import ScanStatus

FLUSH_SECONDS = 0.5
PROGRESS_SECONDS = 900
REMEMBERED = 10_000
WAITING_UPDATES = 500

logger = logging.getLogger(__name__)


class Watch:
    """The updates that one watcher has not taken yet, the latest of each submission, at most 500."""

    def __init__(self, *, submission_id: str | None, user_id: str | None) -> None:
        self._submission_id = submission_id
        self._user_id = user_id
        self._waiting: OrderedDict[str, Update] = OrderedDict()
        self._something = asyncio.Event()

    def offer(self, update: Update) -> None:
        """Take the update if it is of interest; when too many wait, the oldest is dropped."""
        if self._submission_id not in {None, update.submission_id} or self._user_id not in {None, update.user_id}:
            return
        self._waiting.pop(update.submission_id, None)
        self._waiting[update.submission_id] = update
        if len(self._waiting) > WAITING_UPDATES:
            self._waiting.popitem(last=False)
        self._something.set()

    async def take(self, timeout_seconds: float) -> tuple[Update, ...]:
        """Return what waits, waiting for it if need be; nothing when the time is up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._something.wait()
        updates = tuple(self._waiting.values())
        self._waiting.clear()
        self._something.clear()
        return updates


class LiveHub:
    """Routes updates to watchers and keeps how far each running scan is, here and in the cache."""

    def __init__(self, bus: Bus, cache: Redis, prefix: str) -> None:
        self._bus = bus
        self._cache = cache
        self._prefix = f"{prefix}progress:"
        self._watches: set[Watch] = set()
        self._progress: OrderedDict[str, Progress] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._rescans: OrderedDict[str, None] = OrderedDict()
        self._unsaved: set[str] = set()
        self._tap: Subscription | None = None
        self._saver: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start to listen. Raises UnavailableError."""
        self._tap = await self._bus.tap(self.receive)
        self._saver = asyncio.create_task(self._save_for_ever(), name="live-progress")

    async def close(self) -> None:
        """Stop to listen."""
        if self._saver is not None:
            self._saver.cancel()
            await asyncio.gather(self._saver, return_exceptions=True)
        if self._tap is not None:
            await self._tap.cancel()

    @contextmanager
    def watch(self, *, submission_id: str | None = None, user_id: str | None = None) -> Iterator[Watch]:
        """Give a watch on one submission, on one user's, or without either on everyone's."""
        watch = Watch(submission_id=submission_id, user_id=user_id)
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    async def receive(self, message: Message) -> None:
        """Pass one event on to whoever watches."""
        update = update_of(message)
        if update is None or self._is_late(update):
            return
        if update.rescan:
            _remember(self._rescans, update.scan_id, None)
        elif update.scan_id in self._rescans:
            update = update.model_copy(update={"rescan": True})
        if update.status.terminal:
            _remember(self._ended, update.scan_id, None)
            self._progress.pop(update.scan_id, None)
        elif update.progress is not None:
            _remember(self._progress, update.scan_id, update.progress)
            self._unsaved.add(update.scan_id)
        for watch in self._watches:
            watch.offer(update)

    async def progress(self, scan_id: str) -> Progress | None:
        """Return how far a running scan is, if that is known; never raises."""
        if scan_id in self._ended:
            return None
        if (progress := self._progress.get(scan_id)) is not None:
            return progress
        try:
            with unavailable_when_away():
                saved = await self._cache.get(self._prefix + scan_id)
        except UnavailableError:
            return None
        return Progress.model_validate_json(saved) if saved else None

    def _is_late(self, update: Update) -> bool:
        """Return whether something later is known: transient events may overtake each other."""
        if update.scan_id in self._ended:
            return True
        return update.status is ScanStatus.QUEUED and update.scan_id in self._progress

    async def _save_for_ever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self._save()
            except UnavailableError:
                logger.warning("live progress is not shared: the cache does not answer")

    async def _save(self) -> None:
        unsaved, self._unsaved = self._unsaved, set()
        known = {key: self._progress[key] for key in unsaved if key in self._progress}
        if not known:
            return
        with unavailable_when_away():
            async with self._cache.pipeline(transaction=False) as pipeline:
                for scan_id, progress in known.items():
                    pipeline.set(self._prefix + scan_id, progress.model_dump_json(), ex=PROGRESS_SECONDS)
                await pipeline.execute()


def _remember(memory: OrderedDict[str, Any], key: str, value: object) -> None:
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)
