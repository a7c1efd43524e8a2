"""The commands about detectors, below `fumehood detectors`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

detectors = typer.Typer(help="What looks at files: list, show, evaluate on labelled data.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
DetectorName = Annotated[str, typer.Option("--detector", metavar="NAME", help="As shown by `detectors list`.")]
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
def show_detector(name: Annotated[str, typer.Argument()], as_json: Json = False) -> None:
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
