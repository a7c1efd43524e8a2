"""One scan: walks the tree of artifacts until everything is looked at or the time is over."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

from scanner.active_content import DETECTOR as ACTIVE_CONTENT
from scanner.active_content import finding_of
from scanner.config import EngineSettings
from scanner.content import ByteRange, hash_content
from scanner.declared import SCRIPTS, DeclaredName, interpreter_type
from scanner.detectors.base import Detector, Inspection, Subject, TypeName
from scanner.errors import DetectorError, SandboxError
from scanner.excerpts import with_excerpts
from scanner.identify import TypeIdentifier
from scanner.package_findings import package_findings, script_findings, weighed
from scanner.packages import Package
from scanner.programs import findings_of
from scanner.progress import ProgressReporter
from scanner.sandbox.messages import JobLimits
from scanner.sandbox.pictures import SandboxPictures
from scanner.sandbox.pool import SandboxPool, Unpacked, UnpackJob
from scanner.signatures import contradicts
from scanner.threads import Threads
from scanner.tree import Node
from scanner.unpackers import DOCUMENTS, HEAD_BYTES, TAIL_BYTES, UNPACKERS, unpackers_for
from scanner.unpackers.base import Unpacker
from scanner.unpackers.encodings import ENCODINGS
from scanner.unpackers.markup import HANDLERS, SCRIPT
from scanner.unpackers.pdf import ADDRESSES, SCRIPT_IN_PDF
from scanner.verdict import run_verdict
from shared.scan import ContentType, CoverageGap, CoverageReason, DetectorInfo, DetectorRun, Finding

# Unpacking stops this long before the deadline, so that what came out is still listed.
_MARGIN_SECONDS = 1.0
_MIN_UNPACK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class ScanTools:
    """What all scans share."""

    settings: EngineSettings
    threads: Threads
    identifier: TypeIdentifier
    detectors: tuple[Detector, ...]
    sandbox: SandboxPool
    slots: asyncio.Semaphore
    """Bounds the artifacts looked at together, over all scans."""


class Walk:
    """The state of one scan. `deadline` is in the event loop's time."""

    def __init__(
        self, tools: ScanTools, deadline: float, progress: ProgressReporter, passwords: tuple[str, ...] = ()
    ) -> None:
        self._tools = tools
        self._passwords = passwords
        self._deadline = deadline
        self._progress = progress
        self._queue: asyncio.LifoQueue[Node] = asyncio.LifoQueue()
        self._unpacking = asyncio.Lock()
        self._pictures = SandboxPictures(tools.sandbox, tools.settings)
        self._artifacts_left = tools.settings.max_artifacts
        self._bytes_left = tools.settings.max_unpacked_bytes

    async def run(self, root: Node) -> None:
        """Fill the tree below `root` in; what is not reached by the deadline becomes a gap.

        The root is hashed whatever the deadline, because a document without its identity is useless.
        """
        await self._hash(root)
        self._queue.put_nowait(root)
        try:
            async with asyncio.timeout_at(self._deadline), asyncio.TaskGroup() as group:
                workers = [group.create_task(self._work()) for _ in range(self._tools.settings.artifacts_together)]
                await self._queue.join()
                for worker in workers:
                    worker.cancel()
        except TimeoutError:
            pass  # said in the coverage of every artifact that was not done
        root.close_gaps_at_deadline()

    async def _work(self) -> None:
        while True:
            node = await self._queue.get()
            await self._visit(node)
            self._queue.task_done()

    async def _visit(self, node: Node) -> None:
        content = node.content
        if content is not None and (node.hashes is not None or await self._hash(node)):
            try:
                await self._look_at(node, content)
            except OSError as error:
                node.gap(CoverageReason.ERROR, f"The file could not be read: {error.strerror}.")
            except DetectorError as error:
                node.gap(CoverageReason.ERROR, error.message)
        node.content = None
        node.done = True
        self._progress.done()

    async def _look_at(self, node: Node, content: ByteRange) -> None:
        loop = asyncio.get_running_loop()
        async with self._tools.slots:
            self._progress.at("identifying", node.name)
            node.content_type = await self._tools.identifier.identify(content)
            if content.size == 0:
                return  # nothing in it to look at: complete
            head, tail = await loop.run_in_executor(self._tools.threads.files, _read_ends, content)
            whole = len(head) == content.size
            node.content_type = self._tools.identifier.corrected(node.content_type, head, whole=whole)
            known = _label_by_origin(node)
            if known is not None and node.content_type.is_text:
                node.content_type = self._tools.identifier.of(known)
            types = effective_types(node.name, node.content_type, head, node.runs_as)
            scripts = frozenset(type_name for type_name in types if type_name.label in SCRIPTS)
            self._progress.at("inspecting", node.name)
            await self._inspect(node, Subject(content, node.name, node.content_type, types, self._pictures))
            node.uncovered = self._uncovered(node, types)
        unpackers = unpackers_for(frozenset(type_name.label for type_name in types), head, tail)
        if unpackers:
            await self._unpack(node, content, unpackers, scripts)
        self._note_uncovered(node, unpackers)
        if contradicts(node.content_type.label, head):
            detail = f"It looks like the type {node.content_type.label}, but its first bytes are not of that type."
            node.gap(CoverageReason.UNSUPPORTED, detail)

    async def _hash(self, node: Node) -> bool:
        if node.content is None:
            return False
        loop = asyncio.get_running_loop()
        try:
            node.hashes = await loop.run_in_executor(self._tools.threads.files, hash_content, node.content)
        except OSError as error:
            node.gap(CoverageReason.ERROR, f"The file could not be read: {error.strerror}.")
            return False
        return True

    async def _inspect(self, node: Node, subject: Subject) -> None:
        willing = [detector for detector in self._tools.detectors if detector.wants(subject)]
        compared = any(detector.shadow for detector in willing)
        for detector, inspection in zip(
            willing, await asyncio.gather(*(self._ask(d, subject) for d in willing)), strict=True
        ):
            if compared:
                node.runs.append(_run_of(detector.info, inspection, shadow=detector.shadow))
            self._found(node, weighed(inspection.findings, node.name, node.role, node.acts))
            covers = any(detector.covered.includes(type_name) for type_name in subject.types)
            if covers and not detector.shadow:
                node.gaps.extend(inspection.gaps)
                node.covered_by.append(detector.info.name)
        if node.findings:
            node.findings = await asyncio.get_running_loop().run_in_executor(
                self._tools.threads.files, with_excerpts, node.findings, subject.content
            )

    async def _ask(self, detector: Detector, subject: Subject) -> Inspection:
        try:
            async with asyncio.timeout(self._tools.settings.detector_seconds + _MARGIN_SECONDS):
                return await detector.inspect(subject)
        except TimeoutError:
            detail = f"The detector {detector.info.name} took longer than its time limit."
            return Inspection(gaps=(CoverageGap(reason=CoverageReason.TIMEOUT, detail=detail),))
        except DetectorError as error:
            return Inspection(gaps=(CoverageGap(reason=CoverageReason.ERROR, detail=error.message),))

    async def _unpack(
        self, node: Node, content: ByteRange, unpackers: tuple[Unpacker, ...], scripts: frozenset[TypeName]
    ) -> None:
        if node.depth >= self._tools.settings.max_depth:
            node.gap(
                CoverageReason.LIMIT_REACHED,
                "Archives inside archives go deeper than the limit; this one was not opened.",
            )
            return
        if any(node.hashes == ancestor.hashes for ancestor in node.ancestors()):
            node.gap(CoverageReason.LIMIT_REACHED, "The archive holds a copy of itself, which was not opened again.")
            return
        # One job at a time in a scan, so that each knows exactly what is left of the limits.
        async with self._unpacking:
            self._progress.at("unpacking", node.name)
            for unpacker in unpackers:
                decodes = unpacker.name == ENCODINGS.name
                await self._run_unpacker(node, content, unpacker, scripts if decodes else frozenset())
            await self._read_package(node)
        for inner in reversed(node.children):
            self._queue.put_nowait(inner)

    async def _run_unpacker(
        self, node: Node, content: ByteRange, unpacker: Unpacker, runs_as: frozenset[TypeName]
    ) -> None:
        try:
            unpacked = await self._sandboxed(node.name, content, unpacker)
        except SandboxError as error:
            node.gap(CoverageReason.ERROR, error.message)
            return
        gaps = unread = unpacked.gaps
        if unpacker.name in DOCUMENTS:  # but for what it passed over, it read all
            unread = tuple(gap for gap in gaps if gap.reason is not CoverageReason.UNSUPPORTED)
            covered = not node.uncovered & (unpacker.whole | {"unknown"})
            gaps = unread if covered else gaps
        read = bool(unpacker.whole) and not unread
        node.unpacked = node.unpacked or read or bool(unpacked.children)
        node.gaps.extend(gaps)
        findings = [finding_of(sign) for sign in unpacked.signs]
        if unpacked.program is not None:
            node.program = unpacked.program
            findings += findings_of(unpacked.program)
        self._found(node, findings)
        if findings and node.runs:
            node.runs.append(_run_of(ACTIVE_CONTENT, Inspection(tuple(findings)), shadow=False))
        for child in unpacked.children:
            inner = Node(child.name, child.origin, node.depth + 1, child.content.size, child.content, parent=node)
            inner.gaps = [child.gap] if child.gap else []
            inner.role, inner.acts, inner.runs_as = node.role, node.acts, runs_as
            node.children.append(inner)
            self._bytes_left -= child.content.size
        self._artifacts_left -= len(unpacked.children)
        self._progress.found(len(unpacked.children))

    async def _sandboxed(self, name: str, content: ByteRange, unpacker: Unpacker) -> Unpacked:
        """Run a job within what is left of the scan's limits. Raises SandboxError."""
        settings = self._tools.settings
        left = self._deadline - asyncio.get_running_loop().time()
        limits = JobLimits(
            artifacts=self._artifacts_left,
            unpacked_bytes=self._bytes_left,
            member_bytes=settings.max_member_bytes,
            ratio=settings.max_ratio,
            cpu_seconds=math.ceil(settings.sandbox_seconds),
        )
        seconds = max(_MIN_UNPACK_SECONDS, min(settings.sandbox_seconds, left - _MARGIN_SECONDS))
        return await self._tools.sandbox.unpack(UnpackJob(unpacker, name, content, limits, seconds, self._passwords))

    async def _read_package(self, node: Node) -> None:
        """Give the files of a package their roles; a manifest that cannot be read leaves all at full weight."""
        names = [child.name for child in node.children]
        package = Package.of(names)
        if package is None:
            return
        while (unread := package.unread()) is not None:
            position, reader = unread
            child = node.children[position]
            try:
                read = await self._sandboxed(child.name, child.content or ByteRange.of(b""), UNPACKERS[reader])
            except SandboxError:
                package.add(position, (), whole=False)
            else:
                package.add(position, read.facts, whole=not read.gaps and not child.gaps)
        for position, child in enumerate(node.children):
            child.role = package.role(position) or child.role
            child.acts = package.install_scripts.get(position, child.acts)
            self._found(child, script_findings(child.name, child.acts))
        self._found(node, package_findings(package, names))

    def _found(self, node: Node, findings: list[Finding]) -> None:
        node.findings.extend(findings)
        self._progress.add_findings(node.name, node.size_bytes, findings)

    def _uncovered(self, node: Node, types: frozenset[TypeName]) -> frozenset[str]:
        """Return the labels of the types that no live detector which was asked covers."""
        covering = [
            detector.covered
            for detector in self._tools.detectors
            if detector.info.name in node.covered_by and not detector.shadow
        ]
        return frozenset(
            type_name.label for type_name in types if not any(covered.includes(type_name) for covered in covering)
        )

    def _note_uncovered(self, node: Node, unpackers: tuple[Unpacker, ...]) -> None:
        """Say which of the types nothing covers; a pure container is covered by its content."""
        whole = frozenset[str]().union(*(unpacker.whole for unpacker in unpackers))
        whole |= {"unknown"} if whole else set()
        for label in sorted(node.uncovered - whole):
            node.gap(CoverageReason.UNSUPPORTED, f"No detector here covers the type {label}.")


