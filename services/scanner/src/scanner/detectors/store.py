"""The operator's detectors directory: which version of which pack is at work, changed in one step.

    detectors/
      my-model -> .versions/my-model/0002                what the scanner loads
      my-model.shadow -> .versions/my-model.shadow/0001  a version on trial beside the live one
      .versions/my-model/0001, 0002                      every version there was, for going back

A change is a new version folder, written whole before the link is replaced: a scanner sees the old
pack or the new one. A folder that somebody put there by hand is taken into the versions at the
first change.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from scanner.detectors.pack import MANIFEST, Pack
from scanner.errors import PackRefusedError
from shared.errors import ClientError, NotFoundError

VERSIONS = ".versions"
Check = Callable[[Path], object]
_NAME = re.compile("[a-z0-9][a-z0-9-]*")
_MODE = re.compile(r"^mode\s*=.*$", re.MULTILINE)


class DetectorStore:
    """Changes the directory. `check` loads a pack and raises PackRefusedError; nothing broken is put to work."""

    def __init__(self, directory: Path, check: Check) -> None:
        self._directory = directory
        self._check = check

    def add(self, source: Path, *, shadow: bool = False) -> str:
        """Put a pack to work and return its name; one in shadow leaves a live one at work. Raises PackRefusedError."""
        pack = Pack.read(source)
        name = pack.manifest.name
        on_trial = (shadow or pack.shadow) and self._mode(name) == "live"
        place = _trial(name) if on_trial else name
        self._take_in(place)
        self._put_to_work(place, source, "shadow" if shadow else None)
        return name

    def remove(self, name: str, *, trial: bool = False) -> None:
        """Take a pack, or its version on trial, out of work; its versions stay. Raises NotFoundError."""
        place = _trial(name) if trial else name
        self._require(name, place)
        self._take_in(place)
        (self._directory / place).unlink()

    def set_mode(self, name: str, mode: Literal["live", "shadow"]) -> None:
        """Put a version with another mode to work; a version on trial becomes the live one.

        Raises NotFoundError, PackRefusedError, and ClientError when it is in that mode.
        """
        trial = self._directory / _trial(name)
        if mode == "live" and self._is_there(_trial(name)):
            self._take_in(name)
            self._put_to_work(name, trial, mode)
            trial.unlink()
            return
        self._require(name, name)
        if self._mode(name) == mode:
            raise ClientError(f"The detector {name} is {mode} already.")
        if self._is_there(_trial(name)):
            raise ClientError(f"Another version of {name} is in shadow; remove or promote that one first.")
        self._take_in(name)
        self._put_to_work(name, self._directory / name, mode)

    def roll_back(self, name: str) -> Path:
        """Put the version before the present one to work, the last one after a removal. Raises NotFoundError."""
        versions = self._versions(name)
        link = self._directory / name
        if link.is_symlink():
            versions = [version for version in versions if version.name < link.resolve().name]
        if not versions or (link.exists() and not link.is_symlink()):
            raise NotFoundError(f"There is no earlier version of {name}.")
        self._check(versions[-1])
        self._point(name, versions[-1])
        return versions[-1]

    def _require(self, name: str, place: str) -> None:
        if not _NAME.fullmatch(name) or not self._is_there(place):
            what = f"detector {name}" if place == name else f"version of {name} on trial"
            raise NotFoundError(f"There is no {what} in {self._directory}.")

    def _is_there(self, place: str) -> bool:
        return (self._directory / place).is_dir()

    def _mode(self, name: str) -> str | None:
        return Pack.read(self._directory / name).manifest.mode if self._is_there(name) else None

    def _versions(self, name: str) -> list[Path]:
        folder = self._directory / VERSIONS / name
        return sorted(path for path in folder.iterdir() if path.name.isdecimal()) if folder.is_dir() else []

    def _next(self, name: str) -> Path:
        versions = self._versions(name)
        number = int(versions[-1].name) + 1 if versions else 1
        return self._directory / VERSIONS / name / f"{number:04}"

    def _take_in(self, name: str) -> None:
        """Make a folder that was put there by hand the first version."""
        folder = self._directory / name
        if folder.is_dir() and not folder.is_symlink():
            kept = self._next(name)
            kept.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(kept)
            self._point(name, kept)

    def _put_to_work(self, name: str, source: Path, mode: str | None) -> None:
        version = self._next(name)
        staged = version.with_name(f"new-{version.name}")
        shutil.rmtree(staged, ignore_errors=True)
        staged.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copytree(source.resolve(), staged)
            if mode is not None:
                _write_mode(staged / MANIFEST, mode)
            self._check(staged)
            staged.rename(version)
        except PackRefusedError:
            shutil.rmtree(staged)
            raise
        self._point(name, version)

    def _point(self, name: str, version: Path) -> None:
        link = self._directory / VERSIONS / f"{name}.link"
        link.unlink(missing_ok=True)
        link.symlink_to(version.relative_to(self._directory))
        link.rename(self._directory / name)  # replaces the old link in one step


def _trial(name: str) -> str:
    return f"{name}.shadow"


def _write_mode(manifest: Path, mode: str) -> None:
    text = manifest.read_text(encoding="utf-8")
    head, bracket, tables = text.partition("\n[")
    line = f'mode = "{mode}"'
    head = _MODE.sub(line, head) if _MODE.search(head) else f"{head.rstrip()}\n{line}\n"
    manifest.write_text(head + bracket + tables, encoding="utf-8")
