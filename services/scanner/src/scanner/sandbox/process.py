"""One sandbox worker as the scanner sees it: a process at the other end of a socket pair."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from scanner.content import OpenFile
from scanner.errors import SandboxError
from scanner.sandbox.answers import ANSWERS, AnyAnswer, JobDone, WorkerReady
from scanner.sandbox.messages import MAX_LINE_BYTES, UnpackRequest
from shared.scan import CoverageReason

START_SECONDS = 30.0


class JobFailedError(Exception):
    """The worker did not finish its job and must be replaced; `message` is a sentence for people."""

    def __init__(self, reason: CoverageReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Limits handed to a worker process; sizes in bytes, `cpu_seconds` over its life."""

    memory_bytes: int
    file_bytes: int
    cpu_seconds: int
    prepared: bool = False
    """Started with the third-party parsers; see `scanner.unpackers.libraries`."""


class WorkerProcess:
    """A started worker; takes one job at a time."""

    def __init__(
        self, process: subprocess.Popen[bytes], connection: socket.socket, folder: Path, *, prepared: bool
    ) -> None:
        self._process = process
        self._connection = connection
        self._folder = folder
        self.prepared = prepared
        self._received = bytearray()
        self.ready = WorkerReady(kind="ready", network_closed_by=(), confined_by=())
        self.jobs = 0

    @classmethod
    async def start(cls, command: Sequence[str], parent_folder: Path, options: WorkerOptions) -> WorkerProcess:
        """Start a worker with an empty environment and a fresh folder, and wait for it. Raises SandboxError."""
        ours, theirs = socket.socketpair()
        try:
            folder = Path(tempfile.mkdtemp(dir=parent_folder))
        except OSError as error:
            ours.close()
            theirs.close()
            raise SandboxError(f"A folder for a sandbox worker could not be made: {error.strerror}.") from error
        sizes = (options.memory_bytes, options.file_bytes, options.cpu_seconds)
        arguments = [str(theirs.fileno()), str(folder), *map(str, sizes)]
        if options.prepared:
            arguments.append("prepared")
        try:
            process = _fork([*command, *arguments], theirs)
        except OSError as error:
            ours.close()
            await asyncio.to_thread(folder.rmdir)
            raise SandboxError(f"A sandbox worker could not be started: {error.strerror}.") from error
        finally:
            theirs.close()
        ours.settimeout(0)
        worker = cls(process, ours, folder, prepared=options.prepared)
        try:
            async with asyncio.timeout(START_SECONDS):
                answer = await worker._answer()
        except (TimeoutError, JobFailedError) as error:
            await worker.stop()
            raise SandboxError("A sandbox worker did not start.") from error
        except asyncio.CancelledError:
            await worker.stop()
            raise
        if not isinstance(answer, WorkerReady):
            await worker.stop()
            raise SandboxError("A sandbox worker did not start as expected.")
        worker.ready = answer
        return worker

    @property
    def alive(self) -> bool:
        """Whether the process can take a job."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()

    async def stop(self) -> None:
        """End the process and remove its folder."""
        self.kill()
        self._connection.close()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def run(self, request: UnpackRequest, source: OpenFile, spool: OpenFile) -> AsyncIterator[AnyAnswer]:
        """Send a job and yield its answers until it is done. Raises JobFailedError."""
        self.jobs += 1
        try:
            socket.send_fds(self._connection, [request.encode()], [source.descriptor, spool.descriptor])
        except OSError as error:
            raise self._lost() from error
        while not isinstance(answer := await self._answer(), JobDone):
            yield answer

    async def _answer(self) -> AnyAnswer:
        while (end := self._received.find(b"\n")) < 0:
            if len(self._received) > MAX_LINE_BYTES:
                raise JobFailedError(CoverageReason.ERROR, "The sandbox worker broke its protocol and was stopped.")
            try:
                received = await asyncio.get_running_loop().sock_recv(self._connection, MAX_LINE_BYTES)
            except OSError as error:
                raise self._lost() from error
            if not received:
                raise self._lost()
            self._received += received
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        try:
            return ANSWERS.validate_json(line)
        except ValidationError as error:
            raise JobFailedError(
                CoverageReason.ERROR, "The sandbox worker broke its protocol and was stopped."
            ) from error

    def _lost(self) -> JobFailedError:
        """Say how the process ended: by the kernel's processor-time limit, by another signal, by itself."""
        try:
            status = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return JobFailedError(CoverageReason.ERROR, "The sandbox worker stopped answering.")
        if status in {-signal.SIGXCPU, -signal.SIGKILL}:
            return JobFailedError(
                CoverageReason.TIMEOUT, "Unpacking took more processor time than its limit and was stopped."
            )
        return JobFailedError(CoverageReason.ERROR, "The parser crashed; what it had not reached was not looked at.")


def _fork(command: Sequence[str], connection: socket.socket) -> subprocess.Popen[bytes]:
    """Start our own program with nothing but its end of the connection; this takes about a millisecond."""
    return subprocess.Popen(  # noqa: S603 -- the command is ours
        command,
        env={},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(connection.fileno(),),
        start_new_session=True,
    )
