"""Objects in a bucket of an S3-compatible server."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.exceptions import ClientError as S3ClientError
from typing_extensions import override

from shared.errors import NotFoundError, UnavailableError
from shared.objects.store import CHUNK_BYTES, ObjectStore, checked_key


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
        return self._prefix + checked_key(key)

    async def _call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await asyncio.to_thread(function, *args, **kwargs)
        except S3ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                raise NotFoundError("There is no such object or bucket in the object store.") from None
            raise UnavailableError("The object store refused a request.", retry_after_seconds=5) from error
        except (BotoCoreError, boto3.exceptions.Boto3Error, ConnectionError, TimeoutError) as error:
            raise UnavailableError("The object store does not answer.", retry_after_seconds=5) from error
