"""`fumehood scan`: the scanner's engine on local files, with no server."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.embedded import detectors_directory
from cli.paths import coloured, printable, regular_files
from scanner.config import Settings
from scanner.engine import ScanEngine
from shared.presentation.tree import worst_findings
from shared.scan import Artifact, CoverageReason, Excerpt, Finding, ScanDocument, Verdict

_COLOURS = {Verdict.MALICIOUS: "red", Verdict.SUSPICIOUS: "yellow", Verdict.UNKNOWN: "blue", Verdict.CLEAN: "green"}
_TYPES_TOLD = 5
_REASONS_TOLD = 5
_EXCERPT_CHARACTERS = 160
FOUND = frozenset({Verdict.MALICIOUS, Verdict.SUSPICIOUS})


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """What the command line asked for."""

    as_json: bool = False
    jobs: int = 8
    quiet: bool = False
    time_limit_seconds: float = 120.0
    max_size_bytes: int | None = None


@dataclass(slots=True)
class Tally:
    """What came out so far."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    errors: int = 0
    left_out: int = 0
    """Files over the size that was asked for."""
    uncovered: Counter[str] = field(default_factory=Counter)
    """Files that are unknown for want of a detector, by content type."""
    size_bytes: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def exit_status(self) -> int:
        """0 nothing found, 1 found, 2 errors (as clamscan)."""
        if any(self.verdicts[verdict] for verdict in FOUND):
            return 1
        return 2 if self.errors else 0

    def summary(self) -> str:
        """Return one line for people."""
        seconds = time.monotonic() - self.started
        files = self.verdicts.total()
        parts = [f"{self.verdicts[verdict]} {verdict.value}" for verdict in Verdict]
        rate = files / max(seconds, 1e-9)
        head = f"{files} files, {self.size_bytes / 1e6:.1f} MB in {seconds:.1f} s ({rate:.0f} files/s)"
        left_out = f", {self.left_out} left out for their size" if self.left_out else ""
        return f"{head}: {', '.join(parts)}, {self.errors} errors{left_out}"

    def advice(self) -> str | None:
        """Return what to do about types that nothing here covers."""
        if not self.uncovered:
            return None
        types = ", ".join(label for label, _ in self.uncovered.most_common(_TYPES_TOLD))
        more = " and others" if len(self.uncovered) > _TYPES_TOLD else ""
        return (
            f"{self.uncovered.total()} unknown for want of a detector that looks at all that is in them "
            f"({types}{more}): add a model of your own (docs/bring-your-own-model.md) or ClamAV "
            "(docs/detectors.md, section ClamAV)."
        )

    def count(self, document: ScanDocument) -> None:
        """Add one scanned file."""
        self.verdicts[document.verdict] += 1
        self.size_bytes += document.root.size_bytes
        gaps = document.root.coverage.gaps
        if document.verdict is Verdict.UNKNOWN and {gap.reason for gap in gaps} == {CoverageReason.UNSUPPORTED}:
            self.uncovered[document.root.content_type.label] += 1


async def run_scan(paths: list[Path], options: ScanOptions) -> int:
    """Scan and print; return the exit status."""
    logging.basicConfig(level=logging.ERROR)
    engine = await ScanEngine.start(Settings(detectors_dir=detectors_directory()))
    try:
        run = _Run(engine, options)
        with run.progress:
            await run.scan_all(regular_files(paths))
        if not options.quiet:
            typer.echo(run.tally.summary(), err=True)
            if advice := run.tally.advice():
                typer.echo(advice, err=True)
        return run.tally.exit_status
    finally:
        await engine.close()


