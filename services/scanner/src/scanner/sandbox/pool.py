"""The pool of sandbox workers: started ahead, reused, killed at the time limit and replaced."""

from __future__ import annotations

import asyncio
import logging
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from scanner.config import EngineSettings
from scanner.content import ByteRange, OpenFile
from scanner.errors import SandboxError
from scanner.sandbox.answers import AnyAnswer, ChildFound, FactSeen, GapFound, ProgramRead, SignSeen, Unprepared
from scanner.sandbox.messages import MAX_FACTS, JobLimits, UnpackRequest
from scanner.sandbox.process import JobFailedError, WorkerOptions, WorkerProcess
from scanner.unpackers.base import Unpacker
from scanner.unpackers.package_facts import Fact
from scanner.unpackers.signs import Sign
from shared.folders import WorkFolder, remove_abandoned
from shared.scan import CoverageGap, CoverageReason, Program

logger = logging.getLogger(__name__)

WORKER_COMMAND = (sys.executable, "-m", "scanner.sandbox.worker")


@dataclass(frozen=True, slots=True)
class Child:
    """Something that came out of an artifact."""

    name: str
    origin: str
    content: ByteRange
    gap: CoverageGap | None


@dataclass(frozen=True, slots=True)
class Unpacked:
    """All that one job gave, also when it ended early."""

    children: tuple[Child, ...]
    gaps: tuple[CoverageGap, ...]
    signs: tuple[Sign, ...] = ()
    facts: tuple[tuple[Fact, str], ...] = ()
    program: Program | None = None
    unprepared: bool = False
    """Nothing was done, because the worker lacks the libraries for it."""


@dataclass(frozen=True, slots=True)
class UnpackJob:
    """One artifact to unpack, within `seconds` of wall time."""

    unpacker: Unpacker
    name: str
    content: ByteRange
    limits: JobLimits
    seconds: float
    passwords: tuple[str, ...] = ()
    parameters: Mapping[str, int] = field(default_factory=dict)


class SandboxPool:
    """Runs unpack jobs in worker processes; one job's crash or time-out touches no other job."""

    def __init__(self, settings: EngineSettings, folder: WorkFolder, command: Sequence[str]) -> None:
        self._settings = settings
        self._folder = folder
        self._command = tuple(command)
        self._slots: asyncio.Queue[WorkerProcess | None] = asyncio.Queue()
        self._refills: set[asyncio.Task[None]] = set()
        self._options = WorkerOptions(
            memory_bytes=settings.sandbox_memory_bytes,
            file_bytes=settings.max_unpacked_bytes + settings.max_member_bytes,
            cpu_seconds=math.ceil(settings.sandbox_seconds) * settings.sandbox_jobs_per_worker,
        )

    @classmethod
    async def start(cls, settings: EngineSettings, command: Sequence[str] = WORKER_COMMAND) -> SandboxPool:
        """Start all workers and say in the log how they are confined. Raises SandboxError."""
        await asyncio.to_thread(remove_abandoned, settings.work_dir)
        folder = WorkFolder("sandbox", settings.work_dir)
        pool = cls(settings, folder, command)
        count = settings.sandbox_workers or max(2, min(4, settings.cores))
        started = await asyncio.gather(*(pool._spawn() for _ in range(count)), return_exceptions=True)
        workers = [worker for worker in started if isinstance(worker, WorkerProcess)]
        for worker in workers:
            pool._slots.put_nowait(worker)
        if len(workers) < count:
            await pool.close()
            raise SandboxError("The sandbox workers did not start.")
        pool._report(workers[0])
        return pool

    def _report(self, worker: WorkerProcess) -> None:
        network = " and ".join(worker.ready.network_closed_by)
        logger.info("sandbox workers confined by %s", ", ".join(worker.ready.confined_by))
        if network:
            logger.info("sandbox workers have no network: closed by %s", network)
        else:
            logger.warning(
                "sandbox workers are NOT cut off from the network: neither namespace nor seccomp is permitted"
            )

    async def close(self) -> None:
        """Stop every worker and remove their folders."""
        await asyncio.gather(*self._refills)
        while not self._slots.empty():
            worker = self._slots.get_nowait()
            if worker is not None:
                await worker.stop()
        await asyncio.to_thread(self._folder.remove)

    async def unpack(self, job: UnpackJob) -> Unpacked:
        """Unpack one artifact; failures come back as gaps. Raises SandboxError when no worker can be started."""
        worker = await self._slots.get()
        try:
            if worker is None:
                worker = await self._spawn()
            unpacked = await self._run(worker, job)
            if unpacked.unprepared:
                # The slot keeps its prepared worker until that has done its share of jobs.
                await worker.stop()
                worker = await self._spawn(prepared=True)
                unpacked = await self._run(worker, job)
            if unpacked.unprepared:
                worker.kill()
                return Unpacked((), (_gap(CoverageReason.ERROR, "The sandbox worker broke its protocol."),))
            return unpacked
        finally:
            self._give_back(worker)

    async def _run(self, worker: WorkerProcess, job: UnpackJob) -> Unpacked:
        content, spool = job.content, OpenFile.spool(self._settings.work_dir)
        request = UnpackRequest(
            job.unpacker.name,
            job.name,
            content.offset,
            content.size,
            job.limits,
            job.passwords,
            dict(job.parameters),
        )
        told = _Told(spool, job.limits)
        try:
            async with asyncio.timeout(job.seconds):
                async for answer in worker.run(request, content.file, spool):
                    if isinstance(answer, Unprepared):
                        return Unpacked((), (), unprepared=True)
                    told.take(answer)
        except TimeoutError:
            worker.kill()
            told.gaps.append(_gap(CoverageReason.TIMEOUT, "Unpacking took longer than its time limit and was stopped."))
        except JobFailedError as error:
            worker.kill()
            logger.warning("a sandbox worker was lost while unpacking %s: %s", job.unpacker.name, error)
            told.gaps.append(_gap(error.reason, error.message))
        except asyncio.CancelledError:
            worker.kill()
            raise
        return told.unpacked()

    def _give_back(self, worker: WorkerProcess | None) -> None:
        if worker is not None and worker.alive and worker.jobs < self._settings.sandbox_jobs_per_worker:
            self._slots.put_nowait(worker)
            return
        task = asyncio.create_task(self._replace(worker), name="sandbox refill")
        self._refills.add(task)
        task.add_done_callback(self._refills.discard)

    async def _replace(self, worker: WorkerProcess | None) -> None:
        fresh: WorkerProcess | None = None
        try:
            if worker is not None:
                await worker.stop()
            fresh = await self._spawn()
        except SandboxError:
            logger.exception("a sandbox worker could not be replaced; tried again at the next artifact")
        finally:
            self._slots.put_nowait(fresh)

    async def _spawn(self, *, prepared: bool = False) -> WorkerProcess:
        return await WorkerProcess.start(self._command, self._folder.path, replace(self._options, prepared=prepared))


