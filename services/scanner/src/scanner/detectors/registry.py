"""The detectors in use. Packs that come, change or go are taken up while scans run, and none is disturbed.

A scan keeps the set of detectors it began with; a detector that is in no set any more is closed
when the last scan that holds it has ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from scanner.config import EngineSettings
from scanner.detectors.base import Detector
from scanner.detectors.loader import LoadedPacks, RefusedPack, load_detectors, watched_state
from scanner.threads import Threads

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Generation:
    """One set of detectors and the number of scans that hold it."""

    loaded: LoadedPacks
    scans: int = 0


class DetectorRegistry:
    """Loads the packs, watches the operator's folders, and lends the present set to scans."""

    def __init__(self, settings: EngineSettings, threads: Threads, loaded: LoadedPacks) -> None:
        self._settings = settings
        self._threads = threads
        self._current = _Generation(loaded)
        self._generations = [self._current]
        self._closing: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, settings: EngineSettings, threads: Threads) -> DetectorRegistry:
        """Load the packs; one that is broken is refused, not fatal."""
        loop = asyncio.get_running_loop()
        before = await loop.run_in_executor(threads.files, watched_state, settings)
        registry = cls(settings, threads, await loop.run_in_executor(threads.files, load_detectors, settings, threads))
        if settings.detectors_poll_seconds and (settings.detectors_dir or settings.rules_dir):
            registry._watching = asyncio.create_task(registry._watch(before), name="detectors watcher")
        return registry

    @property
    def detectors(self) -> tuple[Detector, ...]:
        """The detectors that a scan which begins now gets."""
        return self._current.loaded.detectors

    @property
    def refused(self) -> tuple[RefusedPack, ...]:
        """The packs that cannot be used."""
        return self._current.loaded.refused

    @contextmanager
    def lend(self) -> Iterator[tuple[Detector, ...]]:
        """Give the present detectors; they stay open until they are given back."""
        generation = self._current
        generation.scans += 1
        try:
            yield generation.loaded.detectors
        finally:
            generation.scans -= 1
            self._close_unused()

    async def reload(self) -> None:
        """Load what has changed and use it for the scans that begin from now on."""
        loop = asyncio.get_running_loop()
        present = self._current.loaded.packs
        loaded = await loop.run_in_executor(self._threads.files, load_detectors, self._settings, self._threads, present)
        self._current = _Generation(loaded)
        self._generations.append(self._current)
        self._close_unused()
        names = ", ".join(detector.info.name for detector in loaded.detectors)
        logger.info("detectors in use now: %s", names)

    async def close(self) -> None:
        """Stop watching and close every detector; scans in flight must have ended."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await asyncio.gather(*self._closing)
        for detector in self.detectors:
            await detector.close()

    async def _watch(self, known: object) -> None:
        """Reload when two looks in a row agree that something is different, so that nothing half-written is read."""
        loop = asyncio.get_running_loop()
        before = known
        while True:
            await asyncio.sleep(self._settings.detectors_poll_seconds)
            try:
                seen = await loop.run_in_executor(self._threads.files, watched_state, self._settings)
                if seen not in (known, before):
                    before = seen
                elif seen != known:
                    await self.reload()
                    known = before = seen
            except Exception:
                logger.exception("the detectors directory could not be read again; the present detectors stay")

    def _close_unused(self) -> None:
        kept = [one for one in self._generations if one is self._current or one.scans]
        used = {detector for one in kept for detector in one.loaded.detectors}
        unused = {detector for one in self._generations for detector in one.loaded.detectors} - used
        self._generations = kept
        for detector in unused:
            task = asyncio.create_task(detector.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
