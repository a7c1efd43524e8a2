"""Fixtures of the end-to-end tests: both installations, a signed-in API client, a browser page.

`stack` and `up` are started once and shared; a test that kills something starts it again. For an installation
with settings of its own: `running_stack(servers, tmp_path, {...})` or `running_up(tmp_path, {...})`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from pathlib import Path

import pytest
from installations import Installation, Servers, Stack, UpStack, running_stack, running_up
from playwright.async_api import Browser, Page, async_playwright
from webhooks import SETTINGS, WebhookReceiver, webhook_receiver

from shared.testing.servers import ObjectServer, PostgresServer, RabbitServer, RedisServer

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Chromium calls home when idle; a test run must not need a network.
BROWSER_FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]
SCREENSHOTS = Path(__file__).resolve().parents[2] / "test-results"


@pytest.fixture(scope="session")
def servers(
    postgres_server: PostgresServer,
    rabbit_server: RabbitServer,
    redis_server: RedisServer,
    object_server: ObjectServer,
) -> Servers:
    return Servers(postgres_server, rabbit_server, redis_server, object_server)


@pytest.fixture(scope="session")
def stack(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Six processes on real servers."""
    with running_stack(servers, tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpStack]:
    """`fumehood up` on embedded backends."""
    with running_up(tmp_path_factory.mktemp("up")) as running:
        yield running


@pytest.fixture
def own_settings() -> Mapping[str, str]:
    """What `own_installation` is started with; a module with other wishes has a fixture of this name."""
    return SETTINGS


@pytest.fixture(params=["rabbitmq", "embedded"])
def own_installation(
    request: pytest.FixtureRequest, own_settings: Mapping[str, str], tmp_path: Path
) -> Iterator[Installation]:
    """An installation that nobody else uses, on each of the two bus transports."""
    if request.param == "rabbitmq":
        with running_stack(request.getfixturevalue("servers"), tmp_path, own_settings) as stack:
            yield stack
    else:
        with running_up(tmp_path, own_settings) as up:
            yield up


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """A receiver of webhooks that the settings of `own_installation` allow."""
    with webhook_receiver() as running:
        yield running


@pytest.fixture(params=["stack", "up"])
def installation(request: pytest.FixtureRequest) -> Installation:
    """Each installation in turn: the test runs on both."""
    running: Installation = request.getfixturevalue(request.param)
    return running


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium of this test's own."""
    program = os.environ.get("FUMEHOOD_TEST_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.fail("There is no Chromium: install it, or name one in FUMEHOOD_TEST_CHROMIUM.", pytrace=False)
    flags = [*BROWSER_FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=flags)
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """An empty page, 1280 pixels wide. The test fails on a script error or a broken content security policy."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = await context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if "Content Security Policy" in line.text else None)
    yield page
    report = request.node.stash.get(CALL_REPORT, None)
    if report is not None and report.failed:
        SCREENSHOTS.mkdir(exist_ok=True)
        await page.screenshot(path=SCREENSHOTS / f"{request.node.name}.png", full_page=True)
    await context.close()
    assert problems == []


CALL_REPORT = pytest.StashKey[pytest.TestReport]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the processes' logs where a test fails."""
    report = yield
    if report.when == "call":
        item.stash[CALL_REPORT] = report
    if report.failed:
        for fixture in getattr(item, "funcargs", {}).values():
            if isinstance(fixture, Installation):
                report.sections += [(f"log of {name}", text) for name, text in fixture.logs().items()]
    return report
