"""Telling a watcher how far a scan is, at most a few times a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from shared.events import ArtifactFinding
from shared.scan import Finding

INTERVAL_SECONDS = 0.25
MAX_FINDINGS = 20


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """How far a scan is. `current_name` is untrusted, like every name found in a file."""

    stage: str
    """identifying, inspecting, unpacking or finished."""
    artifacts_found: int
    artifacts_done: int
    current_name: str | None = None
    findings: tuple[ArtifactFinding, ...] = ()
    """All found so far, the first 20 of them."""


class ProgressReporter:
    """Counts artifacts and calls back when enough time has passed since the last call."""

    def __init__(self, on_progress: Callable[[ScanProgress], None] | None) -> None:
        self._on_progress = on_progress
        self._next_at = 0.0
        self._found = 1
        self._done = 0
        self._findings: list[ArtifactFinding] = []

    def found(self, count: int) -> None:
        """Count artifacts that came out of an archive."""
        self._found += count

    def add_findings(self, name: str, size_bytes: int, findings: Iterable[Finding]) -> None:
        """Add what counts of an artifact's findings; those after the first 20 are left to the document."""
        for finding in findings:
            if not finding.shadow and len(self._findings) < MAX_FINDINGS:
                found = ArtifactFinding(artifact_name=name, artifact_size_bytes=size_bytes, finding=finding)
                self._findings.append(found)

    def at(self, stage: str, name: str) -> None:
        """Say what is being done to which artifact."""
        now = time.monotonic()
        if now >= self._next_at:
            self._next_at = now + INTERVAL_SECONDS
            self._tell(stage, name)

    def done(self) -> None:
        """Count one artifact as looked at."""
        self._done += 1

    def finished(self) -> None:
        """Say the last word, whatever the time."""
        self._tell("finished", None)

    def _tell(self, stage: str, name: str | None) -> None:
        if self._on_progress is not None:
            self._on_progress(ScanProgress(stage, self._found, self._done, name, tuple(self._findings)))
