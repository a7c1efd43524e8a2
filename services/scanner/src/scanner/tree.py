"""The tree of artifacts of one scan while it grows, and the document made of it in the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from scanner.content import ByteRange, Hashes
from scanner.detectors.base import TypeName
from scanner.unpackers.package_facts import Fact
from scanner.verdict import merged_coverage, merged_verdict, own_coverage, own_verdict
from shared.scan import (
    Artifact,
    ContentType,
    Coverage,
    CoverageGap,
    CoverageReason,
    DetectorInfo,
    DetectorRun,
    Finding,
    PackageRole,
    Program,
    ScanDocument,
    Verdict,
)

_NO_HASHES = Hashes("", "", "")


@dataclass(slots=True, eq=False)
class Node:
    """One artifact being looked at."""

    name: str
    origin: str
    depth: int
    size_bytes: int
    content: ByteRange | None
    """Dropped when done, so that the spool it lies in can be closed."""
    parent: Node | None = None
    runs_as: frozenset[TypeName] = frozenset()
    """The languages of the script that it was decoded out of, which may run it."""
    children: list[Node] = field(default_factory=list)
    hashes: Hashes | None = None
    content_type: ContentType | None = None
    findings: list[Finding] = field(default_factory=list)
    gaps: list[CoverageGap] = field(default_factory=list)
    covered_by: list[str] = field(default_factory=list)
    uncovered: frozenset[str] = frozenset()
    """The labels of its types that no live detector covers."""
    runs: list[DetectorRun] = field(default_factory=list)
    program: Program | None = None
    role: PackageRole | None = None
    """In the package around it, as are `acts`; what comes out of a file has both from it."""
    acts: frozenset[Fact] = frozenset()
    """What the script does when the package is installed."""
    unpacked: bool = False
    done: bool = False

    def gap(self, reason: CoverageReason, detail: str) -> None:
        """Say that something of this artifact was not looked at."""
        self.gaps.append(CoverageGap(reason=reason, detail=detail))

    def ancestors(self) -> Iterator[Node]:
        """Yield the artifacts this one came out of, nearest first."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    def close_gaps_at_deadline(self) -> None:
        """Say what was not reached; children without an identity are counted instead of listed."""
        if not self.done:
            self.gap(CoverageReason.TIMEOUT, "The time of the scan was over before this was looked at completely.")
        reached = [child for child in self.children if child.hashes is not None]
        missed = len(self.children) - len(reached)
        if missed:
            self.gap(
                CoverageReason.TIMEOUT,
                f"The time of the scan was over before {missed} of the files inside were reached.",
            )
        self.children = reached
        for child in reached:
            child.close_gaps_at_deadline()


@dataclass(frozen=True, slots=True)
class ScanFacts:
    """What the document says of the scan itself."""

    scan_id: str
    submission_id: str
    started_at: datetime
    finished_at: datetime
    detectors: tuple[DetectorInfo, ...]


def build_document(root: Node, facts: ScanFacts, unknown: ContentType) -> ScanDocument:
    """Number the artifacts, parents before children, and draw the verdicts upwards."""
    artifacts: list[Artifact] = []
    _add(root, None, artifacts, unknown)
    return ScanDocument(
        scan_id=facts.scan_id,
        submission_id=facts.submission_id,
        started_at=facts.started_at,
        finished_at=facts.finished_at,
        verdict=artifacts[0].verdict,
        coverage=artifacts[0].coverage,
        artifacts=tuple(artifacts),
        detectors=facts.detectors,
    )


def _add(
    node: Node, parent_id: int | None, artifacts: list[Artifact], unknown: ContentType
) -> tuple[Verdict, Coverage]:
    own = own_coverage(node.gaps, looked_at=bool(node.covered_by) or node.unpacked)
    hashes = node.hashes or _NO_HASHES
    position = len(artifacts)
    artifact = Artifact(
        id=position,
        parent_id=parent_id,
        name=node.name,
        origin=node.origin,
        depth=node.depth,
        sha256=hashes.sha256,
        sha1=hashes.sha1,
        md5=hashes.md5,
        size_bytes=node.size_bytes,
        content_type=node.content_type or unknown,
        verdict=own_verdict(node.findings, own),
        coverage=own,
        findings=tuple(node.findings),
        covered_by=tuple(node.covered_by),
        role=node.role,
        program=node.program,
        runs=tuple(node.runs),
    )
    artifacts.append(artifact)
    inside = [_add(child, position, artifacts, unknown) for child in node.children]
    verdict = merged_verdict(artifact.verdict, (child_verdict for child_verdict, _ in inside))
    coverage = merged_coverage(own, [child_coverage for _, child_coverage in inside])
    artifacts[position] = artifact.model_copy(update={"verdict": verdict, "coverage": coverage})
    return verdict, coverage
