"""Webhooks over real connections: what hostile and broken receivers get, and what they cannot do."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook

from notifier.addresses import AddressGuard
from notifier.channels import WebhookChannel
from notifier.models import Attempt, DueDelivery
from notifier.sealing import new_webhook_secret
from shared.testing.webhooks import WebhookReceiver, running_receiver, status

pytestmark = pytest.mark.integration

LOOPBACK = ip_network("127.0.0.0/8")
SECRET = new_webhook_secret()
Send = Callable[..., Awaitable[Attempt]]


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with running_receiver() as receiver:
        yield receiver


async def to_loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


async def post(
    url: str,
    *,
    guard: AddressGuard | None = None,
    timeout_seconds: float = 5.0,
    tls: ssl.SSLContext | None = None,
    body: bytes = b'{"type":"x"}',
) -> Attempt:
    """Send one webhook through a channel of its own that may reach the loopback interface."""
    guard = guard or AddressGuard(to_loopback, allow_private=(LOOPBACK,))
    channel = WebhookChannel(guard, timeout_seconds=timeout_seconds, ssl_context=tls)
    try:
        return await channel.send(DueDelivery("msg_1", "s", "alice", url, "", "e", "x", body, 0, {}), SECRET)
    finally:
        await channel.close()


async def test_a_webhook_arrives_signed_and_under_the_name_of_its_url(receiver: WebhookReceiver) -> None:
    attempt = await post(receiver.url("/hook?key=1", host="hooks.example"))

    assert attempt == Attempt(status_code=204)
    (got,) = receiver.received
    assert got.line == "POST /hook?key=1 HTTP/1.1"
    assert got.headers["host"] == f"hooks.example:{receiver.port}"
    assert got.headers["content-type"] == "application/json"
    assert "traceparent" not in got.headers
    assert Webhook(SECRET).verify(got.body, got.headers) == {"type": "x"}


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(receiver: WebhookReceiver, code: int) -> None:
    receiver.answers.append(status(code, Location=receiver.url("/elsewhere")))

    attempt = await post(receiver.url())

    assert (attempt.status_code, attempt.delivered) == (code, False)
    assert len(receiver.received) == 1


async def test_retry_after_is_read(receiver: WebhookReceiver) -> None:
    receiver.answers.append(status(503, Retry_After="17"))

    assert (await post(receiver.url())).retry_after_seconds == 17


async def test_a_receiver_that_answers_byte_by_byte_is_left_in_time(receiver: WebhookReceiver) -> None:
    async def dribble(writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 10_000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)

    receiver.answers.append(dribble)
    attempt = await post(receiver.url(), timeout_seconds=0.5)

    assert attempt.error == "The receiver took longer than 0.5 seconds."


async def test_a_receiver_that_never_answers_is_left_in_time(receiver: WebhookReceiver) -> None:
    async def sleep(_: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    receiver.answers.append(sleep)

    assert not (await post(receiver.url(), timeout_seconds=0.3)).delivered


async def test_of_a_huge_answer_only_the_beginning_is_read(receiver: WebhookReceiver) -> None:
    written = 0

    async def pour(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while written < 1_000_000_000:
            writer.write(b"x" * 65536)
            await writer.drain()
            written += 65536

    receiver.answers.append(pour)

    assert (await post(receiver.url())).delivered
    assert written < 50_000_000


async def test_endless_headers_are_an_error(receiver: WebhookReceiver) -> None:
    async def pour(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(1_000_000):
            writer.write(b"X-%d: %s\r\n" % (number, b"a" * 1000))
            await writer.drain()

    receiver.answers.append(pour)

    assert (await post(receiver.url())).error == "The receiver does not answer in HTTP."


@pytest.mark.parametrize(
    "answer", [b"", b"hello\r\n\r\n", b"HTTP/1.1 999999 X\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"]
)
async def test_an_answer_that_is_no_http_is_an_error(receiver: WebhookReceiver, answer: bytes) -> None:
    receiver.answers.append(answer)

    attempt = await post(receiver.url())

    assert not attempt.delivered
    assert not attempt.hopeless


async def test_a_closed_port_is_an_error(receiver: WebhookReceiver, unused_port: int) -> None:
    assert (await post(f"http://127.0.0.1:{unused_port}/")).error == "No connection to the receiver."


async def test_a_name_that_changes_between_check_and_connection_gains_nothing(receiver: WebhookReceiver) -> None:
    answers = iter([["93.184.215.14"], ["127.0.0.1"], ["127.0.0.1"]])

    async def rebinding(host: str, port: int) -> Sequence[str]:
        return next(answers)

    guard = AddressGuard(rebinding)
    url = receiver.url(host="rebind.example")
    target = guard.parse(url)
    assert await guard.resolve(target.host, target.port) == ["93.184.215.14"]

    attempt = await post(url, guard=guard)

    assert "private, local or reserved" in (attempt.error or "")
    assert receiver.received == []


async def test_one_lookup_serves_check_and_connection(receiver: WebhookReceiver) -> None:
    lookups: list[str] = []

    async def counted(host: str, port: int) -> Sequence[str]:
        lookups.append(host)
        return ["127.0.0.1"] if len(lookups) == 1 else ["10.0.0.1"]

    attempt = await post(receiver.url(host="hooks.example"), guard=AddressGuard(counted, allow_private=(LOOPBACK,)))

    assert attempt.delivered
    assert lookups == ["hooks.example"]


async def test_the_next_address_is_tried_when_the_first_is_dead(receiver: WebhookReceiver) -> None:
    async def two(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.77", "127.0.0.1"]

    guard = AddressGuard(two, allow_private=(LOOPBACK,))

    assert (await post(receiver.url(host="two.example"), guard=guard)).delivered


@pytest.fixture
def unused_port() -> int:
    import socket  # noqa: PLC0415

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a file with key and self-signed certificate for hooks.example."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example")])
    moment = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "hooks.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


async def test_the_certificate_is_checked_against_the_name_not_the_address(certificate: Path) -> None:
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate)
    asked: list[str | None] = []
    server_side.sni_callback = lambda _socket, name, _context: asked.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with running_receiver(tls=server_side) as receiver:
        good = await post(receiver.url(host="hooks.example", scheme="https"), tls=trusting)
        other_name = await post(receiver.url(host="other.example", scheme="https"), tls=trusting)
        by_address = await post(receiver.url(scheme="https"), tls=trusting)
        unknown_issuer = await post(receiver.url(host="hooks.example", scheme="https"))

    assert good.delivered
    assert asked[0] == "hooks.example"
    assert len(receiver.received) == 1
    for refused in (other_name, by_address, unknown_issuer):
        assert "certificate is not good" in (refused.error or "")
