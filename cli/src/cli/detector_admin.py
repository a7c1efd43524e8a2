"""`fumehood admin detectors`: changes to the detectors directory, each checked by loading the pack first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import typer

from cli.embedded import detectors_directory
from scanner.config import Settings
from scanner.detectors.loader import SHIPPED_PACKS, load_pack
from scanner.detectors.store import DetectorStore
from scanner.errors import PackRefusedError
from scanner.threads import Threads
from shared.errors import ClientError


@contextmanager
def _store() -> Iterator[DetectorStore]:
    directory = detectors_directory()
    settings = Settings(detectors_dir=directory)
    threads = Threads.start(settings)

    def check(folder: Path) -> None:
        manifest = load_pack(folder, settings, threads).manifest
        if manifest.mode == "live" and (SHIPPED_PACKS / manifest.name).is_dir():
            message = f"The name {manifest.name} is that of a detector that Fumehood ships; only a shadow may have it."
            raise PackRefusedError(message)

    try:
        yield DetectorStore(directory, check)
    except OSError as error:
        raise ClientError(f"{directory} cannot be changed: {error.strerror or error}.") from None
    finally:
        threads.close()


def add_pack(source: Path, *, shadow: bool) -> None:
    """Put a pack to work. Raises PackRefusedError."""
    with _store() as store:
        name = store.add(source, shadow=shadow)
    typer.echo(f"{name} is added.")


def remove_pack(name: str, *, trial: bool) -> None:
    """Take a pack, or its version on trial, out of work. Raises NotFoundError."""
    with _store() as store:
        store.remove(name, trial=trial)
    if trial:
        typer.echo(f"The version of {name} on trial is removed.")
    else:
        typer.echo(f"{name} is removed; `fumehood admin detectors rollback {name}` brings it back.")


def set_mode(name: str, mode: Literal["live", "shadow"]) -> None:
    """Change a pack's mode. Raises NotFoundError, ClientError."""
    with _store() as store:
        store.set_mode(name, mode)
    typer.echo(f"{name} is {mode} now.")


def roll_back(name: str) -> None:
    """Go back by one change. Raises NotFoundError."""
    with _store() as store:
        version = store.roll_back(name)
    typer.echo(f"{name} is version folder {version.name} again.")
