from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

FUMEHOOD = Path(sys.executable).with_name("fumehood")
SHELL = b"<?php @eval($_" + b"POST['x']); ?>"


def fumehood(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([FUMEHOOD, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=50)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "note.txt").write_text("a harmless note\n" * 20)
    return folder


def test_nothing_found_is_status_0(folder: Path) -> None:
    done = fumehood("scan", folder)

    assert done.returncode == 0
    assert done.stdout == f"{folder}/note.txt: clean\n"
    assert "1 files" in done.stderr


def test_something_found_is_status_1_and_json_tells_where(folder: Path) -> None:
    with zipfile.ZipFile(folder / "site.zip", "w") as archive:
        archive.writestr("inner/a.txt", "nothing here\n" * 20)
        archive.writestr("inner/shell.php", SHELL)

    done = fumehood("scan", "--json", folder)

    lines = {Path(line["path"]).name: line for line in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 1
    assert lines["note.txt"]["verdict"] == "clean"
    assert lines["site.zip"]["verdict"] == "malicious"
    assert "inner/shell.php" in {finding["artifact"] for finding in lines["site.zip"]["findings"]}


def test_people_are_told_why_in_which_file_and_at_which_line(folder: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("shell.php", b"<html>\x1b[2J\n" + SHELL + b"\n")
    with zipfile.ZipFile(folder / "site.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("backup.zip", inner.getvalue())

    lines = fumehood("scan", folder / "site.zip").stdout.splitlines()

    assert lines[0] == f"{folder}/site.zip: malicious"
    place = "  in backup.zip > shell.php: PHP runs code"
    (found,) = (number for number, line in enumerate(lines) if line.startswith(place))
    assert lines[found + 1].lstrip().startswith("line 2: ")
    assert SHELL.decode() in lines[found + 1]
    assert not any("\x1b" in line for line in lines)


def test_a_missing_path_is_status_2_and_the_rest_is_scanned(folder: Path) -> None:
    done = fumehood("scan", folder / "none", folder)

    assert done.returncode == 2
    assert "No such file" in done.stderr
    assert "note.txt: clean" in done.stdout


def test_special_files_and_links_in_a_folder_are_passed_over(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to(folder)

    assert fumehood("scan", folder).stdout == f"{folder}/note.txt: clean\n"


def test_files_over_the_size_are_left_out_and_counted(folder: Path) -> None:
    (folder / "large.txt").write_text("a harmless note\n" * 2000)

    done = fumehood("scan", "--max-size", "0.01", folder)

    assert done.stdout == f"{folder}/note.txt: clean\n"
    assert "1 left out for their size" in done.stderr


def test_types_without_a_detector_come_with_advice(folder: Path) -> None:
    shutil.copy("/bin/true", folder / "tool")

    done = fumehood("scan", folder)

    assert f"{folder}/tool: unknown (No detector here covers the type elf.)" in done.stdout
    assert "docs/bring-your-own-model.md" in done.stderr
    assert "ClamAV" in done.stderr


def test_a_name_cannot_move_the_cursor(folder: Path) -> None:
    (folder / "a\x1b[2J\u202egpj.txt").write_text("a harmless note\n" * 20)

    out = fumehood("scan", folder).stdout

    assert "\x1b" not in out
    assert "\u202e" not in out


@pytest.mark.parametrize("command", [[], ["scan"], ["up"], ["submit"], ["migrate"], ["admin", "dead-letters"]])
def test_help_teaches(command: list[str]) -> None:
    done = fumehood(*command, "--help")

    assert done.returncode == 0
    assert "Usage" in done.stdout
