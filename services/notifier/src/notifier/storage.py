"""Rows of the notifier."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from notifier.models import (
    Announcement,
    Attempt,
    DeliveryStatus,
    DueDelivery,
    StoredSubscription,
    delivery_id,
)
from notifier.schema import DELIVERIES, SUBSCRIPTIONS
from shared.clients.notifier import Delivery, Subscription
from shared.clock import aware, now
from shared.database import insert

# How many due deliveries are looked at to choose fairly among subscriptions.
_CANDIDATES = 500


async def insert_subscription(session: AsyncSession, subscription: Subscription, sealed_secret: str) -> None:
    """Record a new subscription."""
    values = subscription.model_dump(exclude={"secret", "last_delivery", "disabled_at"})
    await session.execute(sa.insert(SUBSCRIPTIONS).values(values | {"sealed_secret": sealed_secret}))


async def count_subscriptions(session: AsyncSession, user_id: str) -> int:
    """Return how many subscriptions the user has."""
    query = sa.select(sa.func.count()).select_from(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.user_id == user_id)
    return (await session.execute(query)).scalar_one()


async def list_subscriptions(session: AsyncSession, user_id: str) -> tuple[Subscription, ...]:
    """Return the user's subscriptions with their last deliveries, oldest first."""
    query = (
        sa.select(SUBSCRIPTIONS)
        .where(SUBSCRIPTIONS.c.user_id == user_id)
        .order_by(SUBSCRIPTIONS.c.created_at, SUBSCRIPTIONS.c.id)
    )
    rows = (await session.execute(query)).mappings().all()
    latest = await _latest_deliveries(session, [row["id"] for row in rows])
    return tuple(_subscription(row, latest.get(row["id"])) for row in rows)


async def find_owner(session: AsyncSession, subscription_id: str) -> str | None:
    """Return the user to whom the subscription belongs, None if there is no such subscription."""
    query = sa.select(SUBSCRIPTIONS.c.user_id).where(SUBSCRIPTIONS.c.id == subscription_id)
    return (await session.execute(query)).scalar_one_or_none()


async def delete_subscription(session: AsyncSession, subscription_id: str) -> None:
    """Remove the subscription; its deliveries go with it."""
    await session.execute(sa.delete(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.id == subscription_id))


async def find_subscribers(session: AsyncSession, user_id: str) -> list[StoredSubscription]:
    """Return the subscriptions that hear of this user's submissions."""
    query = sa.select(SUBSCRIPTIONS.c.id, SUBSCRIPTIONS.c.event_types).where(
        SUBSCRIPTIONS.c.disabled_at.is_(None),
        sa.or_(SUBSCRIPTIONS.c.user_id == user_id, SUBSCRIPTIONS.c.everyone),
    )
    return [StoredSubscription(row.id, tuple(row.event_types)) for row in await session.execute(query)]


async def insert_deliveries(session: AsyncSession, announcement: Announcement, subscription_ids: Sequence[str]) -> None:
    """Queue the announcement for the subscriptions, to be sent at once."""
    moment = now()
    shared = {
        "event_id": announcement.event_id,
        "event_type": announcement.event.type,
        "body": announcement.body(),
        "trace_context": announcement.trace_context,
        "status": DeliveryStatus.PENDING.value,
        "attempts": 0,
        "next_attempt_at": moment,
        "updated_at": moment,
    }
    rows = [
        shared | {"id": delivery_id(announcement.event_id, subscription_id), "subscription_id": subscription_id}
        for subscription_id in subscription_ids
    ]
    await session.execute(insert(session, DELIVERIES).on_conflict_do_nothing(), rows)


async def claim_due(
    session: AsyncSession, *, limit: int, per_subscription: int, busy: Collection[str], lease: timedelta
) -> list[DueDelivery]:
    """Return due deliveries and put off their next attempt by the lease, so that no other process takes them.

    Takes at most `per_subscription` of each subscription and none of the busy ones.
    """
    moment = now()
    due = sa.and_(DELIVERIES.c.status == DeliveryStatus.PENDING.value, DELIVERIES.c.next_attempt_at <= moment)
    candidates = (
        sa.select(DELIVERIES.c.id, DELIVERIES.c.subscription_id, DELIVERIES.c.next_attempt_at)
        .where(due, DELIVERIES.c.subscription_id.not_in(busy))
        .order_by(DELIVERIES.c.next_attempt_at)
        .limit(_CANDIDATES)
        .subquery()
    )
    position = sa.func.row_number().over(
        partition_by=candidates.c.subscription_id, order_by=candidates.c.next_attempt_at
    )
    ranked = sa.select(candidates.c.id, position.label("position")).subquery()
    query = (
        sa.select(DELIVERIES, SUBSCRIPTIONS.c.user_id, SUBSCRIPTIONS.c.url, SUBSCRIPTIONS.c.sealed_secret)
        .join(SUBSCRIPTIONS, SUBSCRIPTIONS.c.id == DELIVERIES.c.subscription_id)
        .where(due, DELIVERIES.c.id.in_(sa.select(ranked.c.id).where(ranked.c.position <= per_subscription)))
        .order_by(DELIVERIES.c.next_attempt_at)
        .limit(limit)
        .with_for_update(skip_locked=True, of=DELIVERIES)
    )
    rows = (await session.execute(query)).mappings().all()
    if rows:
        claimed = sa.update(DELIVERIES).where(DELIVERIES.c.id.in_([row["id"] for row in rows]))
        await session.execute(claimed.values(next_attempt_at=moment + lease))
    return [_due_delivery(row) for row in rows]


