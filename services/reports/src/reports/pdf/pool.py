"""The processes that make PDF: started when needed, a bounded number, killed when they take too long."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from typing import cast

from reports.errors import ReportNotMadeError
from reports.pdf.protocol import DONE, LENGTH
from shared.folders import WorkFolder, remove_abandoned

_JOBS_PER_PROCESS = 200
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "XDG_CACHE_HOME", "FONTCONFIG_FILE", "FONTCONFIG_PATH")


class PdfPool:
    """Renders at most `workers` documents at once. A process that was cancelled or broke is not used again."""

    def __init__(self, *, workers: int, timeout_seconds: float, memory_bytes: int) -> None:
        self._slots = asyncio.Semaphore(workers)
        self._timeout_seconds = timeout_seconds
        self._memory_bytes = memory_bytes
        self._idle: list[_Worker] = []

    async def render(self, html: bytes) -> bytes:
        """Return the HTML as PDF. Raises ReportNotMadeError; the time limit begins when a process is free."""
        async with self._slots:
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    return await self._render_somewhere(html)
            except TimeoutError:
                message = f"The PDF was not finished within {self._timeout_seconds:g} seconds."
                raise ReportNotMadeError(message) from None

    async def close(self) -> None:
        """End the processes that are idle; those at work end with their job."""
        idle, self._idle = self._idle, []
        for worker in idle:
            await worker.end()

    async def _render_somewhere(self, html: bytes) -> bytes:
        if self._idle:
            # It may have died while it was idle; that says nothing about this document.
            with suppress(_WorkerGoneError):
                return await self._render(self._idle.pop(), html)
        try:
            return await self._render(await _Worker.start(self._memory_bytes), html)
        except _WorkerGoneError:
            raise ReportNotMadeError("The process that renders the PDF ended before it was done.") from None

    async def _render(self, worker: _Worker, html: bytes) -> bytes:
        try:
            status, content = await worker.ask(html)
        except BaseException:
            await worker.end()
            raise
        if worker.jobs < _JOBS_PER_PROCESS:
            self._idle.append(worker)
        else:
            await worker.end()
        if status != DONE:
            raise ReportNotMadeError(f"The PDF could not be rendered. {content.decode()}")
        return content


class _WorkerGoneError(Exception):
    """The process ended instead of answering."""


class _Worker:
    """One process, see reports.pdf.worker."""

    def __init__(self, process: Process, directory: WorkFolder) -> None:
        self._process = process
        self._directory = directory
        self._jobs_in = cast("StreamWriter", process.stdin)
        self._answers = cast("StreamReader", process.stdout)
        self.jobs = 0

    @classmethod
    async def start(cls, memory_bytes: int) -> _Worker:
        await asyncio.to_thread(remove_abandoned)
        directory = WorkFolder("pdf")
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        # -P: nothing is imported from the directory that somebody happened to start in.
        command = (sys.executable, "-P", "-m", "reports.pdf.worker", str(memory_bytes))
        # A session of its own: Ctrl-C is for the service, which ends its workers itself.
        environment["TMPDIR"] = str(directory.path)
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, env=environment, start_new_session=True
            )
        except BaseException:  # the time may be up here already
            directory.remove()
            raise
        return cls(process, directory)

    async def ask(self, html: bytes) -> tuple[bytes, bytes]:
        """Send a job and return its answer. Raises _WorkerGoneError."""
        self.jobs += 1
        try:
            self._jobs_in.write(LENGTH.pack(len(html)) + html)
            await self._jobs_in.drain()
            status = await self._answers.readexactly(1)
            (length,) = LENGTH.unpack(await self._answers.readexactly(LENGTH.size))
            return status, await self._answers.readexactly(length)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            raise _WorkerGoneError from error

    async def end(self) -> None:
        """Kill the process, wait for it and remove what it left behind."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        self._directory.remove()
