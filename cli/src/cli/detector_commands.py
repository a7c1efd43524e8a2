"""The commands about detectors, below `fumehood detectors` and `fumehood admin detectors`."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.api import Email, Password, Server, Token

detectors = typer.Typer(help="What looks at files: list, show, evaluate on labelled data.", no_args_is_help=True)

admin_detectors = typer.Typer(
    help="Add, remove and switch detectors; a running scanner takes the change up by itself.", no_args_is_help=True
)

PackName = Annotated[str, typer.Argument(metavar="NAME", help="As in the pack's manifest.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
DetectorName = Annotated[
    str, typer.Option("--detector", metavar="NAME[@VERSION]", help="As shown by `detectors list`.")
]
Encoding = Annotated[
    str,
    typer.Option(
        metavar="xor-a5|plain",
        help="How the column `body` holds the bytes: each XOR 0xA5 (so that a data set of malware sets off no "
        "antivirus software), or as they are. They are decoded in memory only.",
    ),
]


@detectors.command("list")
def list_detectors(as_json: Json = False) -> None:
    """List the detectors with version, mode, covered types and provider, and the packs that are refused."""
    from cli.detectors import list_detectors as run

    asyncio.run(run(as_json=as_json))


@detectors.command("show")
def show_detector(name: Annotated[str, typer.Argument(metavar="NAME[@VERSION]")], as_json: Json = False) -> None:
    """Show one detector: manifest, thresholds, model card, measured figures."""
    from cli.detectors import show_detector as run

    asyncio.run(run(name, as_json=as_json))


@detectors.command()
def evaluate(
    data: Annotated[list[Path], typer.Argument(metavar="DATA.parquet...", help="Columns: body, label; language.")],
    detector: DetectorName = "script-threat",
    encoding: Encoding = "xor-a5",
    as_json: Json = False,
) -> None:
    """Measure a detector on labelled files: AUC, detection at 1 % and 0.1 % false alarms, reliability.

    Column `label` is 1 for malicious and 0 for benign rows. Where there is a column `language`,
    each language is measured by itself too. Thresholds are taken on the benign rows of the group.
    """
    from cli.labelled import BodyEncoding
    from cli.scoring import run_evaluate

    asyncio.run(run_evaluate(data, detector, BodyEncoding.named(encoding), as_json=as_json))


@detectors.command()
def score(
    data: Annotated[Path, typer.Option("--input", metavar="DATA.parquet", help="Columns: sha256, body.")],
    output: Annotated[Path, typer.Option(metavar="SCORES.parquet", help="Written with: sha256, score.")],
    detector: DetectorName = "script-threat",
    encoding: Encoding = "xor-a5",
) -> None:
    """Write a detector's score for every row, in the order of the rows.

    The score is the calibrated probability of the worst part of the file, 0 to 1, as a scan of the
    same bytes records it. A row without bytes gets 0.
    """
    from cli.labelled import BodyEncoding
    from cli.scoring import run_score

    asyncio.run(run_score(data, output, detector, BodyEncoding.named(encoding)))


@admin_detectors.command("add")
def add_detector(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of a model pack.")],
    shadow: Annotated[bool, typer.Option("--shadow", help="Add it in shadow, whatever its manifest says.")] = False,
) -> None:
    """Check a model pack by loading it and put it to work; a version before it is kept for `rollback`.

    A version in shadow runs beside the live one of the same name, until `promote` puts it in its place.
    """
    from cli.detector_admin import add_pack

    add_pack(path, shadow=shadow)


@admin_detectors.command("remove")
def remove_detector(
    name: PackName,
    shadow: Annotated[bool, typer.Option("--shadow", help="Only the version in shadow beside the live one.")] = False,
) -> None:
    """Take a detector out of work; `rollback` brings it back."""
    from cli.detector_admin import remove_pack

    remove_pack(name, trial=shadow)


@admin_detectors.command("shadow")
def shadow_detector(name: PackName) -> None:
    """Let a detector run and be recorded without counting."""
    from cli.detector_admin import set_mode

    set_mode(name, "shadow")


@admin_detectors.command("promote")
def promote_detector(name: PackName) -> None:
    """Let a detector in shadow count, in place of the live version if there is one."""
    from cli.detector_admin import set_mode

    set_mode(name, "live")


@admin_detectors.command("rollback")
def rollback_detector(name: PackName) -> None:
    """Go back to what a detector was before the last add, remove, shadow or promote."""
    from cli.detector_admin import roll_back

    roll_back(name)


@admin_detectors.command("compare")
def compare_detector(  # noqa: PLR0913, PLR0917 - the options of one command
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME[@VERSION]]", help="Without: list what has run in shadow.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option("--with", metavar="NAME", help="Live detector; else the one of the same name, or all together."),
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="Only what was scanned at or after this date (UTC).")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="The latest so many files.")] = 10_000,
    as_json: Json = False,
    server: Server = None,
    token: Token = None,
    email: Email = None,
    password: Password = None,
) -> None:
    """Compare a detector in shadow with the live ones: agreement, scores, what would change.

    Asks the running server: the one-process installation of this data directory, or the one that --server names,
    as an administrator. Files that were scanned before the detector came are looked at by `fumehood admin rescan`.
    """
    from cli.api import asked_credentials
    from cli.comparison import run_compare, run_list

    credentials = asked_credentials(token, email, password)
    if name is None:
        asyncio.run(run_list(server, credentials, as_json=as_json))
        return
    work = run_compare(server, credentials, name, reference=reference, since=since, limit=limit, as_json=as_json)
    asyncio.run(work)
