"""Rows and objects of the scanner service."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from shared.events import ObjectRef
from shared.messaging.tables import PROCESSED_EVENTS
from shared.objects import ObjectStore
from shared.scan import ScanDocument

INLINE_BYTES = 64 * 1024


async def is_handled(session: AsyncSession, event_id: str) -> bool:
    """Return whether the event was handled before, here or by another replica."""
    query = sa.select(PROCESSED_EVENTS.c.event_id).where(PROCESSED_EVENTS.c.event_id == event_id)
    return await session.scalar(query) is not None


async def put_document(objects: ObjectStore, document: ScanDocument) -> ObjectRef | None:
    """Store a document that is too large for a message; None if it is not (64 KiB)."""
    data = document.model_dump_json().encode()
    if len(data) <= INLINE_BYTES:
        return None
    key = f"scans/{document.scan_id}.json"
    await objects.put_bytes(key, data)
    return ObjectRef(key=key, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
