"""What the documentation says is true where a machine can tell: links, variables, events, the webhook examples."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from notifier.channels import signed_headers
from notifier.models import DueDelivery
from notifier.sealing import new_webhook_secret
from shared.clock import now
from shared.events import EVENTS

ROOT = Path(__file__).parents[2]
SKIPPED = {"node_modules", ".venv", ".venv-tools", "build", "dist", "fumehood-data"}
WEBHOOKS = ROOT / "docs" / "webhooks.md"
# Named in the documents, but not read by a service.
OTHER_VARIABLES = {
    "FUMEHOOD_DATABASE_ADMIN_URL",
    "FUMEHOOD_DATABASE_ROLE_PREFIX",
    "FUMEHOOD_EMAIL",
    "FUMEHOOD_PASSWORD",
    "FUMEHOOD_SERVER",
    "FUMEHOOD_TOKEN",
}


def documents() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.md") if not SKIPPED & set(path.relative_to(ROOT).parts))


def identified(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def generator() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "generate_configuration.py"))


@pytest.mark.parametrize("document", documents(), ids=identified)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target, anchor in links(document):
        assert target.exists(), f"{target} does not exist"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{target} has no heading #{anchor}"


def test_the_table_of_variables_is_fresh(generator: dict[str, Any]) -> None:
    document = generator["DOCUMENT"].read_text(encoding="utf-8")

    assert document == generator["renewed"](document), "run .venv/bin/python scripts/generate_configuration.py"


def test_every_variable_has_a_description(generator: dict[str, Any]) -> None:
    assert [row.name for row in generator["variables"]() if not row.description] == []


@pytest.mark.parametrize("document", documents(), ids=identified)
def test_no_document_names_a_variable_that_does_not_exist(document: Path, generator: dict[str, Any]) -> None:
    known = {row.name for row in generator["variables"]()} | OTHER_VARIABLES
    named = set(re.findall(r"\bFUMEHOOD_[A-Z_]+[A-Z]\b", document.read_text(encoding="utf-8")))
    ours = {name for name in named if not re.fullmatch(r"FUMEHOOD_TEST_\w+|FUMEHOOD_[A-Z]+_DATABASE_PASSWORD", name)}

    assert {name for name in ours if not any(one.startswith(name) for one in known)} == set()


def test_the_data_flow_shows_every_event_of_the_path() -> None:
    drawing = (ROOT / "docs" / "data-flow.mmd").read_text(encoding="utf-8")
    # Nobody asks for a report in the background yet.
    elsewhere = {"reports.report_requested.v1"}
    missing = {type_ for type_ in EVENTS if type_.split(".")[1] not in drawing}

    assert missing <= elsewhere


@pytest.mark.parametrize("genuine", [True, False])
def test_the_python_example_verifies_a_webhook(genuine: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    secret, body, headers = signed_webhook()
    monkeypatch.setenv("WEBHOOK_SECRET", secret if genuine else new_webhook_secret())
    example: dict[str, Any] = {}
    exec(code(WEBHOOKS, "python"), example)

    assert (example["read_webhook"](body, headers) == json.loads(body)) is genuine


@pytest.mark.parametrize("genuine", [True, False])
def test_the_shell_example_verifies_a_webhook(genuine: bool, tmp_path: Path) -> None:  # noqa: FBT001
    secret, body, headers = signed_webhook()
    (tmp_path / "body").write_bytes(body if genuine else body + b" ")
    values = [headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")]
    command = ["bash", "-c", code(WEBHOOKS, "bash"), "verify-webhook", secret, *values, str(tmp_path / "body")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode == 0 and done.stdout == "good\n") is genuine, done.stderr


def test_the_table_can_be_checked_from_the_command_line() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "generate_configuration.py"), "--check"]

    assert subprocess.run(command, check=False).returncode == 0


def signed_webhook() -> tuple[str, bytes, dict[str, str]]:
    secret, body = new_webhook_secret(), '{"type":"results.scan_recorded.v1","data":{"name":"ünï"}}'.encode()
    delivery = DueDelivery("msg_1", "s", "alice", "https://example.org/", "", "e", "x", body, 0, {})
    return secret, body, signed_headers(delivery, secret, now())


def code(document: Path, language: str) -> str:
    """Return the only block of the language in a document."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    return str(block)


def links(document: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files and headings that a document links to, without pictures and other sites."""
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", text):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = unquote(link).partition("#")
        yield (document.parent / path if path else document), anchor


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
