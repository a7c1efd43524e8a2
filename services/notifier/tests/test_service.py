from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from notifier.errors import AddressNotAllowedError, AddressNotFoundError, TooManySubscriptionsError
from notifier.models import Announcement, Attempt, DueDelivery
from notifier.service import NotifierService
from shared.clients.notifier import NewSubscription, Subscription
from shared.database import Database
from shared.errors import InvalidInputError, NotAllowedError, NotFoundError
from shared.events import DeliveryFailedV1, ScanExpiredV1
from shared.testing.bus import published
from shared.web import Caller

URL = "https://example.org/hook"
BROKEN = Attempt(status_code=500, error="The receiver answered 500.")


def expired(user_id: str = "alice") -> Announcement:
    event = ScanExpiredV1(
        submission_id="s",
        scan_id="c",
        user_id=user_id,
        sha256="0" * 64,
        size_bytes=1,
        name="a.txt",
        reason="late",
        expired_at=datetime(2025, 3, 4, tzinfo=UTC),
    )
    return Announcement(event, str(uuid4()), event.expired_at)


async def subscribe(service: NotifierService, caller: Caller, url: str = URL, **changes: object) -> Subscription:
    return await service.create_subscription(caller, NewSubscription.model_validate({"url": url} | changes))


async def claim(service: NotifierService, busy: tuple[str, ...] = ()) -> list[DueDelivery]:
    return await service.claim(10, busy)


