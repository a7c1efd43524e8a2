"""Events that the upload service publishes."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from shared.events.base import Event, ObjectRef
from shared.scan import Frozen


class ScanOptions(Frozen):
    """What the submitter asked for."""

    passwords: tuple[str, ...] = Field(default=(), description="Tried on encrypted archives.")


class FileUploadedV1(Event):
    """A file was accepted: its bytes are stored and synced, and it will be scanned."""

    type: ClassVar[str] = "upload.file_uploaded.v1"
    consumers: ClassVar[tuple[str, ...]] = ("scanner", "results")

    submission_id: str
    scan_id: str
    user_id: str
    file: ObjectRef
    name: str = Field(description="File name as submitted; untrusted.")
    options: ScanOptions = ScanOptions()
    accepted_at: datetime
    deadline_at: datetime = Field(description="The scan has ended by then, one way or another.")
