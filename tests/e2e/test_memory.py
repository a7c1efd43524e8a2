"""A file of a gigabyte goes through gateway and upload service without growing either."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from installations import Servers, running_stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

GIBIBYTE = 1 << 30
ALLOWED_BYTES = 64 << 20
BLOCK = bytes(range(256)) * 1024


def body(boundary: str) -> Iterator[bytes]:
    yield (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    for _ in range(GIBIBYTE // len(BLOCK)):
        yield BLOCK
    yield f"\r\n--{boundary}--\r\n".encode()


class Watch(threading.Thread):
    """Keeps the highest resident size of each process."""

    def __init__(self, pids: dict[str, int]) -> None:
        super().__init__(daemon=True)
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self.before = self._resident()
        self.highest = dict(self.before)
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.05):
            for name, size in self._resident().items():
                self.highest[name] = max(self.highest[name], size)

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def _resident(self) -> dict[str, int]:
        return {name: process.memory_info().rss for name, process in self._processes.items()}


def test_a_gigabyte_does_not_raise_memory(servers: Servers, tmp_path: Path) -> None:
    settings = {"FUMEHOOD_MAX_FILE_BYTES": str(2 * GIBIBYTE)}
    with running_stack(servers, tmp_path, settings) as stack, stack.api() as api:
        api.post("/api/v1/files", files={"file": ("warm.txt", b"warm")})
        watch = Watch({name: stack.processes[name].pid for name in ("gateway", "upload")})
        watch.start()
        answer = api.post(
            "/api/v1/files",
            content=body("XX"),
            headers={"Content-Type": "multipart/form-data; boundary=XX"},
            timeout=httpx.Timeout(300),
        )
        watch.stop()

    assert answer.status_code == 202, answer.text
    grown = {name: watch.highest[name] - watch.before[name] for name in watch.before}
    assert all(size <= ALLOWED_BYTES for size in grown.values()), grown
