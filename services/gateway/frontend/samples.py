"""Sample data for the preview: ordinary scans, hostile names, and every state a page can be in."""

# ruff: noqa: D103, INP001, PLR0913
# Sample data for developers, no package.

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from gateway.views import LiveProgress, Phase, ShadowsPage, Shell, SubmissionFacts, shadows_page
from shared.clients import ChangedArtifact, Comparison, LiveDetector, ShadowVersion, VerdictPair
from shared.events import ArtifactFinding
from shared.scan import (
    Artifact,
    ContentType,
    Coverage,
    CoverageGap,
    CoverageLevel,
    CoverageReason,
    DetectorInfo,
    Finding,
    Location,
    PackageRole,
    ScanDocument,
    ScanStatus,
    Verdict,
)

NOW = datetime.now(UTC)
COMPLETE = Coverage(level=CoverageLevel.COMPLETE)
HOSTILE_NAME = "invoice_\u202egpj.exe\u202c \x1b[31m<img src=x onerror=alert(1)>\u200b.pdf"
LONG_NAME = "quarterly-" + "very-" * 790 + "long-report-final-v2.tar.gz"

SCRIPTS = DetectorInfo(
    name="script-threats",
    version="1.4.0",
    kind="text-model",
    model_sha256=hashlib.sha256(b"scripts").hexdigest(),
    provider="CUDAExecutionProvider",
)
RULES = DetectorInfo(
    name="yara-rules", version="2026.1", kind="yara", model_sha256=hashlib.sha256(b"rules").hexdigest()
)
DISGUISE = DetectorInfo(
    name="disguise",
    version="1.0.2",
    kind="byte-model",
    provider="CPUExecutionProvider",
    model_sha256=hashlib.sha256(b"magika").hexdigest(),
)
PACKAGES = DetectorInfo(name="package", version="1.0.0", kind="builtin")
EICAR = DetectorInfo(name="eicar", version="1.0.0", kind="builtin")

TYPES = {
    "zip": ("application/zip", "archive", "Zip archive data", False),
    "gzip": ("application/gzip", "archive", "gzip compressed data", False),
    "tar": ("application/x-tar", "archive", "POSIX tar archive", False),
    "python": ("text/x-python", "code", "Python source", True),
    "php": ("text/x-php", "code", "PHP source", True),
    "txt": ("text/plain", "text", "Generic text document", True),
    "png": ("image/png", "image", "PNG image", False),
    "pebin": ("application/vnd.microsoft.portable-executable", "executable", "PE Windows executable", False),
    "pdf": ("application/pdf", "document", "PDF document", False),
}

WEB_SHELL = Finding(
    detector=SCRIPTS,
    label="web-shell",
    verdict=Verdict.MALICIOUS,
    score=0.987,
    reason="Runs commands that come in with a web request.",
    locations=(
        Location(start=412, end=503, first_line=14, last_line=16, weight=0.71),
        Location(start=1180, end=1204, first_line=41, last_line=41, weight=0.18),
        Location(start=96, end=130, first_line=4, last_line=5, weight=0.06),
    ),
)
SHELL_RULE = Finding(
    detector=RULES,
    label="fumehood_php_request_to_eval",
    verdict=Verdict.MALICIOUS,
    reason="Passes request data to eval through a decoding function.",
    locations=(Location(start=412, end=447, first_line=14, last_line=14, label="$eval_decode"),),
    metadata={"author": "Fumehood", "severity": "high", "reference": "https://attack.mitre.org/techniques/T1505/003/"},
)
DISGUISED = Finding(
    detector=DISGUISE,
    label="disguised-executable",
    verdict=Verdict.SUSPICIOUS,
    score=0.62,
    reason="The name ends in .pdf, but the content is a Windows program.",
)
INSTALLS = Finding(
    detector=PACKAGES,
    label="runs-at-install",
    verdict=Verdict.UNKNOWN,
    reason="Installing this Python source package runs demo-1.0/setup.py.",
)
ASKS_HOME = Finding(
    detector=PACKAGES,
    label="network-at-install",
    verdict=Verdict.SUSPICIOUS,
    reason="This script runs when the package is installed. It opens network connections.",
)
LATE_LOADER = Finding(
    detector=SCRIPTS,
    label="script-threat",
    verdict=Verdict.SUSPICIOUS,
    score=0.71,
    reason="The model gives this file a probability of 71 % to be malicious. It counts one step less: the package runs "
    "this file neither at install nor at import.",
)
ON_TRIAL = Finding(
    detector=DetectorInfo(name="image-payloads", version="0.1.0", kind="image-model", provider="CPUExecutionProvider"),
    label="appended-data",
    verdict=Verdict.SUSPICIOUS,
    score=0.55,
    reason="The picture is followed by data that is no part of it.",
    shadow=True,
)


