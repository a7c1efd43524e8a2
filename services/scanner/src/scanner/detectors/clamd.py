"""A ClamAV daemon (kind `clamd`): the bytes are streamed to it, and its answer becomes a finding or a gap.

Protocol: INSTREAM of clamd(8), https://docs.clamav.net/manual/Usage/Scanning.html#clamd. A daemon that
is away, slow or refuses a file is a gap in the coverage; only its `OK` says that nothing was found.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from scanner.config import MEBIBYTE, EngineSettings
from scanner.content import CHUNK_BYTES, ByteRange
from scanner.detectors.base import Inspection, Subject
from scanner.detectors.pack import Pack
from scanner.errors import DetectorError, PackRefusedError
from scanner.threads import Threads
from shared.scan import CoverageGap, CoverageReason, Finding, Verdict

_ANSWER_BYTES = 64 * 1024
_END_OF_STREAM = struct.pack(">I", 0)
_SIZE_LIMIT = "size limit exceeded"
_GAPS = {
    "Heuristics.Limits.Exceeded": CoverageReason.LIMIT_REACHED,
    "Heuristics.Encrypted": CoverageReason.ENCRYPTED,
}
"""What ClamAV reports as found although it means that it did not look."""
_SUSPICIOUS = ("Heuristics.", "PUA.")


class ClamdInput(BaseModel):
    """The `[input]` table: where the daemon listens and what it may be asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str = Field(description="tcp://HOST:PORT or unix:///PATH.")
    max_bytes: int = Field(default=25 * MEBIBYTE, ge=1, description="At most StreamMaxLength of clamd.conf.")
    timeout_seconds: float = Field(default=30.0, gt=0, description="For one file; beyond it the file is not looked at.")
    connections: int = Field(default=8, ge=1, le=256, description="Files shown to the daemon at once: its MaxThreads.")

    @field_validator("address")
    @classmethod
    def _usable(cls, address: str) -> str:
        parts = urlsplit(address)
        if parts.scheme == "unix" and parts.path and not parts.netloc:
            return address
        if parts.scheme == "tcp" and parts.hostname and parts.port and not parts.path:
            return address
        raise ValueError("must be tcp://HOST:PORT or unix:///PATH")


class ClamdDetector:
    """Asks the daemon about every artifact, over one connection each."""

    def __init__(self, pack: Pack, declared: ClamdInput, threads: Threads) -> None:
        self.info = pack.info()
        self.shadow = pack.shadow
        self.covered = pack.covered
        self._declared = declared
        self._threads = threads
        self._free = asyncio.Semaphore(declared.connections)

    @classmethod
    def load(cls, pack: Pack, _settings: EngineSettings, threads: Threads) -> ClamdDetector:
        """Read where the daemon is; it may be away. Raises PackRefusedError.

        Without covered types its being away would show nowhere, so that is refused.
        """
        declared = pack.table(ClamdInput, "input")
        if not pack.manifest.covers:
            raise PackRefusedError('A clamd pack says what it covers; covers = ["*"] stands for all types.')
        return cls(pack, declared, threads)

    def wants(self, subject: Subject) -> bool:
        """Look at every artifact that has bytes."""
        return subject.content.size > 0

    async def inspect(self, subject: Subject) -> Inspection:
        """Stream the artifact to the daemon. Raises DetectorError when it is away or answers wrongly."""
        if subject.content.size > self._declared.max_bytes:
            return self._gap(CoverageReason.TOO_LARGE, "The file is larger than what the ClamAV daemon is sent.")
        try:
            async with self._free, asyncio.timeout(self._declared.timeout_seconds):
                answer = await self._stream(subject.content)
        except TimeoutError:
            return self._gap(CoverageReason.TIMEOUT, "The ClamAV daemon took longer than its time limit.")
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise DetectorError(f"The ClamAV daemon of {self.info.name} cannot be reached: {reason}.") from error
        return self._inspection(answer)

    async def close(self) -> None:
        """Hold nothing."""

    async def _stream(self, content: ByteRange) -> str:
        """Send the bytes in chunks and return the answer. Raises OSError."""
        loop = asyncio.get_running_loop()
        with await self._connected() as connection:
            # It hangs up on a stream beyond its limit; what it said before that is still to be read.
            with suppress(ConnectionError):
                await loop.sock_sendall(connection, b"zINSTREAM\0")
                for start in range(0, content.size, CHUNK_BYTES):
                    chunk = await loop.run_in_executor(self._threads.files, content.read, start, CHUNK_BYTES)
                    await loop.sock_sendall(connection, struct.pack(">I", len(chunk)) + chunk)
                await loop.sock_sendall(connection, _END_OF_STREAM)
            answer = b""
            while piece := await loop.sock_recv(connection, _ANSWER_BYTES):
                answer += piece
                if len(answer) > _ANSWER_BYTES or piece.endswith(b"\0"):
                    break
        return answer.rstrip(b"\0\n").decode("utf-8", "replace")

    async def _connected(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        parts = urlsplit(self._declared.address)
        if parts.scheme == "unix":
            return await _connect(socket.AF_UNIX, parts.path)
        family, _, _, _, address = (await loop.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM))[0]
        return await _connect(family, address)

    def _inspection(self, answer: str) -> Inspection:
        """Read the daemon's answer. Raises DetectorError when it is no verdict."""
        said = answer.removeprefix("stream: ")
        if said == "OK":
            return Inspection()
        if said.endswith(" FOUND"):
            return self._found(said.removesuffix(" FOUND"))
        if _SIZE_LIMIT in said.lower():
            return self._gap(CoverageReason.TOO_LARGE, "The file is larger than what the ClamAV daemon accepts.")
        raise DetectorError(f"The ClamAV daemon of {self.info.name} gave no verdict: {said[:200] or 'no answer'}.")

    def _found(self, signature: str) -> Inspection:
        for prefix, reason in _GAPS.items():
            if signature.startswith(prefix):
                return self._gap(reason, f"ClamAV did not look at all of the file ({signature}).")
        finding = Finding(
            detector=self.info,
            label=signature,
            verdict=Verdict.SUSPICIOUS if signature.startswith(_SUSPICIOUS) else Verdict.MALICIOUS,
            reason=f"ClamAV knows this file as {signature}.",
            shadow=self.shadow,
        )
        return Inspection((finding,))

    def _gap(self, reason: CoverageReason, detail: str) -> Inspection:
        return Inspection(gaps=(CoverageGap(reason=reason, detail=detail),))


async def _connect(family: int, address: Any) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.settimeout(0)  # the event loop waits, not the socket
    try:
        await asyncio.get_running_loop().sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection
