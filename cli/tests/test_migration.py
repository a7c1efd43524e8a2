from __future__ import annotations

import asyncio
from pathlib import Path

from results.schema import METADATA as RESULTS
from shared.database import Database
from shared.migration import migrate, schema_differences
from upload.schema import METADATA as UPLOAD


async def test_two_services_can_migrate_at_once_in_one_process(tmp_path: Path) -> None:
    upload = Database(f"sqlite+aiosqlite:///{tmp_path}/upload.db", schema="upload")
    results = Database(f"sqlite+aiosqlite:///{tmp_path}/results.db", schema="results")

    await asyncio.gather(migrate(upload), migrate(results), migrate(upload))

    assert await schema_differences(upload, UPLOAD) == []
    assert await schema_differences(results, RESULTS) == []
    await upload.close()
    await results.close()