def _run_of(info: DetectorInfo, inspection: Inspection, *, shadow: bool) -> DetectorRun:
    verdict = run_verdict(inspection.findings, inspection.gaps)
    return DetectorRun(detector=info.name, version=info.version, verdict=verdict, score=inspection.score, shadow=shadow)


def _label_by_origin(node: Node) -> str | None:
    """Return the type of what an unpacker took out and knows better than the type model."""
    if node.origin == ADDRESSES:
        return "txt"
    return DeclaredName.of(node.name).active_type if node.origin in {SCRIPT, HANDLERS, SCRIPT_IN_PDF} else None


def _read_ends(content: ByteRange) -> tuple[bytes, bytes]:
    return content.read(0, HEAD_BYTES), content.read(max(0, content.size - TAIL_BYTES))


def effective_types(
    name: str, content_type: ContentType, head: bytes, runs_as: frozenset[TypeName] = frozenset()
) -> frozenset[TypeName]:
    """Return the types an artifact must be covered as: what it is, and what a system would run it as.

    A script that the type model takes for plain text is still run by its extension or `#!` line, and text that was
    decoded out of a script by that script, whose languages are `runs_as`.
    """
    declared = DeclaredName.of(name)
    may_be_text = content_type.is_text or content_type.label == "unknown"
    types = {TypeName(content_type.label, content_type.group)}
    run_as = (declared.active_type, declared.acting_type if may_be_text else None, interpreter_type(head))
    types.update(TypeName(label, "code") for label in run_as if label is not None and label != content_type.label)
    if may_be_text:
        labels = {type_name.label for type_name in types}
        types.update(type_name for type_name in runs_as if type_name.label not in labels)
    return frozenset(types)
