from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.clock import now
from shared.errors import PermanentError
from shared.events import ReportFormat, ReportRequestedV1
from shared.messaging import Message, open_bus
from shared.testing.bus import envelope

FUMEHOOD = Path(sys.executable).with_name("fumehood")
QUEUE = "reports.reports.report_requested.v1"


def fumehood(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FUMEHOOD_DATA_DIR": str(data)}
    return subprocess.run(
        [FUMEHOOD, *arguments], capture_output=True, text=True, check=False, timeout=50, env=environment
    )


async def make_dead_letter(data: Path) -> None:
    bus = open_bus(f"local://{data}/bus.db")
    await bus.start()
    event = ReportRequestedV1(
        submission_id="s1", scan_id="c1", user_id="u1", format=ReportFormat.PDF, requested_at=now()
    )

    refused = asyncio.Event()

    async def refuse(_: Message) -> None:
        refused.set()
        raise PermanentError("no such scan")

    await bus.consume(QUEUE, refuse)
    await bus.publish([envelope(event)])
    await asyncio.wait_for(refused.wait(), 10)
    await bus.close()  # waits for what is being handled


async def waiting(data: Path) -> int:
    bus = open_bus(f"local://{data}/bus.db")
    await bus.start()
    try:
        return await bus.depth(QUEUE)
    finally:
        await bus.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    asyncio.run(make_dead_letter(tmp_path))
    return tmp_path


def test_a_dead_letter_is_listed_shown_and_replayed(data: Path) -> None:
    listed = [
        json.loads(line) for line in fumehood(data, "admin", "dead-letters", "list", "--json").stdout.splitlines()
    ]
    assert [(letter["queue"], letter["reason"]) for letter in listed] == [(QUEUE, "internal: no such scan")]
    assert "no such scan" in fumehood(data, "admin", "dead-letters", "list").stdout

    shown = json.loads(fumehood(data, "admin", "dead-letters", "show", listed[0]["id"]).stdout)
    assert shown["body"]["scan_id"] == "c1"

    assert asyncio.run(waiting(data)) == 0
    assert fumehood(data, "admin", "dead-letters", "replay", "--all").stdout == "1 replayed.\n"
    assert asyncio.run(waiting(data)) == 1
    assert fumehood(data, "admin", "dead-letters", "list").stdout == "No dead letters.\n"


def test_a_dead_letter_can_be_discarded(data: Path) -> None:
    line = fumehood(data, "admin", "dead-letters", "list", "--json").stdout

    assert fumehood(data, "admin", "dead-letters", "discard", json.loads(line)["id"]).returncode == 0
    assert fumehood(data, "admin", "dead-letters", "list", "--json").stdout == ""
    assert asyncio.run(waiting(data)) == 0


@pytest.mark.parametrize("command", [["show", "none"], ["discard", "none"], ["replay", "none"], ["replay"]])
def test_a_wrong_id_is_one_clear_line_and_status_2(data: Path, command: list[str]) -> None:
    done = fumehood(data, "admin", "dead-letters", *command)

    assert done.returncode == 2
    assert done.stderr.startswith("fumehood: ")
    assert "Traceback" not in done.stderr
