"""`fumehood admin rescan` and `detectors compare` where nothing answers, and what makes no sense."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FUMEHOOD = Path(sys.executable).with_name("fumehood")


def fumehood(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FUMEHOOD_")}
    environment = {**kept, "FUMEHOOD_DATA_DIR": str(data), "FUMEHOOD_PORT": "9"}
    command = [str(FUMEHOOD), "admin", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=50, env=environment, stdin=subprocess.DEVNULL
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rescan"], "--all"),
        (["rescan", "--all", "--verdict", "clean"], "Say which submissions"),
        (["rescan", "--verdict", "nice"], "--verdict cannot be used"),
        (["rescan", "--sha256", "xyz"], "--sha256 cannot be used"),
        (["rescan", "--continue", "--cancel"], "Either --continue or --cancel"),
        (["rescan", "--continue", "--all"], "leave the other options out"),
    ],
)
def test_what_makes_no_sense_is_one_clear_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = fumehood(tmp_path, *arguments)

    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["rescan", "--all"], ["detectors", "compare", "x"], ["detectors", "compare"]])
def test_without_an_installation_it_says_what_to_set_and_makes_none(tmp_path: Path, arguments: list[str]) -> None:
    done = fumehood(tmp_path / "nothing", *arguments)

    assert done.returncode == 2
    assert "FUMEHOOD_DATA_DIR" in done.stderr
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("arguments", [["rescan", "--all"], ["detectors", "compare", "x"]])
def test_a_server_that_is_away_is_one_clear_line(tmp_path: Path, arguments: list[str]) -> None:
    done = fumehood(tmp_path, *arguments, "--server", "http://127.0.0.1:9", "--token", "x")

    assert done.returncode == 2
    assert "does not answer" in done.stderr
