"""How a detector in shadow compares with the live ones, as the results service tells it."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from shared.scan import Frozen, Verdict

BINS = 10


class ComparisonQuery(Frozen):
    """Which runs of a detector in shadow are compared with what."""

    version: str | None = Field(default=None, max_length=64, description="Without: the one that looked last.")
    reference: str | None = Field(
        default=None,
        max_length=64,
        description="Name of a live detector. Without: the one of the same name where it ran, else all together.",
    )
    since: datetime | None = Field(default=None, description="Only what was looked at from then on.")
    limit: int = Field(default=10_000, ge=1, le=1_000_000, description="The latest so many artifacts.")


class ShadowVersion(Frozen):
    """A version of a detector that ran in shadow."""

    detector: str
    version: str
    artifacts: int = Field(description="How many artifacts it has looked at.")
    first_at: datetime
    last_at: datetime


class LiveDetector(Frozen):
    """A live detector that looked at the same artifacts."""

    name: str
    versions: tuple[str, ...]
    artifacts: int


class VerdictPair(Frozen):
    """How many artifacts got this pair of verdicts."""

    live: Verdict
    shadow: Verdict
    artifacts: int


class ChangedArtifact(Frozen):
    """An artifact that would be flagged otherwise. Null where it would not be flagged, or is not."""

    submission_id: str
    submission_name: str = Field(description="Untrusted.")
    submission_verdict: Verdict
    artifact_name: str = Field(description="Untrusted.")
    sha256: str
    now: Verdict | None = Field(description="`malicious` or `suspicious` by all live detectors together.")
    then: Verdict | None = Field(description="The same with the detector in shadow in the place of the live one.")
    live_score: float | None
    shadow_score: float | None
    looked_at: datetime


class Comparison(Frozen):
    """A detector in shadow beside the live ones, over the artifacts that both looked at."""

    detector: str
    version: str
    reference: str | None = Field(description="The live detector; null for all live detectors together.")
    others: tuple[LiveDetector, ...] = Field(description="Live detectors that can be the reference.")
    first_at: datetime | None
    last_at: datetime | None
    artifacts: int = Field(description="Looked at by both.")
    alone: int = Field(description="Looked at in shadow only, and so not compared.")
    agreed: int = Field(description="Artifacts with the same verdict of both.")
    pairs: tuple[VerdictPair, ...]
    live_scores: tuple[int, ...] = Field(description="Artifacts by score: ten bins of 0.1, 1.0 in the last.")
    shadow_scores: tuple[int, ...]
    newly_flagged: int = Field(description="Artifacts that would become suspicious or malicious.")
    no_longer_flagged: int
    otherwise_flagged: int = Field(description="Between suspicious and malicious.")
    changed: tuple[ChangedArtifact, ...] = Field(description="The latest 50 of these.")

    @property
    def agreement(self) -> float | None:
        """Share of artifacts with the same verdict, 0 to 1; None where nothing was compared."""
        return self.agreed / self.artifacts if self.artifacts else None

    @property
    def would_change(self) -> int:
        """How many artifacts would be flagged otherwise."""
        return self.newly_flagged + self.no_longer_flagged + self.otherwise_flagged
