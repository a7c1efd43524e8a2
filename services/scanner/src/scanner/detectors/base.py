"""What a detector is: the interface between the engine and models, rules and checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from scanner.content import ByteRange
from scanner.unpackers.picture import PictureShape
from shared.scan import ContentType, CoverageGap, DetectorInfo, Finding


class TypeName(NamedTuple):
    """A content-type label with its group."""

    label: str
    group: str


@dataclass(frozen=True, slots=True)
class Covered:
    """The content types a detector covers: what it looks at completely enough for `clean`."""

    labels: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    everything: bool = False

    @classmethod
    def parse(cls, entries: tuple[str, ...]) -> Covered:
        """Read the manifest's list: labels, groups written `group:image`, or `*` for all types."""
        if "*" in entries:
            return cls(everything=True)
        groups = frozenset(entry.removeprefix("group:") for entry in entries if entry.startswith("group:"))
        return cls(frozenset(entry for entry in entries if not entry.startswith("group:")), groups)

    def includes(self, type_name: TypeName) -> bool:
        """Whether the type is covered by label or by group."""
        return self.everything or type_name.label in self.labels or type_name.group in self.groups


class Pictures(Protocol):
    """Decodes pictures where their bytes can do no harm."""

    async def decode(self, content: ByteRange, shape: PictureShape) -> tuple[bytes, bool]:
        """Return the first frame in that shape, and whether it is the only one. Raises DetectorError."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """One artifact as the detectors see it."""

    content: ByteRange
    name: str
    content_type: ContentType
    types: frozenset[TypeName]
    """The detected type and, where the name or first line would make a system run it, that type too."""
    pictures: Pictures


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one detector says of one artifact, and what of it the detector did not see.

    `score` is that of a model, also where it is too low for a finding.
    """

    findings: tuple[Finding, ...] = ()
    gaps: tuple[CoverageGap, ...] = ()
    score: float | None = None


class Detector(Protocol):
    """A loaded detector; used by many scans at once."""

    @property
    def info(self) -> DetectorInfo:
        """Name, version, kind, model hash and provider, as they go into findings."""
        ...

    @property
    def shadow(self) -> bool:
        """Whether findings are recorded without counting and nothing is covered."""
        ...

    @property
    def covered(self) -> Covered:
        """The types it covers."""
        ...

    def wants(self, subject: Subject) -> bool:
        """Whether it looks at this artifact at all."""
        ...

    async def inspect(self, subject: Subject) -> Inspection:
        """Look at the artifact. Raises DetectorError when it cannot."""
        ...

    async def close(self) -> None:
        """Give back what the detector holds."""
        ...


@runtime_checkable
class ScoringDetector(Detector, Protocol):
    """A detector that gives any bytes a probability: what can be evaluated on labelled data."""

    async def score(self, content: ByteRange, pictures: Pictures) -> float:
        """Return the calibrated probability of malice, 0 to 1, whatever the type. Raises DetectorError."""
        ...
