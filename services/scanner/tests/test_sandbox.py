"""The sandbox: what a taken-over parser can do, and what its death costs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from scanner.content import ByteRange
from scanner.engine import EngineSettings
from scanner.errors import SandboxError
from scanner.sandbox.messages import JobLimits
from scanner.sandbox.pool import SandboxPool, Unpacked, UnpackJob
from scanner.unpackers import UNPACKERS
from scanner.unpackers.base import GapReason
from scanner.unpackers.tar import TarUnpacker
from shared.scan import CoverageReason

HOSTILE = (sys.executable, str(Path(__file__).with_name("hostile_worker.py")))
LIMITS = JobLimits(artifacts=100, unpacked_bytes=1 << 20, member_bytes=1 << 20, ratio=250, cpu_seconds=2)


class Named(TarUnpacker):
    name = "possessed"


class Hostile:
    """Tells a taken-over worker what to do."""

    def __init__(self, pool: SandboxPool, folder: Path) -> None:
        self.pool = pool
        self._folder = folder

    async def do(self, action: str, seconds: float = 20) -> Unpacked:
        path = self._folder / action
        path.write_bytes(action.encode())
        return await self.pool.unpack(UnpackJob(Named(), "x", ByteRange.whole(path), LIMITS, seconds))

    async def answer(self, action: str) -> str:
        return (await self.do(action)).children[1].name


@pytest.fixture
async def hostile(settings: EngineSettings, tmp_path: Path) -> AsyncIterator[Hostile]:
    small = settings.model_copy(update={"sandbox_memory_bytes": 512 * 1024 * 1024, "sandbox_workers": 2})
    pool = await SandboxPool.start(small, HOSTILE)
    yield Hostile(pool, tmp_path)
    await pool.close()


FORBIDDEN = ("connect", "fork", "execute", "read_passwd", "read_parent", "write_outside", "kill_parent")


@pytest.mark.parametrize("action", FORBIDDEN)
async def test_the_worker_may_not(hostile: Hostile, action: str) -> None:
    assert (await hostile.answer(action)).startswith("refused: ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody; others are tested above")
async def test_the_worker_without_root_may_not_either(settings: EngineSettings, tmp_path: Path) -> None:
    pool = await SandboxPool.start(settings, (*HOSTILE, "--as-nobody"))
    hostile = Hostile(pool, tmp_path)
    answers = [await hostile.answer(action) for action in FORBIDDEN]
    await pool.close()

    assert [answer[:9] for answer in answers] == ["refused: "] * len(FORBIDDEN)


async def test_the_worker_sees_no_environment_and_an_empty_folder(hostile: Hostile) -> None:
    assert await hostile.answer("environment") in {"{}", "{'LC_CTYPE': 'C.UTF-8'}"}
    assert await hostile.answer("folder") == "[]"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change user")
async def test_the_worker_of_root_is_nobody(hostile: Hostile) -> None:
    assert await hostile.answer("user") == "65534"


async def test_memory_is_limited(hostile: Hostile) -> None:
    unpacked = await hostile.do("memory")

    assert unpacked.gaps[0].reason is CoverageReason.ERROR
    assert "memory" in unpacked.gaps[0].detail


async def test_a_crash_costs_only_its_own_job(hostile: Hostile) -> None:
    crashed, fine = await asyncio.gather(hostile.do("crash"), hostile.do("folder"))

    assert [gap.reason for gap in crashed.gaps] == [CoverageReason.ERROR]
    assert [child.content.read() for child in crashed.children] == [b"kept"]
    assert fine.gaps == ()
    assert await hostile.answer("folder") == "[]"


async def test_a_worker_that_sleeps_is_killed_at_the_time_limit(hostile: Hostile) -> None:
    unpacked = await hostile.do("sleep", seconds=0.5)

    assert [gap.reason for gap in unpacked.gaps] == [CoverageReason.TIMEOUT]
    assert len(unpacked.children) == 1


async def test_processor_time_is_limited_by_the_kernel(hostile: Hostile) -> None:
    unpacked = await hostile.do("spin", seconds=40)

    assert [gap.reason for gap in unpacked.gaps] == [CoverageReason.TIMEOUT]
    assert "processor time" in unpacked.gaps[0].detail


@pytest.mark.parametrize("action", ["lie", "garbage", "flood", "chatter"])
async def test_what_a_worker_says_is_not_believed(hostile: Hostile, action: str) -> None:
    unpacked = await hostile.do(action)

    assert unpacked.children == ()
    assert [gap.reason for gap in unpacked.gaps] == [CoverageReason.ERROR]
    assert await hostile.answer("folder") == "[]"


async def test_killed_workers_are_replaced(hostile: Hostile) -> None:
    for _ in range(5):
        await hostile.do("crash")

    assert await hostile.answer("folder") == "[]"


async def test_a_cancelled_job_gives_its_worker_up(hostile: Hostile) -> None:
    jobs = [asyncio.create_task(hostile.do("sleep")) for _ in range(2)]
    await asyncio.sleep(0.2)
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)

    async with asyncio.timeout(10):
        assert await hostile.answer("folder") == "[]"


async def test_nothing_is_left_behind(settings: EngineSettings, tmp_path: Path) -> None:
    assert settings.work_dir is not None
    before = {child.pid for child in psutil.Process().children()}
    pool = await SandboxPool.start(settings, HOSTILE)
    await Hostile(pool, tmp_path).do("crash")
    await pool.close()

    assert list(settings.work_dir.iterdir()) == []
    assert {child.pid for child in psutil.Process().children()} - before == set()


ORPHANS = """
import asyncio, psutil, sys, time
from scanner.engine import EngineSettings
from scanner.sandbox.pool import SandboxPool

