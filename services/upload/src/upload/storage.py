"""Rows of the upload service."""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from shared.clients.upload import Submission
from shared.clock import aware, now
from shared.database import insert
from shared.events import ObjectRef, ScanOptions
from upload.schema import FILES, SUBMISSIONS


async def insert_file(session: AsyncSession, file: ObjectRef) -> None:
    """Record the file unless it is known already."""
    values = {"sha256": file.sha256, "size_bytes": file.size_bytes, "object_key": file.key, "first_seen_at": now()}
    await session.execute(insert(session, FILES).on_conflict_do_nothing(), values)


async def insert_submission(
    session: AsyncSession, submission: Submission, options: ScanOptions, idempotency_key: str | None
) -> bool:
    """Record the submission; False if its user already used the idempotency key."""
    values = submission.model_dump(exclude={"size_bytes"}) | {
        "options": options.model_dump(mode="json"),
        "idempotency_key": idempotency_key,
    }
    statement = insert(session, SUBMISSIONS).on_conflict_do_nothing(index_elements=["user_id", "idempotency_key"])
    result = cast("sa.CursorResult[Any]", await session.execute(statement, values))
    return result.rowcount == 1


async def find_submission(session: AsyncSession, submission_id: str) -> Submission | None:
    """Return the submission with this id."""
    return await _find(session, SUBMISSIONS.c.id == submission_id)


async def find_by_key(session: AsyncSession, user_id: str, idempotency_key: str) -> Submission | None:
    """Return the submission that its user made under this idempotency key."""
    return await _find(session, SUBMISSIONS.c.user_id == user_id, SUBMISSIONS.c.idempotency_key == idempotency_key)


async def _find(session: AsyncSession, *conditions: sa.ColumnElement[bool]) -> Submission | None:
    columns = [SUBMISSIONS.c[name] for name in Submission.model_fields if name != "size_bytes"]
    query = sa.select(*columns, FILES.c.size_bytes).join(FILES, FILES.c.sha256 == SUBMISSIONS.c.sha256)
    row = (await session.execute(query.where(*conditions))).mappings().one_or_none()
    if row is None:
        return None
    return Submission(**{**row, "accepted_at": aware(row["accepted_at"]), "deadline_at": aware(row["deadline_at"])})
