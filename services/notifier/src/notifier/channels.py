"""How a delivery leaves the house: one signed POST (Standard Webhooks 1.0.0).

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpcore
import httpx
from standardwebhooks import Webhook

from notifier.addresses import AddressGuard, Target
from notifier.models import Attempt, DueDelivery
from notifier.network import GuardedBackend
from shared.clock import aware, now
from shared.errors import ClientError

ANSWER_MAX_BYTES = 16 * 1024
_USER_AGENT = "Fumehood-Webhook/1"


class WebhookChannel:
    """Posts deliveries. Every outcome, whatever the receiver does, is an `Attempt` and not an exception."""

    def __init__(
        self, guard: AddressGuard, *, timeout_seconds: float, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._guard = guard
        self._timeout_seconds = timeout_seconds
        # No connection is kept for another delivery: each is resolved and checked anew.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or httpx.create_ssl_context(),
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=GuardedBackend(guard),
        )

    async def close(self) -> None:
        """Close what is still open."""
        await self._pool.aclose()

    async def send(self, delivery: DueDelivery, secret: str) -> Attempt:
        """Post the delivery once and say how it went. Redirects are not followed."""
        try:
            target = self._guard.parse(delivery.url)
            async with asyncio.timeout(self._timeout_seconds):
                return await self._post(target, delivery, secret)
        except ClientError as error:
            return Attempt(error=error.message)
        except TimeoutError:
            return Attempt(error=f"The receiver took longer than {self._timeout_seconds:g} seconds.")
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            return Attempt(error=_describe(error))

    async def _post(self, target: Target, delivery: DueDelivery, secret: str) -> Attempt:
        headers = {"Host": target.host_header, "Connection": "close"} | signed_headers(delivery, secret, now())
        url = httpcore.URL(
            scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
        )
        async with self._pool.stream("POST", url, headers=list(headers.items()), content=delivery.body) as answer:
            if 200 <= answer.status < 300:
                await _read_some(answer)
            return attempt_of(answer.status, _header(answer, b"retry-after"))


def signed_headers(delivery: DueDelivery, secret: str, moment: datetime) -> dict[str, str]:
    """Return the headers of a delivery sent at the moment, with its signature (scheme v1)."""
    return {
        "Content-Type": "application/json",
        "Content-Length": str(len(delivery.body)),
        "User-Agent": _USER_AGENT,
        "webhook-id": delivery.id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(delivery.id, moment, delivery.body.decode()),
    }


def attempt_of(status: int, retry_after: str | None) -> Attempt:
    """Return what a status means: 2xx taken, 410 no more of this, anything else not taken."""
    if 200 <= status < 300:
        return Attempt(status_code=status)
    wait = retry_after_seconds(retry_after)
    if status == 410:
        return Attempt(status_code=status, error="The receiver answered 410 Gone.", hopeless=True)
    if 300 <= status < 400:
        return Attempt(status_code=status, error=f"The receiver answered {status}; redirects are not followed.")
    return Attempt(status_code=status, error=f"The receiver answered {status}.", retry_after_seconds=wait)


def retry_after_seconds(value: str | None) -> float | None:
    """Return the pause that a Retry-After header asks for (RFC 9110, 10.2.3), None if it says nothing usable."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max((aware(parsedate_to_datetime(value)) - now()).total_seconds(), 0)
    except (ValueError, OverflowError):
        return None


async def _read_some(answer: httpcore.Response) -> None:
    """Read a little of the answer, so that a polite receiver is not cut off while it writes a few words."""
    size = 0
    async with _closing(answer.aiter_stream()) as chunks:
        async for chunk in chunks:
            size += len(chunk)
            if size > ANSWER_MAX_BYTES:
                return


@asynccontextmanager
async def _closing(chunks: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    try:
        yield chunks
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


def _header(answer: httpcore.Response, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in answer.headers if key.lower() == name), None)


def _describe(error: Exception) -> str:
    cause = _tls_cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"The receiver's certificate is not good: {cause.verify_message}."
    if cause is not None:
        return "The receiver and we do not agree on encryption."
    if isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout):
        return "No connection to the receiver."
    if isinstance(error, httpcore.ProtocolError):
        return "The receiver does not answer in HTTP."
    return "The connection to the receiver broke."


def _tls_cause(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error
