"""Detection, false alarms and seconds on packages, next to GuardDog on the same packages in the same run.

Malicious packages are read out of a bare clone of a collection, such as lxyeternal/pypi_malregistry, with
`git cat-file`, and only those named in the `package` column of --names. They are never unpacked, run or
installed here, and lie as the packed archives they are, one at a time, in --memory alone, which must be a
tmpfs. Benign packages are the archives in a folder: get sdists by `curl` and npm packages by `npm pack`,
not by `pip download`, which runs their setup.py.

    python -m bench packages --malicious CLONE.git --names scripts-val.parquet --benign FOLDER \
        --guarddog VENV/bin/guarddog --memory /dev/shm/bench

"Flagged" is suspicious or worse on both sides; "malicious" is GuardDog's high_risk. GuardDog has no folder
mode, so each package pays its start; that part is printed by itself. The row "worst of files" is the same
scan with no file weighed by its role.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow.parquet

from scanner.config import EngineSettings
from scanner.engine import ScanEngine
from scanner.package_findings import DETECTOR as PACKAGE
from shared.scan import ScanDocument, Verdict, worst

ENDINGS = (".tar.gz", ".tgz", ".whl", ".zip")
_GUARDDOG_VERDICTS = {"suspicious": Verdict.SUSPICIOUS, "high_risk": Verdict.MALICIOUS}
_FLAGGED = {Verdict.SUSPICIOUS, Verdict.MALICIOUS}
_TIME_LIMIT_SECONDS = 300


@dataclass(frozen=True)
class Sample:
    """One packed package: its file, or its blob in the clone."""

    name: str
    malicious: bool
    source: Path
    blob: str | None = None

    def read(self) -> bytes:
        """Return the archive as it was published."""
        if self.blob is None:
            return self.source.read_bytes()
        return _git(self.source, "cat-file", "blob", self.blob)


@dataclass(frozen=True)
class Result:
    """What one engine made of one sample, and what that cost."""

    sample: Sample
    verdict: Verdict
    cpu_seconds: float
    wall_seconds: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--malicious", type=Path, help="bare clone of a collection with NAME/VERSION/ARCHIVE")
    parser.add_argument("--names", type=Path, help="parquet file whose column `package` names those to take")
    parser.add_argument("--benign", type=Path, help="folder of archives")
    parser.add_argument("--guarddog", type=Path, help="the program; without it only Fumehood runs")
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm/fumehood-bench"), help="folder on a tmpfs")
    parser.add_argument("--limit", type=int, default=60, help="packages of each kind, chosen by hash of their names")
    options = parser.parse_args(arguments)
    if None in {options.malicious, options.names, options.benign}:
        print("skipped: it needs --malicious, --names and --benign; see python -m bench packages --help")
        return
    samples = [
        *_chosen(_malicious(options.malicious, options.names), options.limit),
        *_chosen(_benign(options.benign), options.limit),
    ]
    with memory_folder(options.memory) as folder:
        rows = asyncio.run(_fumehood(samples, folder))
        if options.guarddog:
            rows["GuardDog"] = [_guarddog(sample, options.guarddog, folder) for sample in _told("GuardDog", samples)]
    _print(rows)
    if options.guarddog:
        cpu = _children_seconds()
        version = subprocess.run([options.guarddog, "--version"], capture_output=True, text=True, check=True).stdout
        cpu = _children_seconds() - cpu
        print(
            f"GuardDog {version.strip()}; its start is {cpu:.2f} of its processor seconds, Fumehood has started before"
        )


async def _fumehood(samples: list[Sample], folder: Path) -> dict[str, list[Result]]:
    engine = await ScanEngine.start(EngineSettings(work_dir=folder))
    model = next((info for info in engine.detectors if info.name == "script-threat"), None)
    if model is not None:
        print(f"script-threat {model.version}, model {(model.model_sha256 or '')[:12]}, {model.provider}")
    weighed, plain = [], []
    try:
        for sample in _told("Fumehood", samples):
            with memory_file(folder, sample.name, sample.read()) as path:
                wall, cpu = time.monotonic(), _cpu_seconds()
                document = await engine.scan(
                    path, name=path.name, scan_id="", submission_id="", budget_seconds=_TIME_LIMIT_SECONDS
                )
                cost = (_cpu_seconds() - cpu, time.monotonic() - wall)
            weighed.append(Result(sample, document.verdict, *cost))
            plain.append(Result(sample, _worst_of_files(document), *cost))
    finally:
        await engine.close()
    return {"Fumehood": weighed, "  worst of files": plain}


def _worst_of_files(document: ScanDocument) -> Verdict:
    """Return the verdict as it would be if no file were weighed by its role."""
    said = (
        finding.weighed_from or finding.verdict
        for artifact in document.artifacts
        for finding in artifact.findings
        if not finding.shadow and finding.detector.name != PACKAGE.name
    )
    return worst(verdict for verdict in said if verdict in _FLAGGED)


def _guarddog(sample: Sample, program: Path, folder: Path) -> Result:
    with memory_file(folder, sample.name, sample.read()) as path:
        kind = "npm" if path.name.endswith(".tgz") else "pypi"
        command = [program.absolute(), kind, "scan", path, "--output-format", "json"]
        surroundings = os.environ | {"TMPDIR": str(path.parent), "HOME": str(path.parent)}
        wall, cpu = time.monotonic(), _children_seconds()
        done = subprocess.run(
            command, capture_output=True, env=surroundings, timeout=_TIME_LIMIT_SECONDS, check=False, cwd=folder
        )
        cost = (_children_seconds() - cpu, time.monotonic() - wall)
    try:
        label = json.loads(done.stdout)["risk_score"]["label"]
    except (ValueError, KeyError, TypeError):
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        print(f"GuardDog gives no result for {sample.name}: {lines[-1][:200]}", file=sys.stderr)
        label = "none"
    return Result(sample, _GUARDDOG_VERDICTS.get(label, Verdict.UNKNOWN), *cost)


def _print(rows: dict[str, list[Result]]) -> None:
    columns = "{:<18}{:>10}{:>11}{:>10}{:>11}{:>12}{:>12}{:>10}"
    print(columns.format("", "malicious", "", "benign", "", "CPU s each", "CPU s each", "s each"))
    print(columns.format("", "flagged", "malicious", "flagged", "malicious", "malicious", "benign", "all"))
    for name, results in rows.items():
        bad = [result for result in results if result.sample.malicious]
        good = [result for result in results if not result.sample.malicious]
        counts = (
            count for part in (bad, good) for count in (_count(part, _FLAGGED), _count(part, {Verdict.MALICIOUS}))
        )
        costs = (f"{_mean(one.cpu_seconds for one in part):.2f}" for part in (bad, good))
        print(columns.format(name, *counts, *costs, f"{_mean(one.wall_seconds for one in results):.2f}"))
    for name, results in rows.items():
        alarms = [one for one in results if not one.sample.malicious and one.verdict in _FLAGGED]
        missed = [one for one in results if one.sample.malicious and one.verdict not in _FLAGGED]
        print(f"{name.strip()}, flagged: {', '.join(f'{one.sample.name} ({one.verdict})' for one in alarms) or 'none'}")
        print(f"{name.strip()}, missed: {', '.join(one.sample.name for one in missed) or 'none'}")


def _count(results: list[Result], verdicts: set[Verdict]) -> str:
    return f"{sum(result.verdict in verdicts for result in results)}/{len(results)}"


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / max(1, len(found))


def _malicious(clone: Path, names: Path) -> Iterator[Sample]:
    wanted = {name for name in pyarrow.parquet.read_table(names, columns=["package"])[0].to_pylist() if name}
    for line in _git(clone, "ls-tree", "-r", "-z", "HEAD").decode(errors="replace").split("\0"):
        facts, _, path = line.partition("\t")
        package, _, archive = path.rpartition("/")
        if package in wanted and archive.endswith(ENDINGS):
            yield Sample(archive, malicious=True, source=clone, blob=facts.split()[2])


def _benign(folder: Path) -> Iterator[Sample]:
    return (Sample(path.name, malicious=False, source=path) for path in folder.iterdir() if path.name.endswith(ENDINGS))


def _chosen(samples: Iterable[Sample], limit: int) -> list[Sample]:
    return sorted(samples, key=lambda sample: hashlib.sha256(sample.name.encode()).digest())[:limit]


def _told(engine: str, samples: list[Sample]) -> Iterator[Sample]:
    """Yield the samples and say on the terminal how far it is."""
    for number, sample in enumerate(samples, 1):
        if sys.stderr.isatty():
            print(f"\r\x1b[K{engine}: {number} of {len(samples)}, {sample.name}", end="", file=sys.stderr, flush=True)
        yield sample
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)


@contextmanager
def memory_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder that only its owner reads and that never touches a disk."""
    folder.mkdir(mode=0o700, exist_ok=True)
    kind = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True).stdout.strip()
    if kind != "tmpfs" or folder.stat().st_mode & 0o077 or any(folder.iterdir()):
        sys.exit(f"{folder} must be an empty folder on a tmpfs with mode 0700")
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def memory_file(folder: Path, name: str, content: bytes) -> Iterator[Path]:
    """Give a file in a folder of `memory_folder` for a while; whatever was left beside it is removed, too."""
    inner = folder / "sample"
    inner.mkdir(mode=0o700)
    path = inner / name
    path.write_bytes(content)
    try:
        yield path
    finally:
        shutil.rmtree(inner)


def _git(clone: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", clone, *arguments], capture_output=True, check=True).stdout


def _cpu_seconds() -> float:
    """Return the processor time of this process and of its living children, the sandbox."""
    spent = time.process_time() + _children_seconds()
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            spent += times.user + times.system
    return spent


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
