"""The command tree. What a command does is in its own module, imported only when it runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from cli.detector_commands import admin_detectors, detectors
from cli.rescan_commands import rescan
from shared.errors import AppError
from shared.settings import wrong_settings

app = typer.Typer(
    name="fumehood",
    help="A private file-threat scanner whose engines are models on your own machines.",
    epilog="Start with `fumehood up`, or look at a folder at once with `fumehood scan PATH`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
admin = typer.Typer(help="Look after a running installation.", no_args_is_help=True)
dead_letters = typer.Typer(
    help="Messages that were given up: list, show, replay or discard them.", no_args_is_help=True
)
app.add_typer(admin, name="admin")
app.add_typer(detectors, name="detectors")
admin.add_typer(admin_detectors, name="detectors")
admin.add_typer(dead_letters, name="dead-letters")
admin.command("rescan")(rescan)

DeadLetterId = Annotated[str, typer.Argument(metavar="ID", help="As shown by `dead-letters list`.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per line on standard output.")]


@app.command()
def up() -> None:
    """Start everything in one process, with no servers.

    Listens on http://localhost:8000 (FUMEHOOD_HOST, FUMEHOOD_PORT), keeps its data in
    ./fumehood-data (FUMEHOOD_DATA_DIR) and prints a one-time sign-in link for the
    administrator. For unattended use set FUMEHOOD_ADMIN_EMAIL and FUMEHOOD_ADMIN_PASSWORD.
    Ctrl-C stops it.
    """
    import gc

    import uvloop

    # Nothing is freed while six services are imported, so looking for garbage only makes the start slower.
    gc.disable()
    from cli.up import run_up
    from shared.web import end_threads

    uvloop.run(run_up())
    end_threads()


@app.command()
def scan(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders to look at.")],
    as_json: Json = False,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Files in flight at once.")] = 8,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only what was found, no progress, no summary.")] = False,
    time_limit: Annotated[float, typer.Option(min=1, help="Seconds for one file with all inside it.")] = 120.0,
    max_size: Annotated[float | None, typer.Option(min=0, help="Leave out files over this many MB.")] = None,
) -> None:
    """Scan files and folders here, with no server.

    Exit status as clamscan: 0 nothing found, 1 something malicious or suspicious found, 2 an error.
    """
    from cli.scan import ScanOptions, run_scan

    options = ScanOptions(
        as_json=as_json,
        jobs=jobs,
        quiet=quiet,
        time_limit_seconds=time_limit,
        max_size_bytes=None if max_size is None else int(max_size * 1e6),
    )
    raise typer.Exit(asyncio.run(run_scan(paths, options)))


@app.command()
def submit(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders to send.")],
    server: Annotated[
        str, typer.Option(envvar="FUMEHOOD_SERVER", help="Address of the server.")
    ] = "http://localhost:8000",
    token: Annotated[str | None, typer.Option(envvar="FUMEHOOD_TOKEN", help="Access token; else sign in.")] = None,
    email: Annotated[str | None, typer.Option(envvar="FUMEHOOD_EMAIL", help="Account to sign in with.")] = None,
    password: Annotated[
        str | None, typer.Option(envvar="FUMEHOOD_PASSWORD", help="Asked for when needed and not given.")
    ] = None,
    as_json: Json = False,
    wait: Annotated[bool, typer.Option(help="Wait for the verdicts.")] = True,
) -> None:
    """Send files to a running server and wait for the verdicts.

    Exit status as `fumehood scan`: 0 nothing found, 1 found, 2 an error.
    """
    from cli.api import Credentials
    from cli.submit import run_submit

    if token is None and email is None:
        email = typer.prompt("E-mail")
    if token is None and password is None:
        password = typer.prompt("Password", hide_input=True)
    credentials = Credentials(token=token, email=email, password=password)
    raise typer.Exit(asyncio.run(run_submit(paths, server, credentials, as_json=as_json, wait=wait)))


@app.command()
def migrate() -> None:
    """Bring every service's database to the newest schema.

    With FUMEHOOD_DATABASE_ADMIN_URL (postgresql+asyncpg://...) it first makes a schema and a
    role for each service; the role's password comes from FUMEHOOD_<SERVICE>_DATABASE_PASSWORD.
    Without it, the embedded databases in FUMEHOOD_DATA_DIR are migrated.
    """
    from cli.migrate import run_migrate

    asyncio.run(run_migrate())


@admin.command("sign-in-link")
def sign_in_link() -> None:
    """Print a new one-time sign-in link for the administrator."""
    from cli.admin import print_sign_in_link

    asyncio.run(print_sign_in_link())


@dead_letters.command("list")
def list_dead_letters(limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100, as_json: Json = False) -> None:
    """List dead letters, oldest first."""
    from cli.admin import list_dead_letters as run

    asyncio.run(run(limit, as_json=as_json))


@dead_letters.command("show")
def show_dead_letter(dead_letter_id: DeadLetterId) -> None:
    """Show one dead letter whole: envelope, reason and body."""
    from cli.admin import show_dead_letter as run

    asyncio.run(run(dead_letter_id))


@dead_letters.command("replay")
def replay_dead_letters(
    dead_letter_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Replay every dead letter.")] = False,
) -> None:
    """Put dead letters back into their queues, as first attempts."""
    from cli.admin import replay_dead_letters as run

    asyncio.run(run(dead_letter_ids or [], everything=everything))


@dead_letters.command("discard")
def discard_dead_letter(dead_letter_id: DeadLetterId) -> None:
    """Remove one dead letter for good."""
    from cli.admin import discard_dead_letter as run

    asyncio.run(run(dead_letter_id))


def run() -> None:
    """Entry point: an error we know is one line and exit status 2, not a traceback."""
    try:
        app()
    except AppError as error:
        typer.secho(f"fumehood: {error.message}", fg="red", err=True)
        raise SystemExit(2) from None
    except ValidationError as error:
        complaint = wrong_settings(error)
        if complaint is None:
            raise
        typer.secho(f"fumehood: {complaint}", fg="red", err=True)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
