from __future__ import annotations

import os
import subprocess
import sys

BUSY_FOREVER = """
import threading
from shared.web import end_threads

threading.Thread(target=threading.Event().wait).start()
print("asked to end")
end_threads(7)
print("not reached")
"""
NOTHING_LEFT = """
import atexit
from shared.web import end_threads

atexit.register(print, "the usual end")
end_threads(7)
"""


SERVICE = """
from fastapi import FastAPI
from shared.settings import ServiceSettings
from shared.web import run_service

run_service(lambda settings: FastAPI(), ServiceSettings)
"""


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_a_thread_that_never_ends_does_not_keep_the_process() -> None:
    done = run(BUSY_FOREVER)
    assert (done.returncode, done.stdout) == (7, "asked to end\n"), done.stderr


def test_a_process_without_busy_threads_ends_as_usual() -> None:
    done = run(NOTHING_LEFT)
    assert (done.returncode, done.stdout) == (0, "the usual end\n"), done.stderr


def test_wrong_settings_are_named_without_their_values() -> None:
    done = run(SERVICE, FUMEHOOD_PORT="no-port", FUMEHOOD_LOG_FORMAT="no-format")
    first, second = done.stderr.splitlines()
    assert done.returncode == 2
    assert first.startswith("FUMEHOOD_PORT: ")
    assert second.startswith("FUMEHOOD_LOG_FORMAT: ")
    assert "no-" not in done.stderr


def test_what_production_lacks_is_named() -> None:
    done = run(SERVICE, FUMEHOOD_ENVIRONMENT="production")
    assert done.returncode == 2
    assert done.stderr.startswith("production needs FUMEHOOD_DATABASE_URL")
