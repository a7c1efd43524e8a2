"""Rows of scans that are asked for again, one by one or by a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from results.models import Cursor
from results.schema import RESCANS, SCANS
from results.storage.lookup import conditions
from shared.clients.filters import ScanFilter
from shared.clients.rescans import RescanJob, RescanState
from shared.clock import aware, now
from shared.database import insert
from shared.events import ObjectRef, RescanRequestedV1, ScanOptions
from shared.scan import Coverage, CoverageLevel, ScanStatus, Verdict

_KEPT = ("submission_id", "user_id", "name", "name_folded", "sha256", "size_bytes", "object_key", "submitted_at")
_UNFINISHED = (ScanStatus.FAILED, ScanStatus.EXPIRED)


@dataclass(frozen=True, slots=True)
class Target:
    """The current scan of a submission that can be scanned again."""

    row: dict[str, Any]

    @property
    def object_key(self) -> str:
        """Where the bytes are stored."""
        return str(self.row["object_key"])

    @property
    def cursor(self) -> Cursor:
        """Its place in the order in which a job goes."""
        return Cursor(aware(self.row["submitted_at"]), self.row["submission_id"])


async def find_target(session: AsyncSession, submission_id: str) -> Target | None:
    """Return the current scan of a submission."""
    query = sa.select(SCANS).where(SCANS.c.submission_id == submission_id, SCANS.c.is_current)
    row = (await session.execute(query)).mappings().one_or_none()
    return Target(dict(row)) if row else None


async def next_targets(session: AsyncSession, job: RescanJob, start: Cursor | None, limit: int) -> list[Target]:
    """Return what a job goes on with, latest submission first; what is being scanned now is left out."""
    query = sa.select(SCANS).where(*_matching(job.filters, job.created_at))
    if start is not None:
        place = sa.tuple_(sa.literal(start.submitted_at, sa.DateTime(timezone=True)), sa.literal(start.submission_id))
        query = query.where(sa.tuple_(SCANS.c.submitted_at, SCANS.c.submission_id) < place)
    query = query.order_by(SCANS.c.submitted_at.desc(), SCANS.c.submission_id.desc()).limit(limit)
    return [Target(dict(row)) for row in (await session.execute(query)).mappings()]


async def count_targets(session: AsyncSession, where: ScanFilter, moment: datetime) -> int:
    """Return how many submissions a job would scan again."""
    query = sa.select(sa.func.count()).select_from(SCANS).where(*_matching(where, moment))
    return await session.scalar(query) or 0


async def insert_rescan(
    session: AsyncSession, target: Target, lifetime: timedelta, job_id: str | None = None
) -> RescanRequestedV1 | None:
    """Record that a submission is to be scanned again; None if a scan of it is open already."""
    moment = now()
    values = {name: target.row[name] for name in _KEPT} | {
        "scan_id": str(uuid4()),
        "options": target.row["options"],
        "status": ScanStatus.QUEUED,
        "verdict": Verdict.UNKNOWN,
        "coverage_level": CoverageLevel.NONE,
        "coverage": Coverage(level=CoverageLevel.NONE).model_dump(mode="json"),
        "artifact_count": 0,
        "finding_count": 0,
        "is_current": False,
        "requested_at": moment,
        "known_at": moment,
        "deadline_at": moment + lifetime,
        "previous_verdict": target.row["verdict"],
        "rescan_id": job_id,
    }
    result = await session.execute(insert(session, SCANS).values(values).on_conflict_do_nothing())
    if cast("sa.CursorResult[Any]", result).rowcount != 1:
        return None
    return RescanRequestedV1(
        submission_id=values["submission_id"],
        scan_id=values["scan_id"],
        user_id=values["user_id"],
        file=ObjectRef(key=values["object_key"], sha256=values["sha256"], size_bytes=values["size_bytes"]),
        name=values["name"],
        options=ScanOptions.model_validate(values["options"]),
        accepted_at=moment,
        deadline_at=values["deadline_at"],
    )


async def insert_job(session: AsyncSession, job: RescanJob) -> None:
    """Record a new job."""
    values = {
        "rescan_id": job.id,
        "user_id": job.user_id,
        "state": job.state,
        "filters": job.filters.model_dump(mode="json", exclude_none=True),
        "created_at": job.created_at,
        "total": job.total,
        "requested": 0,
        "gone": 0,
    }
    await session.execute(sa.insert(RESCANS).values(values))


async def find_job(session: AsyncSession, rescan_id: str | None = None, *, lock: bool = False) -> RescanJob | None:
    """Return a job with how far it is; without an id the latest one."""
    query = sa.select(RESCANS).order_by(RESCANS.c.created_at.desc()).limit(1)
    if rescan_id is not None:
        query = query.where(RESCANS.c.rescan_id == rescan_id)
    row = (await session.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
    return await _job(session, dict(row)) if row else None


async def is_running(session: AsyncSession) -> bool:
    """Return whether a job has something to do."""
    return bool(await session.scalar(sa.select(sa.exists().where(RESCANS.c.state == RescanState.RUNNING))))


async def claim_job(session: AsyncSession) -> tuple[RescanJob, Cursor | None] | None:
    """Lock the running job and return it with its place; None if there is none or another replica has it."""
    query = sa.select(RESCANS).where(RESCANS.c.state == RescanState.RUNNING).order_by(RESCANS.c.created_at).limit(1)
    row = (await session.execute(query.with_for_update(skip_locked=True))).mappings().one_or_none()
    if row is None:
        return None
    start = Cursor(aware(row["cursor_at"]), row["cursor_id"]) if row["cursor_at"] else None
    return await _job(session, dict(row)), start


async def count_open_rescans(session: AsyncSession) -> int:
    """Return how many scans that a job asked for have not ended."""
    is_open = (SCANS.c.finished_at.is_(None), SCANS.c.rescan_id.is_not(None))
    return await session.scalar(sa.select(sa.func.count()).select_from(SCANS).where(*is_open)) or 0


async def advance_job(session: AsyncSession, job: RescanJob, place: Cursor, *, requested: int, gone: int) -> None:
    """Record how far a job has come."""
    values = {
        "cursor_at": place.submitted_at,
        "cursor_id": place.submission_id,
        "requested": RESCANS.c.requested + requested,
        "gone": RESCANS.c.gone + gone,
    }
    await session.execute(sa.update(RESCANS).where(RESCANS.c.rescan_id == job.id).values(values))


async def set_state(session: AsyncSession, rescan_id: str, state: RescanState) -> None:
    """Record where a job stands."""
    await session.execute(sa.update(RESCANS).where(RESCANS.c.rescan_id == rescan_id).values(state=state))


async def _job(session: AsyncSession, row: dict[str, Any]) -> RescanJob:
    ended = SCANS.c.finished_at.is_not(None)
    changed = (SCANS.c.status == ScanStatus.COMPLETED) & (SCANS.c.verdict != SCANS.c.previous_verdict)
    counts = [sa.func.count().filter(condition) for condition in (ended, changed, SCANS.c.status.in_(_UNFINISHED))]
    query = sa.select(*counts).select_from(SCANS).where(SCANS.c.rescan_id == row["rescan_id"])
    found = (await session.execute(query)).one()
    return RescanJob(
        id=row["rescan_id"],
        user_id=row["user_id"],
        state=RescanState(row["state"]),
        filters=ScanFilter.model_validate(row["filters"]),
        created_at=aware(row["created_at"]),
        total=row["total"],
        requested=row["requested"],
        ended=found[0],
        changed=found[1],
        unfinished=found[2],
        gone=row["gone"],
    )


def _matching(where: ScanFilter, moment: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    others = SCANS.alias("others")
    being_scanned = (others.c.submission_id == SCANS.c.submission_id) & others.c.finished_at.is_(None)
    return (
        SCANS.c.is_current,
        SCANS.c.finished_at.is_not(None),
        SCANS.c.submitted_at <= aware(moment),
        ~sa.exists().where(being_scanned),
        *conditions(where),
    )
