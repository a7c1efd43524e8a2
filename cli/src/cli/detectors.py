"""`fumehood detectors list` and `show`: what looks at files here, and what was refused."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.embedded import detectors_directory
from cli.paths import printable
from scanner.config import Settings
from scanner.detectors.loader import LoadedPack, LoadedPacks, load_detectors
from scanner.detectors.pack import MODEL_CARD, Manifest
from scanner.threads import Threads
from shared.errors import NotFoundError


@asynccontextmanager
async def opened_detectors() -> AsyncIterator[LoadedPacks]:
    """Give the shipped detectors and the operator's, closed at the end."""
    logging.basicConfig(level=logging.ERROR)  # what is refused or left out is for the command to say
    settings = Settings(detectors_dir=detectors_directory())
    threads = Threads.start(settings)
    loaded = load_detectors(settings, threads)
    try:
        yield loaded
    finally:
        for detector in loaded.detectors:
            await detector.close()
        threads.close()


async def list_detectors(*, as_json: bool) -> None:
    """Print every pack, refused ones with the reason."""
    async with opened_detectors() as loaded:
        facts = [_facts(pack) for pack in loaded.packs]
    refused = [{"folder": str(pack.folder), "refused": pack.reason} for pack in loaded.refused]
    if as_json:
        for line in [*facts, *refused]:
            typer.echo(json.dumps(line))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("NAME", "VERSION", "KIND", "MODE", "MODEL", "RUNS ON", "COVERS"):
        table.add_column(title, no_wrap=title != "COVERS")
    for one in facts:
        names = map(escape, (one["name"], one["version"], one["kind"], one["mode"]))
        provider = (one["provider"] or "-").removesuffix("ExecutionProvider")
        table.add_row(*names, (one["model_sha256"] or "-")[:12], provider, escape(_shortened(one["covers"])))
    Console().print(table)
    for working in loaded.packs:
        for problem in working.problems:
            typer.secho(f"{working.manifest.name} leaves out {printable(problem)}", fg="yellow", err=True)
    for pack in loaded.refused:
        typer.secho(f"{pack.folder} is refused: {pack.reason}", fg="red", err=True)


async def show_detector(name: str, *, as_json: bool) -> None:
    """Print everything that a pack says of itself. Raises NotFoundError."""
    async with opened_detectors() as loaded:
        found = named_pack(loaded, name)
        facts = {**_facts(found), **_manifest_tables(found)}
    path = found.folder / MODEL_CARD
    card = path.read_text(encoding="utf-8") if path.is_file() else found.manifest.description
    if as_json:
        typer.echo(json.dumps({**facts, "model_card_summary": _summary(card)}))
        return
    console = Console(soft_wrap=True)
    for key, value in facts.items():
        console.print(f"[bold]{key:13}[/bold] {escape(_readable(value))}")
    console.print(f"\n{escape(_summary(card))}")
    for section in _figures(card):
        typer.echo(f"\n{section}")


def named_pack(loaded: LoadedPacks, name: str) -> LoadedPack:
    """Return the pack that NAME or NAME@VERSION means, the live one before the one in shadow. Raises NotFoundError."""
    plain, _, version = name.partition("@")
    found = [pack for pack in loaded.packs if pack.manifest.name == plain and version in {"", pack.manifest.version}]
    if not found:
        raise NotFoundError(f"There is no detector named {name}; see `fumehood detectors list`.")
    return min(found, key=lambda pack: pack.manifest.mode == "shadow")


def _facts(pack: LoadedPack) -> dict[str, Any]:
    info = pack.detector.info
    return {
        **info.model_dump(mode="json"),
        "mode": pack.manifest.mode,
        "covers": list(pack.manifest.covers),
        "description": pack.manifest.description,
        "folder": str(pack.folder),
        "model_card": str(pack.folder / MODEL_CARD),
        "problems": list(pack.problems),
    }


def _manifest_tables(pack: LoadedPack) -> dict[str, Any]:
    tables = pack.manifest.model_dump(mode="json")
    return {name: tables[name] for name in Manifest.model_fields if isinstance(tables[name], dict) and tables[name]}


def _readable(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} = {inner}" for key, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value if value is not None else "-")


def _shortened(names: list[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _sections(card: str) -> list[str]:
    return [f"## {part.strip()}" for part in f"\n{card}".split("\n## ")[1:]]


def _summary(card: str) -> str:
    """Return the paragraph after the card's title."""
    head = f"\n{card}".split("\n## ")[0].strip().splitlines()
    return " ".join(line for line in head if not line.startswith("#")).strip()


def _figures(card: str) -> list[str]:
    """Return the sections that give measured figures."""
    return [section for section in _sections(card) if section.partition("\n")[0].lower().startswith("## figures")]
