"""How a webhook reaches its receiver: names are looked up here and the connection goes to the address checked.

httpcore asks the network backend for a connection to a host name. Ours resolves the name,
checks every address and connects to one of those very addresses, so that a name which
changes between check and connection (DNS rebinding) gains nothing. Host header, TLS server
name and certificate check stay with the name, because httpcore takes them from the URL.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore

from notifier.addresses import AddressGuard
from notifier.errors import AddressNotFoundError

_RESOLVER_THREADS = 8


class SystemResolver:
    """The resolver of the operating system, in threads of its own: a slow name server stops nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, thread_name_prefix="webhook-dns")

    async def __call__(self, host: str, port: int) -> list[str]:
        """Return the addresses of the host. Raises AddressNotFoundError."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, _look_up, host, port)
        except (OSError, UnicodeError):
            raise AddressNotFoundError("The host name of the webhook has no address.") from None
        return [str(entry[4][0]) for entry in found]

    def close(self) -> None:
        """Let go of the threads; a lookup under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects only to addresses that the guard allows, checked at each connection."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check, and connect to the first address that answers.

        Raises AddressNotAllowedError, AddressNotFoundError, httpcore.ConnectError or ConnectTimeout.
        """
        failure: Exception = httpcore.ConnectError("no address")
        for address in await self._guard.resolve(host, port):
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
