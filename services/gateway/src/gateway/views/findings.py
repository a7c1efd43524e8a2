"""Findings in words: what a detector saw, where in the bytes, and which detector it was exactly."""

from __future__ import annotations

from gateway.views.verdicts import VerdictMark, verdict_mark
from shared.presentation.words import percent, place_text, provider_text
from shared.scan import Artifact, Excerpt, Finding, Frozen, Location, Verdict

MAP_WIDTH = 1000
"""Units of the byte map: a drawing that is this wide stands for the whole artifact."""

_MAP_MINIMUM = 4
_LOCATIONS_SHOWN = 20
_ORDER = {Verdict.MALICIOUS: 0, Verdict.SUSPICIOUS: 1, Verdict.UNKNOWN: 2, Verdict.CLEAN: 3}


class LocationView(Frozen):
    """One place in an artifact's bytes."""

    place: str
    label: str | None
    weight_percent: int | None
    excerpt: Excerpt | None
    map_start: int
    map_width: int
    map_strength: str
    """Opacity of the range on the byte map, from its weight."""


class FindingView(Frozen):
    """One finding, with the artifact it is about."""

    key: str
    artifact_id: int | None
    """None while the scan runs: its artifacts have no numbers yet."""
    artifact_name: str
    mark: VerdictMark
    label: str
    reason: str
    detector: str
    version: str
    kind: str
    provider: str | None
    model_sha256: str | None
    score_percent: int | None
    locations: tuple[LocationView, ...]
    locations_left_out: int
    shadow: bool
    metadata: tuple[tuple[str, str], ...]


def finding_views(artifacts: tuple[Artifact, ...]) -> tuple[FindingView, ...]:
    """Return all findings of a document, worst first, then by score."""
    found = [(artifact, number, finding) for artifact in artifacts for number, finding in enumerate(artifact.findings)]
    found.sort(key=lambda entry: (_ORDER[entry[2].verdict], -(entry[2].score or 0.0), entry[0].id))
    return tuple(finding_view(finding, f"{a.id}-{number}", a.id, a.name, a.size_bytes) for a, number, finding in found)


def finding_view(
    finding: Finding, key: str, artifact_id: int | None, artifact_name: str, size_bytes: int
) -> FindingView:
    """Return one finding as it is shown; `key` is unique in the page."""
    detector = finding.detector
    return FindingView(
        key=key,
        artifact_id=artifact_id,
        artifact_name=artifact_name,
        mark=verdict_mark(finding.verdict),
        label=finding.label,
        reason=finding.reason,
        detector=detector.name,
        version=detector.version,
        kind=detector.kind,
        provider=provider_text(detector.provider),
        model_sha256=detector.model_sha256,
        score_percent=None if finding.score is None else percent(finding.score),
        locations=tuple(_location_view(place, size_bytes) for place in finding.locations[:_LOCATIONS_SHOWN]),
        locations_left_out=max(0, len(finding.locations) - _LOCATIONS_SHOWN),
        shadow=finding.shadow,
        metadata=tuple(finding.metadata.items()),
    )


def _location_view(location: Location, size_bytes: int) -> LocationView:
    total = max(1, size_bytes, location.end)
    width = max(_MAP_MINIMUM, round((location.end - location.start) * MAP_WIDTH / total))
    width = min(width, MAP_WIDTH)
    strength = 0.8 if location.weight is None else 0.25 + 0.75 * min(1.0, location.weight)
    return LocationView(
        place=place_text(location),
        label=location.label,
        weight_percent=None if location.weight is None else percent(location.weight),
        excerpt=location.excerpt,
        map_start=min(round(location.start * MAP_WIDTH / total), MAP_WIDTH - width),
        map_width=width,
        map_strength=f"{strength:.2f}",
    )
