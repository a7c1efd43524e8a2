"""Names that tell one test run's databases, virtual hosts, buckets and keys from another's."""

import secrets
import socket
import time
from typing import NoReturn

import pytest

PREFIX = "fumehood_test_"
STALE_SECONDS = 6 * 3600


def new_name() -> str:
    """Return a name never used before; it carries the time, so that left-overs of killed runs can be found."""
    return f"{PREFIX}{int(time.time())}_{secrets.token_hex(4)}"


def is_stale(name: str) -> bool:
    """Tell whether the name is of a test run that must have ended long ago."""
    made = name.removeprefix(PREFIX).split("_")[0]
    return name.startswith(PREFIX) and made.isdigit() and time.time() - int(made) > STALE_SECONDS


def free_port() -> int:
    """Return a TCP port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def fail_for_missing(server: str, address: str, variable: str, error: object) -> NoReturn:
    """Fail the test with what to do about a server that cannot be used."""
    pytest.fail(
        f"{server} cannot be used at {address}: {error}\n"
        f"Start it (`scripts/test-servers pytest ...` does), or name another in {variable}.",
        pytrace=False,
    )
