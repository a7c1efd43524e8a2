"""The kind `clamd`: against a real daemon where it is installed, and against a stand-in that speaks its protocol."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from scanner.content import ByteRange
from scanner.detectors.base import Inspection, Subject, TypeName
from scanner.detectors.clamd import ClamdDetector
from scanner.detectors.pack import Pack
from scanner.engine import EngineSettings, ScanEngine
from scanner.errors import DetectorError, PackRefusedError
from scanner.testing import NoPictures
from scanner.threads import Threads
from shared.scan import ContentType, CoverageReason, Verdict

CLAMD = shutil.which("clamd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
SIGNED = b"fumehood harmless test string"
LIMIT_BYTES = 1024 * 1024
MANIFEST = """
name = "clamav"
version = "1"
kind = "clamd"
covers = ["*"]
[input]
address = "{address}"
timeout_seconds = {timeout}
"""

Make = Callable[..., ClamdDetector]
Listen = Callable[["ProtocolStandIn"], Awaitable[str]]


def write_pack(folder: Path, address: str, timeout: float = 20) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "detector.toml").write_text(MANIFEST.format(address=address, timeout=timeout))
    (folder / "MODEL_CARD.md").write_text("# clamav\n")
    return folder


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    settings = EngineSettings()
    threads = Threads.start(settings)

    def build(address: str, timeout: float = 20) -> ClamdDetector:
        return ClamdDetector.load(Pack.read(write_pack(tmp_path / "pack", address, timeout)), settings, threads)

    yield build
    threads.close()


def subject(content: bytes) -> Subject:
    kind = ContentType(label="txt", mime_type="x/y", group="text", description="", score=1, is_text=True)
    return Subject(ByteRange.of(content), "a", kind, frozenset({TypeName("txt", "text")}), NoPictures())


def reasons(inspection: Inspection) -> list[CoverageReason]:
    return [gap.reason for gap in inspection.gaps]


class ProtocolStandIn:
    """Speaks INSTREAM as clamd does and gives the answer it was made with; no scanner."""

    def __init__(self, answer: bytes, limit: int = 1 << 30, delay: float = 0) -> None:
        self.received: list[bytes] = []
        self.serving: list[asyncio.Task[object] | None] = []
        self._answer, self._limit, self._delay = answer, limit, delay

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.append(asyncio.current_task())
        assert await reader.readuntil(b"\0") == b"zINSTREAM\0"
        stream = b""
        while size := struct.unpack(">I", await reader.readexactly(4))[0]:
            stream += await reader.readexactly(size)
            if len(stream) > self._limit:
                writer.write(b"INSTREAM size limit exceeded. ERROR\0")
                await writer.drain()
                writer.close()
                return
        self.received.append(stream)
        await asyncio.sleep(self._delay)
        writer.write(self._answer)
        writer.close()


@pytest.fixture
async def listen(tmp_path: Path) -> AsyncIterator[Listen]:
    servers: list[asyncio.Server] = []
    stand_ins: list[ProtocolStandIn] = []

    async def start(stand_in: ProtocolStandIn) -> str:
        path = tmp_path / "clamd.sock"
        stand_ins.append(stand_in)
        servers.append(await asyncio.start_unix_server(stand_in.serve, path))
        return f"unix://{path}"

    yield start
    for server in servers:
        server.close()
    for task in (task for stand_in in stand_ins for task in stand_in.serving if task is not None):
        await task


@pytest.mark.parametrize(
    ("answer", "verdict", "gaps"),
    [
        (b"stream: OK\0", None, []),
        (b"stream: Our.Test-1 FOUND\0", Verdict.MALICIOUS, []),
        (b"stream: PUA.Tool FOUND\0", Verdict.SUSPICIOUS, []),
        (b"stream: Heuristics.Phishing FOUND\0", Verdict.SUSPICIOUS, []),
        (b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0", None, [CoverageReason.LIMIT_REACHED]),
        (b"stream: Heuristics.Encrypted.Zip FOUND\0", None, [CoverageReason.ENCRYPTED]),
        (b"INSTREAM size limit exceeded. ERROR\0", None, [CoverageReason.TOO_LARGE]),
    ],
)
async def test_the_answer_is_a_finding_or_a_gap(
    make: Make, listen: Listen, answer: bytes, verdict: Verdict | None, gaps: list[CoverageReason]
) -> None:
    stand_in = ProtocolStandIn(answer)
    content = os.urandom(3_000_000)
    inspection = await make(await listen(stand_in)).inspect(subject(content))

    assert [finding.verdict for finding in inspection.findings] == ([verdict] if verdict else [])
    assert reasons(inspection) == gaps
    assert stand_in.received == [content]


@pytest.mark.parametrize("answer", [b"", b"stream: read error ERROR\0", b"UNKNOWN COMMAND\0"])
async def test_what_is_no_verdict_is_an_error(make: Make, listen: Listen, answer: bytes) -> None:
    detector = make(await listen(ProtocolStandIn(answer)))
    with pytest.raises(DetectorError, match="no verdict"):
        await detector.inspect(subject(b"content"))


async def test_a_daemon_that_hangs_up_at_its_limit_leaves_a_gap(make: Make, listen: Listen) -> None:
    detector = make(await listen(ProtocolStandIn(b"stream: OK\0", limit=100_000)))

    assert reasons(await detector.inspect(subject(bytes(8_000_000)))) == [CoverageReason.TOO_LARGE]


async def test_a_slow_daemon_is_a_gap(make: Make, listen: Listen) -> None:
    detector = make(await listen(ProtocolStandIn(b"stream: OK\0", delay=0.5)), timeout=0.1)

    assert reasons(await detector.inspect(subject(b"content"))) == [CoverageReason.TIMEOUT]


async def test_what_is_larger_than_the_limit_is_not_sent(make: Make) -> None:
    inspection = await make("unix:///nowhere").inspect(subject(bytes(25 * 1024 * 1024 + 1)))

    assert reasons(inspection) == [CoverageReason.TOO_LARGE]


@pytest.mark.parametrize("address", ["http://host:1", "tcp://host", "unix://relative", "tcp://host:1/path", ""])
def test_an_address_that_cannot_be_used_is_refused(make: Make, address: str) -> None:
    with pytest.raises(PackRefusedError, match=r"input\.address"):
        make(address)


async def test_while_the_daemon_is_away_nothing_is_clean(tmp_path: Path) -> None:
    """Plain text is covered by the shipped rules, so without the daemon's gap it would be clean."""
    write_pack(tmp_path / "packs" / "clamav", f"unix://{tmp_path}/none.sock")
    engine = await ScanEngine.start(EngineSettings(detectors_dir=tmp_path / "packs", sandbox_workers=1))
    try:
        (tmp_path / "note.txt").write_text("a harmless note\n" * 20)
        document = await engine.scan(tmp_path / "note.txt", name="note.txt", scan_id="s", submission_id="s")
    finally:
        await engine.close()

    assert document.verdict is Verdict.UNKNOWN
    assert [gap.reason for gap in document.coverage.gaps] == [CoverageReason.ERROR]
    assert "cannot be reached" in document.coverage.gaps[0].detail


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Addresses of a real clamd with one signature of ours."""
    if CLAMD is None:
        pytest.skip("clamd is not installed (Debian: clamav-daemon)")
    folder = tmp_path_factory.mktemp("clamd")
    (folder / "database").mkdir()
    (folder / "database" / "ours.ndb").write_text(f"Fumehood.Test:0:*:{SIGNED.hex()}\n")
    path, port = folder / "clamd.sock", free_port()
    (folder / "clamd.conf").write_text(
        f"DatabaseDirectory {folder}/database\nLocalSocket {path}\nTCPAddr 127.0.0.1\nTCPSocket {port}\n"
        f"StreamMaxLength {LIMIT_BYTES}\nForeground yes\nLogFile {folder}/log\nAlertExceedsMax yes\n"
    )
    process = subprocess.Popen([CLAMD, f"--config-file={folder}/clamd.conf"], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not path.exists():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield {"unix": f"unix://{path}", "tcp": f"tcp://127.0.0.1:{port}"}
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.integration
@pytest.mark.parametrize("scheme", ["unix", "tcp"])
async def test_the_real_daemon_finds_our_signature_and_nothing_else(
    make: Make, daemon: dict[str, str], scheme: str
) -> None:
    detector = make(daemon[scheme])
    contents = [b"a harmless note", b"x" * 700_000 + SIGNED, b"nothing\n" * 1000]
    inspections = await asyncio.gather(*(detector.inspect(subject(content)) for content in contents))

    (finding,) = inspections[1].findings
    assert finding.label.startswith("Fumehood.Test")
    assert finding.verdict is Verdict.MALICIOUS
    assert [inspection.findings for inspection in inspections] == [(), (finding,), ()]
    assert all(inspection.gaps == () for inspection in inspections)


@pytest.mark.integration
@pytest.mark.parametrize("scheme", ["unix", "tcp"])
async def test_the_real_daemon_refuses_what_is_over_its_limit(make: Make, daemon: dict[str, str], scheme: str) -> None:
    assert reasons(await make(daemon[scheme]).inspect(subject(bytes(6 * LIMIT_BYTES)))) == [CoverageReason.TOO_LARGE]
