"""Fumehood as it is run: six processes on real servers, or one process with nothing else."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from processes import BIN, ManagedProcess

from shared.testing.deployment import SERVICES, dockerfile_command
from shared.testing.servers import ObjectServer, PostgresServer, RabbitServer, RedisServer
from shared.testing.servers.naming import free_port

ROOT = Path(__file__).resolve().parents[2]
ADMINISTRATOR = ("admin@example.org", "correct horse battery staple 1")


@dataclass
class Installation:
    """What both ways of running have in common."""

    url: str
    processes: dict[str, ManagedProcess]

    @contextmanager
    def api(self) -> Iterator[httpx.Client]:
        """Give a client of the API, signed in as the administrator."""
        with httpx.Client(base_url=self.url, timeout=60) as client:
            form = {"username": ADMINISTRATOR[0], "password": ADMINISTRATOR[1]}
            answer = client.post("/api/v1/auth/token", data=form)
            assert answer.status_code == 200, answer.text
            client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            yield client

    def kill(self, service: str) -> None:
        """End the process that holds a service with SIGKILL."""
        self._holder(service).kill()

    def start(self, service: str) -> None:
        """Start the process that holds a service again and wait until it is ready."""
        raise NotImplementedError

    def logs(self) -> dict[str, str]:
        """Return the end of every log."""
        return {name: process.log_tail() for name, process in self.processes.items()}

    def _holder(self, service: str) -> ManagedProcess:
        return self.processes[service]


class Stack(Installation):
    """Six processes, started with the images' commands, on PostgreSQL, RabbitMQ, Redis and S3."""

    def __init__(self, environments: Mapping[str, Mapping[str, str]], folder: Path) -> None:
        self._ports = {name: int(environments[name]["FUMEHOOD_PORT"]) for name in SERVICES}
        processes = {
            name: ManagedProcess(
                name,
                dockerfile_command(ROOT / "services" / name / "Dockerfile"),
                environments[name],
                folder / f"{name}.log",
            )
            for name in SERVICES
        }
        super().__init__(self.address("gateway"), processes)

    def address(self, service: str) -> str:
        """Return the address of one service."""
        return f"http://127.0.0.1:{self._ports[service]}"

    def start(self, service: str) -> None:
        self.processes[service].start()
        self.processes[service].wait_until_ready(self.address(service))

    def start_all(self) -> None:
        """Start all six at once and wait for each."""
        for process in self.processes.values():
            process.start()
        for name, process in self.processes.items():
            process.wait_until_ready(self.address(name))

    def stop(self) -> dict[str, int]:
        """Stop all six; return their exit statuses."""
        statuses: dict[str, int] = {}

        def stop(name: str) -> None:
            statuses[name] = self.processes[name].stop()

        with ExitStack() as all_of_them:  # one that does not end keeps none of the others alive
            for name in self.processes:
                all_of_them.callback(stop, name)
        return statuses


class UpStack(Installation):
    """`fumehood up`: one process on embedded backends, its data in a directory."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        port = free_port()
        environment = {
            "FUMEHOOD_PORT": str(port),
            "FUMEHOOD_DATA_DIR": str(folder / "data"),
            "FUMEHOOD_ADMIN_EMAIL": ADMINISTRATOR[0],
            "FUMEHOOD_ADMIN_PASSWORD": ADMINISTRATOR[1],
            **(settings or {}),
        }
        self.process = ManagedProcess("up", ["fumehood", "up"], environment, folder / "up.log")
        super().__init__(f"http://127.0.0.1:{port}", {"up": self.process})

    def start(self, service: str = "up") -> None:
        assert service in {"up", *SERVICES}
        self.process.start()
        self.process.wait_until_ready(self.url)

    def stop(self) -> int:
        """Stop it; return its exit status."""
        return self.process.stop()

    def _holder(self, service: str) -> ManagedProcess:
        assert service in {"up", *SERVICES}
        return self.process


@dataclass(frozen=True)
class Servers:
    """The real servers of this test session."""

    postgres: PostgresServer
    rabbit: RabbitServer
    redis: RedisServer
    objects: ObjectServer


@contextmanager
def running_stack(servers: Servers, folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """Migrate an empty database, run six processes, and stop them. `settings` go to all of them."""
    admin_url = servers.postgres.create_database()
    passwords = {name: secrets.token_hex(16) for name in SERVICES}
    role_prefix = f"{admin_url.rsplit('/', 1)[1]}_"
    migrate(admin_url, role_prefix, passwords)

    ports = {name: free_port() for name in SERVICES}
    common = {
        "FUMEHOOD_ENVIRONMENT": "development",
        "FUMEHOOD_HOST": "127.0.0.1",
        "FUMEHOOD_BUS_URL": servers.rabbit.create_virtual_host(),
        "FUMEHOOD_OBJECTS_URL": f"s3://{servers.objects.create_bucket()}/objects",
        "FUMEHOOD_CACHE_URL": servers.redis.url,
        "FUMEHOOD_CACHE_PREFIX": servers.redis.create_prefix(),
        "FUMEHOOD_SERVICE_SECRET": secrets.token_hex(24),
        "FUMEHOOD_ADMIN_EMAIL": ADMINISTRATOR[0],
        "FUMEHOOD_ADMIN_PASSWORD": ADMINISTRATOR[1],
        **{f"FUMEHOOD_{name.upper()}_URL": f"http://127.0.0.1:{ports[name]}" for name in SERVICES},
        **servers.objects.environment,
        **(settings or {}),
    }
    environments = {
        name: {
            **common,
            "FUMEHOOD_PORT": str(ports[name]),
            "FUMEHOOD_DATABASE_URL": _with_role(admin_url, f"{role_prefix}{name}", passwords[name]),
        }
        for name in SERVICES
    }
    stack = Stack(environments, folder)
    try:
        stack.start_all()
        yield stack
    finally:
        stack.stop()


@contextmanager
def running_up(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[UpStack]:
    """Run `fumehood up` with its data in a folder, and stop it."""
    up = UpStack(folder, settings)
    try:
        up.start()
        yield up
    finally:
        up.stop()


def migrate(admin_url: str, role_prefix: str, passwords: Mapping[str, str]) -> None:
    """Run the migration image's command on the database."""
    command = dockerfile_command(ROOT / "cli" / "Dockerfile")
    environment = {
        "FUMEHOOD_DATABASE_ADMIN_URL": admin_url,
        "FUMEHOOD_DATABASE_ROLE_PREFIX": role_prefix,
        **{f"FUMEHOOD_{name.upper()}_DATABASE_PASSWORD": password for name, password in passwords.items()},
    }
    done = subprocess.run(
        [BIN / command[0], *command[1:]], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def wait_for(what: str, condition: Any, seconds: float, interval_seconds: float = 0.1) -> Any:
    """Return the condition's first true value. Fails the test if it stays false."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(interval_seconds)
    raise AssertionError(f"{what}: not within {seconds} seconds")


def _with_role(url: str, role: str, password: str) -> str:
    scheme, rest = url.split("://", 1)
    return f"{scheme}://{role}:{password}@{rest.rsplit('@', 1)[1]}"
