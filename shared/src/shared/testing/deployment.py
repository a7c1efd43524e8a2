"""What the deployment files are compared with: the images' commands and the services' settings."""

import importlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

from shared.settings import ServiceSettings

SERVICES = ("gateway", "upload", "scanner", "results", "reports", "notifier")
# Read by boto3 and Python themselves.
STANDARD_VARIABLES = frozenset(
    {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "TMPDIR"}
)


def dockerfile_command(path: Path) -> list[str]:
    """Return the command that an image runs."""
    found = re.search(r"^CMD (\[.*\])$", path.read_text(), re.MULTILINE)
    assert found, f"{path} has no CMD in exec form"
    command: list[str] = json.loads(found[1])
    return command


def settings_of(service: str) -> type[ServiceSettings]:
    """Return the settings class of a service."""
    settings: type[ServiceSettings] = importlib.import_module(f"{service}.config").Settings
    return settings


def unknown_variables(service: str, names: Iterable[str]) -> list[str]:
    """Return those of the environment variables that the service would not read."""
    known = {f"FUMEHOOD_{field.upper()}" for field in settings_of(service).model_fields} | STANDARD_VARIABLES
    return sorted(set(names) - known)
