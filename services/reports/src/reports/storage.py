"""Rows of the reports service."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from reports.models import ReportIdentity
from reports.schema import RENDERINGS, REPORTS
from shared.clients.results import ScanDetail
from shared.clock import aware, now
from shared.database import insert
from shared.events import ObjectRef, ReportFormat


async def find_identity(session: AsyncSession, scan_id: str) -> ReportIdentity | None:
    """Return which report belongs to the scan, if one was begun."""
    columns = (REPORTS.c.report_id, REPORTS.c.generated_at, REPORTS.c.fumehood_version)
    row = (await session.execute(sa.select(*columns).where(REPORTS.c.scan_id == scan_id))).one_or_none()
    if row is None:
        return None
    return ReportIdentity(id=row.report_id, generated_at=aware(row.generated_at), fumehood_version=row.fumehood_version)


async def insert_identity(session: AsyncSession, scan: ScanDetail, identity: ReportIdentity) -> None:
    """Record which report belongs to the scan, unless another replica was first."""
    values = {
        "scan_id": scan.scan_id,
        "report_id": identity.id,
        "submission_id": scan.id,
        "user_id": scan.user_id,
        "fumehood_version": identity.fumehood_version,
        "generated_at": identity.generated_at,
    }
    await session.execute(insert(session, REPORTS).values(values).on_conflict_do_nothing())


async def find_rendering(session: AsyncSession, scan_id: str, form: ReportFormat) -> ObjectRef | None:
    """Return where a format of the report is stored, if it was made."""
    columns = (RENDERINGS.c.object_key, RENDERINGS.c.sha256, RENDERINGS.c.size_bytes)
    query = sa.select(*columns).where(RENDERINGS.c.scan_id == scan_id, RENDERINGS.c.format == form)
    row = (await session.execute(query)).one_or_none()
    return ObjectRef(key=row.object_key, sha256=row.sha256, size_bytes=row.size_bytes) if row else None


async def put_rendering(session: AsyncSession, scan_id: str, form: ReportFormat, stored: ObjectRef) -> None:
    """Record where a format of the report is stored from now on."""
    place = {
        "object_key": stored.key,
        "sha256": stored.sha256,
        "size_bytes": stored.size_bytes,
        "rendered_at": now(),
    }
    statement = insert(session, RENDERINGS).values(scan_id=scan_id, format=form, **place)
    await session.execute(statement.on_conflict_do_update(index_elements=["scan_id", "format"], set_=place))
