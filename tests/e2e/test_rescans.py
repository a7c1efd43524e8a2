"""Past files scanned again: by command beside a running server, in the browser, and through a crash of everything."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from installations import ADMINISTRATOR, Installation, running_up, wait_for
from playwright.async_api import Page, expect
from processes import BIN
from test_journey import WEB_SHELL, sign_in
from test_recovery import listed
from webhooks import SETTINGS, WebhookReceiver

from scanner.detectors.loader import SHIPPED_PACKS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SUBMISSIONS = 24
MEMBERS = 40
CALM_PYTHON = b"import os\n\n\ndef count(path):\n    return len(os.listdir(path))\n" * 10
RULE = 'rule calm { meta: severity = "high" strings: $a = "listdir" condition: $a }'


@pytest.fixture
def own_settings(tmp_path: Path) -> Mapping[str, str]:
    """Detectors below `tmp_path / "detectors"`; one rescan at a time, so that a job can be disturbed."""
    own = {"FUMEHOOD_DETECTORS_DIR": str(tmp_path / "detectors"), "FUMEHOOD_RESCANS_OUTSTANDING": "1"}
    return {**SETTINGS, **own}


def archive(number: int) -> bytes:
    """Return a zip of texts that differ from those of every other one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for member in range(MEMBERS):
            file.writestr(f"note{member}.txt", f"Note {member} of {number}: nothing happened today.\n" * 100)
    return buffer.getvalue()


def fumehood(installation: Installation, *arguments: str, background: bool = False) -> Any:
    environment = {**os.environ, "FUMEHOOD_EMAIL": ADMINISTRATOR[0], "FUMEHOOD_PASSWORD": ADMINISTRATOR[1]}
    command = [str(BIN / "fumehood"), "admin", *arguments, "--server", installation.url]
    if background:
        # A shell that runs the tests behind it has them, and what they start, ignore Ctrl-C.
        command = ["env", "--default-signal=INT", *command]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


def submit(api: httpx.Client, name: str, content: bytes) -> str:
    accepted = api.post("/api/v1/files", files={"file": (name, content)})
    assert accepted.status_code == 202, accepted.text
    submission_id: str = accepted.json()["id"]
    return submission_id


def read(api: httpx.Client, submission_id: str, wait: float = 60) -> dict[str, Any]:
    answer: dict[str, Any] = api.get(f"/api/v1/submissions/{submission_id}", params={"wait": wait}).json()
    return answer


def add_rules(folder: Path) -> None:
    """Add a live rule that flags what was clean; a scanner takes it up by itself."""
    staged = folder.with_name("staged-rules")
    staged.mkdir(parents=True)
    (staged / "detector.toml").write_text('name = "calm-rules"\nversion = "1"\nkind = "yara"\n')
    (staged / "MODEL_CARD.md").write_text("# calm\n")
    (staged / "calm.yar").write_text(RULE)
    folder.mkdir(exist_ok=True)
    staged.rename(folder / "calm-rules")


def is_at_work(api: httpx.Client, detector: str) -> bool:
    probe = read(api, submit(api, "probe.txt", os.urandom(8).hex().encode() * 20))
    return any(one["name"] == detector for one in probe["detectors"])


def latest_job(api: httpx.Client) -> dict[str, Any]:
    job: dict[str, Any] = api.get("/api/v1/rescans/latest").json()
    return job