def artifact(
    number: int,
    parent: int | None,
    name: str,
    kind: str,
    verdict: Verdict = Verdict.CLEAN,
    *,
    depth: int = 1,
    size: int = 2048,
    coverage: Coverage = COMPLETE,
    findings: tuple[Finding, ...] = (),
    origin: str = "zip member",
    role: PackageRole | None = None,
) -> Artifact:
    mime_type, group, description, is_text = TYPES[kind]
    seed = f"{number}{name}".encode("utf-8", "surrogatepass")
    return Artifact(
        id=number,
        parent_id=parent,
        name=name,
        depth=depth,
        size_bytes=size,
        origin="submitted" if parent is None else origin,
        sha256=hashlib.sha256(seed).hexdigest(),
        sha1=hashlib.sha1(seed, usedforsecurity=False).hexdigest(),
        md5=hashlib.md5(seed, usedforsecurity=False).hexdigest(),
        content_type=ContentType(
            label=kind, mime_type=mime_type, group=group, description=description, score=0.998, is_text=is_text
        ),
        verdict=verdict,
        coverage=coverage,
        findings=findings,
        role=role,
        covered_by=()
        if coverage.level is CoverageLevel.NONE
        else ("disguise", "yara-rules", "script-threats")[: 3 if is_text else 2],
    )


def gaps(level: CoverageLevel, *pairs: tuple[CoverageReason, str]) -> Coverage:
    return Coverage(level=level, gaps=tuple(CoverageGap(reason=reason, detail=detail) for reason, detail in pairs))


def document(submission_id: str, *artifacts: Artifact) -> ScanDocument:
    root = artifacts[0]
    return ScanDocument(
        scan_id=f"scan-{submission_id}",
        submission_id=submission_id,
        started_at=NOW - timedelta(seconds=62.4),
        finished_at=NOW - timedelta(seconds=61),
        verdict=root.verdict,
        coverage=root.coverage,
        artifacts=artifacts,
        detectors=(DISGUISE, EICAR, SCRIPTS, RULES),
    )


LOCKED = gaps(CoverageLevel.NONE, (CoverageReason.ENCRYPTED, "backup/secrets.zip needs a password."))
MANY_GAPS = gaps(
    CoverageLevel.PARTIAL,
    (CoverageReason.ENCRYPTED, "backup/secrets.zip needs a password."),
    (CoverageReason.UNSUPPORTED, "No installed detector covers PNG images."),
    (CoverageReason.LIMIT_REACHED, "nested.tar.gz holds more than 10,000 files; the rest were not unpacked."),
)


def malicious(submission_id: str) -> ScanDocument:
    return document(
        submission_id,
        artifact(0, None, "website-backup.zip", "zip", Verdict.MALICIOUS, depth=0, size=184_320, coverage=MANY_GAPS),
        artifact(1, 0, "uploads/avatar.php", "php", Verdict.MALICIOUS, findings=(WEB_SHELL, SHELL_RULE)),
        artifact(2, 0, "readme.txt", "txt", size=812),
        artifact(3, 0, HOSTILE_NAME, "pebin", Verdict.SUSPICIOUS, size=73_802, findings=(DISGUISED,)),
        artifact(4, 0, "backup/secrets.zip", "zip", Verdict.UNKNOWN, size=9_120, coverage=LOCKED),
        artifact(5, 0, "nested.tar.gz", "gzip", Verdict.UNKNOWN, size=40_233, coverage=MANY_GAPS),
        artifact(6, 5, "nested.tar", "tar", Verdict.UNKNOWN, depth=2, origin="gzip stream", size=96_000),
        artifact(7, 6, LONG_NAME, "txt", depth=3, origin="tar member", size=120),
        artifact(
            8,
            6,
            "img/logo.png",
            "png",
            Verdict.UNKNOWN,
            depth=3,
            origin="tar member",
            findings=(ON_TRIAL,),
            coverage=gaps(CoverageLevel.NONE, (CoverageReason.UNSUPPORTED, "No installed detector covers PNG images.")),
        ),
    )