class _Run:
    def __init__(self, engine: ScanEngine, options: ScanOptions) -> None:
        self._engine = engine
        self._options = options
        self.tally = Tally()
        self._bar = Progress(
            TextColumn("[progress.description]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("scanning", total=None)
        visible = sys.stderr.isatty() and not options.quiet
        self.progress: AbstractContextManager[object] = self._bar if visible else nullcontext()

    async def scan_all(self, files: Iterator[Path]) -> None:
        """Keep `jobs` files in flight; the list of files is read as they go."""
        found = 0

        async def worker() -> None:
            nonlocal found
            for path in files:
                found += 1
                await self._scan_one(path)
                self._bar.update(self._task, completed=self.tally.verdicts.total() + self.tally.errors, total=found)

        await asyncio.gather(*(worker() for _ in range(self._options.jobs)))

    async def _scan_one(self, path: Path) -> None:
        try:
            size_bytes = await asyncio.to_thread(_readable_size, path)
        except OSError as error:
            self.tally.errors += 1
            self._print_error(path, error.strerror or type(error).__name__)
            return
        if self._options.max_size_bytes is not None and size_bytes > self._options.max_size_bytes:
            self.tally.left_out += 1
            return
        document = await self._engine.scan(
            path,
            name=path.name,
            scan_id=str(uuid4()),
            submission_id=str(uuid4()),
            budget_seconds=self._options.time_limit_seconds,
        )
        self.tally.count(document)
        self._print(path, document)

    def _print(self, path: Path, document: ScanDocument) -> None:
        if self._options.quiet and document.verdict not in FOUND:
            return
        if self._options.as_json:
            self._line(json.dumps({"path": str(path), **_summary(document)}))
            return
        verdict = coloured(document.verdict.value, _COLOURS[document.verdict])
        self._line("\n".join([f"{printable(path)}: {verdict}{_gap_of(document)}", *_reasons(document)]))

    def _print_error(self, path: Path, message: str) -> None:
        if self._options.as_json:
            self._line(json.dumps({"path": str(path), "error": message}))
        else:
            typer.secho(f"{printable(path)}: error: {message}", fg="red", err=True)

    def _line(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")


def _readable_size(path: Path) -> int:
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_size


def _gap_of(document: ScanDocument) -> str:
    """Return why a file is unknown; of one that was found the reasons follow."""
    gaps = document.coverage.gaps if document.verdict not in FOUND else ()
    return f" ({printable(gaps[0].detail)})" if gaps else ""


def _reasons(document: ScanDocument) -> Iterator[str]:
    """Yield what was found and where, the worst first, a few lines for each finding, each once."""
    found = [pair for pair in worst_findings(document.artifacts) if _counts(pair[1])]
    reasons = list(dict.fromkeys(_reason(document, artifact, finding) for artifact, finding in found))
    yield from reasons[:_REASONS_TOLD]
    if len(reasons) > _REASONS_TOLD:
        yield f"  and {len(reasons) - _REASONS_TOLD} more; --json tells all"


def _reason(document: ScanDocument, artifact: Artifact, finding: Finding) -> str:
    place = f"in {_path_inside(document, artifact)}: " if artifact.id else ""
    shown = (_shown(location.excerpt, location.first_line) for location in finding.locations if location.excerpt)
    return f"  {place}{printable(finding.reason)}{next(shown, '')}"


def _path_inside(document: ScanDocument, artifact: Artifact) -> str:
    names = [artifact.name]
    while artifact.parent_id:
        artifact = document.artifacts[artifact.parent_id]
        names.append(artifact.name)
    return printable(" > ".join(reversed(names)))


def _shown(excerpt: Excerpt, first_line: int | None) -> str:
    line = f"line {first_line}: " if first_line else ""
    text = coloured(printable(excerpt.text[:_EXCERPT_CHARACTERS]), "yellow")
    cut = "..." if excerpt.cut or len(excerpt.text) > _EXCERPT_CHARACTERS else printable(excerpt.after)
    return f"\n      {line}{printable(excerpt.before).lstrip()}{text}{cut}"


def _findings(document: ScanDocument) -> list[tuple[Artifact, Finding]]:
    return [(artifact, finding) for artifact in document.artifacts for finding in artifact.findings if _counts(finding)]


def _counts(finding: Finding) -> bool:
    return finding.verdict in FOUND and not finding.shadow


def _summary(document: ScanDocument) -> dict[str, object]:
    return {
        "verdict": document.verdict.value,
        "coverage": document.coverage.model_dump(mode="json"),
        "sha256": document.root.sha256,
        "size_bytes": document.root.size_bytes,
        "content_type": document.root.content_type.label,
        "artifacts": len(document.artifacts),
        "findings": [
            {"artifact": artifact.name, **finding.model_dump(mode="json", exclude={"shadow"})}
            for artifact, finding in _findings(document)
        ],
        "seconds": round((document.finished_at - document.started_at).total_seconds(), 4),
    }
