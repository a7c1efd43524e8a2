"""A browser stays signed in when the one-process installation is killed and started again."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from installations import ADMINISTRATOR, running_up

pytestmark = pytest.mark.e2e


def test_a_restart_signs_nobody_out(tmp_path: Path) -> None:
    with running_up(tmp_path) as up, httpx.Client(base_url=up.url, headers={"Accept": "text/html"}) as browser:
        token = re.search('name="csrf-token" content="([^"]+)"', browser.get("/sign-in").text)
        assert token is not None
        form = {"csrf_token": token[1], "email": ADMINISTRATOR[0], "password": ADMINISTRATOR[1]}
        assert browser.post("/sign-in", data=form).status_code == 303
        before = browser.get("/settings")
        assert before.status_code == 200

        up.kill("up")
        up.start()

        after = browser.get("/settings")
        assert after.status_code == 200
        # A page that was open at the time still works, too.
        csrf = re.search('name="csrf-token" content="([^"]+)"', before.text)
        assert csrf is not None
        assert browser.post("/sign-out", data={"csrf_token": csrf[1]}).status_code == 303
        assert browser.get("/settings").status_code == 303
