"""Files per second over the API next to the same files through `fumehood scan`.

Baseline: `fumehood scan` on the same files, in the same run, on the same machine. What the
service adds (HTTP, storage, databases, bus, recording) is the distance between the two.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

MAX_FILE_BYTES = 16 * 1024
EMAIL, PASSWORD = "bench@example.com", "correct horse battery staple"
FUMEHOOD = str(Path(sys.executable).with_name("fumehood"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=500, help="how many small files")
    parser.add_argument("--in-flight", type=int, default=16, help="uploads at once")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        files = _make_files(Path(folder) / "files", options.files)
        scan_seconds = _time_scan(files[0].parent)
        with _running_up(Path(folder) / "data") as (address, process, ready_seconds):
            time.sleep(2)
            idle_bytes = _resident_bytes(process.pid)
            accept_seconds, total_seconds = asyncio.run(_time_api(address, files, options.in_flight))
            busy_bytes = _resident_bytes(process.pid)
    count = len(files)
    print(f"{count} files of at most {MAX_FILE_BYTES} bytes")
    print(f"fumehood scan            {count / scan_seconds:7.1f} files/s   (baseline, process start included)")
    print(f"API, accepted (202)      {count / accept_seconds:7.1f} files/s")
    ratio = scan_seconds / total_seconds
    print(f"API, all verdicts there  {count / total_seconds:7.1f} files/s   {ratio:.2f} of baseline")
    print(
        f"fumehood up: ready after {ready_seconds:.1f} s, resident {idle_bytes / 2**20:.0f} MiB idle, "
        f"{busy_bytes / 2**20:.0f} MiB after the run (all processes)"
    )


def _make_files(folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True)
    sources = sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py"))
    files: list[Path] = []
    for source in sources:
        data = source.read_bytes()[:MAX_FILE_BYTES]
        if len(files) == count:
            break
        if len(data) < 200:
            continue
        path = folder / f"{len(files):05d}-{source.name}"
        path.write_bytes(data)
        files.append(path)
    return files


def _time_scan(folder: Path) -> float:
    started = time.monotonic()
    done = subprocess.run([FUMEHOOD, "scan", "--json", str(folder)], stdout=subprocess.DEVNULL, check=False)
    if done.returncode not in {0, 1}:
        sys.exit("fumehood scan failed; its messages are above")
    return time.monotonic() - started


@contextmanager
def _running_up(data: Path) -> Iterator[tuple[str, subprocess.Popen[bytes], float]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "FUMEHOOD_PORT": str(port),
        "FUMEHOOD_DATA_DIR": str(data),
        "FUMEHOOD_ADMIN_EMAIL": EMAIL,
        "FUMEHOOD_ADMIN_PASSWORD": PASSWORD,
        "FUMEHOOD_UPLOADS_PER_MINUTE": "1000000",
        "FUMEHOOD_REQUESTS_PER_MINUTE": "1000000",
    }
    started = time.monotonic()
    process = subprocess.Popen([FUMEHOOD, "up"], env=environment, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            if process.poll() is not None:
                sys.exit("fumehood up ended; its messages are above")
            try:
                if httpx.get(f"{address}/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        yield address, process, time.monotonic() - started
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _resident_bytes(pid: int) -> int:
    process = psutil.Process(pid)
    return sum(part.memory_info().rss for part in [process, *process.children(recursive=True)])


async def _time_api(address: str, files: list[Path], in_flight: int) -> tuple[float, float]:
    limits = httpx.Limits(max_connections=in_flight)
    async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as http:
        answer = await http.post("/api/v1/auth/token", data={"username": EMAIL, "password": PASSWORD})
        http.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
        gate = asyncio.Semaphore(in_flight)

        async def post(path: Path) -> str:
            async with gate:
                data = await asyncio.to_thread(path.read_bytes)
                answer = await http.post("/api/v1/files", files={"file": (path.name, data)})
                return str(answer.raise_for_status().json()["id"])

        async def wait(submission_id: str) -> None:
            async with gate:
                while True:
                    answer = await http.get(f"/api/v1/submissions/{submission_id}", params={"wait": 30})
                    if answer.raise_for_status().json()["status"] in {"completed", "failed", "expired"}:
                        return

        started = time.monotonic()
        ids = await asyncio.gather(*(post(path) for path in files))
        accepted = time.monotonic() - started
        await asyncio.gather(*(wait(submission_id) for submission_id in ids))
        return accepted, time.monotonic() - started


if __name__ == "__main__":
    main()
