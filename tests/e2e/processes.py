"""Real processes under test: started with an environment of their own, waited for, killed, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import pytest

READY_SECONDS = 60
STOP_SECONDS = 40
ORPHAN_SECONDS = 15
LINE_LENGTH = 1000  # of a log line in a failure; tracebacks are one line there
BIN = Path(sys.executable).parent


class ManagedProcess:
    """One program: its command, its settings, and everything it printed."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        program = BIN / command[0]
        self._command = [str(program) if program.exists() else command[0], *command[1:]]
        # Nothing of the developer's own settings gets in.
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("FUMEHOOD_", "AWS_", "OTEL_"))}
        self._environment = {**kept, **environment, "PYTHONUNBUFFERED": "1"}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id. Fails the test if the process is not running."""
        assert self._process is not None, f"{self.name} is not running"
        assert self._process.poll() is None, f"{self.name} has ended\n{self.log_tail()}"
        return self._process.pid

    def start(self) -> None:
        """Start it; what it prints is added to the log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_ready(self, url: str, seconds: float = READY_SECONDS) -> None:
        """Return when `/readyz` says so. Fails the test with the log if that takes too long."""
        deadline = time.monotonic() + seconds
        answer = "no answer"
        while time.monotonic() < deadline and self._is_running():
            try:
                response = httpx.get(f"{url}/readyz", timeout=10)
            except httpx.TransportError:
                pass
            else:
                if response.is_success:
                    return
                answer = response.text
            time.sleep(0.05)
        pytest.fail(f"{self.name} is not ready ({answer}). Its log:\n{self.log_tail()}", pytrace=False)

    def kill(self) -> None:
        """End it with SIGKILL. Fails the test if what it had started does not end by itself."""
        process, self._process = self._process, None
        assert process is not None, f"{self.name} is not running"
        process.kill()
        process.wait()
        deadline = time.monotonic() + ORPHAN_SECONDS
        while _group_exists(process.pid):
            if time.monotonic() > deadline:
                os.killpg(process.pid, signal.SIGKILL)
                pytest.fail(f"{self.name} was killed, but what it had started lives on", pytrace=False)
            time.sleep(0.05)

    def wait(self, seconds: float = READY_SECONDS) -> int:
        """Wait until it ends by itself; return its exit status."""
        assert self._process is not None, f"{self.name} is not running"
        process, self._process = self._process, None
        return process.wait(seconds)

    def stop(self) -> int:
        """Ask it to end (SIGTERM) and return its exit status. Fails the test if it does not."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.terminate()
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            pytest.fail(f"{self.name} did not end within {STOP_SECONDS} seconds\n{self.log_tail()}", pytrace=False)

    def log_tail(self, lines: int = 60) -> str:
        """Return the end of what it printed."""
        return "\n".join(line[:LINE_LENGTH] for line in self.log.read_text(errors="replace").splitlines()[-lines:])

    def _is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
