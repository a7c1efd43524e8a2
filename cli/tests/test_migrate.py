from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from cli.embedded import SERVICES
from shared.alembic import version_scripts
from shared.migration import newest_revision

FUMEHOOD = Path(sys.executable).with_name("fumehood")


def migrate(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FUMEHOOD, "migrate"],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={**os.environ, **environment},
    )


def test_embedded_databases_are_made_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        done = migrate(FUMEHOOD_DATA_DIR=str(tmp_path))
        assert done.returncode == 0, done.stderr
    assert {path.stem for path in (tmp_path / "db").glob("*.db")} == set(SERVICES)


def test_a_missing_password_is_named() -> None:
    done = migrate(FUMEHOOD_DATABASE_ADMIN_URL="postgresql+asyncpg://nobody@127.0.0.1:1/none")

    assert done.returncode == 2
    assert "FUMEHOOD_GATEWAY_DATABASE_PASSWORD" in done.stderr or "refused" in done.stderr


@pytest.mark.integration
async def test_every_service_gets_a_schema_and_a_role_that_sees_no_other(postgres_url: str) -> None:
    prefix = f"{urlsplit(postgres_url).path.strip('/')}_"
    settings = {
        f"FUMEHOOD_{service.upper()}_DATABASE_PASSWORD": f'it\'s a "secret" of {service}' for service in SERVICES
    }
    settings |= {"FUMEHOOD_DATABASE_ADMIN_URL": postgres_url, "FUMEHOOD_DATABASE_ROLE_PREFIX": prefix}
    for _ in range(2):
        done = await asyncio.to_thread(migrate, **settings)
        assert done.returncode == 0, done.stderr

    connection = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    try:
        owners = await connection.fetch("SELECT nspname, nspowner::regrole::text AS owner FROM pg_namespace")
        assert {(row["nspname"], row["owner"].strip('"')) for row in owners} >= {
            (service, f"{prefix}{service}") for service in SERVICES
        }
        await connection.execute(f'SET ROLE "{prefix}upload"')
        assert await connection.fetchval("SELECT count(*) FROM upload.submissions") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetchval("SELECT count(*) FROM results.scans")
    finally:
        await connection.execute("RESET ROLE")
        for service in SERVICES:
            await connection.execute(f'DROP OWNED BY "{prefix}{service}" CASCADE; DROP ROLE "{prefix}{service}"')
        await connection.close()


@pytest.mark.parametrize("service", SERVICES)
def test_newest_revision_is_alembics_head_so_that_no_start_skips_a_version(service: str) -> None:
    assert newest_revision(service) == version_scripts(service).get_current_head()
