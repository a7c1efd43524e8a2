"""`fumehood detectors evaluate` and `score`: a detector on the rows of a data set."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from cli.detectors import named_pack, opened_detectors
from cli.embedded import detectors_directory
from cli.labelled import BodyEncoding, LabelledFiles, Row, write_scores
from cli.measures import (
    FALSE_POSITIVE_RATES,
    Figures,
    Labels,
    Scores,
    calibration_error,
    measure,
    reliability,
)
from scanner.config import Settings
from scanner.content import ByteRange
from scanner.detectors.base import ScoringDetector
from scanner.sandbox.pictures import SandboxPictures
from scanner.sandbox.pool import SandboxPool
from shared.errors import ClientError
from shared.scan import DetectorInfo

IN_FLIGHT = 128
"""Rows handed to the batcher together: enough to fill the batches of a GPU."""
ALL = "all"


async def run_evaluate(paths: Sequence[Path], name: str, encoding: BodyEncoding, *, as_json: bool) -> None:
    """Print the figures of a detector on labelled rows. Raises ClientError."""
    data = LabelledFiles(paths, encoding, needed=("body", "label"))
    async with _scoring(name) as scoring:
        labels, languages, scores = [], [], []
        for row, score in await _score_rows(scoring, data):
            labels.append(row.label or 0)
            languages.append(row.language)
            scores.append(score)
        found = _Evaluation(
            scoring.detector.info,
            np.array(labels, np.int64),
            np.array(languages, np.str_),
            np.array(scores, np.float64),
        )
    if as_json:
        typer.echo(json.dumps(found.as_dict()))
    else:
        found.print()


async def run_score(path: Path, output: Path, name: str, encoding: BodyEncoding) -> None:
    """Write `sha256, score` of every row in the order of the rows. Raises ClientError."""
    data = LabelledFiles([path], encoding, needed=("sha256", "body"))
    async with _scoring(name) as scoring:
        scored = await _score_rows(scoring, data)
    write_scores(output, [row.sha256 for row, _ in scored], [score for _, score in scored])
    typer.echo(f"{len(scored)} scores written to {output}", err=True)


@dataclass(frozen=True, slots=True)
class _Scoring:
    detector: ScoringDetector
    pictures: SandboxPictures

    async def score(self, body: bytes) -> float:
        """Return the probability of malice; what has no bytes is shown to no detector."""
        return await self.detector.score(ByteRange.of(body), self.pictures) if body else 0.0


@asynccontextmanager
async def _scoring(name: str) -> AsyncIterator[_Scoring]:
    async with opened_detectors() as loaded:
        found = named_pack(loaded, name).detector
        if not isinstance(found, ScoringDetector):
            raise ClientError(f"The detector {name} (kind {found.info.kind}) gives no scores.")
        settings = Settings(detectors_dir=detectors_directory())
        sandbox = await SandboxPool.start(settings)
        try:
            yield _Scoring(found, SandboxPictures(sandbox, settings))
        finally:
            await sandbox.close()


async def _score_rows(scoring: _Scoring, data: LabelledFiles) -> list[tuple[Row, float]]:
    """Score the rows, `IN_FLIGHT` at a time; the bodies are dropped as soon as they are scored."""
    rows = iter(enumerate(data))
    found: dict[int, tuple[Row, float]] = {}
    progress = _progress()
    task = progress.add_task("scoring", total=data.rows)

    async def work() -> None:
        for number, row in rows:
            found[number] = (replace(row, body=b""), await scoring.score(row.body))
            progress.advance(task)

    with progress:
        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return [found[number] for number in sorted(found)]


def _progress() -> Progress:
    return Progress(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


@dataclass(frozen=True, slots=True)
class _Evaluation:
    detector: DetectorInfo
    labels: Labels
    languages: NDArray[np.str_]
    scores: Scores

    def groups(self) -> dict[str, Figures]:
        """Return the figures over all rows and of each language."""
        found = {ALL: measure(self.labels, self.scores)}
        for language in sorted(set(self.languages.tolist()) - {""}):
            inside = self.languages == language
            found[language] = measure(self.labels[inside], self.scores[inside])
        return found

    def as_dict(self) -> dict[str, object]:
        """Return everything for machines."""
        bins = reliability(self.labels, self.scores)
        return {
            "detector": self.detector.model_dump(mode="json"),
            "false_positive_rates": FALSE_POSITIVE_RATES,
            "groups": {name: asdict(figures) for name, figures in self.groups().items()},
            "reliability": [asdict(one) for one in bins],
            "expected_calibration_error": calibration_error(bins),
        }

    def print(self) -> None:
        """Print the tables for people."""
        console = Console()
        console.print(f"{self.detector.name} {self.detector.version} on {self.detector.provider}")
        rates = [f"TPR at {rate * 100:g} % FPR" for rate in FALSE_POSITIVE_RATES]
        table = Table("language", "malicious", "benign", "AUC", *rates)
        for name, figures in self.groups().items():
            shares = [_figure(share, 3) for share in figures.detection]
            counts = [str(figures.malicious), str(figures.benign)]
            table.add_row(escape(name), *counts, _figure(figures.auc, 4), *shares)
        console.print(table)
        bins = reliability(self.labels, self.scores)
        table = Table("score from", "rows", "mean score", "malicious share")
        for one in bins:
            table.add_row(f"{one.lower:.1f}", str(one.rows), f"{one.mean_score:.3f}", f"{one.malicious_share:.3f}")
        console.print(table)
        console.print(f"Expected calibration error {calibration_error(bins):.3f}.")


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
