"""`fumehood submit` against a running server."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import httpx
import pytest
from installations import ADMINISTRATOR, UpStack
from processes import BIN
from test_journey import website

pytestmark = pytest.mark.e2e


def submit(server: str, *arguments: object, password: str = ADMINISTRATOR[1]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FUMEHOOD_EMAIL": ADMINISTRATOR[0], "FUMEHOOD_PASSWORD": password}
    command: list[str | Path] = [BIN / "fumehood", "submit", "--server", server, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)


def test_a_folder_is_sent_and_its_verdicts_are_printed(up: UpStack, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("a harmless note\n" * 20)
    (tmp_path / "website.zip").write_bytes(website())

    done = submit(up.url, tmp_path)

    verdicts = {Path(line.split(": ")[0]).name: line.split(": ")[1].split()[0] for line in done.stdout.splitlines()}
    assert verdicts == {"note.txt": "clean", "website.zip": "malicious"}
    assert done.returncode == 1
    page = next(word for word in done.stdout.split() if word.startswith("http"))
    assert httpx.get(page, headers={"Accept": "text/html"}).headers["location"].startswith("/sign-in")


def test_json_has_the_whole_answer_and_an_unreadable_path_is_an_error(up: UpStack, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("a harmless note\n" * 20)

    done = submit(up.url, "--json", note, tmp_path / "none")

    answers = {Path(line["path"]).name: line for line in map(json.loads, done.stdout.splitlines())}
    assert (answers["note.txt"]["status"], answers["note.txt"]["verdict"]) == ("completed", "clean")
    assert answers["none"]["error"] == "No such file or directory"
    assert done.returncode == 2


@pytest.mark.parametrize(("server", "password"), [("right", "wrong password"), ("http://127.0.0.1:9", "any")])
def test_what_cannot_work_is_one_clear_line(up: UpStack, tmp_path: Path, server: str, password: str) -> None:
    done = submit(up.url if server == "right" else server, tmp_path, password=password)

    assert done.returncode == 2
    assert done.stderr.startswith("fumehood: ")
    assert "Traceback" not in done.stderr
