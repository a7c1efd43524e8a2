from __future__ import annotations

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


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=50)


def test_a_thread_that_never_ends_does_not_keep_the_process() -> None:
    done = run(BUSY_FOREVER)
    assert (done.returncode, done.stdout) == (7, "asked to end\n"), done.stderr


def test_a_process_without_busy_threads_ends_as_usual() -> None:
    done = run(NOTHING_LEFT)
    assert (done.returncode, done.stdout) == (0, "the usual end\n"), done.stderr
