from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.errors import NotFoundError, PermanentError, UnavailableError
from shared.events import ObjectRef
from shared.objects import ObjectStore, download, open_objects, read_bytes


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.integration)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "file":
        return open_objects(f"file://{tmp_path}/objects")
    return open_objects(request.getfixturevalue("s3_url"))


def reference(key: str, data: bytes) -> ObjectRef:
    return ObjectRef(key=key, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


async def content(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in stream])


async def test_bytes_come_back_as_they_were_put(store: ObjectStore) -> None:
    await store.put_bytes("files/ab/abc", b"hello")

    assert await content(store.stream("files/ab/abc")) == b"hello"
    assert await store.exists("files/ab/abc")


async def test_a_file_larger_than_a_chunk_is_streamed(store: ObjectStore, tmp_path: Path) -> None:
    data = bytes(range(256)) * 40_000
    source = store.spool_directory() / "source-of-test_objects"
    source.write_bytes(data)
    await store.put_file("files/big", source)

    chunks = [len(chunk) async for chunk in store.stream("files/big")]
    await download(store, reference("files/big", data), tmp_path / "copy")

    assert sum(chunks) == len(data)
    assert max(chunks) <= 1 << 20
    assert (tmp_path / "copy").read_bytes() == data
    source.unlink(missing_ok=True)


async def test_an_object_can_be_replaced_and_deleted(store: ObjectStore) -> None:
    await store.put_bytes("reports/a.pdf", b"one")
    await store.put_bytes("reports/a.pdf", b"two")
    assert await content(store.stream("reports/a.pdf")) == b"two"

    await store.delete("reports/a.pdf")
    await store.delete("reports/a.pdf")
    assert not await store.exists("reports/a.pdf")


async def test_a_missing_object_is_not_found(store: ObjectStore) -> None:
    with pytest.raises(NotFoundError):
        await content(store.stream("files/none"))


async def test_changed_bytes_are_noticed(store: ObjectStore, tmp_path: Path) -> None:
    await store.put_bytes("files/x", b"tampered")
    expected = reference("files/x", b"original")

    with pytest.raises(PermanentError):
        await read_bytes(store, expected)
    with pytest.raises(PermanentError):
        await download(store, expected, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a//b", "A/b", "a/../b", "a b", "", "a\x00"])
async def test_a_key_that_is_not_ours_is_refused(store: ObjectStore, key: str) -> None:
    with pytest.raises(PermanentError):
        await store.put_bytes(key, b"x")


async def test_the_store_says_that_it_is_ready(store: ObjectStore) -> None:
    await store.check()


@pytest.mark.enable_socket
async def test_a_server_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UnavailableError):
        await open_objects("s3://bucket/prefix").check()


@pytest.mark.parametrize("url", ["ftp://x", "s3://", "nonsense"])
def test_an_unknown_scheme_is_explained(url: str) -> None:
    with pytest.raises(PermanentError, match="FUMEHOOD_OBJECTS_URL"):
        open_objects(url)
