"""The vocabulary of a scan: what every service means by verdict, coverage, finding and artifact.

A scan document is the complete result of one scan. The scanner writes it, results keeps it,
reports and gateway render it. The words are those of the glossary in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """Base of all values that cross a service boundary: immutable, unknown fields ignored."""

    model_config = ConfigDict(frozen=True)


class Verdict(StrEnum):
    """What is said of an artifact or a scan."""

    MALICIOUS = "malicious"
    SUSPICIOUS = "suspicious"
    UNKNOWN = "unknown"
    CLEAN = "clean"


_SEVERITY = {Verdict.CLEAN: 0, Verdict.UNKNOWN: 1, Verdict.SUSPICIOUS: 2, Verdict.MALICIOUS: 3}


def worst(verdicts: Iterable[Verdict], default: Verdict = Verdict.UNKNOWN) -> Verdict:
    """Return the most severe verdict (malicious > suspicious > unknown > clean)."""
    return max(verdicts, key=_SEVERITY.__getitem__, default=default)


class ScanStatus(StrEnum):
    """Where a scan stands. The last three are terminal."""

    QUEUED = "queued"
    SCANNING = "scanning"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def terminal(self) -> bool:
        """Whether a scan in this status will never change again."""
        return self in {ScanStatus.COMPLETED, ScanStatus.FAILED, ScanStatus.EXPIRED}


class CoverageLevel(StrEnum):
    """How much of an artifact was looked at."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    NONE = "none"


class CoverageReason(StrEnum):
    """Why coverage is not complete."""

    TOO_LARGE = "too_large"
    ENCRYPTED = "encrypted"
    UNSUPPORTED = "unsupported"
    LIMIT_REACHED = "limit_reached"
    TIMEOUT = "timeout"
    ERROR = "error"


class CoverageGap(Frozen):
    """One thing that was not looked at, and why."""

    reason: CoverageReason
    detail: str = Field(description="One sentence for people; never content of the file.")


class Coverage(Frozen):
    """How much was looked at; `gaps` is empty exactly when the level is complete."""

    level: CoverageLevel
    gaps: tuple[CoverageGap, ...] = ()


class PackageRole(StrEnum):
    """When a package of code that holds this file runs it."""

    INSTALL = "install"
    """Runs when the package is installed, or is named by what does."""
    IMPORT = "import"
    """Code that runs when the package is imported or used."""
    OTHER = "other"
    """Tests, documents, examples and data: nothing runs it by itself."""


class DetectorInfo(Frozen):
    """A detector as it was when it looked: enough to repeat the finding."""

    name: str
    version: str
    kind: str = Field(description="byte-model, text-model, image-model, tabular-model, yara, clamd or builtin.")
    model_sha256: str | None = Field(default=None, description="SHA-256 (hex) of the model or of the rule files.")
    provider: str | None = Field(
        default=None, description="ONNX Runtime execution provider in use, e.g. CUDAExecutionProvider."
    )


class Excerpt(Frozen):
    """The text at a location, and what stands beside it in the lines where it begins and ends.

    As untrusted as the file it is from; controls other than tabs and line feeds are replaced.
    """

    before: str = Field(default="", max_length=100)
    text: str = Field(max_length=300)
    after: str = Field(default="", max_length=100)
    cut: bool = Field(default=False, description="Whether the location is longer than what is shown of it.")


class Location(Frozen):
    """Where in the artifact's bytes the evidence is."""

    start: int = Field(ge=0, description="First byte, from 0.")
    end: int = Field(ge=0, description="One past the last byte.")
    first_line: int | None = Field(default=None, description="Line of the first byte, from 1; text only.")
    last_line: int | None = None
    weight: float | None = Field(default=None, description="Share of the score this range drove, 0 to 1.")
    label: str | None = Field(default=None, description="Name of the evidence, e.g. a YARA pattern identifier.")
    excerpt: Excerpt | None = Field(default=None, description="What stands there; of the first places in text only.")


class Finding(Frozen):
    """What one detector says of one artifact."""

    detector: DetectorInfo
    label: str = Field(description="Short stable identifier, e.g. a rule name or `web-shell`.")
    verdict: Verdict = Field(description="What this finding alone says.")
    score: float | None = Field(default=None, description="Calibrated probability of malice, 0 to 1.")
    reason: str = Field(description="One sentence for people.")
    locations: tuple[Location, ...] = ()
    shadow: bool = Field(default=False, description="Recorded but not counted.")
    weighed_from: Verdict | None = Field(
        default=None,
        description="What it says of the file by itself, where it counts less because of the file's package role.",
    )
    metadata: dict[str, str] = Field(default_factory=dict, description="Author, reference, severity and the like.")


class DetectorRun(Frozen):
    """That a detector looked at an artifact, and what came of it, also where it had nothing to say."""

    detector: str
    version: str
    verdict: Verdict = Field(description="Worst of its findings; without any `clean`, or `unknown` if it saw not all.")
    score: float | None = Field(default=None, description="Calibrated probability of malice, 0 to 1.")
    shadow: bool = False


