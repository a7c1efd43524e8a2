"""Both ways of running start, answer and stop as they should."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import psutil
import pytest
from installations import ADMINISTRATOR, Installation, Servers, Stack, UpStack, running_stack, running_up, wait_for

from shared.testing.deployment import SERVICES

pytestmark = pytest.mark.e2e


def test_all_services_are_alive_and_ready(stack: Stack) -> None:
    for service in SERVICES:
        assert httpx.get(f"{stack.address(service)}/healthz").json() == {"status": "alive"}
        assert httpx.get(f"{stack.address(service)}/readyz").json() == {"status": "ready"}


def test_administrator_signs_in(installation: Installation) -> None:
    with installation.api() as api:
        assert api.get("/api/v1/submissions").status_code == 200


def test_six_processes_stop_cleanly(servers: Servers, tmp_path: Path) -> None:
    with running_stack(servers, tmp_path) as stack:
        statuses = stack.stop()
    assert statuses == dict.fromkeys(SERVICES, 0)
    for name, log in stack.logs().items():
        assert "Application shutdown complete" in log, name
        assert '"level": "error"' not in log, log


def test_up_prints_its_address_and_a_sign_in_link(tmp_path: Path) -> None:
    with running_up(tmp_path, {"FUMEHOOD_ADMIN_EMAIL": "", "FUMEHOOD_ADMIN_PASSWORD": ""}) as up:
        address = up.url.replace("127.0.0.1", "localhost")
        wait_for("the address is printed", lambda: f"ready at {address}" in up.process.log.read_text(), 10)
        wait_for("a link is printed", lambda: re.search(rf"{address}/\S+", up.process.log.read_text()), 10)


def test_up_starts_again_and_finds_everything(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        with up.api() as api:
            accepted = api.post("/api/v1/files", files={"file": ("hello.txt", b"hello, world\n")}).json()
            before = api.get(f"/api/v1/submissions/{accepted['id']}", params={"wait": 30}).json()
        up.stop()

        up.start()
        with up.api() as api:
            assert api.get(f"/api/v1/submissions/{accepted['id']}").json() == before


def test_up_stops_cleanly_and_leaves_no_process(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        children = psutil.Process(up.process.pid).children(recursive=True)
        assert up.stop() == 0
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


def test_up_refuses_a_port_that_is_taken(up: UpStack, tmp_path: Path) -> None:
    second = UpStack(tmp_path, {"FUMEHOOD_PORT": up.url.rsplit(":", 1)[1]})
    second.process.start()
    assert second.process.wait() == 2
    assert "FUMEHOOD_PORT" in second.process.log_tail()


def test_api_refuses_a_wrong_password(installation: Installation) -> None:
    form = {"username": ADMINISTRATOR[0], "password": "wrong"}
    answer = httpx.post(f"{installation.url}/api/v1/auth/token", data=form)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
