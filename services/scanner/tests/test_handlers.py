"""The process as the outside sees it: alive, ready, and not ready when the sandbox or a store is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from scanner.config import Settings
from scanner.main import create_app
from shared.database import Database
from shared.messaging import LocalBus
from shared.migration import migrate


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    url = f"sqlite+aiosqlite:///{tmp_path}/scanner.sqlite3"
    database = Database(url, schema="scanner")
    await migrate(database)
    await database.close()
    bus = LocalBus(None)
    await bus.start()
    settings = Settings(
        database_url=SecretStr(url), objects_url=f"file://{tmp_path}/objects", work_dir=tmp_path, sandbox_workers=1
    )
    app = create_app(settings, bus)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://scanner") as client,
    ):
        yield client
    await bus.close()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_started_scanner_is_alive_and_ready(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 200


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUMEHOOD_DETECTORS_DIR", "/packs")
    monkeypatch.setenv("FUMEHOOD_MAX_DEPTH", "3")

    settings = Settings()

    assert settings.detectors_dir == Path("/packs")
    assert settings.max_depth == 3
