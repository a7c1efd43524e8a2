"""A bus for the length of a process: opened from its URL, or one that the composition root shares."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.messaging.message import Bus


@asynccontextmanager
async def running_bus(url: str, given: Bus | None = None) -> AsyncIterator[Bus]:
    """Give a started bus. A given one is used as it is and left running. Raises UnavailableError."""
    if given is not None:
        yield given
        return
    from shared.messaging import open_bus  # noqa: PLC0415 - the package imports this module

    bus = open_bus(url)
    await bus.start()
    try:
        yield bus
    finally:
        await bus.close()
