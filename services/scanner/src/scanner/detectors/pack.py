"""Model packs: a folder with `detector.toml`, a model or rules, and a model card."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scanner.detectors.base import Covered
from scanner.errors import PackRefusedError
from shared.scan import DetectorInfo, Verdict

MANIFEST = "detector.toml"
MODEL = "model.onnx"
MODEL_CARD = "MODEL_CARD.md"
LOCAL_RULES = "local-rules"
"""Name under which the operator's folder of rules is a detector."""
TableT = TypeVar("TableT", bound=BaseModel)
RULE_SUFFIXES = frozenset({".yar", ".yara"})


class Thresholds(BaseModel):
    """Calibrated scores from which a finding says suspicious and malicious."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    suspicious: float = Field(ge=0, le=1)
    malicious: float = Field(ge=0, le=1)

    def verdict(self, score: float, *, covers: bool) -> Verdict:
        """Return what the score says; of a type the detector does not cover, suspicious at most."""
        if covers and score >= self.malicious:
            return Verdict.MALICIOUS
        return Verdict.SUSPICIOUS if score >= self.suspicious else Verdict.CLEAN


class GoldenFile(BaseModel):
    """A file of the pack and the score that a right installation gives it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", description="Name of a file in the pack's folder.")
    score: float = Field(ge=0, le=1, description="Calibrated.")
    tolerance: float = Field(default=0.01, gt=0)


class Manifest(BaseModel):
    """The content of `detector.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description="Of a name one is live, one in shadow.")
    version: str = Field(min_length=1, max_length=64)
    kind: str = Field(description="byte-model, text-model, image-model, tabular-model, yara, clamd or builtin.")
    description: str = ""
    mode: Literal["live", "shadow"] = "live"
    covers: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="Content-type labels, groups as `group:image`, or `*` for all."
    )
    sha256: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$", description="Of model.onnx, or of the rule files (see `rules_sha256`)."
    )
    thresholds: Thresholds | None = None
    input: dict[str, Any] = Field(default_factory=dict, description="Read by the kind: sizes, windows, tensor names.")
    output: dict[str, Any] = Field(default_factory=dict, description="Read by the kind: which tensor is the score.")
    golden: GoldenFile | None = None
    calibration: dict[str, Any] = Field(default_factory=dict, description="Read by the kind: score to probability.")


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack whose manifest is readable and whose hash is right."""

    folder: Path
    manifest: Manifest
    sha256: str | None

    @classmethod
    def read(cls, folder: Path) -> Pack:
        """Read and verify a pack's folder. Raises PackRefusedError with the reason."""
        manifest = _read_manifest(folder / MANIFEST)
        if not (folder / MODEL_CARD).is_file():
            raise PackRefusedError(f"It has no {MODEL_CARD}.")
        found = _content_sha256(folder, manifest)
        if manifest.sha256 is not None and manifest.sha256 != found:
            raise PackRefusedError(f"The SHA-256 is {found or 'missing'}, the manifest says {manifest.sha256}.")
        return cls(folder, manifest, found)

    @classmethod
    def of_rules(cls, folder: Path) -> Pack:
        """Take a folder of YARA rules that has no manifest: all that it says is findings."""
        digest = rules_sha256(folder)
        return cls(
            folder, Manifest(name=LOCAL_RULES, version=digest[:12], kind="yara", description=str(folder)), digest
        )

    @property
    def covered(self) -> Covered:
        """The types the pack covers."""
        return Covered.parse(self.manifest.covers)

    @property
    def shadow(self) -> bool:
        """Whether the pack runs without counting."""
        return self.manifest.mode == "shadow"

    def table(self, model: type[TableT], name: Literal["input", "output", "calibration"]) -> TableT:
        """Return one of the manifest's tables that the kind reads, checked. Raises PackRefusedError."""
        try:
            return model.model_validate(getattr(self.manifest, name))
        except ValidationError as error:
            raise PackRefusedError(_wrong_at(error, name)) from error

    def rule_files(self) -> list[Path]:
        """Return the pack's rule files in a fixed order."""
        return rule_files(self.folder)

    def info(self, provider: str | None = None) -> DetectorInfo:
        """Return what findings say of this detector."""
        manifest = self.manifest
        return DetectorInfo(
            name=manifest.name,
            version=manifest.version,
            kind=manifest.kind,
            model_sha256=self.sha256,
            provider=provider,
        )


def rule_files(folder: Path) -> list[Path]:
    """Return the rule files below a folder in a fixed order."""
    return sorted(path for path in folder.rglob("*") if path.suffix in RULE_SUFFIXES and path.is_file())


def rules_sha256(folder: Path) -> str:
    """Hash the rule files: for each, in order of path, the path, a zero byte, the content's SHA-256."""
    digest = hashlib.sha256()
    for path in rule_files(folder):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _content_sha256(folder: Path, manifest: Manifest) -> str | None:
    if manifest.kind == "yara":
        return rules_sha256(folder)
    model = folder / MODEL
    if not model.is_file():
        return None
    if manifest.sha256 is None:
        raise PackRefusedError("The manifest does not give the SHA-256 of the model.")
    return hashlib.sha256(model.read_bytes()).hexdigest()


def _read_manifest(path: Path) -> Manifest:
    try:
        return Manifest.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise PackRefusedError(f"{MANIFEST} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PackRefusedError(f"{MANIFEST} is not TOML: {error}.") from error
    except ValidationError as error:
        raise PackRefusedError(_wrong_at(error)) from error


def _wrong_at(error: ValidationError, *table: str) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, (*table, *first["loc"])))
    return f"{MANIFEST} is wrong at {where}: {first['msg']}."
