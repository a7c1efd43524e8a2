"""The tree of artifacts, flattened into indented rows."""

from __future__ import annotations

from collections import defaultdict

from gateway.views.text import size_text
from gateway.views.verdicts import CoverageView, VerdictMark, coverage_view, verdict_mark
from shared.scan import Artifact, Frozen, Verdict

ROWS_SHOWN = 200
"""Rows of the tree on the page; the reports hold all of it."""

_DEEPEST_INDENT = 8
_ICONS = {
    "archive": "archive",
    "code": "file-code",
    "document": "file-text",
    "executable": "terminal",
    "image": "image",
    "text": "file-text",
}


class ArtifactRow(Frozen):
    """One artifact with what is needed to recognise it elsewhere."""

    id: int
    name: str
    origin: str
    depth: int
    indent: int
    icon: str
    type_text: str
    mime_type: str
    type_percent: int
    size: str
    size_bytes: int
    sha256: str
    sha1: str
    md5: str
    mark: VerdictMark
    coverage: CoverageView
    covered_by: tuple[str, ...]
    findings: int


def artifact_rows(artifacts: tuple[Artifact, ...], limit: int = ROWS_SHOWN) -> tuple[ArtifactRow, ...]:
    """Return at most `limit` artifacts in tree order, each below its parent.

    Where not all fit, the worst ones and their parents are kept.
    """
    kept = _kept(artifacts, limit)
    return tuple(_row(artifact) for artifact in in_tree_order(artifacts) if artifact.id in kept)


def in_tree_order(artifacts: tuple[Artifact, ...]) -> tuple[Artifact, ...]:
    """Return artifacts depth first, siblings in their order; works for any depth."""
    children: dict[int | None, list[Artifact]] = defaultdict(list)
    for artifact in artifacts:
        children[artifact.parent_id].append(artifact)
    ordered: list[Artifact] = []
    waiting = children[None][::-1]
    while waiting:
        artifact = waiting.pop()
        ordered.append(artifact)
        waiting.extend(reversed(children[artifact.id]))
    return tuple(ordered)


def _kept(artifacts: tuple[Artifact, ...], limit: int) -> set[int]:
    if len(artifacts) <= limit:
        return {artifact.id for artifact in artifacts}
    order = {Verdict.MALICIOUS: 0, Verdict.SUSPICIOUS: 1, Verdict.UNKNOWN: 2, Verdict.CLEAN: 3}
    by_id = {artifact.id: artifact for artifact in artifacts}
    kept: set[int] = set()
    for artifact in sorted(artifacts, key=lambda a: (order[a.verdict], a.id)):
        line = _line(artifact, by_id, kept)
        if len(kept) + len(line) <= limit:
            kept.update(line)
        if len(kept) == limit:
            break
    return kept


def _line(artifact: Artifact, by_id: dict[int, Artifact], kept: set[int]) -> list[int]:
    """Return an artifact and its parents as far as they are not kept yet."""
    line: list[int] = []
    current: Artifact | None = artifact
    while current is not None and current.id not in kept:
        line.append(current.id)
        current = None if current.parent_id is None else by_id.get(current.parent_id)
    return line


def _row(artifact: Artifact) -> ArtifactRow:
    content_type = artifact.content_type
    return ArtifactRow(
        id=artifact.id,
        name=artifact.name,
        origin=artifact.origin,
        depth=artifact.depth,
        indent=min(artifact.depth, _DEEPEST_INDENT),
        icon=_ICONS.get(content_type.group, "file"),
        type_text=content_type.description or content_type.label,
        mime_type=content_type.mime_type,
        type_percent=round(content_type.score * 100),
        size=size_text(artifact.size_bytes),
        size_bytes=artifact.size_bytes,
        sha256=artifact.sha256,
        sha1=artifact.sha1,
        md5=artifact.md5,
        mark=verdict_mark(artifact.verdict),
        coverage=coverage_view(artifact.coverage),
        covered_by=artifact.covered_by,
        findings=sum(not finding.shadow for finding in artifact.findings),
    )
