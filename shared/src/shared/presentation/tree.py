"""The tree of artifacts as a list: its order, and what is kept when not all of it fits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from shared.scan import Artifact, Finding, Verdict

_SEVEREST_FIRST = {Verdict.MALICIOUS: 0, Verdict.SUSPICIOUS: 1, Verdict.UNKNOWN: 2, Verdict.CLEAN: 3}


def in_tree_order(artifacts: Sequence[Artifact]) -> tuple[Artifact, ...]:
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


def most_telling(artifacts: Sequence[Artifact], limit: int) -> tuple[Artifact, ...]:
    """Return at most `limit` artifacts in tree order: the worst ones and all their parents, then the first ones."""
    ordered = in_tree_order(artifacts)
    if len(ordered) <= limit:
        return ordered
    by_id = {artifact.id: artifact for artifact in artifacts}
    kept: set[int] = set()
    for artifact in sorted(ordered, key=lambda artifact: (_SEVEREST_FIRST[artifact.verdict], artifact.id)):
        line = _line(artifact, by_id, kept)
        if len(kept) + len(line) <= limit:
            kept.update(line)
        if len(kept) == limit:
            break
    return tuple(artifact for artifact in ordered if artifact.id in kept)


def worst_findings(artifacts: Sequence[Artifact]) -> list[tuple[Artifact, Finding]]:
    """Return all findings with their artifacts: those that count first, the worst first, then by score."""
    found = [(artifact, finding) for artifact in artifacts for finding in artifact.findings]
    return sorted(
        found,
        key=lambda pair: (pair[1].shadow, _SEVEREST_FIRST[pair[1].verdict], -(pair[1].score or 0.0), pair[0].id),
    )


def _line(artifact: Artifact, by_id: dict[int, Artifact], kept: set[int]) -> list[int]:
    """Return an artifact and its parents as far as they are not kept yet."""
    line: list[int] = []
    current: Artifact | None = artifact
    while current is not None and current.id not in kept:
        line.append(current.id)
        current = None if current.parent_id is None else by_id.get(current.parent_id)
    return line
