"""A webhook receiver for tests: a real HTTP server on the loopback interface that answers as planned."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ReceivedWebhook:
    """One request as it came; header names are in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class WebhookReceiver:
    """What came in, and how to answer what comes next: the planned answers in turn, then 204."""

    port: int = 0
    received: list[ReceivedWebhook] = field(default_factory=list)
    answers: deque[Answer] = field(default_factory=deque)
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    def url(self, path: str = "/hook", *, host: str = "127.0.0.1", scheme: str = "http") -> str:
        """Return an address that leads here."""
        return f"{scheme}://{host}:{self.port}{path}"

    async def wait_for(self, count: int, *, timeout_seconds: float = 20.0) -> list[ReceivedWebhook]:
        """Return all requests when there are that many. Raises TimeoutError."""
        async with asyncio.timeout(timeout_seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(self.received) >= count)
        return list(self.received)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request and answer it."""
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._take(reader)
                answer = self.answers.popleft() if self.answers else status(204)
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(writer)
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    async def _take(self, reader: asyncio.StreamReader) -> None:
        line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        pairs = (header.partition(":") for header in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        async with self._arrived:
            self.received.append(ReceivedWebhook(line, headers, body))
            self._arrived.notify_all()


def status(code: int, **headers: str) -> bytes:
    """Return an answer without a body; `_` in a header's name stands for `-`."""
    lines = [f"HTTP/1.1 {code} Planned", "Content-Length: 0", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@asynccontextmanager
async def running_receiver(*, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[WebhookReceiver]:
    """Give a receiver on 127.0.0.1; connections still open at the end are cut."""
    receiver = WebhookReceiver()
    under_way: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(receiver.serve(reader, writer))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await asyncio.sleep(0)  # lets the loop close the sockets of what was cut
