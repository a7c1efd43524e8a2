"""Work folders: gone with their process, and never taken from a living one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.folders import WorkFolder, remove_abandoned

OWNER = """
import sys, time
from pathlib import Path
from shared.folders import WorkFolder

folder = WorkFolder("test", Path(sys.argv[1]))
(folder.path / "inner").mkdir()
(folder.path / "inner" / "file").write_text("x")
print(folder.path, flush=True)
time.sleep(60)
"""


@contextmanager
def owner(parent: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that has a work folder."""
    process = subprocess.Popen([sys.executable, "-c", OWNER, str(parent)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, Path(process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


def test_a_folder_is_removed_at_the_end(tmp_path: Path) -> None:
    with WorkFolder("test", tmp_path) as folder:
        (folder.path / "file").write_text("x")

    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_killed_process_is_removed_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    with owner(tmp_path) as (killed, abandoned), owner(tmp_path) as (_, kept):
        assert remove_abandoned(tmp_path, young_seconds=0) == 0
        killed.kill()
        killed.wait()

        assert remove_abandoned(tmp_path, young_seconds=0) == 1
        assert not abandoned.exists()
        assert (kept / "inner" / "file").exists()


def test_a_young_folder_stays(tmp_path: Path) -> None:
    with owner(tmp_path) as (killed, abandoned):
        killed.kill()
        killed.wait()

        assert remove_abandoned(tmp_path) == 0
        os.utime(abandoned, (0, 0))
        assert remove_abandoned(tmp_path) == 1


def test_what_is_no_work_folder_stays(tmp_path: Path) -> None:
    names = (
        "fumehood-data",
        "fumehood-data.old",
        "fumehood-test-servers.Ab12Cd",
        "fumehood-work-scan.old",
        "other.folder",
    )
    for name in names:
        (tmp_path / name).mkdir()
    (tmp_path / "fumehood-work-scan.abcdefgh").write_text("x")
    (tmp_path / "fumehood-work-scan.ijklmnop").symlink_to(tmp_path / "other.folder")

    assert remove_abandoned(tmp_path, young_seconds=0) == 0
    assert len(list(tmp_path.iterdir())) == len(names) + 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_the_folder_of_another_user_stays(tmp_path: Path) -> None:
    (tmp_path / "fumehood-test.abc").mkdir()
    os.chown(tmp_path / "fumehood-test.abc", 65534, 65534)

    assert remove_abandoned(tmp_path, young_seconds=0) == 0
