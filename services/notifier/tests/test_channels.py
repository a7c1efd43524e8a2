from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from notifier.channels import attempt_of, retry_after_seconds, signed_headers
from notifier.models import DueDelivery
from notifier.sealing import new_webhook_secret
from shared.clock import now


def make_delivery(body: bytes = b'{"type":"x"}') -> DueDelivery:
    return DueDelivery("msg_1", "s", "alice", "http://example.org/", "sealed", "e", "x", body, 0, {})


def test_the_signature_is_that_of_the_specification() -> None:
    secret = new_webhook_secret()
    delivery = make_delivery('{"name":"ünï"}'.encode())
    headers = signed_headers(delivery, secret, now())

    assert Webhook(secret).verify(delivery.body, headers) == {"name": "ünï"}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(delivery.body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_webhook_secret()).verify(delivery.body, headers)


def test_every_try_has_a_timestamp_of_its_own_and_the_same_id() -> None:
    secret, later = new_webhook_secret(), now() + timedelta(seconds=60)
    first, second = signed_headers(make_delivery(), secret, now()), signed_headers(make_delivery(), secret, later)

    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) in {60, 61}
    assert first["webhook-signature"] != second["webhook-signature"]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_delivered(status: int) -> None:
    assert attempt_of(status, None).delivered


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 429, 500, 503])
def test_anything_else_is_tried_again(status: int) -> None:
    attempt = attempt_of(status, "7")

    assert not attempt.delivered
    assert not attempt.hopeless
    assert str(status) in (attempt.error or "")


def test_410_ends_the_subscription() -> None:
    assert attempt_of(410, None).gone
    assert attempt_of(410, None).hopeless


@pytest.mark.parametrize(
    ("value", "seconds"), [(None, None), ("7", 7), ("-3", None), ("soon", None), ("9" * 400, 999999999)]
)
def test_retry_after_in_seconds(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value) == seconds


def test_retry_after_as_a_date() -> None:
    ahead = retry_after_seconds(format_datetime(now() + timedelta(seconds=100), usegmt=True))

    assert ahead is not None
    assert 97 < ahead <= 100
    assert retry_after_seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0
