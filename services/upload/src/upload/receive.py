"""A multipart body as it arrives: hashed and written to the spool, never held in memory.

Format: RFC 7578. One part `file` is needed; parts `password` (at most 10) are options.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from shared.errors import TooLargeError
from shared.events import ScanOptions
from upload.config import Settings
from upload.errors import BrokenUploadError
from upload.models import ReceivedFile

WRITE_BYTES = 1 << 20
FORM_OVERHEAD_BYTES = 64 * 1024
MAX_FIELD_BYTES = 1024
MAX_PASSWORDS = 10
MAX_NAME_CHARACTERS = 255
ABANDONED_AFTER_SECONDS = 24 * 3600
_SPOOL_PREFIX = "upload-"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@asynccontextmanager
async def receive_file(request: Request, spool: Path, settings: Settings) -> AsyncIterator[ReceivedFile]:
    """Receive the body into a spool file that is gone when the block ends, whatever happens.

    Raises TooLargeError as soon as the limit is passed (at once when Content-Length says so)
    and BrokenUploadError for anything that is not a whole form with one file.
    """
    _refuse_early(request, settings.max_file_bytes)
    boundary = _boundary(request.headers.get("content-type", ""))
    handle, name = await asyncio.to_thread(tempfile.mkstemp, prefix=_SPOOL_PREFIX, dir=spool)
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            form = _Form(boundary, file, settings.max_file_bytes)
            await _feed(request, form, settings.upload_idle_seconds)
            received = await asyncio.to_thread(form.finish, path)
        yield received
    finally:
        await asyncio.to_thread(path.unlink, missing_ok=True)


def remove_abandoned(spool: Path) -> None:
    """Delete spool files that a crashed process left more than a day ago."""
    oldest = time.time() - ABANDONED_AFTER_SECONDS
    for path in spool.glob(f"{_SPOOL_PREFIX}*"):
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)


def safe_name(raw: str) -> str:
    """Return a name that can be stored: no directories, no control characters, at most 255 characters.

    It stays untrusted: direction overrides and the like are evidence and are kept.
    """
    base = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", re.split(r"[/\\]", raw)[-1]).strip()
    if len(base) > MAX_NAME_CHARACTERS:
        base = f"{base[:200]}\N{HORIZONTAL ELLIPSIS}{base[-50:]}"
    return base if base not in {"", ".", ".."} else "unnamed"


def _refuse_early(request: Request, max_file_bytes: int) -> None:
    length = request.headers.get("content-length")
    if length is not None and int(length) > max_file_bytes + FORM_OVERHEAD_BYTES:
        raise _too_large(max_file_bytes)


def _too_large(max_file_bytes: int) -> TooLargeError:
    return TooLargeError(
        f"The file is larger than {max_file_bytes} bytes, the limit of this server.", max_file_bytes=max_file_bytes
    )


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 1 <= len(boundary) <= 70:
        raise BrokenUploadError("Send the file as multipart/form-data in a field named `file`.")
    return boundary


async def _feed(request: Request, form: _Form, idle_seconds: float) -> None:
    chunks = request.stream()
    try:
        while True:
            async with asyncio.timeout(idle_seconds):
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            form.feed(chunk)
            if form.pending_bytes >= WRITE_BYTES:
                await asyncio.to_thread(form.flush)
    except TimeoutError:
        raise BrokenUploadError(f"Nothing arrived for {idle_seconds:g} seconds; send the file again.") from None
    except ClientDisconnect:
        raise BrokenUploadError("The connection ended before the whole file had arrived.") from None


class _Form:
    """Parser callbacks: file bytes gather in a buffer that `flush` hashes and writes."""

    def __init__(self, boundary: bytes, file: BinaryIO, max_file_bytes: int) -> None:
        self._file = file
        self._max_file_bytes = max_file_bytes
        self._digest = hashlib.sha256()
        self._pending = bytearray()
        self._size_bytes = 0
        self._name: str | None = None
        self._passwords: list[str] = []
        self._whole = False
        self._header = (bytearray(), bytearray())
        self._disposition = b""
        self._field = b""
        self._value = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._part_data,
                "on_part_end": self._end_part,
                "on_end": self._end_form,
            },
        )

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait to be written."""
        return len(self._pending)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        try:
            self._parser.write(chunk)
        except MultipartParseError:
            raise BrokenUploadError("The body is not valid multipart/form-data.") from None

    def flush(self) -> None:
        """Hash and write what has gathered (blocking)."""
        self._digest.update(self._pending)
        self._file.write(self._pending)
        self._pending.clear()

    def finish(self, path: Path) -> ReceivedFile:
        """Return the received file. Raises BrokenUploadError if the form is not whole."""
        if not self._whole:
            raise BrokenUploadError("The body ended before the form did; send the file again.")
        if self._name is None:
            raise BrokenUploadError("The form has no file; put it in a field named `file`.")
        self.flush()
        self._file.flush()
        options = ScanOptions(passwords=tuple(self._passwords))
        return ReceivedFile(path, self._name, self._digest.hexdigest(), self._size_bytes, options)

    def _begin_part(self) -> None:
        self._disposition, self._field = b"", b""
        self._value.clear()

    def _end_header(self) -> None:
        name, value = self._header
        if bytes(name).lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = (bytearray(), bytearray())

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._field = options.get(b"name", b"")
        if self._field != b"file":
            return
        if self._name is not None:
            raise BrokenUploadError("The form has more than one file; send one request for each.")
        if b"filename" not in options:
            raise BrokenUploadError("The field `file` has no file name; send it as a file, not as text.")
        self._name = safe_name(options[b"filename"].decode("utf-8", "replace"))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._field == b"file":
            self._size_bytes += end - start
            if self._size_bytes > self._max_file_bytes:
                raise _too_large(self._max_file_bytes)
            self._pending += data[start:end]
        elif len(self._value) + end - start > MAX_FIELD_BYTES:
            raise BrokenUploadError(f"A form field is longer than {MAX_FIELD_BYTES} bytes.")
        else:
            self._value += data[start:end]

    def _end_part(self) -> None:
        if self._field != b"password" or not self._value:
            return
        if len(self._passwords) == MAX_PASSWORDS:
            raise BrokenUploadError(f"At most {MAX_PASSWORDS} passwords can be given.")
        self._passwords.append(self._value.decode("utf-8", "replace"))

    def _end_form(self) -> None:
        self._whole = True
