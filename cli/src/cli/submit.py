"""`fumehood submit`: send files to a running server, wait for the verdicts."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from cli.api import Credentials, call
from cli.paths import coloured, printable, regular_files
from shared.errors import AppError, UnavailableError

IN_FLIGHT = 4
WAIT_SECONDS = 30
TRIES = 5
FOUND = frozenset({"malicious", "suspicious"})
TERMINAL = frozenset({"completed", "failed", "expired"})
_COLOURS = {"malicious": "red", "suspicious": "yellow", "unknown": "blue", "clean": "green"}


async def run_submit(paths: list[Path], server: str, credentials: Credentials, *, as_json: bool, wait: bool) -> int:
    """Send everything and print each answer; return the exit status (0 nothing found, 1 found, 2 error)."""
    async with httpx.AsyncClient(base_url=server, timeout=httpx.Timeout(WAIT_SECONDS + 30, connect=10)) as http:
        submitter = _Submitter(http, credentials, as_json=as_json, wait=wait)
        await submitter.sign_in()
        with submitter.progress if sys.stderr.isatty() and not as_json else nullcontext():
            await submitter.send_all(regular_files(paths))
    if submitter.found:
        return 1
    return 2 if submitter.errors else 0


class _Submitter:
    def __init__(self, http: httpx.AsyncClient, credentials: Credentials, *, as_json: bool, wait: bool) -> None:
        self._http = http
        self._credentials = credentials
        self._as_json = as_json
        self._wait = wait
        self.found = 0
        self.errors = 0
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=Console(stderr=True),
            transient=True,
        )

    async def sign_in(self) -> None:
        """Get a token unless one was given. Raises ClientError for wrong credentials."""
        token = self._credentials.token
        if token is None:
            form = {"username": self._credentials.email, "password": self._credentials.password}
            token = (await call(self._http, "POST", "/api/v1/auth/token", data=form))["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    async def send_all(self, files: Iterator[Path]) -> None:
        """Keep a few files in flight."""

        async def worker() -> None:
            for path in files:
                await self._send(path)

        await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))

    async def _send(self, path: Path) -> None:
        try:
            accepted = await self._upload(path)
            answer = await self._verdict(accepted["id"]) if self._wait else accepted
        except (AppError, OSError) as error:
            self.errors += 1
            message = error.message if isinstance(error, AppError) else (error.strerror or "cannot be read")
            self._print({"path": str(path), "error": message})
            return
        self.found += answer.get("verdict") in FOUND
        self.errors += answer["status"] in {"failed", "expired"}
        self._print({"path": str(path), **answer})

    async def _upload(self, path: Path) -> dict[str, Any]:
        # The same key on every try: an upload whose answer was lost is not made twice.
        headers = {"Idempotency-Key": str(uuid4())}
        size_bytes = (await asyncio.to_thread(path.stat)).st_size
        task = self.progress.add_task(printable(path.name)[:40], total=size_bytes)
        attempt = 1
        try:
            while True:
                try:
                    return await self._upload_once(path, task, headers)
                except AppError as error:
                    if attempt == TRIES or not _worth_another_try(error):
                        raise
                    await asyncio.sleep(error.retry_after_seconds or 2**attempt)
                    attempt += 1
        finally:
            self.progress.remove_task(task)

    async def _upload_once(self, path: Path, task: TaskID, headers: dict[str, str]) -> dict[str, Any]:
        self.progress.reset(task)
        with await asyncio.to_thread(path.open, "rb") as file:
            files = {"file": (path.name, _WatchedFile(file, self.progress, task))}
            accepted: dict[str, Any] = await call(self._http, "POST", "/api/v1/files", files=files, headers=headers)
            return accepted

    async def _verdict(self, submission_id: str) -> dict[str, Any]:
        while True:
            path = f"/api/v1/submissions/{submission_id}"
            answer: dict[str, Any] = await call(self._http, "GET", path, params={"wait": WAIT_SECONDS})
            if answer["status"] in TERMINAL:
                return answer

    def _print(self, answer: dict[str, Any]) -> None:
        if self._as_json:
            sys.stdout.write(json.dumps(answer) + "\n")
        elif "error" in answer:
            typer.secho(f"{printable(answer['path'])}: error: {printable(answer['error'])}", fg="red", err=True)
        elif not self._wait:
            sys.stdout.write(f"{printable(answer['path'])}: {answer['id']}\n")
        else:
            verdict = coloured(answer["verdict"], _COLOURS[answer["verdict"]])
            reason = f" ({printable(answer['reason'])})" if answer.get("reason") else ""
            page = f"{str(self._http.base_url).rstrip('/')}/submissions/{answer['id']}"
            sys.stdout.write(f"{printable(answer['path'])}: {verdict}{reason} {page}\n")


class _WatchedFile:
    """A file that moves a progress bar while httpx reads it."""

    def __init__(self, file: BinaryIO, progress: Progress, task: TaskID) -> None:
        self._file = file
        self._progress = progress
        self._task = task

    def fileno(self) -> int:
        """Let httpx find the size, for Content-Length."""
        return self._file.fileno()

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        data = self._file.read(size)
        self._progress.advance(self._task, len(data))
        return data


def _worth_another_try(error: AppError) -> bool:
    return isinstance(error, UnavailableError) or error.status == 429
