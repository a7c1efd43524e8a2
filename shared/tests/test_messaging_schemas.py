"""The committed contract is the one in the code, is valid, and what it tells outsiders to do works."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import sys
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped] # its stubs are not worth a dependency
import pytest
import yaml

from shared.clock import now
from shared.events import EVENTS, ScanRecordedV1
from shared.messaging import RetryPolicy, schemas
from shared.messaging.amqp import AmqpBus
from shared.scan import CoverageLevel, ScanStatus, Verdict
from shared.testing.bus import envelope
from shared.testing.events import file_uploaded, report_requested, scan_started

EVENTS_FOLDER = Path(__file__).parents[2] / "docs" / "events"
# From the npm package @asyncapi/specs 6.11.1 (Apache-2.0), compressed.
ASYNCAPI_SCHEMA = Path(__file__).with_name("data") / "asyncapi-3.0.0.schema.json.gz"


@pytest.fixture
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((EVENTS_FOLDER / "asyncapi.yaml").read_text(encoding="utf-8"))
    return loaded


def test_the_committed_files_are_those_of_the_event_classes() -> None:
    assert schemas.differing(EVENTS_FOLDER) == []


def test_the_document_is_asyncapi_3(document: dict[str, Any]) -> None:
    schema = json.loads(gzip.decompress(ASYNCAPI_SCHEMA.read_bytes()))
    jsonschema.Draft7Validator(schema).validate(document)


def test_every_reference_in_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    references = list(references_in(document))
    assert references
    for reference in references:
        if reference.startswith("./"):
            assert (EVENTS_FOLDER / reference).is_file()
            continue
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def references_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [reference for child in value.values() for reference in references_in(child)]
    if isinstance(value, list):
        return [reference for child in value for reference in references_in(child)]
    return []


def test_every_event_is_sent_by_its_owner_and_received_by_each_consumer(document: dict[str, Any]) -> None:
    expected = {f"{event.owner()}.send.{event.type}" for event in EVENTS.values()} | {
        f"{service}.receive.{event.type}" for event in EVENTS.values() for service in event.consumers
    }
    assert document["operations"].keys() == expected


@pytest.mark.parametrize("event", [report_requested(), file_uploaded(), scan_started()])
def test_bodies_fit_their_schema(event: Any) -> None:
    schema = json.loads((EVENTS_FOLDER / "schemas" / f"{event.type}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(event.model_dump_json()))


def test_the_check_names_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schemas.write(tmp_path)
    assert schemas.differing(tmp_path) == []
    (tmp_path / "schemas" / "gone.v1.json").write_text("{}")
    (tmp_path / "asyncapi.yaml").write_text("asyncapi: 3.0.0")
    assert schemas.differing(tmp_path) == ["asyncapi.yaml", "schemas/gone.v1.json"]
    schemas.write(tmp_path)
    assert schemas.differing(tmp_path) == []


@pytest.mark.integration
async def test_the_subscriber_in_the_documentation_works(amqp_bus_url: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (EVENTS_FOLDER / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    script = tmp_path / "subscriber.py"
    script.write_text(blocks[0])
    bus = AmqpBus(amqp_bus_url, retry=RetryPolicy(delays_seconds=(0.1, 0.4)))
    await bus.start()
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), amqp_bus_url, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    event = ScanRecordedV1(
        submission_id="s-1",
        scan_id="1",
        user_id="u",
        sha256="0" * 64,
        size_bytes=1,
        name="x",
        status=ScanStatus.COMPLETED,
        verdict=Verdict.CLEAN,
        coverage=CoverageLevel.COMPLETE,
        artifact_count=1,
        finding_count=0,
        recorded_at=now(),
    )
    line = asyncio.create_task(process.stdout.readline())
    while not line.done():
        await bus.publish([envelope(event)])
        await asyncio.wait({line}, timeout=0.2)
    assert line.result().decode().split() == ["results.scan_recorded.v1", "s-1", "clean"]

    process.kill()
    await process.wait()
    await bus.close()