@dataclass(slots=True)
class _Told:
    """What a worker has told of one job so far."""

    spool: OpenFile
    limits: JobLimits
    children: list[Child] = field(default_factory=list)
    gaps: list[CoverageGap] = field(default_factory=list)
    signs: dict[Sign, None] = field(default_factory=dict)
    facts: list[tuple[Fact, str]] = field(default_factory=list)
    program: Program | None = None

    def take(self, answer: AnyAnswer) -> None:
        """Add one answer. Raises JobFailedError when it goes over the limits."""
        if isinstance(answer, ChildFound):
            self.children.append(_child(answer, self.spool, self.limits, len(self.children)))
        elif isinstance(answer, GapFound):
            self.gaps.append(answer.gap.as_coverage())
        elif isinstance(answer, SignSeen):
            self.signs[answer.sign] = None
        elif isinstance(answer, FactSeen):
            self.facts.append(_fact(answer, len(self.facts)))
        elif isinstance(answer, ProgramRead):
            self.program = answer.program

    def unpacked(self) -> Unpacked:
        """Return all of it."""
        return Unpacked(tuple(self.children), tuple(self.gaps), tuple(self.signs), tuple(self.facts), self.program)


def _child(answer: ChildFound, spool: OpenFile, limits: JobLimits, index: int) -> Child:
    """Check a child against the limits and the spool: what the worker says is not trusted."""
    end = answer.start + answer.size
    if index >= limits.artifacts or end > limits.unpacked_bytes or end > spool.size_bytes:
        raise JobFailedError(CoverageReason.ERROR, "The sandbox worker broke its limits and was stopped.")
    gap = answer.gap.as_coverage() if answer.gap else None
    return Child(answer.name, answer.origin, ByteRange(spool, answer.start, answer.size), gap)


def _fact(answer: FactSeen, index: int) -> tuple[Fact, str]:
    if index >= MAX_FACTS:
        raise JobFailedError(CoverageReason.ERROR, "The sandbox worker broke its limits and was stopped.")
    return answer.fact, answer.name


def _gap(reason: CoverageReason, detail: str) -> CoverageGap:
    return CoverageGap(reason=reason, detail=detail)
