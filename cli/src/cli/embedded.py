"""Where the one-process installation keeps its things, and the settings that follow from it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from shared.errors import ClientError

SERVICES = ("gateway", "upload", "scanner", "results", "reports", "notifier")
DEFAULT_DATA_DIRECTORY = "./fumehood-data"


def data_directory() -> Path:
    """Return the data directory, made if it is not there. Raises ClientError if it cannot be written."""
    path = Path(os.environ.get("FUMEHOOD_DATA_DIR") or DEFAULT_DATA_DIRECTORY).resolve()
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        (path / "db").mkdir(exist_ok=True)
    except OSError as error:
        raise ClientError(
            f"{path} cannot be used ({error.strerror}); set FUMEHOOD_DATA_DIR to another folder."
        ) from None
    return path


def detectors_directory() -> Path:
    """Return the folder of the operator's own model packs; it need not be there."""
    named = os.environ.get("FUMEHOOD_DETECTORS_DIR")
    return Path(named or Path(os.environ.get("FUMEHOOD_DATA_DIR") or DEFAULT_DATA_DIRECTORY) / "detectors").resolve()


def database_url(data: Path, service: str) -> str:
    """Return the URL of a service's embedded database."""
    return f"sqlite+aiosqlite:///{data / 'db' / service}.db"


def bus_url(data: Path) -> str:
    """Return the URL of the embedded bus, unless the environment names another."""
    return os.environ.get("FUMEHOOD_BUS_URL") or f"local://{data / 'bus.db'}"


def embedded_settings(data: Path, service: str) -> dict[str, Any]:
    """Return the settings of a service that the data directory decides; objects may be elsewhere."""
    objects = os.environ.get("FUMEHOOD_OBJECTS_URL") or f"file://{data / 'objects'}"
    return {
        "database_url": database_url(data, service),
        "bus_url": bus_url(data),
        "objects_url": objects,
        "service_secret": os.environ.get("FUMEHOOD_SERVICE_SECRET") or _kept_secret(data / "service-secret"),
        "log_format": os.environ.get("FUMEHOOD_LOG_FORMAT") or "console",
        "log_level": os.environ.get("FUMEHOOD_LOG_LEVEL") or "WARNING",
    }


def _kept_secret(path: Path) -> str:
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text()
