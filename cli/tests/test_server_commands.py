"""`fumehood admin rescan` and `detectors compare` where nothing answers, and what makes no sense."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shared.clients import RescanJob, RescanState, ScanFilter
from shared.clock import now

FUMEHOOD = Path(sys.executable).with_name("fumehood")


def fumehood(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FUMEHOOD_")}
    environment = {**kept, "FUMEHOOD_DATA_DIR": str(data), "FUMEHOOD_PORT": "9"}
    command = [str(FUMEHOOD), "admin", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=50, env=environment, stdin=subprocess.DEVNULL
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rescan"], "--all"),
        (["rescan", "--all", "--verdict", "clean"], "Say which submissions"),
        (["rescan", "--verdict", "nice"], "--verdict cannot be used"),
        (["rescan", "--sha256", "xyz"], "--sha256 cannot be used"),
        (["rescan", "--continue", "--cancel"], "Either --continue or --cancel"),
        (["rescan", "--continue", "--all"], "leave the other options out"),
    ],
)
def test_what_makes_no_sense_is_one_clear_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = fumehood(tmp_path, *arguments)

    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["rescan", "--all"], ["detectors", "compare", "x"], ["detectors", "compare"]])
def test_without_an_installation_it_says_what_to_set_and_makes_none(tmp_path: Path, arguments: list[str]) -> None:
    done = fumehood(tmp_path / "nothing", *arguments)

    assert done.returncode == 2
    assert "FUMEHOOD_DATA_DIR" in done.stderr
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("arguments", [["rescan", "--all"], ["detectors", "compare", "x"]])
def test_a_server_that_is_away_is_one_clear_line(tmp_path: Path, arguments: list[str]) -> None:
    done = fumehood(tmp_path, *arguments, "--server", "http://127.0.0.1:9", "--token", "x")

    assert done.returncode == 2
    assert "does not answer" in done.stderr


class SlowServer(ThreadingHTTPServer):
    """A server at which a job has begun, or goes on, well before the answer that says so."""

    def __init__(self, state: RescanState) -> None:
        super().__init__(("127.0.0.1", 0), SlowAnswers)
        self.state = state
        self.working = threading.Event()
        self.may_answer = threading.Event()


class SlowAnswers(BaseHTTPRequestHandler):
    server: SlowServer

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/pause"):
            self.server.state = RescanState.PAUSED
        elif not self.path.endswith("/estimate"):
            self.server.state = RescanState.RUNNING
            self.server.working.set()
            self.server.may_answer.wait(30)
        self.answer()

    def answer(self) -> None:
        job = RescanJob(
            id="1",
            user_id="1",
            state=self.server.state,
            filters=ScanFilter(),
            created_at=now(),
            total=3,
            requested=1,
            ended=1,
            changed=0,
            unfinished=0,
            gone=0,
        )
        content = json.dumps({"submissions": 3} | job.model_dump(mode="json")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.enable_socket
@pytest.mark.parametrize("arguments", [["--all"], ["--all", "--no-wait"], ["--continue"]])
def test_ctrl_c_before_the_server_has_answered_leaves_no_job_running(arguments: list[str]) -> None:
    with SlowServer(RescanState.PAUSED) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        # A shell that runs the tests behind it has them, and what they start, ignore Ctrl-C.
        command = ["env", "--default-signal=INT", str(FUMEHOOD), "admin", "rescan", *arguments]
        address = f"http://127.0.0.1:{server.server_port}"
        running = subprocess.Popen([*command, "--server", address, "--token", "x"], stderr=subprocess.PIPE, text=True)
        assert server.working.wait(30)
        running.send_signal(signal.SIGINT)
        time.sleep(2)
        server.may_answer.set()
        _, errors = running.communicate(timeout=30)
        server.shutdown()

    assert running.returncode == 130, errors
    assert "Paused at 1 of 3" in errors
    assert server.state is RescanState.PAUSED
