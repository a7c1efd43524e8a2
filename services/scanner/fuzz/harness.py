"""Fuzzing of the unpackers: any bytes in, and out comes an honest answer.

`make fuzz` or `python services/scanner/fuzz/harness.py SECONDS [UNPACKER ...]`. Each folder of
`corpus/`, one an unpacker, gets its share of the time in a process of its own: first its seeds, then
what atheris (libFuzzer) makes of them. What fails is written to `build/fuzz` and named at the end; after
the fix it belongs into the corpus, which the tests replay.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from pathlib import Path

import atheris

CORPUS = Path(__file__).parent / "corpus"
FINDINGS = Path(__file__).resolve().parents[3] / "build" / "fuzz"
_MAX_INPUT_BYTES = 64 * 1024
_SLOW_SECONDS = 20
_INSTRUMENTED = ["scanner.unpackers", "email", "html", "olefile", "py7zr", "pycdlib", "pyzipper", "tarfile", "zipfile"]
# What the sandbox allows, so that an input which would only hit that limit is no finding.
_MEMORY_MEBIBYTES = 2048


def main() -> None:
    """Fuzz for the seconds given, all unpackers or those named."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    names = sys.argv[2:] or sorted(folder.name for folder in CORPUS.iterdir())
    share = max(1, int(seconds / len(names)))
    failed = []
    for name in names:
        started = time.monotonic()
        process = multiprocessing.get_context("spawn").Process(target=_fuzz, args=(name, share))
        process.start()
        process.join()
        print(f"{name}: {time.monotonic() - started:.0f} s, {'ok' if process.exitcode == 0 else 'FAILED'}", flush=True)
        if process.exitcode != 0:
            failed.append(name)
    if failed:
        sys.exit(f"findings in {FINDINGS} for: {', '.join(failed)}")


def _fuzz(name: str, seconds: int) -> None:
    """Run libFuzzer on one unpacker; it ends the process itself."""
    with atheris.instrument_imports(include=_INSTRUMENTED):
        from oracle import check  # noqa: PLC0415 -- imported here to be instrumented
    grown = FINDINGS / "corpus" / name
    grown.mkdir(parents=True, exist_ok=True)
    arguments = [
        sys.argv[0], f"-max_total_time={seconds}", f"-max_len={_MAX_INPUT_BYTES}", f"-timeout={_SLOW_SECONDS}",
        f"-rss_limit_mb={_MEMORY_MEBIBYTES}", f"-artifact_prefix={FINDINGS}/{name}-", "-verbosity=0",
        str(grown), str(CORPUS / name),
    ]  # fmt: skip
    atheris.Setup(arguments, lambda data: check(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
