"""The fixtures on real servers: every test gets an empty part of its own."""

from collections.abc import Callable
from urllib.parse import urlsplit

import aio_pika
import asyncpg
import boto3
import pytest
from redis.asyncio import Redis

pytestmark = pytest.mark.integration


async def test_database_of_a_service_is_empty_and_has_its_schema(database_url_for: Callable[[str], str]) -> None:
    first, second = database_url_for("upload"), database_url_for("upload")

    connection = await asyncpg.connect(first.replace("+asyncpg", ""))
    await connection.execute("CREATE TABLE upload.probe (id int)")
    await connection.close()

    connection = await asyncpg.connect(second.replace("+asyncpg", ""))
    assert await connection.fetchval("SELECT to_regclass('upload.probe')") is None
    await connection.close()


async def test_virtual_host_takes_and_gives_a_message(amqp_url: str) -> None:
    assert urlsplit(amqp_url).path.startswith("/fumehood_test_")
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("probe", durable=True, arguments={"x-queue-type": "quorum"})
        await channel.default_exchange.publish(aio_pika.Message(b"hello"), "probe")
        message = await queue.get(timeout=10)
        assert message.body == b"hello"
        await message.ack()


async def test_cache_prefix_is_empty(redis_url: str, cache_prefix: str) -> None:
    async with Redis.from_url(redis_url) as client:
        assert [key async for key in client.scan_iter(match=f"{cache_prefix}*")] == []
        await client.set(f"{cache_prefix}probe", "1")


def test_bucket_is_reached_through_the_standard_variables(s3_url: str) -> None:
    bucket = urlsplit(s3_url).netloc
    client = boto3.client("s3")
    client.put_object(Bucket=bucket, Key="objects/probe", Body=b"hello")
    assert client.get_object(Bucket=bucket, Key="objects/probe")["Body"].read() == b"hello"