def clean(submission_id: str) -> ScanDocument:
    return document(submission_id, artifact(0, None, "setup.php", "php", depth=0, size=5_120))


def unknown(submission_id: str) -> ScanDocument:
    return document(submission_id, artifact(0, None, HOSTILE_NAME, "zip", Verdict.UNKNOWN, depth=0, coverage=LOCKED))


def suspicious(submission_id: str) -> ScanDocument:
    return document(
        submission_id, artifact(0, None, "offer.pdf", "pebin", Verdict.SUSPICIOUS, depth=0, findings=(DISGUISED,))
    )


def deep(submission_id: str) -> ScanDocument:
    children = [artifact(n, n - 1, f"level-{n}.zip", "zip", depth=n, size=1000 * (20 - n)) for n in range(1, 14)]
    wide = [artifact(100 + n, 0, f"many/file-{n}.txt", "txt") for n in range(400)]
    return document(submission_id, artifact(0, None, LONG_NAME, "zip", depth=0), *children, *wide)


def package(submission_id: str) -> ScanDocument:
    install, used, other = PackageRole
    aside = LATE_LOADER.model_copy(update={"weighed_from": Verdict.SUSPICIOUS, "verdict": Verdict.UNKNOWN})
    return document(
        submission_id,
        artifact(0, None, "demo-1.0.tar.gz", "gzip", Verdict.SUSPICIOUS, depth=0, size=20_480),
        artifact(
            1, 0, "demo-1.0.tar", "tar", Verdict.SUSPICIOUS, origin="gzip stream", size=96_000, findings=(INSTALLS,)
        ),
        artifact(2, 1, "demo-1.0/setup.py", "python", Verdict.SUSPICIOUS, depth=2, findings=(ASKS_HOME,), role=install),
        artifact(3, 1, "demo-1.0/demo/__init__.py", "python", depth=2, origin="tar member", role=used),
        artifact(
            4, 1, "demo-1.0/tests/test_demo.py", "python", Verdict.UNKNOWN, depth=2, findings=(aside,), role=other
        ),
    )


def facts(
    submission_id: str,
    name: str,
    status: ScanStatus,
    verdict: Verdict | None = None,
    minutes: float = 1,
    **more: object,
) -> SubmissionFacts:
    values = {
        "id": submission_id,
        "file_name": name,
        "size_bytes": 184_320,
        "status": status,
        "verdict": verdict,
        "sha256": hashlib.sha256(submission_id.encode()).hexdigest(),
        "submitted_at": NOW - timedelta(minutes=minutes),
    }
    return SubmissionFacts.model_validate(values | more)


