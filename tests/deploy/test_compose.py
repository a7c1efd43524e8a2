"""docker-compose.yml: read by Docker Compose itself, held against its schema, the images and the settings."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from shared.testing.deployment import SERVICES, dockerfile_command, settings_of, unknown_variables

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
OURS = [*SERVICES, "scanner-gpu", "migrate"]


def run(*command: str | Path) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "level=warning" not in done.stderr, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The whole file with the values of a freshly made .env."""
    env_file = tmp_path_factory.mktemp("compose") / ".env"
    env_file.write_text(run("deploy/compose-env"))
    text = run(BIN / "docker-compose", "--env-file", env_file, "--profile", "gpu", "config", "--format", "json")
    config: dict[str, Any] = json.loads(text)
    return config


def test_file_follows_the_compose_specification() -> None:
    run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")


def test_settings_env_reaches_every_service_and_does_not_undo_what_the_file_fixes(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(run("deploy/compose-env"))
    (tmp_path / "settings.env").write_text("FUMEHOOD_WEBHOOK_ALLOW_PRIVATE=10.0.0.0/8\nFUMEHOOD_PORT=1\n")
    where: list[str | Path] = ["--project-directory", tmp_path, "--file", ROOT / "docker-compose.yml"]
    config = json.loads(run(BIN / "docker-compose", *where, "--profile", "gpu", "config", "--format", "json"))
    for name in SERVICES:
        environment = config["services"][name]["environment"]
        assert environment["FUMEHOOD_WEBHOOK_ALLOW_PRIVATE"] == "10.0.0.0/8"
        assert environment["FUMEHOOD_PORT"] == "8000"


def test_made_secrets_are_new_each_time() -> None:
    first, second = run("deploy/compose-env"), run("deploy/compose-env")
    values = dict(line.split("=", 1) for line in first.splitlines() if "=" in line and not line.startswith("#"))
    assert [name for name, value in values.items() if "<" in value] == []
    assert len(values["FUMEHOOD_SERVICE_SECRET"]) >= 32
    assert first != second


@pytest.mark.parametrize("name", OURS)
def test_service_has_no_more_rights_than_it_needs(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == "10001:10001"
    assert set(service["deploy"]["resources"]["limits"]) >= {"cpus", "memory", "pids"}


def test_only_the_gateway_is_published(compose: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert list(published) == ["gateway"]
    assert published["gateway"][0]["host_ip"] == "127.0.0.1"


def test_scanner_and_servers_have_no_way_out(compose: dict[str, Any]) -> None:
    internal = {name for name, network in compose["networks"].items() if network.get("internal")}
    for name, service in compose["services"].items():
        if name not in {"gateway", "notifier"}:
            assert set(service["networks"]) <= internal, name


def test_everything_that_stays_has_a_health_check(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name != "migrate":
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_services_start_after_the_migration_and_their_servers(compose: dict[str, Any]) -> None:
    for name in SERVICES:
        needs = compose["services"][name]["depends_on"]
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert needs["database"]["condition"] == "service_healthy"
        assert needs["bus"]["condition"] == "service_healthy"


@pytest.mark.parametrize("name", OURS)
def test_command_is_that_of_the_image(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["command"] == dockerfile_command(ROOT / service["build"]["dockerfile"])


def test_gpu_variant_asks_for_a_gpu_and_only_in_its_profile(compose: dict[str, Any]) -> None:
    service = compose["services"]["scanner-gpu"]
    assert service["profiles"] == ["gpu"]
    assert service["build"]["target"] == "gpu"
    devices = service["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]


@pytest.mark.parametrize("name", SERVICES)
def test_every_variable_is_a_setting_of_the_service(compose: dict[str, Any], name: str) -> None:
    assert unknown_variables(name, compose["services"][name]["environment"]) == []


@pytest.mark.parametrize("name", SERVICES)
def test_settings_are_enough_for_production(
    compose: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in compose["services"][name]["environment"].items():
        if value is not None:
            monkeypatch.setenv(variable, value)
    monkeypatch.setenv("FUMEHOOD_ENVIRONMENT", "production")
    settings = settings_of(name)()
    database_url = settings.database_url
    assert isinstance(database_url, SecretStr)
    assert f"fumehood_{name}:" in database_url.get_secret_value()
