"""Writing scans: announced by the upload, ended by a scanner or by the deadline."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from results.models import EndedScan, Ending, OverdueScan, ScanEvent
from results.schema import ARTIFACTS, FINDINGS, RUNS, SCANS
from shared.clock import aware, now
from shared.database import Insert, insert
from shared.events import FileUploadedV1, ScanCompletedV1, ScanFailedV1
from shared.scan import Artifact, Coverage, CoverageLevel, ScanDocument, ScanStatus, Verdict

_NOT_LOOKED_AT = Coverage(level=CoverageLevel.NONE)


async def announce_scan(session: AsyncSession, event: FileUploadedV1) -> None:
    """Record that the scan was asked for. One that a scanner ended first only gets its dates."""
    dates = {"submitted_at": aware(event.accepted_at), "deadline_at": aware(event.deadline_at)}
    queued = {"status": ScanStatus.QUEUED, "verdict": Verdict.UNKNOWN, "artifact_count": 0, "finding_count": 0}
    asked = dates | {"options": event.options.model_dump(mode="json")}
    statement = insert(session, SCANS)
    statement = statement.on_conflict_do_update(index_elements=["scan_id"], set_=_given(statement, asked))
    await session.execute(statement, _subject(event) | queued | _coverage(_NOT_LOOKED_AT) | asked)


async def end_scan(session: AsyncSession, event: ScanCompletedV1 | ScanFailedV1, ending: Ending) -> EndedScan | None:
    """Record the terminal state; None if the scan has ended already, which then stays as it is.

    A scan that is not known yet is made, with dates that its announcement will correct.
    """
    terminal = _ending(ending)
    dates = {"submitted_at": aware(ending.started_at or ending.finished_at), "deadline_at": aware(ending.finished_at)}
    statement = insert(session, SCANS)
    statement = statement.on_conflict_do_update(
        index_elements=["scan_id"], set_=_given(statement, terminal), where=SCANS.c.finished_at.is_(None)
    )
    values = _subject(event) | terminal | dates
    row = (await session.execute(statement.returning(SCANS.c.previous_verdict), values)).one_or_none()
    if row is None:
        return None
    previous = Verdict(row.previous_verdict) if row.previous_verdict else None
    return EndedScan(event.scan_id, event.submission_id, previous)


async def make_current(session: AsyncSession, scan: EndedScan, status: ScanStatus) -> None:
    """Let an ended rescan be what is said of its submission; one that did not complete only if none before it did."""
    same = SCANS.c.submission_id == scan.submission_id
    statement = sa.update(SCANS).where(same).values(is_current=SCANS.c.scan_id == scan.scan_id)
    if status is not ScanStatus.COMPLETED:
        known = SCANS.alias()
        completed = (known.c.submission_id == scan.submission_id) & (known.c.status == ScanStatus.COMPLETED)
        statement = statement.where(~sa.exists().where(completed))
    await session.execute(statement)


async def insert_contents(session: AsyncSession, document: ScanDocument) -> None:
    """Record every artifact, finding and recorded run of a scan, for search, statistics and comparison."""
    scan_id, artifacts = document.scan_id, document.artifacts
    await session.execute(sa.insert(ARTIFACTS), [_artifact(scan_id, artifact) for artifact in artifacts])
    findings = [row for artifact in artifacts for row in _findings(scan_id, artifact)]
    if findings:
        await session.execute(sa.insert(FINDINGS), findings)
    runs = [row for artifact in artifacts for row in _runs(document, artifact)]
    if runs:
        await session.execute(sa.insert(RUNS), runs)


async def has_overdue(session: AsyncSession, moment: datetime) -> bool:
    """Return whether a scan is past its deadline without having ended."""
    return bool(await session.scalar(sa.select(sa.exists().where(*_overdue(moment)))))


async def claim_overdue(session: AsyncSession, moment: datetime, limit: int) -> list[OverdueScan]:
    """Lock overdue scans, longest overdue first, passing over those that somebody else is ending now."""
    columns = [SCANS.c[name] for name in OverdueScan.__dataclass_fields__]
    query = sa.select(*columns).where(*_overdue(moment)).order_by(SCANS.c.deadline_at).limit(limit)
    rows = (await session.execute(query.with_for_update(skip_locked=True))).mappings()
    return [OverdueScan(**{name: _read(name, value) for name, value in row.items()}) for row in rows]


async def expire_scan(session: AsyncSession, scan_id: str, ending: Ending) -> None:
    """Record the terminal state of a scan that this transaction has claimed."""
    await session.execute(sa.update(SCANS).where(SCANS.c.scan_id == scan_id).values(_ending(ending)))


def _given(statement: Insert, names: Iterable[str]) -> dict[str, sa.ColumnElement[Any]]:
    """Return these columns as the row has them that could not be inserted."""
    return {name: statement.excluded[name] for name in names}


def _overdue(moment: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return SCANS.c.finished_at.is_(None), SCANS.c.deadline_at <= moment


def _subject(event: ScanEvent) -> dict[str, Any]:
    name = storable(event.name)
    return {
        "scan_id": event.scan_id,
        "submission_id": event.submission_id,
        "user_id": event.user_id,
        "name": name,
        "name_folded": name.casefold(),
        "sha256": event.file.sha256,
        "size_bytes": event.file.size_bytes,
        "object_key": event.file.key,
        "known_at": now(),
    }


def _coverage(coverage: Coverage) -> dict[str, Any]:
    return {"coverage_level": coverage.level, "coverage": coverage.model_dump(mode="json")}


def _ending(ending: Ending) -> dict[str, Any]:
    return {
        "status": ending.status,
        "verdict": ending.verdict,
        "artifact_count": ending.artifact_count,
        "finding_count": ending.finding_count,
        "started_at": aware(ending.started_at) if ending.started_at else None,
        "finished_at": aware(ending.finished_at),
        "reason": storable(ending.reason) if ending.reason else None,
        "document": ending.document,
        "document_ref": ending.document_ref.model_dump() if ending.document_ref else None,
    } | _coverage(ending.coverage)


def _artifact(scan_id: str, artifact: Artifact) -> dict[str, Any]:
    return {
        "scan_id": scan_id,
        "id": artifact.id,
        "parent_id": artifact.parent_id,
        "name": storable(artifact.name),
        "sha256": artifact.sha256,
        "size_bytes": artifact.size_bytes,
        "content_type": artifact.content_type.label,
        "mime_type": artifact.content_type.mime_type,
        "verdict": artifact.verdict,
        "coverage": artifact.coverage.model_dump(mode="json"),
    }


def _findings(scan_id: str, artifact: Artifact) -> list[dict[str, Any]]:
    return [
        {
            "scan_id": scan_id,
            "artifact_id": artifact.id,
            "position": position,
            "detector": finding.detector.name,
            "detector_version": finding.detector.version,
            "label": finding.label,
            "verdict": finding.verdict,
            "score": finding.score,
            "shadow": finding.shadow,
        }
        for position, finding in enumerate(artifact.findings)
    ]


def _runs(document: ScanDocument, artifact: Artifact) -> list[dict[str, Any]]:
    return [
        {
            "scan_id": document.scan_id,
            "artifact_id": artifact.id,
            "position": position,
            "detector": run.detector,
            "detector_version": run.version,
            "shadow": run.shadow,
            "verdict": run.verdict,
            "score": run.score,
            "looked_at": aware(document.finished_at),
        }
        for position, run in enumerate(artifact.runs)
    ]


def storable(text: str) -> str:
    """Return the text without NUL, which PostgreSQL cannot keep; the scan document has it as it was."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _read(name: str, value: Any) -> Any:
    if name == "previous_verdict" and value is not None:
        return Verdict(value)
    return aware(value) if isinstance(value, datetime) else value
