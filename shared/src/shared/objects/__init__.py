"""The object store: files, scan documents and reports, each under a key, streamed in and out.

`file://DIRECTORY` is the embedded default; `s3://BUCKET/PREFIX` is any S3-compatible server,
with credentials, region and endpoint from the standard AWS_* variables.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from urllib.parse import urlsplit

from shared.errors import PermanentError
from shared.events import ObjectRef
from shared.objects.files import FileObjectStore
from shared.objects.store import ObjectStore

__all__ = ["FileObjectStore", "ObjectStore", "download", "open_objects", "read_bytes"]


async def download(store: ObjectStore, ref: ObjectRef, target: Path) -> None:
    """Write the object to a new file and check it. Raises NotFoundError, PermanentError if it differs."""
    digest = hashlib.sha256()
    with await asyncio.to_thread(target.open, "xb") as file:
        async for chunk in store.stream(ref.key):
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
    if digest.hexdigest() != ref.sha256:
        await asyncio.to_thread(target.unlink)
        raise PermanentError(f"Object {ref.key} does not have the SHA-256 it was stored with.")


async def read_bytes(store: ObjectStore, ref: ObjectRef) -> bytes:
    """Return the whole object, checked. For documents and reports, not for files."""
    data = b"".join([chunk async for chunk in store.stream(ref.key)])
    if hashlib.sha256(data).hexdigest() != ref.sha256:
        raise PermanentError(f"Object {ref.key} does not have the SHA-256 it was stored with.")
    return data


def open_objects(url: str) -> ObjectStore:
    """Return the store that the URL names. Raises PermanentError for a scheme that is not known."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return FileObjectStore(Path(url.removeprefix("file://")))
    if parts.scheme == "s3" and parts.netloc:
        from shared.objects.s3 import S3ObjectStore  # noqa: PLC0415 - boto3 is slow to import and often not needed

        return S3ObjectStore(parts.netloc, parts.path.strip("/"))
    raise PermanentError(f"FUMEHOOD_OBJECTS_URL must be file://DIRECTORY or s3://BUCKET/PREFIX, not {parts.scheme}://")
