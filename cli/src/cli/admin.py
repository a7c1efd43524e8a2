"""`fumehood admin`: dead letters and sign-in links."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.embedded import bus_url, data_directory, embedded_settings
from shared.errors import ClientError
from shared.messaging import Bus, DeadLetter, running_bus


@asynccontextmanager
async def _bus() -> AsyncIterator[Bus]:
    async with running_bus(bus_url(data_directory())) as bus:
        yield bus


async def list_dead_letters(limit: int, *, as_json: bool) -> None:
    """Print dead letters as a table or as JSON lines."""
    async with _bus() as bus:
        letters = await bus.dead_letters(limit=limit)
    if as_json:
        for letter in letters:
            typer.echo(json.dumps(_as_dict(letter)))
        return
    if not letters:
        typer.echo("No dead letters.")
        return
    table = Table("id", "failed at", "queue", "attempts", "reason")
    for letter in letters:
        at = f"{letter.failed_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(letter.id, at, letter.queue, str(letter.message.attempt), escape(letter.reason))
    # In a pipe nothing is cut off; a terminal decides for itself.
    Console(width=None if sys.stdout.isatty() else 250).print(table)


async def show_dead_letter(dead_letter_id: str) -> None:
    """Print one dead letter whole. Raises NotFoundError."""
    async with _bus() as bus:
        letter = await bus.dead_letter(dead_letter_id)
    typer.echo(json.dumps(_as_dict(letter) | {"body": json.loads(letter.message.body)}, indent=2))


async def replay_dead_letters(dead_letter_ids: list[str], *, everything: bool) -> None:
    """Put dead letters back into their queues. Raises NotFoundError."""
    if everything == bool(dead_letter_ids):
        raise ClientError("Name the dead letters to replay, or use --all.")
    async with _bus() as bus:
        if everything:
            count = await bus.replay_all()
        else:
            for dead_letter_id in dead_letter_ids:
                await bus.replay(dead_letter_id)
            count = len(dead_letter_ids)
    typer.echo(f"{count} replayed.")


async def discard_dead_letter(dead_letter_id: str) -> None:
    """Remove one dead letter."""
    async with _bus() as bus:
        await bus.discard(dead_letter_id)
    typer.echo("Discarded.")


async def print_sign_in_link() -> None:
    """Print a new one-time sign-in link of the embedded installation's administrator."""
    from gateway.config import Settings
    from gateway.main import new_sign_in_link

    data = data_directory()
    settings = Settings(**embedded_settings(data, "gateway"), data_dir=data)
    typer.echo(await new_sign_in_link(settings))


def _as_dict(letter: DeadLetter) -> dict[str, object]:
    message = letter.message
    return {
        "id": letter.id,
        "queue": letter.queue,
        "reason": letter.reason,
        "failed_at": letter.failed_at.isoformat(),
        "attempts": message.attempt,
        "event_id": message.id,
        "event_type": message.type,
        "source": message.source,
        "time": message.time.isoformat(),
    }
