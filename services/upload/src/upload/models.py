"""What the upload service works with while a file comes in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shared.events import ScanOptions


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A whole file in the spool, hashed on its way in."""

    path: Path
    name: str
    sha256: str
    size_bytes: int
    options: ScanOptions


def object_key(sha256: str) -> str:
    """Return the object key of a file: the same bytes always have the same key."""
    return f"files/{sha256[:2]}/{sha256}"
