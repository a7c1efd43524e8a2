"""Scans to test with: artifacts, documents and the events of one submission."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.events import FileUploadedV1, ObjectRef, ScanCompletedV1, ScanFailedV1
from shared.scan import (
    Artifact,
    ContentType,
    Coverage,
    CoverageLevel,
    DetectorInfo,
    Excerpt,
    Finding,
    ImportedLibrary,
    Location,
    Program,
    ProgramSection,
    ScanDocument,
    Verdict,
    worst,
)

ACCEPTED_AT = datetime(2025, 3, 4, 12, 0, 0, tzinfo=UTC)
COMPLETE = Coverage(level=CoverageLevel.COMPLETE)
RULES = DetectorInfo(name="rules", version="1.2.0", kind="yara", model_sha256=hashlib.sha256(b"rules").hexdigest())
MODEL = DetectorInfo(
    name="script-model",
    version="0.9.1",
    kind="text-model",
    model_sha256=hashlib.sha256(b"model").hexdigest(),
    provider="CPUExecutionProvider",
)
TEXT = ContentType(
    label="txt", mime_type="text/plain", group="text", description="Generic text", score=0.98, is_text=True
)
ZIP = ContentType(
    label="zip", mime_type="application/zip", group="archive", description="Zip archive", score=0.99, is_text=False
)
EXCERPT = Excerpt(before="<?php ", text="eval($_REQUEST[1]);\n\texit", after="(); ?>")


def make_finding(verdict: Verdict = Verdict.MALICIOUS, **changes: Any) -> Finding:
    """Return a finding of the script model, with whatever is to differ."""
    values: dict[str, Any] = {
        "detector": MODEL,
        "label": "web-shell",
        "verdict": verdict,
        "score": 0.97,
        "reason": "The code runs what a request sends it.",
        "locations": (Location(start=6, end=32, first_line=1, last_line=2, weight=0.8, label="eval", excerpt=EXCERPT),),
    }
    return Finding(**values | changes)


def make_artifact(artifact_id: int = 0, **changes: Any) -> Artifact:
    """Return an artifact, clean and completely covered, with whatever is to differ."""
    content = f"artifact {artifact_id}".encode()
    values: dict[str, Any] = {
        "id": artifact_id,
        "parent_id": None if artifact_id == 0 else 0,
        "name": "notes.txt" if artifact_id == 0 else f"member-{artifact_id}.txt",
        "origin": "submitted" if artifact_id == 0 else "zip member",
        "depth": 0 if artifact_id == 0 else 1,
        "sha256": hashlib.sha256(content).hexdigest(),
        "sha1": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "size_bytes": len(content),
        "content_type": TEXT,
        "verdict": Verdict.CLEAN,
        "coverage": COMPLETE,
        "covered_by": (RULES.name, MODEL.name),
    }
    return Artifact(**values | changes)


def make_program(**changes: Any) -> Program:
    """Return the headers of a packed Windows program, with whatever is to differ."""
    section: dict[str, Any] = {
        "address": "0x1000",
        "offset": 512,
        "size_bytes": 2048,
        "entropy": 7.91,
        "readable": True,
    }
    values: dict[str, Any] = {
        "format": "PE",
        "kind": "program",
        "machine": "AMD64",
        "entry_point": "0x1000",
        "entry_section": 0,
        "entry_in_code": True,
        "built_at": ACCEPTED_AT,
        "packer": "UPX",
        "sections": (
            ProgramSection(name="UPX0", writable=True, executable=True, **section),
            ProgramSection(name=".rsrc", writable=False, executable=False, **section),
        ),
        "section_count": 2,
        "libraries": (ImportedLibrary(name="KERNEL32.dll", functions=("LoadLibraryA", "GetProcAddress")),),
        "import_count": 5,
        "size_bytes": 4096,
        "overlay_bytes": 12_000,
    }
    return Program(**values | changes)


def make_document(artifacts: Sequence[Artifact] | None = None, number: int = 1, **changes: Any) -> ScanDocument:
    """Return the document of the numbered scan; without artifacts that of one clean text."""
    artifacts = artifacts or [make_artifact()]
    values: dict[str, Any] = {
        "scan_id": scan_id(number),
        "submission_id": submission_id(number),
        "started_at": ACCEPTED_AT + timedelta(seconds=1),
        "finished_at": ACCEPTED_AT + timedelta(seconds=3.5),
        "verdict": worst(artifact.verdict for artifact in artifacts),
        "coverage": artifacts[0].coverage,
        "artifacts": tuple(artifacts),
        "detectors": (RULES, MODEL),
    }
    return ScanDocument(**values | changes)


def submission_id(number: int) -> str:
    """Return the id of the numbered submission."""
    return f"00000000-0000-4000-8000-{number:012}"


def scan_id(number: int) -> str:
    """Return the id of the scan of the numbered submission."""
    return f"00000000-0000-4000-9000-{number:012}"


def make_uploaded(number: int = 1, **changes: Any) -> FileUploadedV1:
    """Return the announcement of the numbered submission."""
    dates = {"accepted_at": ACCEPTED_AT, "deadline_at": ACCEPTED_AT + timedelta(seconds=300)}
    return FileUploadedV1(**_subject(number) | dates | changes)


def make_completed(number: int = 1, document: ScanDocument | None = None, **changes: Any) -> ScanCompletedV1:
    """Return the event of a scan that ended with a document, inline."""
    document = document or make_document(number=number)
    root = document.root
    file = ObjectRef(key=f"files/{root.sha256[:2]}/{root.sha256}", sha256=root.sha256, size_bytes=root.size_bytes)
    values = {"completed_at": document.finished_at, "document": document, "file": file}
    return ScanCompletedV1(**_subject(number) | values | changes)


def make_failed(number: int = 1, **changes: Any) -> ScanFailedV1:
    """Return the event of a scan that could not be done."""
    values = {"failed_at": ACCEPTED_AT + timedelta(seconds=2), "reason": "The bytes are gone."}
    return ScanFailedV1(**_subject(number) | values | changes)


def _subject(number: int) -> dict[str, Any]:
    root = make_artifact()
    return {
        "submission_id": submission_id(number),
        "scan_id": scan_id(number),
        "user_id": "alice",
        "file": ObjectRef(key=f"files/{root.sha256[:2]}/{root.sha256}", sha256=root.sha256, size_bytes=root.size_bytes),
        "name": root.name,
    }
