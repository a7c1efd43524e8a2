"""Rows of the gateway: users, one-time links, audit log, browser sessions where the cache is in memory."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.models.accounts import Action, Session, User
from gateway.schema import AUDIT_LOG, SESSIONS, SIGN_IN_LINKS, USERS
from shared.clock import aware, now
from shared.database import insert
from shared.web import Role


async def find_user(session: AsyncSession, user_id: str) -> User | None:
    """Return the user with this id."""
    return await _find_user(session, USERS.c.id == user_id)


async def find_user_by_email(session: AsyncSession, email: str) -> User | None:
    """Return the user with this e-mail, which is in lower case."""
    return await _find_user(session, USERS.c.email == email)


async def get_user_by_email(session: AsyncSession, email: str) -> User:
    """Return the user with this e-mail, who is known to be there. Raises NoResultFound."""
    return _user((await session.execute(sa.select(USERS).where(USERS.c.email == email))).mappings().one())


async def find_first_administrator(session: AsyncSession) -> User | None:
    """Return the oldest administrator who may sign in, one with a password before one without."""
    query = sa.select(USERS).where(USERS.c.role == Role.ADMIN.value, USERS.c.disabled.is_(False))
    order = (USERS.c.password_hash.is_(None), USERS.c.created_at)
    row = (await session.execute(query.order_by(*order).limit(1))).mappings().first()
    return _user(row) if row else None


async def insert_user(session: AsyncSession, user: User) -> bool:
    """Record a new user; False if the e-mail is taken."""
    statement = insert(session, USERS).values(user.model_dump(mode="python") | {"role": user.role.value})
    result = await session.execute(statement.on_conflict_do_nothing(index_elements=["email"]))
    return cast("sa.CursorResult[Any]", result).rowcount == 1


async def update_credentials(session: AsyncSession, user_id: str, email: str, password_hash: str) -> None:
    """Set a user's e-mail and password, which makes sessions and tokens from before void.

    Raises IntegrityError if another user has the e-mail.
    """
    changed = sa.update(USERS).values(email=email, password_hash=password_hash, credentials_changed_at=now())
    await session.execute(changed.where(USERS.c.id == user_id))


async def emails_of(session: AsyncSession, user_ids: Collection[str]) -> dict[str, str]:
    """Return the e-mails of users by id."""
    rows = await session.execute(sa.select(USERS.c.id, USERS.c.email).where(USERS.c.id.in_(user_ids)))
    return {row.id: row.email for row in rows}


async def update_hash(session: AsyncSession, user_id: str, password_hash: str) -> None:
    """Replace the hash of a password that stays the same."""
    await session.execute(sa.update(USERS).where(USERS.c.id == user_id).values(password_hash=password_hash))


async def insert_link(session: AsyncSession, token_hash: str, user_id: str, expires_at: datetime) -> None:
    """Record a one-time link and make the user's earlier ones void."""
    unused = (SIGN_IN_LINKS.c.user_id == user_id) & SIGN_IN_LINKS.c.used_at.is_(None)
    await session.execute(sa.delete(SIGN_IN_LINKS).where(unused))
    values = {"token_hash": token_hash, "user_id": user_id, "expires_at": expires_at}
    await session.execute(sa.insert(SIGN_IN_LINKS).values(values))


async def find_link_user(session: AsyncSession, token_hash: str) -> User | None:
    """Return whose link this is, if it can still be used."""
    usable = sa.select(SIGN_IN_LINKS.c.user_id).where(*_usable(token_hash)).scalar_subquery()
    return await _find_user(session, USERS.c.id == usable)


async def spend_link(session: AsyncSession, token_hash: str) -> bool:
    """Mark the link as used; False if it cannot be used any more."""
    result = await session.execute(sa.update(SIGN_IN_LINKS).where(*_usable(token_hash)).values(used_at=now()))
    return cast("sa.CursorResult[Any]", result).rowcount == 1


async def insert_audit(
    session: AsyncSession,
    actor: str,
    action: Action,
    *,
    target: str | None = None,
    address: str | None = None,
    detail: dict[str, str] | None = None,
) -> None:
    """Add an entry to the audit log."""
    values = {"at": now(), "actor": actor, "action": action.value, "target": target, "address": address}
    await session.execute(sa.insert(AUDIT_LOG).values(values | {"detail": detail or {}}))


def _usable(token_hash: str) -> tuple[sa.ColumnElement[bool], ...]:
    links = SIGN_IN_LINKS.c
    return links.token_hash == token_hash, links.used_at.is_(None), links.expires_at > now()


async def _find_user(session: AsyncSession, condition: sa.ColumnElement[bool]) -> User | None:
    row = (await session.execute(sa.select(USERS).where(condition))).mappings().one_or_none()
    return _user(row) if row else None


def _user(row: sa.RowMapping) -> User:
    dates = {name: aware(row[name]) for name in ("created_at", "credentials_changed_at")}
    return User(**{**row, "role": Role(row["role"]), **dates})


async def insert_session(session: AsyncSession, id_hash: str, started: Session) -> None:
    """Record a new browser session."""
    values = {"id_hash": id_hash, "user_id": started.user_id, "started_at": started.started_at}
    await session.execute(sa.insert(SESSIONS).values(**values, used_at=started.started_at))


async def find_session(session: AsyncSession, id_hash: str) -> tuple[Session, datetime] | None:
    """Return a browser session, and when it was last noted as used."""
    row = (await session.execute(sa.select(SESSIONS).where(SESSIONS.c.id_hash == id_hash))).one_or_none()
    if row is None:
        return None
    return Session(user_id=row.user_id, started_at=aware(row.started_at)), aware(row.used_at)


async def touch_session(session: AsyncSession, id_hash: str, moment: datetime) -> None:
    """Note that a browser session is used."""
    await session.execute(sa.update(SESSIONS).where(SESSIONS.c.id_hash == id_hash).values(used_at=moment))


async def delete_session(session: AsyncSession, id_hash: str) -> None:
    """Remove a browser session."""
    await session.execute(sa.delete(SESSIONS).where(SESSIONS.c.id_hash == id_hash))


async def delete_old_sessions(session: AsyncSession, *, used_before: datetime, started_before: datetime) -> None:
    """Remove browser sessions that have ended by themselves."""
    old = (SESSIONS.c.used_at < used_before) | (SESSIONS.c.started_at < started_before)
    await session.execute(sa.delete(SESSIONS).where(old))
