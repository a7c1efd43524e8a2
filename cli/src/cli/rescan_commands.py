"""The command `fumehood admin rescan`."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated

import typer

from cli.api import Email, Password, Server, Token


def rescan(  # noqa: PLR0913, PLR0917 - the options of one command
    everything: Annotated[bool, typer.Option("--all", help="Everything that was ever submitted.")] = False,
    since: Annotated[datetime | None, typer.Option(help="Submitted at or after this date (UTC).")] = None,
    verdict: Annotated[
        str | None, typer.Option(metavar="VERDICT", help="Now malicious, suspicious, unknown or clean.")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(metavar="HEX", help="All or the first digits; of the file or of anything inside.")
    ] = None,
    content_type: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Type of the file or of anything inside, e.g. php.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many, and scan nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, however many.")] = False,
    wait: Annotated[bool, typer.Option(help="Show progress until it is done.")] = True,
    go_on: Annotated[
        bool, typer.Option("--continue", help="Go on with a paused rescan, or watch the one at work.")
    ] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Give up the rescan that is at work or paused.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as JSON on standard output.")] = False,
    server: Server = None,
    token: Token = None,
    email: Email = None,
    password: Password = None,
) -> None:
    """Scan past submissions again with the detectors of today.

    They are scanned in a lane of their own, a few at a time, so that what is uploaded meanwhile waits for none of
    them. The present verdict stays until the new scan has completed; webhooks tell of verdicts that changed.

    Ctrl-C pauses, --continue goes on. The server does the work: with --no-wait, or when the terminal is closed, it
    goes on by itself, after a restart too.
    """
    from cli.api import asked_credentials
    from cli.rescan import RescanOptions, run_rescan

    filters = {"after": since, "verdict": verdict, "sha256": sha256, "content_type": content_type}
    options = RescanOptions(
        everything=everything,
        filters={name: value for name, value in filters.items() if value is not None},
        dry_run=dry_run,
        yes=yes,
        wait=wait,
        go_on=go_on,
        cancel=cancel,
        as_json=as_json,
    )
    asyncio.run(run_rescan(server, asked_credentials(token, email, password), options))