async def main():
    await SandboxPool.start(EngineSettings(sandbox_workers=2))
    print(*[child.pid for child in psutil.Process().children()], flush=True)
    time.sleep(60)

asyncio.run(main())
"""


def test_workers_end_with_a_scanner_that_is_killed(tmp_path: Path) -> None:
    scanner = subprocess.Popen(
        [sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert scanner.stdout is not None
    workers = [psutil.Process(int(number)) for number in scanner.stdout.readline().split()]
    scanner.kill()
    scanner.communicate()

    assert len(workers) == 2
    assert psutil.wait_procs(workers, timeout=20)[1] == []


def scanner_in(folder: Path) -> subprocess.Popen[bytes]:
    """Another process with a sandbox, whose work folder looks old."""
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(folder)}
    )
    assert process.stdout is not None
    process.stdout.readline()
    for work in folder.glob("fumehood-*"):
        os.utime(work, (0, 0))
    return process


async def test_the_next_start_removes_what_a_killed_scanner_left(settings: EngineSettings, tmp_path: Path) -> None:
    left, used = tmp_path / "left", tmp_path / "used"
    killed, living = scanner_in(left), scanner_in(used)
    killed.kill()
    killed.communicate()
    for folder in (left, used):
        pool = await SandboxPool.start(settings.model_copy(update={"work_dir": folder}))
        await pool.close()
    living.kill()
    living.communicate()

    assert list(left.glob("fumehood-*")) == []
    assert len(list(used.glob("fumehood-*"))) == 1


async def test_a_worker_that_cannot_start_is_an_error(settings: EngineSettings) -> None:
    with pytest.raises(SandboxError):
        await SandboxPool.start(settings, (sys.executable, "-c", "raise SystemExit(1)"))
    with pytest.raises(SandboxError):
        await SandboxPool.start(settings, ("/does/not/exist",))

    assert settings.work_dir is not None
    assert list(settings.work_dir.iterdir()) == []


async def test_workers_are_replaced_after_their_share(settings: EngineSettings, tmp_path: Path) -> None:
    pool = await SandboxPool.start(settings.model_copy(update={"sandbox_jobs_per_worker": 2}), HOSTILE)
    hostile = Hostile(pool, tmp_path)

    seen = set()
    for _ in range(4):
        await hostile.do("folder")
        seen |= {child.pid for child in psutil.Process().children() if "hostile_worker.py" in " ".join(child.cmdline())}
    await pool.close()

    assert len(seen) >= 2


def test_the_worker_speaks_the_words_of_the_scan_document() -> None:
    assert {reason.value for reason in GapReason} <= {reason.value for reason in CoverageReason}


def test_every_unpacker_is_registered_under_its_own_name() -> None:
    assert all(name == unpacker.name for name, unpacker in UNPACKERS.items())