async def test_the_secret_is_shown_once_and_stored_sealed(service: NotifierService, alice: Caller) -> None:
    made = await subscribe(service, alice)
    (listed,) = await service.list_subscriptions(alice)

    assert (made.secret or "").startswith("whsec_")
    assert listed == made.model_copy(update={"secret": None})
    await service.announce(expired())
    (delivery,) = await claim(service)
    assert service.secret_of(delivery) == made.secret
    assert (made.secret or "")[6:] not in delivery.sealed_secret


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("https://127.0.0.1/", AddressNotAllowedError),
        ("https://inside.example/", AddressNotAllowedError),
        ("https://both.example/", AddressNotAllowedError),
        ("https://169.254.169.254/latest/meta-data/", AddressNotAllowedError),
        ("ftp://example.org/", AddressNotAllowedError),
        ("https://nowhere.example/", AddressNotFoundError),
    ],
)
async def test_addresses_are_checked_when_a_webhook_is_made(
    service: NotifierService, alice: Caller, url: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await subscribe(service, alice, url)

    assert await service.list_subscriptions(alice) == ()


async def test_an_unknown_event_type_is_refused(service: NotifierService, alice: Caller) -> None:
    with pytest.raises(InvalidInputError, match=r"scanner\.scan_started"):
        await subscribe(service, alice, event_types=["scanner.scan_started.v1"])


async def test_a_user_has_a_limited_number_of_webhooks(service: NotifierService, alice: Caller, bob: Caller) -> None:
    for _ in range(3):
        await subscribe(service, alice)

    with pytest.raises(TooManySubscriptionsError):
        await subscribe(service, alice)
    await subscribe(service, bob)


async def test_an_event_is_queued_once_for_its_owner_and_for_everyones_watchers(
    service: NotifierService, alice: Caller, bob: Caller, admin: Caller
) -> None:
    own = await subscribe(service, alice)
    watcher = await subscribe(service, admin, everyone=True)
    await subscribe(service, bob)
    await subscribe(service, admin)
    await subscribe(service, alice, event_types=["reports.report_ready.v1"])
    announcement = expired()

    await service.announce(announcement)
    await service.announce(announcement)

    assert {delivery.subscription_id for delivery in await claim(service)} == {own.id, watcher.id}


async def test_only_an_administrator_hears_of_everybody(service: NotifierService, alice: Caller) -> None:
    with pytest.raises(NotAllowedError):
        await subscribe(service, alice, everyone=True)


async def test_queueing_wakes_the_sender(service: NotifierService, alice: Caller) -> None:
    woken: list[None] = []
    service.on_deliveries_queued = lambda: woken.append(None)

    await service.announce(expired())
    assert woken == []
    await subscribe(service, alice)
    await service.announce(expired())
    assert woken == [None]


async def test_what_is_claimed_is_not_claimed_again(service: NotifierService, alice: Caller) -> None:
    await subscribe(service, alice)
    await service.announce(expired())

    assert len(await claim(service)) == 1
    assert await claim(service) == []


async def test_one_subscription_cannot_take_all_places(service: NotifierService, alice: Caller, bob: Caller) -> None:
    slow, quick = await subscribe(service, alice), await subscribe(service, bob)
    for _ in range(5):
        await service.announce(expired("alice"))
    await service.announce(expired("bob"))

    first = [delivery.subscription_id for delivery in await claim(service)]
    assert sorted(first) == sorted([slow.id, slow.id, quick.id])
    assert await claim(service, busy=(slow.id,)) == []
    assert len(await claim(service)) == 2


async def test_a_delivered_webhook_shows_in_the_list(
    service: NotifierService, alice: Caller, database: Database
) -> None:
    await subscribe(service, alice)
    await service.announce(expired())
    (delivery,) = await claim(service)
    await service.record(delivery, Attempt(status_code=204))

    (listed,) = await service.list_subscriptions(alice)
    assert listed.last_delivery is not None
    assert (listed.last_delivery.status, listed.last_delivery.attempts) == ("delivered", 1)
    assert listed.last_delivery.event_id == delivery.event_id
    assert await published(database) == []


async def test_a_webhook_is_given_up_after_the_last_pause_and_that_is_announced(
    service: NotifierService, alice: Caller, database: Database, advance: Callable[[float], None]
) -> None:
    subscription = await subscribe(service, alice)
    await service.announce(expired())

    tries: list[DueDelivery] = []
    for _ in range(3):
        tries += await claim(service)
        await service.record(tries[-1], BROKEN)
        advance(60)

    assert await claim(service) == []
    (event,) = await published(database)
    assert isinstance(event, DeliveryFailedV1)
    assert [one.attempts for one in tries] == [0, 1, 2]
    assert (event.subscription_id, event.event_id) == (subscription.id, tries[0].event_id)
    assert (event.attempts, event.reason, event.user_id) == (3, "The receiver answered 500.", "alice")


async def test_a_claim_whose_process_died_comes_back(
    service: NotifierService, alice: Caller, advance: Callable[[float], None]
) -> None:
    await subscribe(service, alice)
    await service.announce(expired())
    (first,) = await claim(service)

    advance(59)
    assert await claim(service) == []
    advance(2)
    assert await claim(service) == [first]


async def test_a_late_failure_does_not_undo_what_another_process_recorded(
    service: NotifierService, alice: Caller, advance: Callable[[float], None], database: Database
) -> None:
    await subscribe(service, alice)
    await service.announce(expired())
    (slow,) = await claim(service)
    advance(61)
    (again,) = await claim(service)
    await service.record(again, Attempt(status_code=200))

    await service.record(slow, Attempt(error="late", hopeless=True))

    (listed,) = await service.list_subscriptions(alice)
    assert listed.last_delivery is not None
    assert listed.last_delivery.status == "delivered"
    assert await published(database) == []


async def test_410_disables_the_webhook_and_drops_what_waits(
    service: NotifierService, alice: Caller, database: Database
) -> None:
    await subscribe(service, alice)
    await service.announce(expired())
    await service.announce(expired())
    gone, _ = await claim(service)

    await service.record(gone, Attempt(status_code=410, error="The receiver answered 410 Gone.", hopeless=True))
    await service.announce(expired())

    (listed,) = await service.list_subscriptions(alice)
    assert listed.disabled_at is not None
    assert listed.last_delivery is not None
    assert listed.last_delivery.status == "failed"
    assert len(await published(database)) == 1
    assert await claim(service) == []


async def test_a_webhook_is_deleted_by_its_owner_or_an_administrator(
    service: NotifierService, alice: Caller, bob: Caller, admin: Caller
) -> None:
    first, second = await subscribe(service, alice), await subscribe(service, alice)
    await service.announce(expired())

    with pytest.raises(NotFoundError):
        await service.delete_subscription(bob, first.id)
    await service.delete_subscription(alice, first.id)
    await service.delete_subscription(admin, second.id)
    with pytest.raises(NotFoundError):
        await service.delete_subscription(alice, first.id)
    assert await claim(service) == []


async def test_a_delivery_deleted_under_way_is_no_error(service: NotifierService, alice: Caller) -> None:
    subscription = await subscribe(service, alice)
    await service.announce(expired())
    (delivery,) = await claim(service)
    await service.delete_subscription(alice, subscription.id)

    await service.record(delivery, Attempt(status_code=200))


async def test_ended_deliveries_are_forgotten_after_a_while(
    service: NotifierService, alice: Caller, advance: Callable[[float], None]
) -> None:
    await subscribe(service, alice)
    await service.announce(expired())
    (delivery,) = await claim(service)
    await service.record(delivery, Attempt(status_code=200))
    await service.announce(expired())

    advance(11 * 24 * 3600)
    await service.forget_ended(timedelta(days=10))

    (waiting,) = await claim(service)
    assert waiting.id != delivery.id
    assert (await service.list_subscriptions(alice))[0].last_delivery is not None
