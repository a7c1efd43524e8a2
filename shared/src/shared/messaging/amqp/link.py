"""One connection to the broker that always comes back, and calls on it that always end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import aio_pika
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelPreconditionFailed, ProbableAuthenticationError
from yarl import URL

from shared.errors import AppError, PermanentError, UnavailableError
from shared.messaging.failure import describe

T = TypeVar("T")

CALL_TIMEOUT_SECONDS = 15.0
_CONNECT_TIMEOUT_SECONDS = 10.0
_PREPARE_TIMEOUT_SECONDS = 60.0
_HEARTBEAT_SECONDS = 10
_PAUSE_BEFORE_REPAIR_SECONDS = 1.0
_PAUSE_FIRST_SECONDS = 0.2
_PAUSE_MAX_SECONDS = 5.0

_logger = logging.getLogger(__name__)


class NoAnswerError(UnavailableError):
    """The broker took too long; what was sent may still be on its way."""


async def ask(call: Awaitable[T], *, timeout_seconds: float | None = None) -> T:
    """Await a call to the broker. Raises UnavailableError if it fails or is cut off, NoAnswerError after the time.

    The library cancels its own futures when a connection closes; run as a task of its own,
    that is told apart from a cancellation of the caller. Whatever else the library raises,
    also from a race in its own clean-up, leads to another try on a new connection.
    """
    task = asyncio.ensure_future(call)
    try:
        await asyncio.wait({task}, timeout=timeout_seconds or CALL_TIMEOUT_SECONDS)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not task.done():
        task.cancel()
        raise NoAnswerError("RabbitMQ did not answer in time.", retry_after_seconds=5)
    if task.cancelled():
        raise UnavailableError("The connection to RabbitMQ was lost.", retry_after_seconds=5)
    error = task.exception()
    if isinstance(error, Exception) and not isinstance(error, AppError):
        raise UnavailableError(f"RabbitMQ refused: {describe(error)}", retry_after_seconds=5) from error
    return task.result()


class Link:
    """Connects, prepares, and does both again whenever the connection is lost."""

    def __init__(
        self, url: str, *, purpose: str, prepare: Callable[[AbstractConnection], Coroutine[Any, Any, None]]
    ) -> None:
        self._url = URL(url).update_query(heartbeat=_HEARTBEAT_SECONDS, name=f"fumehood {purpose}")
        self._prepare = prepare
        self._connection: AbstractConnection | None = None
        self._up = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._opening = asyncio.Lock()
        self._repairing: asyncio.Task[None] | None = None

    @property
    def connection(self) -> AbstractConnection:
        """Return the live connection. Raises UnavailableError while there is none."""
        if self._connection is None:
            raise UnavailableError("RabbitMQ is not connected.", retry_after_seconds=5)
        return self._connection

    async def wait(self) -> AbstractConnection:
        """Return the live connection as soon as there is one."""
        while self._connection is None:
            await self._up.wait()
        return self._connection

    async def open(self) -> None:
        """Connect for the first time.

        Raises UnavailableError if the broker is away, PermanentError if it refuses the
        credentials or has queues of the same names with other arguments.
        """
        async with self._opening:
            if self._keeper is None:
                connection = await self._connect()
                self._use(connection)
                self._keeper = asyncio.create_task(self._keep(connection), name="amqp-link")

    def drop(self) -> None:
        """Give the connection up and make a new one; what waits to be written is thrown away."""
        self._lost.set()

    async def repair(self) -> None:
        """Prepare the live connection again, because the broker lacks something. Raises UnavailableError."""
        if self._repairing is None or self._repairing.done():
            self._repairing = asyncio.create_task(self._prepare_later(self.connection), name="amqp-repair")
        await ask(asyncio.shield(self._repairing), timeout_seconds=_PREPARE_TIMEOUT_SECONDS)

    async def _prepare_later(self, connection: AbstractConnection) -> None:
        # A queue declared again at once after its deletion keeps its consumers on RabbitMQ 3.10, but
        # they do not get the first messages; a little later they are told, and start anew.
        await asyncio.sleep(_PAUSE_BEFORE_REPAIR_SECONDS)
        await self._prepare(connection)

    async def close(self) -> None:
        """Disconnect for good."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper

    async def _keep(self, connection: AbstractConnection) -> None:
        while True:
            try:
                await self._lost.wait()
            finally:
                self._up.clear()
                self._connection = None
                await _disconnect(connection)
            _logger.warning("The connection to RabbitMQ was lost; connecting again.")
            connection = await self._reconnect()
            self._use(connection)

    def _use(self, connection: AbstractConnection) -> None:
        self._lost.clear()
        connection.close_callbacks.add(self._on_close)
        if not connection.connected.is_set():
            self._lost.set()
        self._connection = connection
        self._up.set()

    async def _reconnect(self) -> AbstractConnection:
        pause = _PAUSE_FIRST_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = min(pause * 2, _PAUSE_MAX_SECONDS)
            try:
                return await self._connect()
            except (UnavailableError, PermanentError) as error:
                _logger.warning("%s Trying again in %.1f s.", error.message, pause)

    async def _connect(self) -> AbstractConnection:
        try:
            connection = await ask(
                aio_pika.connect(self._url, timeout=_CONNECT_TIMEOUT_SECONDS),
                timeout_seconds=_CONNECT_TIMEOUT_SECONDS + 1,
            )
        except UnavailableError as error:
            if isinstance(error.__cause__, ProbableAuthenticationError):
                raise PermanentError("RabbitMQ refuses the user name, password or virtual host.") from error
            raise UnavailableError(
                f"RabbitMQ at {self._url.host}:{self._url.port} cannot be reached: {error.message}",
                retry_after_seconds=5,
            ) from error
        try:
            await ask(self._prepare(connection), timeout_seconds=_PREPARE_TIMEOUT_SECONDS)
        except UnavailableError as error:
            await _disconnect(connection)
            if isinstance(error.__cause__, ChannelPreconditionFailed):
                raise PermanentError(
                    f"RabbitMQ has a queue with other arguments; drain and delete it: {error.__cause__}"
                ) from error
            raise
        except BaseException:
            await _disconnect(connection)
            raise
        return connection

    def _on_close(self, *_: object) -> None:
        self._lost.set()


async def _disconnect(connection: AbstractConnection) -> None:
    with suppress(UnavailableError):
        await ask(connection.close(), timeout_seconds=5)
