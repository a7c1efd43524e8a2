"""The scan engine: bytes in, scan document out. It needs no server and no message bus.

engine = await ScanEngine.start(EngineSettings())
document = await engine.scan(path, name="x.zip", scan_id="...", submission_id="...")
await engine.close()
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from scanner.active_content import DETECTOR as ACTIVE_CONTENT
from scanner.config import EngineSettings
from scanner.content import ByteRange
from scanner.detectors.byte_model import ByteModelDetector
from scanner.detectors.loader import RefusedPack
from scanner.detectors.model import ModelDetector
from scanner.detectors.registry import DetectorRegistry
from scanner.identify import TypeIdentifier
from scanner.package_findings import DETECTOR as PACKAGE
from scanner.programs import DETECTOR as PROGRAM_FACTS
from scanner.progress import ProgressReporter, ScanProgress
from scanner.sandbox.pool import SandboxPool
from scanner.threads import Threads
from scanner.tree import Node, ScanFacts, build_document
from scanner.walk import ScanTools, Walk
from shared.errors import UnavailableError
from shared.scan import CoverageReason, DetectorInfo, ScanDocument

__all__ = ["EngineSettings", "RefusedPack", "ScanEngine", "ScanProgress"]

DEFAULT_BUDGET_SECONDS = 240.0


class ScanEngine:
    """Models, rules and sandbox, loaded once; any number of scans run on it together."""

    def __init__(self, tools: ScanTools, registry: DetectorRegistry) -> None:
        self._tools = tools
        self._registry = registry
        self._background_slots = asyncio.Semaphore(tools.settings.background_artifacts_together)

    @property
    def detectors(self) -> tuple[DetectorInfo, ...]:
        """The detectors that a scan which begins now gets."""
        return (*(detector.info for detector in self._registry.detectors), ACTIVE_CONTENT, PACKAGE, PROGRAM_FACTS)

    @property
    def refused(self) -> tuple[RefusedPack, ...]:
        """The packs that cannot be used, as of now."""
        return self._registry.refused

    async def check(self) -> None:
        """Raise UnavailableError if the GPU has failed: all that models say in this process is that they cannot."""
        detectors = (one for one in self._registry.detectors if isinstance(one, ByteModelDetector | ModelDetector))
        if any(model.lost for model in (self._tools.identifier.model, *(one.model for one in detectors))):
            raise UnavailableError("The GPU has failed; the scanner has to be started again.", retry_after_seconds=30)

    @classmethod
    async def start(cls, settings: EngineSettings) -> ScanEngine:
        """Load the detectors and start the sandbox. A broken model pack is refused, not fatal.

        Raises PackRefusedError when the content-type model itself cannot be loaded, SandboxError
        when no sandbox worker starts.
        """
        threads = Threads.start(settings)
        loading = asyncio.create_task(DetectorRegistry.start(settings, threads))
        sandbox = None
        try:
            sandbox = await SandboxPool.start(settings)
            identifier = TypeIdentifier.load(settings, threads)
        except BaseException:
            await (await loading).close()  # it watches the detectors directory by now
            if sandbox is not None:
                await sandbox.close()
            threads.close()
            raise
        registry = await loading
        slots = asyncio.Semaphore(settings.artifacts_together)
        return cls(ScanTools(settings, threads, identifier, registry.detectors, sandbox, slots), registry)

    async def close(self) -> None:
        """Stop the sandbox, the batchers and the threads; scans in flight must have ended."""
        await self._registry.close()
        await self._tools.identifier.close()
        await self._tools.sandbox.close()
        self._tools.threads.close()

    async def scan(
        self,
        path: Path,
        *,
        name: str,
        scan_id: str,
        submission_id: str,
        budget_seconds: float = DEFAULT_BUDGET_SECONDS,
        on_progress: Callable[[ScanProgress], None] | None = None,
        passwords: tuple[str, ...] = (),
        background: bool = False,
    ) -> ScanDocument:
        """Look at the file at `path` and everything inside it, within `budget_seconds`.

        Whatever is wrong with the file is in the document's verdict and coverage, never an
        exception. `name` is the submitted name, untrusted. `on_progress` is called on the event
        loop a few times a second at most and must not block. `passwords` are tried on encrypted
        archives before the usual ones. Scans in the background share few places of their own, so that
        the others find theirs free.
        """
        started_at = datetime.now(UTC)
        deadline = asyncio.get_running_loop().time() + budget_seconds
        progress = ProgressReporter(on_progress)
        root = _open_root(path, name)
        with self._registry.lend() as detectors:
            ready = self.detectors
            slots = self._background_slots if background else self._tools.slots
            tools = replace(self._tools, detectors=detectors, slots=slots)
            await Walk(tools, deadline, progress, passwords).run(root)
        progress.finished()
        facts = ScanFacts(scan_id, submission_id, started_at, datetime.now(UTC), ready)
        return build_document(root, facts, self._tools.identifier.unknown)


def _open_root(path: Path, name: str) -> Node:
    try:
        content = ByteRange.whole(path)
    except OSError as error:
        node = Node(name, "submitted", 0, 0, None)
        node.gap(CoverageReason.ERROR, f"The file could not be opened: {error.strerror}.")
        return node
    return Node(name, "submitted", 0, content.size, content)
