"""Verdicts on malicious scripts as they are and in base64, behind a line that decodes and runs them.

A model alone sees little of what is encoded; the engine decodes it and looks again. The scripts are the malicious
rows of a data file as `fumehood detectors evaluate` takes it, bodies XOR 0xA5. They are decoded in memory, never run,
and lie one at a time in --memory alone, which must be a tmpfs.

    python -m bench wrapped --data scripts-val.parquet --memory /dev/shm/bench
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.packages import memory_file, memory_folder
from cli.labelled import BodyEncoding, LabelledFiles
from scanner.config import EngineSettings
from scanner.engine import ScanEngine
from shared.scan import Verdict

_FORMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "python": ("x.py", ("import base64\nexec(base64.b64decode('%s'))\n",)),
    "javascript": ("x.js", ("eval(atob('%s'));", "new Function(Buffer.from('%s', 'base64').toString())();")),
    "powershell": ("x.ps1", ("iex ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('%s')))",)),
    "php": ("x.php", ("<?php eval(base64_decode('%s')); ?>", "<?php $c = '%s'; assert(base64_decode($c));")),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="parquet file with sha256, label, language, body")
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm/fumehood-bench"), help="folder on a tmpfs")
    parser.add_argument("--limit", type=int, default=200, help="scripts, chosen at random but the same each time")
    options = parser.parse_args(arguments)
    if options.data is None:
        print("skipped: it needs --data; see python -m bench wrapped --help")
        return
    rows = LabelledFiles([options.data], BodyEncoding.XOR_A5, ["body", "label", "language"])
    scripts = [(row.language, row.body) for row in rows if row.label == 1 and row.language in _FORMS]
    rng = random.Random(3)
    with memory_folder(options.memory) as folder:
        _print(asyncio.run(_verdicts(rng.sample(scripts, min(options.limit, len(scripts))), folder, rng)))


async def _verdicts(
    scripts: list[tuple[str, bytes]], folder: Path, rng: random.Random
) -> Counter[tuple[Verdict, Verdict]]:
    engine = await ScanEngine.start(EngineSettings(work_dir=folder))
    pairs: Counter[tuple[Verdict, Verdict]] = Counter()
    try:
        for language, script in scripts:
            name, forms = _FORMS[language]
            wrapped = rng.choice(forms).replace("%s", base64.b64encode(script).decode()).encode()
            pairs[await _verdict(engine, folder, name, script), await _verdict(engine, folder, name, wrapped)] += 1
    finally:
        await engine.close()
    return pairs


async def _verdict(engine: ScanEngine, folder: Path, name: str, script: bytes) -> Verdict:
    with memory_file(folder, name, script) as path:
        return (await engine.scan(path, name=name, scan_id="bench", submission_id="bench")).verdict


def _print(pairs: Counter[tuple[Verdict, Verdict]]) -> None:
    print(f"{'as it is':<12}" + "".join(f"{f'-> {verdict}':>14}" for verdict in Verdict))
    for before in Verdict:
        print(f"{before:<12}" + "".join(f"{pairs[before, after]:>14}" for after in Verdict))
