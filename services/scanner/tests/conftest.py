"""What the scanner's tests share: a running engine, and archives of our own making."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scanner.engine import EngineSettings, ScanEngine
from scanner.testing import Archives, Scan
from shared.scan import ScanDocument


@pytest.fixture
def settings(tmp_path: Path) -> EngineSettings:
    work = tmp_path / "work"
    work.mkdir()
    return EngineSettings(work_dir=work, sandbox_workers=1, max_artifacts=200, sandbox_seconds=20)


@pytest.fixture
async def engine(settings: EngineSettings) -> AsyncIterator[ScanEngine]:
    running = await ScanEngine.start(settings)
    yield running
    await running.close()


@pytest.fixture
def scan(engine: ScanEngine, tmp_path: Path) -> Scan:
    async def scan_bytes(name: str, content: bytes, budget_seconds: float = 50) -> ScanDocument:
        path = tmp_path / "submitted"
        path.write_bytes(content)
        return await engine.scan(
            path, name=name, scan_id="scan", submission_id="submission", budget_seconds=budget_seconds
        )

    return scan_bytes


@pytest.fixture
def eicar() -> bytes:
    # Put together at run time, so that no file of the repository sets off antivirus software.
    return rb"X5O!P%@AP[4\PZX54(P^)7CC)7}" + b"$EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"


@pytest.fixture
def archives() -> Archives:
    return Archives()
