"""Handing events to those who only listen: in order, one at a time, never holding up the sender."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from shared.messaging.message import Handler, Message

_BACKLOG_MAX = 10_000

_logger = logging.getLogger(__name__)


class Tap:
    """Calls a handler for each offered message; drops the newest when it lags too far behind."""

    def __init__(self, handler: Handler, *, on_cancel: Callable[[Tap], None] = lambda _: None) -> None:
        self._handler = handler
        self._on_cancel = on_cancel
        self._backlog: asyncio.Queue[Message | None] = asyncio.Queue(_BACKLOG_MAX)
        self._worker = asyncio.create_task(self._work(), name="tap")

    def offer(self, message: Message) -> None:
        """Queue the message for the handler without waiting."""
        try:
            self._backlog.put_nowait(message)
        except asyncio.QueueFull:
            _logger.warning("A tap lags behind; dropped %s %s.", message.type, message.id)

    async def cancel(self, *, drain_seconds: float | None = None) -> None:
        """Let the running handler finish, or cancel it after that time."""
        self._on_cancel(self)
        while not self._backlog.empty():
            self._backlog.get_nowait()
        self._backlog.put_nowait(None)
        _, late = await asyncio.wait({self._worker}, timeout=drain_seconds)
        for task in late:
            task.cancel()

    async def _work(self) -> None:
        while (message := await self._backlog.get()) is not None:
            try:
                await self._handler(message)
            except Exception:
                _logger.exception("A tap failed on %s %s.", message.type, message.id)
