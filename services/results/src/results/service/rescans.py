"""Scanning again: one submission, or a job over many, a few at a time and never twice."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

from results.storage import rescans
from shared.clients.filters import ScanFilter
from shared.clients.rescans import RescanAct, RescanEstimate, RescanJob, RescanState
from shared.clock import now
from shared.database import Database
from shared.errors import ConflictError, NotFoundError
from shared.objects import ObjectStore
from shared.web import Caller

logger = logging.getLogger(__name__)
_OVER = (RescanState.DONE, RescanState.CANCELLED)
_STATES = {
    RescanAct.PAUSE: RescanState.PAUSED,
    RescanAct.RESUME: RescanState.RUNNING,
    RescanAct.CANCEL: RescanState.CANCELLED,
}


class RescanService:
    """Asks the scanners to look again. Row, place of the job and event are committed together."""

    def __init__(self, database: Database, objects: ObjectStore, *, lifetime: timedelta, outstanding: int) -> None:
        self._database = database
        self._objects = objects
        self._lifetime = lifetime
        self._outstanding = outstanding
        self.on_job_started: Callable[[], None] = lambda: None

    async def rescan(self, caller: Caller, submission_id: str) -> None:
        """Have one submission scanned again.

        Raises NotFoundError, ConflictError while it is being scanned or when its bytes are not stored any more.
        """
        async with self._database.transaction() as transaction:
            target = await rescans.find_target(transaction.session, submission_id)
            if target is None or not caller.may_see(target.row["user_id"]):
                raise NotFoundError("There is no such submission.")
            event = None
            if target.row["finished_at"] is not None:
                if not await self._objects.exists(target.object_key):
                    raise ConflictError("The bytes of this file are not stored any more; submit it again.")
                event = await rescans.insert_rescan(transaction.session, target, self._lifetime)
            if event is None:
                raise ConflictError("This file is being scanned right now.")
            await transaction.publish(event)

    async def estimate(self, caller: Caller, where: ScanFilter) -> RescanEstimate:
        """Return how many submissions a job would scan again. Raises NotAllowedError."""
        caller.require_administrator()
        async with self._database.read() as session:
            return RescanEstimate(submissions=await rescans.count_targets(session, where, now()))

    async def start(self, caller: Caller, where: ScanFilter) -> RescanJob:
        """Begin a job. Raises NotAllowedError, ConflictError while another one is not over."""
        caller.require_administrator()
        moment = now()
        async with self._database.transaction() as transaction:
            latest = await rescans.find_job(transaction.session, lock=True)
            if latest is not None and latest.state not in _OVER:
                raise ConflictError(
                    f"A rescan is {latest.state} at {latest.ended:,} of {latest.total:,}; go on with it or cancel it."
                )
            job = RescanJob(
                id=str(uuid4()),
                user_id=caller.user_id,
                state=RescanState.RUNNING,
                filters=where,
                created_at=moment,
                total=await rescans.count_targets(transaction.session, where, moment),
                requested=0,
                ended=0,
                changed=0,
                unfinished=0,
                gone=0,
            )
            await rescans.insert_job(transaction.session, job)
        self.on_job_started()
        return job

    async def latest(self, caller: Caller) -> RescanJob:
        """Return the job that was made last. Raises NotAllowedError, NotFoundError."""
        caller.require_administrator()
        async with self._database.read() as session:
            job = await rescans.find_job(session)
        if job is None:
            raise NotFoundError("There was no rescan yet.")
        return job

    async def change(self, caller: Caller, rescan_id: str, act: RescanAct) -> RescanJob:
        """Pause, resume or cancel a job; what it asked for already is scanned all the same.

        Raises NotAllowedError, NotFoundError, ConflictError when it is over.
        """
        caller.require_administrator()
        async with self._database.transaction() as transaction:
            job = await rescans.find_job(transaction.session, rescan_id, lock=True)
            if job is None:
                raise NotFoundError("There is no such rescan.")
            if job.state in _OVER:
                raise ConflictError(f"This rescan is {job.state} already.")
            await rescans.set_state(transaction.session, rescan_id, _STATES[act])
        self.on_job_started()
        return job.model_copy(update={"state": _STATES[act]})

    async def feed(self) -> None:
        """Ask for as many scans of the running job as there is room for, and end it when all of them have ended."""
        async with self._database.read() as session:
            if not await rescans.is_running(session):
                return
        async with self._database.transaction() as transaction:
            claimed = await rescans.claim_job(transaction.session)
            if claimed is None:
                return
            job, start = claimed
            room = self._outstanding - await rescans.count_open_rescans(transaction.session)
            if room <= 0:
                return
            targets = await rescans.next_targets(transaction.session, job, start, room)
            requested = gone = 0
            for target in targets:
                if not await self._objects.exists(target.object_key):
                    gone += 1
                    logger.info("not scanned again: its bytes are gone", extra={"object_key": target.object_key})
                    continue
                event = await rescans.insert_rescan(transaction.session, target, self._lifetime, job.id)
                if event is not None:
                    await transaction.publish(event)
                    requested += 1
            if targets:
                place = targets[-1].cursor
                await rescans.advance_job(transaction.session, job, place, requested=requested, gone=gone)
            elif job.ended == job.requested:
                await rescans.set_state(transaction.session, job.id, RescanState.DONE)
                logger.info("rescan is done", extra={"rescan_id": job.id, "changed": job.changed})
