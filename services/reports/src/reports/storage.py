"""Rows of the reports service."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from reports.models import ReportIdentity
from reports.schema import RENDERINGS, REPORTS
from shared.clients.results import ScanDetail
from shared.clock import aware, now
from shared.database import insert
from shared.events import ObjectRef, ReportFormat

_IDENTITY = (REPORTS.c.report_id, REPORTS.c.generated_at, REPORTS.c.fumehood_version)
_PLACE = (RENDERINGS.c.object_key, RENDERINGS.c.sha256, RENDERINGS.c.size_bytes)


async def find_report(
    session: AsyncSession, scan_id: str, form: ReportFormat
) -> tuple[ReportIdentity | None, ObjectRef | None]:
    """Return which report belongs to the scan, if one was begun, and where a format of it is stored, if it was made."""
    of_form = (RENDERINGS.c.scan_id == REPORTS.c.scan_id) & (RENDERINGS.c.format == form)
    query = sa.select(*_IDENTITY, *_PLACE).select_from(REPORTS.outerjoin(RENDERINGS, of_form))
    row = (await session.execute(query.where(REPORTS.c.scan_id == scan_id))).one_or_none()
    if row is None:
        return None, None
    made = row.object_key is not None
    stored = ObjectRef(key=row.object_key, sha256=row.sha256, size_bytes=row.size_bytes) if made else None
    return _identity(row), stored


async def claim_identity(session: AsyncSession, scan: ScanDetail, identity: ReportIdentity) -> ReportIdentity:
    """Record which report belongs to the scan and return it: this one, unless another was recorded first."""
    values = {
        "scan_id": scan.scan_id,
        "report_id": identity.id,
        "submission_id": scan.id,
        "user_id": scan.user_id,
        "fumehood_version": identity.fumehood_version,
        "generated_at": identity.generated_at,
    }
    statement = insert(session, REPORTS)
    # Changes nothing, but only a row that is written is returned.
    same = {"scan_id": statement.excluded.scan_id}
    statement = statement.on_conflict_do_update(index_elements=["scan_id"], set_=same)
    return _identity((await session.execute(statement.returning(*_IDENTITY), values)).one())


async def put_rendering(session: AsyncSession, scan_id: str, form: ReportFormat, stored: ObjectRef) -> None:
    """Record where a format of the report is stored from now on."""
    values = {
        "scan_id": scan_id,
        "format": form,
        "object_key": stored.key,
        "sha256": stored.sha256,
        "size_bytes": stored.size_bytes,
        "rendered_at": now(),
    }
    statement = insert(session, RENDERINGS)
    statement = statement.on_conflict_do_update(index_elements=["scan_id", "format"], set_=dict(statement.excluded))
    await session.execute(statement, values)


def _identity(row: Any) -> ReportIdentity:
    return ReportIdentity(id=row.report_id, generated_at=aware(row.generated_at), fumehood_version=row.fumehood_version)