class ContentType(Frozen):
    """What the bytes are, whatever the name says."""

    label: str = Field(description="Magika's label, e.g. `php`, `zip`, `png`, `empty`, `unknown`.")
    mime_type: str
    group: str = Field(description="Magika's group, e.g. code, archive, image, document, executable, text.")
    description: str
    score: float = Field(description="Confidence of the model, 0 to 1.")
    is_text: bool


_Address = Annotated[str, Field(pattern=r"^0x[0-9a-f]{1,16}$", description="Hexadecimal, e.g. `0x401000`.")]


class ProgramSection(Frozen):
    """One section of a program; of one that has no sections, one of its segments."""

    name: str = Field(max_length=100, description="Untrusted; printable ASCII, everything else escaped.")
    address: _Address
    offset: int = Field(ge=0, description="Where its bytes begin in the file.")
    size_bytes: int = Field(ge=0, description="Bytes in the file.")
    entropy: float = Field(ge=0, le=8, description="Bits per byte; packed or encrypted from about 7.2.")
    readable: bool
    writable: bool
    executable: bool


class ImportedLibrary(Frozen):
    """Functions that a program takes from one library."""

    name: str = Field(max_length=200, description="Untrusted, escaped; empty where the format does not say which.")
    functions: tuple[Annotated[str, Field(max_length=200)], ...] = ()


class ProgramSignature(StrEnum):
    """Whether a program is signed. Who signed it is not checked against any list of trusted names."""

    ABSENT = "absent"
    PRESENT = "present"
    FITTING = "fitting"
    """Present, and made for exactly these bytes."""
    BROKEN = "broken"
    """Present, and not made for these bytes."""


class Program(Frozen):
    """What the headers of a PE, ELF or Mach-O file say: facts, no verdict. Headers can lie."""

    format: Literal["PE", "ELF", "Mach-O"]
    kind: Literal["program", "library", "driver", "object", "other"]
    machine: str = Field(max_length=200, description="Processor it is for, e.g. `AMD64`; of several all.")
    entry_point: _Address | None = None
    entry_section: int | None = Field(default=None, ge=0, description="Position in `sections` of the entry point.")
    entry_in_code: bool | None = Field(default=None, description="Whether it lies in executable memory.")
    built_at: datetime | None = Field(default=None, description="As the header says.")
    managed: bool = Field(default=False, description="Made of .NET code.")
    packer: str | None = Field(default=None, max_length=50, description="Packer whose traces it carries, e.g. `UPX`.")
    signature: ProgramSignature = ProgramSignature.ABSENT
    signer: str | None = Field(default=None, max_length=300, description="Subject of the signing certificate.")
    sections: tuple[ProgramSection, ...] = Field(default=(), max_length=64, description="The first 64.")
    section_count: int = Field(default=0, ge=0)
    libraries: tuple[ImportedLibrary, ...] = Field(
        default=(), max_length=64, description="The first 64, with 200 functions in all."
    )
    import_count: int = Field(default=0, ge=0, description="Imported functions.")
    size_bytes: int = Field(ge=0, description="Bytes of the file that belong to the program.")
    overlay_bytes: int = Field(default=0, ge=0, description="Bytes behind the program that it does not load.")
    overlay_known: bool = Field(default=False, description="They begin as an archive or an installer's data.")


class Artifact(Frozen):
    """A file inside the scan's tree: the root, or something unpacked or decoded from it."""

    id: int = Field(description="Position in the document; the root is 0.")
    parent_id: int | None = Field(description="The artifact it came out of; None for the root.")
    name: str = Field(description="Name as found, untrusted; escape before showing.")
    origin: str = Field(description="How it was obtained: `submitted`, `zip member`, `gzip stream`, ...")
    depth: int
    sha256: str
    sha1: str
    md5: str
    size_bytes: int
    content_type: ContentType
    verdict: Verdict = Field(description="Own findings and the worst of everything inside.")
    coverage: Coverage = Field(description="Own coverage and that of everything inside.")
    findings: tuple[Finding, ...] = ()
    covered_by: tuple[str, ...] = Field(default=(), description="Names of the detectors that cover this type and ran.")
    role: PackageRole | None = Field(
        default=None, description="When the package that holds this file runs it; None outside of packages."
    )
    program: Program | None = Field(default=None, description="Header facts, of programs only.")
    runs: tuple[DetectorRun, ...] = Field(
        default=(), description="All that looked at it, if one of them was in shadow; for comparing the two."
    )


class ScanDocument(Frozen):
    """The complete result of one scan. `artifacts[0]` is the submitted file; parents precede children."""

    schema_version: int = 1
    scan_id: str
    submission_id: str
    started_at: datetime
    finished_at: datetime
    verdict: Verdict
    coverage: Coverage
    artifacts: tuple[Artifact, ...]
    detectors: tuple[DetectorInfo, ...] = Field(
        default=(), description="Every detector that was ready during this scan."
    )

    @property
    def root(self) -> Artifact:
        """The artifact of the submitted file itself."""
        return self.artifacts[0]
