"""The object store: files, scan documents and reports, each under a key, streamed in and out.

`file://DIRECTORY` is the embedded default; `s3://BUCKET/PREFIX` is any S3-compatible server,
with credentials, region and endpoint from the standard AWS_* variables.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.exceptions import ClientError as S3ClientError
from typing_extensions import override

from shared.errors import NotFoundError, PermanentError, UnavailableError
from shared.events import ObjectRef

CHUNK_BYTES = 1 << 20
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")


class ObjectStore(Protocol):
    """Keys are lower-case paths made by us, never by a user. Bytes are durable when a put returns."""

    async def put_file(self, key: str, path: Path) -> None:
        """Store the file's bytes under the key, replacing what was there. `path` may be moved away."""

    async def put_bytes(self, key: str, data: bytes) -> None:
        """Store the bytes under the key, replacing what was there."""

    async def exists(self, key: str) -> bool:
        """Return whether the key holds bytes."""

    def stream(self, key: str) -> AsyncIterator[bytes]:
        """Yield the bytes in chunks of at most 1 MiB. Raises NotFoundError."""

    async def delete(self, key: str) -> None:
        """Remove the key; nothing happens if it is not there."""

    async def check(self) -> None:
        """Raise UnavailableError unless the store can be used now."""

    def spool_directory(self) -> Path:
        """Return a local directory for bytes on their way in; moving from it to the store is cheap."""


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
        return S3ObjectStore(parts.netloc, parts.path.strip("/"))
    raise PermanentError(f"FUMEHOOD_OBJECTS_URL must be file://DIRECTORY or s3://BUCKET/PREFIX, not {parts.scheme}://")


class FileObjectStore(ObjectStore):
    """Objects as files below one directory, written to a side directory, synced, then renamed."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._incoming = self._root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)

    @override
    def spool_directory(self) -> Path:
        return self._incoming

    @override
    async def put_file(self, key: str, path: Path) -> None:
        await asyncio.to_thread(self._move_in, key, path)

    @override
    async def put_bytes(self, key: str, data: bytes) -> None:
        await asyncio.to_thread(self._write, key, data)

    @override
    async def exists(self, key: str) -> bool:
        return await asyncio.to_thread(self._path(key).is_file)

    @override
    async def stream(self, key: str) -> AsyncIterator[bytes]:
        try:
            file = await asyncio.to_thread(self._path(key).open, "rb")
        except FileNotFoundError:
            raise NotFoundError(f"There is no object {key}.") from None
        with file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk

    @override
    async def delete(self, key: str) -> None:
        await asyncio.to_thread(self._path(key).unlink, missing_ok=True)

    @override
    async def check(self) -> None:
        if not await asyncio.to_thread(os.access, self._incoming, os.W_OK):
            raise UnavailableError(f"The object directory {self._root} cannot be written.")

    def _path(self, key: str) -> Path:
        return self._root / _checked(key)

    def _write(self, key: str, data: bytes) -> None:
        handle, name = tempfile.mkstemp(dir=self._incoming)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        self._move_in(key, Path(name))

    def _move_in(self, key: str, path: Path) -> None:
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        _sync(path, os.O_RDONLY)
        path.replace(target)
        _sync(target.parent, os.O_RDONLY | os.O_DIRECTORY)


class S3ObjectStore(ObjectStore):
    """Objects in one bucket below one prefix; transfers run in threads and use multipart where large."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._client: Any = boto3.client(
            "s3",
            config=Config(
                connect_timeout=5,
                read_timeout=60,
                retries={"max_attempts": 3, "mode": "standard"},
                s3={"addressing_style": "path"},
            ),
        )

    @override
    def spool_directory(self) -> Path:
        return Path(tempfile.gettempdir())

    @override
    async def put_file(self, key: str, path: Path) -> None:
        await self._call(self._client.upload_file, str(path), self._bucket, self._name(key))

    @override
    async def put_bytes(self, key: str, data: bytes) -> None:
        await self._call(self._client.put_object, Bucket=self._bucket, Key=self._name(key), Body=data)

    @override
    async def exists(self, key: str) -> bool:
        try:
            await self._call(self._client.head_object, Bucket=self._bucket, Key=self._name(key))
        except NotFoundError:
            return False
        return True

    @override
    async def stream(self, key: str) -> AsyncIterator[bytes]:
        answer = await self._call(self._client.get_object, Bucket=self._bucket, Key=self._name(key))
        body = cast("BinaryIO", answer["Body"])
        try:
            while chunk := await self._call(body.read, CHUNK_BYTES):
                yield chunk
        finally:
            body.close()

    @override
    async def delete(self, key: str) -> None:
        await self._call(self._client.delete_object, Bucket=self._bucket, Key=self._name(key))

    @override
    async def check(self) -> None:
        await self._call(self._client.head_bucket, Bucket=self._bucket)

    def _name(self, key: str) -> str:
        return self._prefix + _checked(key)

    async def _call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await asyncio.to_thread(function, *args, **kwargs)
        except S3ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                raise NotFoundError("There is no such object or bucket in the object store.") from None
            raise UnavailableError("The object store refused a request.", retry_after_seconds=5) from error
        except (BotoCoreError, boto3.exceptions.Boto3Error, ConnectionError, TimeoutError) as error:
            raise UnavailableError("The object store does not answer.", retry_after_seconds=5) from error


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key) or ".." in key:
        raise PermanentError("That is not a valid object key.")
    return key


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
