"""One SQLite file, one thread, one commit for everything that is asked meanwhile.

A commit that waits for the disk costs milliseconds, so the operations that arrive during
one commit share the next (group commit). Only what nobody could repeat is synced: publishing.
A lost acknowledgement, claim or move merely leads to another delivery, and WAL keeps it
through a killed process anyhow (https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from shared.errors import UnavailableError
from shared.messaging.local.rows import SCHEMA

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]

_GROUP_MAX = 512
_BUSY_TIMEOUT_SECONDS = 10.0


@dataclass(slots=True)
class _Call:
    operation: Operation[Any]
    durable: bool
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class LocalStore:
    """Runs operations on the file, each in a savepoint, in the order they were asked."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        """Whether operations can be run."""
        return self._thread is not None

    async def open(self) -> None:
        """Open the file, made with its folder where it is missing. Raises UnavailableError."""
        if self._thread is not None:
            return
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()
        thread = threading.Thread(target=self._run, args=(loop, opened), name="local-bus", daemon=True)
        thread.start()
        await opened
        self._thread = thread

    async def close(self) -> None:
        """Finish what was asked, then close the file."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._calls.put(None)
            await asyncio.to_thread(thread.join)

    async def call(self, operation: Operation[T], *, durable: bool = False) -> T:
        """Run the operation and return its result after the commit, synced to disk if durable.

        Raises what the operation raised, or UnavailableError when the file cannot be written.
        """
        if self._thread is None:
            raise UnavailableError("The local bus is closed.")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put(_Call(operation, durable, future))
        return await future

    def _run(self, loop: asyncio.AbstractEventLoop, opened: asyncio.Future[None]) -> None:
        try:
            connection = _connect(self._path)
        except (sqlite3.Error, OSError) as error:
            failure = UnavailableError(f"The local bus cannot be opened: {error}")
            loop.call_soon_threadsafe(opened.set_exception, failure)
            return
        loop.call_soon_threadsafe(opened.set_result, None)
        try:
            while (group := self._next_group()) is not None:
                _commit_together(connection, group)
                with suppress(RuntimeError):  # the event loop is gone, and with it everyone who waits
                    loop.call_soon_threadsafe(_resolve, group)
        finally:
            connection.close()

    def _next_group(self) -> list[_Call] | None:
        first = self._calls.get()
        if first is None:
            return None
        group = [first]
        while len(group) < _GROUP_MAX:
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                break
            if call is None:
                self._calls.put(None)
                break
            group.append(call)
        return group


def _connect(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(
        path or ":memory:", isolation_level=None, timeout=_BUSY_TIMEOUT_SECONDS, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(SCHEMA)
    return connection


def _commit_together(connection: sqlite3.Connection, group: list[_Call]) -> None:
    synchronous = "FULL" if any(call.durable for call in group) else "NORMAL"
    try:
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("BEGIN IMMEDIATE")
        for call in group:
            _run_in_savepoint(connection, call)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        for call in group:
            call.error = UnavailableError(f"The local bus cannot be written: {error}", retry_after_seconds=5)


def _run_in_savepoint(connection: sqlite3.Connection, call: _Call) -> None:
    connection.execute("SAVEPOINT operation")
    try:
        call.result = call.operation(connection)
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001 - handed to the caller, who is in another thread
        call.error = error
        connection.execute("ROLLBACK TO operation")
    connection.execute("RELEASE operation")


def _resolve(group: list[_Call]) -> None:
    for call in group:
        if call.future.done():
            continue
        if call.error is not None:
            call.future.set_exception(call.error)
        else:
            call.future.set_result(call.result)
