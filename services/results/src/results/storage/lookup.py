"""Finding scans: one by its submission, pages of them, all that hold certain bytes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from results.models import Cursor, StoredScan
from results.schema import ARTIFACTS, SCANS
from results.storage.recording import storable
from shared.clients.filters import ScanFilter
from shared.clients.results import FileSummary, PastScan, ScanSummary
from shared.clock import aware
from shared.events import ObjectRef
from shared.scan import Coverage, CoverageLevel, ScanStatus, Verdict
from shared.web import Caller

_FILE_SUBMISSIONS = 20
_OTHER_SCANS = 21
_SUMMARY = [SCANS.c.submission_id.label("id"), *(SCANS.c[name] for name in ScanSummary.model_fields if name != "id")]


def _by_submission() -> sa.Select[Any]:
    asked = sa.func.coalesce(SCANS.c.requested_at, SCANS.c.submitted_at)
    # Documents may be large, and those of the others are not asked for.
    document = [sa.case((SCANS.c.is_current, SCANS.c[name])).label(name) for name in ("document", "document_ref")]
    query = sa.select(*_SUMMARY, SCANS.c.is_current, SCANS.c.started_at, SCANS.c.coverage_level, asked.label("asked"))
    query = query.add_columns(*document).where(SCANS.c.submission_id == sa.bindparam("submission"))
    return query.order_by(SCANS.c.is_current.desc(), asked.desc()).limit(1 + _OTHER_SCANS)


# Built once, because no other is run as often.
_BY_SUBMISSION = _by_submission()


async def find_scan(session: AsyncSession, submission_id: str) -> StoredScan | None:
    """Return the current scan of a submission, with what is known of the others, latest first."""
    rows = (await session.execute(_BY_SUBMISSION, {"submission": submission_id})).mappings().all()
    if not rows or not rows[0]["is_current"]:
        return None
    row, reference = rows[0], rows[0]["document_ref"]
    return StoredScan(
        summary=_summary(row),
        started_at=aware(row["started_at"]) if row["started_at"] else None,
        document=row["document"],
        document_ref=ObjectRef.model_validate(reference) if reference else None,
        others=tuple(_past(other) for other in rows[1:]),
    )


async def list_scans(
    session: AsyncSession, caller: Caller, where: ScanFilter, cursor: Cursor | None, limit: int
) -> list[ScanSummary]:
    """Return at most `limit` scans that the caller may see, newest first, from behind the cursor on."""
    query = sa.select(*_SUMMARY).where(SCANS.c.is_current, *_visible(caller), *conditions(where))
    if cursor is not None:
        position = sa.tuple_(
            sa.literal(cursor.submitted_at, sa.DateTime(timezone=True)), sa.literal(cursor.submission_id)
        )
        query = query.where(sa.tuple_(SCANS.c.submitted_at, SCANS.c.submission_id) < position)
    query = query.order_by(SCANS.c.submitted_at.desc(), SCANS.c.submission_id.desc()).limit(limit)
    return [_summary(row) for row in (await session.execute(query)).mappings()]


async def find_file(session: AsyncSession, caller: Caller, sha256: str) -> FileSummary | None:
    """Return what is known of the bytes, as submitted or inside something, over what the caller may see."""
    visible = (*_visible(caller), _holds(sha256))
    submissions = await list_scans(session, caller, ScanFilter(sha256=sha256), None, _FILE_SUBMISSIONS)
    if not submissions:
        return None
    dates = sa.select(sa.func.min(SCANS.c.submitted_at), sa.func.max(SCANS.c.submitted_at)).where(*visible)
    first_seen_at, last_seen_at = (await session.execute(dates)).one()
    size_bytes, verdict, coverage = await _latest_look(session, caller, sha256) or (
        submissions[0].size_bytes,
        Verdict.UNKNOWN,
        Coverage(level=CoverageLevel.NONE, gaps=submissions[0].coverage.gaps),
    )
    return FileSummary(
        sha256=sha256,
        size_bytes=size_bytes,
        verdict=verdict,
        coverage=coverage,
        first_seen_at=aware(first_seen_at),
        last_seen_at=aware(last_seen_at),
        submissions=tuple(submissions),
    )


async def _latest_look(session: AsyncSession, caller: Caller, sha256: str) -> tuple[int, Verdict, Coverage] | None:
    query = (
        sa.select(ARTIFACTS.c.size_bytes, ARTIFACTS.c.verdict, ARTIFACTS.c.coverage)
        .join(SCANS, SCANS.c.scan_id == ARTIFACTS.c.scan_id)
        .where(SCANS.c.is_current, *_visible(caller), ARTIFACTS.c.sha256 == sha256)
        .where(SCANS.c.status == ScanStatus.COMPLETED)
        .order_by(SCANS.c.finished_at.desc(), ARTIFACTS.c.id)
        .limit(1)
    )
    row = (await session.execute(query)).one_or_none()
    return (row[0], Verdict(row[1]), Coverage.model_validate(row[2])) if row else None


def _visible(caller: Caller) -> list[sa.ColumnElement[bool]]:
    return [] if caller.sees_everything else [SCANS.c.user_id == caller.user_id]


def _holds(sha256_start: str) -> sa.ColumnElement[bool]:
    # A range, because both databases answer it from the index.
    first, last = sha256_start, sha256_start.ljust(64, "f")
    as_root = sa.select(SCANS.c.scan_id).where(SCANS.c.sha256.between(first, last))
    inside = sa.select(ARTIFACTS.c.scan_id).where(ARTIFACTS.c.sha256.between(first, last))
    return SCANS.c.scan_id.in_(sa.union(as_root, inside).scalar_subquery())


def conditions(where: ScanFilter) -> list[sa.ColumnElement[bool]]:
    """Return the filter as conditions on a scan."""
    conditions: list[sa.ColumnElement[bool]] = []
    if where.verdict:
        conditions.append(SCANS.c.verdict == where.verdict)
    if where.status:
        conditions.append(SCANS.c.status == where.status)
    if where.name:
        conditions.append(SCANS.c.name_folded.contains(storable(where.name).casefold(), autoescape=True))
    if where.sha256:
        conditions.append(_holds(where.sha256.lower()))
    if where.content_type:
        of_type = sa.select(ARTIFACTS.c.scan_id).where(
            ARTIFACTS.c.scan_id == SCANS.c.scan_id, ARTIFACTS.c.content_type == storable(where.content_type)
        )
        conditions.append(sa.exists(of_type))
    if where.after:
        conditions.append(SCANS.c.submitted_at >= aware(where.after))
    if where.before:
        conditions.append(SCANS.c.submitted_at < aware(where.before))
    return conditions


def _summary(row: Any) -> ScanSummary:
    return ScanSummary.model_validate(_with_zones({name: row[name] for name in ScanSummary.model_fields}))


def _past(row: Any) -> PastScan:
    values = {name: row[name] for name in ("scan_id", "status", "verdict", "finished_at", "reason")}
    values |= {"coverage": row["coverage_level"], "requested_at": row["asked"]}
    return PastScan.model_validate(_with_zones(values))


def _with_zones(values: dict[str, Any]) -> dict[str, Any]:
    return values | {name: aware(value) for name, value in values.items() if isinstance(value, datetime)}
