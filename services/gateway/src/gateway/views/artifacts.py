"""The tree of artifacts, flattened into indented rows."""

from __future__ import annotations

from gateway.views.verdicts import CoverageView, VerdictMark, coverage_view, verdict_mark
from shared.presentation.programs import ProgramView, program_view
from shared.presentation.text import size_text
from shared.presentation.tree import most_telling
from shared.presentation.words import ROLE_LABELS
from shared.scan import Artifact, Frozen

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
    role: str | None
    """When the package around it runs it, in words."""
    program: ProgramView | None


def artifact_rows(artifacts: tuple[Artifact, ...], limit: int = ROWS_SHOWN) -> tuple[ArtifactRow, ...]:
    """Return at most `limit` artifacts in tree order, each below its parent.

    Where not all fit, the worst ones and their parents are kept.
    """
    return tuple(_row(artifact) for artifact in most_telling(artifacts, limit))


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
        role=ROLE_LABELS[artifact.role] if artifact.role else None,
        program=program_view(artifact.program) if artifact.program else None,
    )