DONE = ScanStatus.COMPLETED
SUBMISSIONS = (
    facts("live", "website-backup.zip", ScanStatus.SCANNING, minutes=0.1),
    facts("queued", "holiday-pictures.tar.gz", ScanStatus.QUEUED, minutes=0.2),
    facts("malicious", "website-backup.zip", DONE, Verdict.MALICIOUS, 2, coverage=CoverageLevel.PARTIAL),
    facts("suspicious", "offer.pdf", DONE, Verdict.SUSPICIOUS, 47, coverage=CoverageLevel.COMPLETE),
    facts("unknown", HOSTILE_NAME, DONE, Verdict.UNKNOWN, 180, coverage=CoverageLevel.NONE),
    facts("clean", "setup.php", DONE, Verdict.CLEAN, 1500, coverage=CoverageLevel.COMPLETE, size_bytes=5_120),
    facts("package", "demo-1.0.tar.gz", DONE, Verdict.SUSPICIOUS, 2000, coverage=CoverageLevel.COMPLETE),
    facts("deep", LONG_NAME, DONE, Verdict.CLEAN, 3000, coverage=CoverageLevel.COMPLETE, size_bytes=1_288_490_188),
    facts(
        "failed",
        "\u062a\u0642\u0631\u064a\u0631 2026.docx",
        ScanStatus.FAILED,
        minutes=9000,
        failure="The sandboxed process was stopped three times: it used more memory than it may.",
        submitted_by="rosalind@example.org",
    ),
    facts(
        "expired",
        "disk-image-of-the-old-mail-server.iso",
        ScanStatus.EXPIRED,
        minutes=90000,
        failure="No scanner finished this scan within 5 minutes.",
    ),
)
DOCUMENTS = {
    "malicious": malicious,
    "suspicious": suspicious,
    "unknown": unknown,
    "clean": clean,
    "deep": deep,
    "package": package,
}
PROGRESS = (
    LiveProgress(),
    LiveProgress(phase=Phase.UNPACKING, artifacts_found=4),
    LiveProgress(phase=Phase.DETECTING, artifacts_done=3, artifacts_found=9),
    LiveProgress(
        phase=Phase.DETECTING,
        artifacts_done=6,
        artifacts_found=9,
        findings=(ArtifactFinding(artifact_name="uploads/avatar.php", artifact_size_bytes=2048, finding=WEB_SHELL),),
    ),
)


def comparison(*, compared: bool) -> Comparison:
    """Return a comparison of a new model with the live one, or one that compared nothing."""
    change = ChangedArtifact(
        submission_id="malicious",
        submission_name="website.zip",
        submission_verdict=Verdict.CLEAN,
        artifact_name="uploads/avatar.php",
        sha256="0" * 64,
        now=None,
        then=Verdict.MALICIOUS,
        live_score=0.42,
        shadow_score=0.97,
        looked_at=NOW,
    )
    lost = change.model_copy(
        update={"artifact_name": HOSTILE_NAME, "now": Verdict.SUSPICIOUS, "then": None, "shadow_score": 0.2}
    )
    pairs = {
        (Verdict.CLEAN, Verdict.CLEAN): 12_480,
        (Verdict.MALICIOUS, Verdict.MALICIOUS): 310,
        (Verdict.CLEAN, Verdict.MALICIOUS): 7,
        (Verdict.SUSPICIOUS, Verdict.CLEAN): 22,
        (Verdict.UNKNOWN, Verdict.UNKNOWN): 95,
    }
    counts = pairs if compared else {}
    return Comparison(
        detector="script-threats",
        version="1.5.0",
        reference="script-threats",
        others=(LiveDetector(name="script-threats", versions=("1.4.0",), artifacts=sum(counts.values())),),
        first_at=NOW - timedelta(days=6) if compared else None,
        last_at=NOW if compared else None,
        artifacts=sum(counts.values()),
        alone=12,
        agreed=sum(number for (live, shadow), number in counts.items() if live is shadow),
        pairs=tuple(VerdictPair(live=live, shadow=shadow, artifacts=n) for (live, shadow), n in counts.items()),
        live_scores=(12_300, 120, 40, 20, 9, 4, 11, 18, 30, 280) if compared else (0,) * 10,
        shadow_scores=(12_420, 60, 20, 8, 2, 1, 4, 6, 12, 317) if compared else (0,) * 10,
        newly_flagged=7 if compared else 0,
        no_longer_flagged=22 if compared else 0,
        otherwise_flagged=0,
        changed=(change, lost) if compared else (),
    )


def shadows(shell: Shell, found: Comparison | None) -> ShadowsPage:
    """Return the page of detectors on trial; None: nothing has ever run in shadow."""
    if found is None:
        return shadows_page(shell, (), None, None, NOW, period="")
    version = ShadowVersion(
        detector=found.detector,
        version=found.version,
        artifacts=found.artifacts + found.alone,
        first_at=NOW - timedelta(days=6),
        last_at=NOW,
    )
    return shadows_page(shell, (version,), version, found, NOW, period="7")