async def record_delivered(session: AsyncSession, delivery: DueDelivery, attempt: Attempt) -> None:
    """Record that the receiver took it, whoever else tried meanwhile."""
    await _record(session, delivery, attempt, status=DeliveryStatus.DELIVERED)


async def record_retry(session: AsyncSession, delivery: DueDelivery, attempt: Attempt, wait: timedelta) -> None:
    """Record a failed try that another one follows; nothing if another process recorded this try."""
    same_try = DELIVERIES.c.attempts == delivery.attempts
    await _record(session, delivery, attempt, same_try, status=DeliveryStatus.PENDING, next_attempt_at=now() + wait)


async def record_failed(session: AsyncSession, delivery: DueDelivery, attempt: Attempt) -> bool:
    """Record the last failed try; False if another process recorded this try."""
    same_try = DELIVERIES.c.attempts == delivery.attempts
    return await _record(session, delivery, attempt, same_try, status=DeliveryStatus.FAILED)


async def disable_subscription(session: AsyncSession, subscription_id: str) -> None:
    """Send nothing more to the subscription; what waits for it is not sent either."""
    moment = now()
    await session.execute(
        sa.update(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.id == subscription_id).values(disabled_at=moment)
    )
    await session.execute(
        sa.update(DELIVERIES)
        .where(DELIVERIES.c.subscription_id == subscription_id, DELIVERIES.c.status == DeliveryStatus.PENDING.value)
        .values(
            status=DeliveryStatus.FAILED.value,
            last_error="The receiver wants no more of this webhook.",
            updated_at=moment,
        )
    )


async def delete_ended_deliveries(session: AsyncSession, before: datetime) -> None:
    """Forget deliveries that ended before the moment."""
    await session.execute(
        sa.delete(DELIVERIES).where(
            DELIVERIES.c.status != DeliveryStatus.PENDING.value, DELIVERIES.c.updated_at < before
        )
    )


async def _record(
    session: AsyncSession,
    delivery: DueDelivery,
    attempt: Attempt,
    *conditions: sa.ColumnElement[bool],
    status: DeliveryStatus,
    **values: datetime,
) -> bool:
    statement = (
        sa.update(DELIVERIES)
        .where(DELIVERIES.c.id == delivery.id, DELIVERIES.c.status == DeliveryStatus.PENDING.value, *conditions)
        .values(
            status=status.value,
            attempts=DELIVERIES.c.attempts + 1,
            last_status_code=attempt.status_code,
            last_error=attempt.error,
            updated_at=now(),
            **values,
        )
    )
    result = cast("sa.CursorResult[Any]", await session.execute(statement))
    return result.rowcount == 1


async def _latest_deliveries(session: AsyncSession, subscription_ids: Sequence[str]) -> dict[str, Delivery]:
    position = sa.func.row_number().over(
        partition_by=DELIVERIES.c.subscription_id, order_by=(DELIVERIES.c.updated_at.desc(), DELIVERIES.c.id)
    )
    columns = [DELIVERIES.c[name] for name in Delivery.model_fields]
    ranked = (
        sa.select(DELIVERIES.c.subscription_id, *columns, position.label("position"))
        .where(DELIVERIES.c.subscription_id.in_(subscription_ids))
        .subquery()
    )
    rows = (await session.execute(sa.select(ranked).where(ranked.c.position == 1))).mappings()
    return {row["subscription_id"]: Delivery(**{**row, "updated_at": aware(row["updated_at"])}) for row in rows}


def _subscription(row: sa.RowMapping, last_delivery: Delivery | None) -> Subscription:
    disabled_at = row["disabled_at"]
    return Subscription(
        id=row["id"],
        user_id=row["user_id"],
        url=row["url"],
        event_types=tuple(row["event_types"]),
        everyone=row["everyone"],
        created_at=aware(row["created_at"]),
        disabled_at=None if disabled_at is None else aware(disabled_at),
        last_delivery=last_delivery,
    )


def _due_delivery(row: sa.RowMapping) -> DueDelivery:
    return DueDelivery(
        id=row["id"],
        subscription_id=row["subscription_id"],
        user_id=row["user_id"],
        url=row["url"],
        sealed_secret=row["sealed_secret"],
        event_id=row["event_id"],
        event_type=row["event_type"],
        body=bytes(row["body"]),
        attempts=row["attempts"],
        trace_context=row["trace_context"],
    )
