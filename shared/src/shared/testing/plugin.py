"""The pytest plugin of every member: which tests may open sockets and how long a test may take."""

import pytest

TIMEOUT_SECONDS = {"integration": 120, "e2e": 300}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give integration and e2e tests the network and a longer timeout; all others have neither."""
    for item in items:
        for name, seconds in TIMEOUT_SECONDS.items():
            if item.get_closest_marker(name) is None:
                continue
            item.add_marker(pytest.mark.enable_socket)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(seconds))
