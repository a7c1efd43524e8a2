"""RabbitMQ: a virtual host of its own for each test that asks.

Virtual hosts are made through the management API where it answers, else through rabbitmqctl (as root).
"""

import os
import shutil
import socket
import subprocess
import time
from typing import Protocol
from urllib.parse import quote, urlsplit, urlunsplit

import httpx

from shared.testing.servers.naming import PREFIX, STALE_SECONDS, fail_for_missing, new_name

VARIABLE = "FUMEHOOD_TEST_BUS_URL"
MANAGEMENT_VARIABLE = "FUMEHOOD_TEST_BUS_MANAGEMENT_URL"
DEFAULT_URL = "amqp://guest:guest@127.0.0.1:5672/"
DEFAULT_MANAGEMENT_URL = "http://127.0.0.1:15672"
BATCH = 8


class VirtualHosts(Protocol):
    """What makes and removes virtual hosts."""

    def add(self, names: list[str]) -> None:
        """Make these virtual hosts, open to the user of the bus URL."""

    def delete(self, names: list[str]) -> None:
        """Remove these virtual hosts and all that is in them."""


class ManagementApi:
    """Virtual hosts through the HTTP API of the management plugin."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url
        self._user = user
        self._password = password

    def answers(self) -> bool:
        """Tell whether the plugin is there and lets this user in."""
        try:
            with self._client() as client:
                return client.get("/api/vhosts").is_success
        except httpx.HTTPError:
            return False

    def add(self, names: list[str]) -> None:
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        with self._client() as client:
            for name in names:
                client.put(f"/api/vhosts/{name}").raise_for_status()
                client.put(f"/api/permissions/{name}/{self._user}", json=everything).raise_for_status()

    def delete(self, names: list[str]) -> None:
        with self._client() as client:
            for name in names:
                client.delete(f"/api/vhosts/{name}").raise_for_status()

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self._url, auth=(self._user, self._password), timeout=30)


class ControlCommand:
    """Virtual hosts through rabbitmqctl: one call, however many, since each starts an Erlang machine."""

    def __init__(self, user: str) -> None:
        self._user = user
        self._stale_removed = False

    def add(self, names: list[str]) -> None:
        steps = []
        if not self._stale_removed:
            steps.append(self._stale())
            self._stale_removed = True
        for name in names:
            steps.append(f'ok = rabbit_vhost:add(<<"{name}">>, <<"tests">>)')
            steps.append(
                f'ok = rabbit_auth_backend_internal:set_permissions(<<"{self._user}">>, <<"{name}">>, '
                '<<".*">>, <<".*">>, <<".*">>, <<"tests">>)'
            )
        self._evaluate(steps)

    def delete(self, names: list[str]) -> None:
        self._evaluate([f'rabbit_vhost:delete(<<"{name}">>, <<"tests">>)' for name in names])

    def _stale(self) -> str:
        # Names carry the time they were made at, in ten digits.
        return (
            f'[rabbit_vhost:delete(V, <<"tests">>) || <<"{PREFIX}", T:10/binary, _/binary>> = V '
            f"<- rabbit_vhost:list_names(), binary_to_integer(T) < {int(time.time()) - STALE_SECONDS}]"
        )

    def _evaluate(self, steps: list[str]) -> None:
        done = subprocess.run(  # noqa: S603 - our own words, no shell
            [shutil.which("rabbitmqctl") or "/usr/sbin/rabbitmqctl", "eval", f"{', '.join([*steps, 'done'])}."],
            env={**os.environ, "ERL_EPMD_ADDRESS": "127.0.0.1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or "done" not in done.stdout:
            raise RuntimeError(f"rabbitmqctl eval: {done.stdout}{done.stderr}")


class RabbitServer:
    """A broker on which we may create virtual hosts."""

    def __init__(self) -> None:
        self._url = os.environ.get(VARIABLE, DEFAULT_URL)
        self._spare: list[str] = []
        self._made: list[str] = []
        self._virtual_hosts: VirtualHosts

    def start(self) -> None:
        """Make sure that the broker can be used. Fails the test if not."""
        parts = urlsplit(self._url)
        try:
            with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 5672), timeout=10):
                pass
        except OSError as error:
            fail_for_missing("RabbitMQ", self._url, VARIABLE, error)
        user = parts.username or "guest"
        management_url = os.environ.get(MANAGEMENT_VARIABLE, DEFAULT_MANAGEMENT_URL)
        management = ManagementApi(management_url, user, parts.password or "guest")
        if management.answers():
            self._virtual_hosts = management
        elif shutil.which("rabbitmqctl", path=f"{os.environ['PATH']}:/usr/sbin"):
            self._virtual_hosts = ControlCommand(user)
        else:
            reason = "neither its management API nor rabbitmqctl is there to make virtual hosts"
            fail_for_missing("RabbitMQ", management_url, MANAGEMENT_VARIABLE, reason)

    def create_virtual_host(self) -> str:
        """Return the URL of an empty virtual host."""
        if not self._spare:
            self._spare = [new_name() for _ in range(BATCH)]
            self._virtual_hosts.add(self._spare)
            self._made += self._spare
        parts = urlsplit(self._url)
        return urlunsplit(parts._replace(path=f"/{quote(self._spare.pop(), safe='')}"))

    def stop(self) -> None:
        """Remove every virtual host that was created here."""
        if self._made:
            self._virtual_hosts.delete(self._made)
        self._made.clear()
