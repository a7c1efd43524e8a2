"""Print which servers the tests could not use: `python -m shared.testing.servers postgres rabbitmq redis`."""

import sys
from typing import Protocol

import pytest

from shared.testing.servers import PostgresServer, RabbitServer, RedisServer


class Server(Protocol):
    """What all servers have."""

    def start(self) -> None:
        """Fail unless the server can be used."""


SERVERS: dict[str, type[Server]] = {"postgres": PostgresServer, "rabbitmq": RabbitServer, "redis": RedisServer}


def is_usable(server: Server) -> bool:
    """Tell whether the tests could use it."""
    try:
        server.start()
    except pytest.fail.Exception:
        return False
    return True


def main() -> None:
    """Print the names of the unusable servers, on one line."""
    print(*(name for name in sys.argv[1:] if not is_usable(SERVERS[name]())))  # noqa: T201 - for scripts/test-servers


if __name__ == "__main__":
    main()