def test_a_job_that_everything_is_killed_under_scans_each_submission_once(
    own_installation: Installation, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    with own_installation.api() as api:
        accepted = [submit(api, f"archive{number}.zip", archive(number)) for number in range(SUBMISSIONS)]
        calm = submit(api, "calm.py", CALM_PYTHON)
        for submission_id in (*accepted, calm):
            assert read(api, submission_id)["verdict"] == "clean"
        add_rules(tmp_path / "detectors")
        wait_for("the rules are at work", lambda: is_at_work(api, "calm-rules"), 60)
        assert api.post("/api/v1/webhooks", json={"url": receiver.address}).status_code == 201
        job = api.post("/api/v1/rescans", json={"verdict": "clean"}).json()
        wait_for("some are scanned again", lambda: latest_job(api)["ended"] >= 2, 120)
        assert latest_job(api)["ended"] < job["total"]

    for service in ("scanner", "results") if len(own_installation.processes) > 1 else ("up",):
        own_installation.kill(service)
    for service in ("results", "scanner") if len(own_installation.processes) > 1 else ("up",):
        own_installation.start(service)

    with own_installation.api() as api:
        wait_for("the job is done", lambda: latest_job(api)["state"] == "done", 300, interval_seconds=0.5)
        done = latest_job(api)
        assert (done["requested"], done["ended"], done["unfinished"], done["gone"]) == (
            job["total"],
            job["total"],
            0,
            0,
        )
        assert done["changed"] == 1
        for submission_id in accepted:
            detail = read(api, submission_id)
            assert (detail["verdict"], detail["previous_verdict"], len(detail["history"])) == ("clean", "clean", 1)
        changed = read(api, calm)
        assert (changed["verdict"], changed["previous_verdict"]) == ("malicious", "clean")
        assert [past["verdict"] for past in changed["history"]] == ["clean"]
        assert len({item["id"] for item in listed(api)}) == len(listed(api))
        wait_for("the webhook arrives", lambda: calm in receiver.received, 60)
    assert {submission: len(events) for submission, events in receiver.received.items()} == {calm: 1}


def test_the_command_counts_pauses_and_goes_on(own_installation: Installation) -> None:
    with own_installation.api() as api:
        for number in range(SUBMISSIONS):
            submit(api, f"archive{number}.zip", archive(number))
        wait_for("all are scanned", lambda: all(one["status"] == "completed" for one in listed(api)), 120)

    counted = fumehood(own_installation, "rescan", "--type", "zip", "--dry-run")
    assert counted.stdout == f"{SUBMISSIONS} submissions would be scanned again.\n", counted.stderr
    assert fumehood(own_installation, "rescan", "--verdict", "malicious").stdout == "No past submission matches.\n"

    with own_installation.api() as api:
        running = fumehood(own_installation, "rescan", "--all", background=True)
        wait_for("the job has begun", lambda: api.get("/api/v1/rescans/latest").status_code == 200, 60)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert "Paused at" in errors
    refused = fumehood(own_installation, "rescan", "--all")
    assert refused.returncode == 2
    assert "A rescan is paused" in refused.stderr

    went_on = fumehood(own_installation, "rescan", "--continue", "--json")
    job = json.loads(went_on.stdout)
    assert (job["state"], job["ended"], job["changed"]) == ("done", SUBMISSIONS, 0)
    assert "done already" in fumehood(own_installation, "rescan", "--continue").stderr


@pytest.fixture
def own_up(tmp_path: Path) -> Iterator[Installation]:
    """The one-process installation with the shipped script model in shadow under a name of its own."""
    pack = tmp_path / "data" / "detectors" / "next-scripts"
    shutil.copytree(SHIPPED_PACKS / "script-threat", pack)
    manifest = (pack / "detector.toml").read_text()
    text = manifest.replace('name = "script-threat"', 'name = "next-scripts"\nmode = "shadow"')
    lines = ["suspicious = 0.0" if line.startswith("suspicious") else line for line in text.splitlines()]
    (pack / "detector.toml").write_text("\n".join(lines))
    with running_up(tmp_path) as up:
        yield up


async def test_a_shadow_is_compared_on_its_page_and_by_command(
    own_up: Installation, page: Page, tmp_path: Path
) -> None:
    with own_up.api() as api:
        submission_id = submit(api, "calm.py", CALM_PYTHON)
        for one in (submission_id, submit(api, "shell.php", WEB_SHELL)):
            read(api, one)

    await sign_in(page, own_up.url)
    await page.goto(f"{own_up.url}/settings")
    await page.get_by_role("link", name="Compare").click()
    await expect(page.get_by_role("heading", name="Agreement")).to_be_visible()
    agreement = page.get_by_role("region", name="Agreement")
    await expect(agreement.get_by_text("beside all live detectors together")).to_be_visible()
    changes = page.get_by_role("region", name="What would change")
    await expect(changes.get_by_text("not flagged")).to_be_visible()
    await page.get_by_label("Beside").select_option("script-threat")
    await page.get_by_role("button", name="Compare").click()
    await expect(page.get_by_text("50.0 %")).to_be_visible()
    await page.set_viewport_size({"width": 390, "height": 800})
    assert await page.evaluate("() => document.documentElement.scrollWidth") <= 390
    await changes.get_by_role("link", name="calm.py").click()
    await expect(page.get_by_role("heading", name="calm.py")).to_be_visible()

    found = json.loads(compare_here(own_up, tmp_path / "data", "--json"))
    assert (found["artifacts"], found["agreed"], found["newly_flagged"]) == (2, 1, 1)
    table = compare_here(own_up, tmp_path / "data")
    assert "The same verdict on 1: 50.00 %" in table
    assert f"/submissions/{submission_id}" in table


def compare_here(up: Installation, data: Path, *arguments: str) -> str:
    """Run the command without credentials: it is for the installation of this data directory."""
    environment = {"PATH": os.environ["PATH"], "FUMEHOOD_DATA_DIR": str(data)}
    environment["FUMEHOOD_PORT"] = up.url.rsplit(":", 1)[1]
    command = [str(BIN / "fumehood"), "admin", "detectors", "compare", "next-scripts", "--with", "script-threat"]
    done = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_person_has_a_file_scanned_again_and_sees_it_live(own_up: Installation, page: Page) -> None:
    with own_up.api() as api:
        submission_id = submit(api, "many.zip", archive(1))
        first = read(api, submission_id)
    await sign_in(page, own_up.url)
    await page.goto(f"{own_up.url}/submissions/{submission_id}")
    await page.get_by_role("button", name="Scan again").click()

    await expect(page.get_by_role("region", name="Other scans").get_by_text("Clean")).to_be_visible(timeout=30_000)
    await expect(page.get_by_role("region", name="Scan in progress")).to_have_count(0)
    with own_up.api() as api:
        second = read(api, submission_id)
    assert second["scan_id"] != first["scan_id"]
    assert [past["scan_id"] for past in second["history"]] == [first["scan_id"]]
