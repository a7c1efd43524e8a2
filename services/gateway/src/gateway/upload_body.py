"""The body of an upload on its way through: counted, timed, never held in memory."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping

from starlette.requests import ClientDisconnect

from gateway.errors import BrokenUploadError, LengthRequiredError
from shared.errors import ClientError, TooLargeError

FORM_OVERHEAD_BYTES = 64 * 1024
FIRST_FIELD_BYTES = 4096
_BOUNDARY = re.compile(r'multipart/form-data\s*;.*?boundary="?([^";,\s]{1,70})"?', re.IGNORECASE)
_PASSED_ON = ("content-type", "content-length", "idempotency-key")


class UploadBody:
    """A multipart body that arrives in chunks. Making one refuses at once what is too large or has no length."""

    def __init__(
        self, stream: AsyncIterator[bytes], headers: Mapping[str, str], *, max_file_bytes: int, idle_seconds: float
    ) -> None:
        self._stream = aiter(stream)
        self._content_type = headers.get("content-type", "")
        self._max_bytes = max_file_bytes + FORM_OVERHEAD_BYTES
        self._too_large = TooLargeError(f"The limit is {max_file_bytes:,} bytes a file.", max_file_bytes=max_file_bytes)
        self._idle_seconds = idle_seconds
        self._received_bytes = 0
        self._read_ahead: list[bytes] = []
        self.headers = {name: headers[name] for name in _PASSED_ON if name in headers}
        self.failure: ClientError | None = None
        self._check_length(headers)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body. Raises TooLargeError and BrokenUploadError, which `failure` keeps."""
        for chunk in self._read_ahead:
            yield chunk
        self._read_ahead.clear()
        while chunk := await self._next():
            yield chunk

    async def first_field(self, name: str) -> str:
        """Return the value of the form's first field if it has this name, else nothing.

        Reads at most 4 KiB ahead of `chunks`, which yields all of it again.
        """
        boundary = _BOUNDARY.match(self._content_type)
        if boundary is None:
            return ""
        mark = re.escape(boundary[1].encode())
        field = re.compile(
            rb'--%b\r\nContent-Disposition: form-data; name="%b"\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n--%b'
            % (mark, re.escape(name.encode()), mark),
            re.IGNORECASE | re.DOTALL,
        )
        head = b""
        while len(head) < FIRST_FIELD_BYTES and (chunk := await self._next()):
            self._read_ahead.append(chunk)
            head += chunk
            if found := field.match(head[:FIRST_FIELD_BYTES]):
                return found[1].decode("utf-8", "replace")
        return ""

    async def _next(self) -> bytes:
        try:
            return await self._next_counted()
        except ClientError as error:
            self.failure = error
            raise

    async def _next_counted(self) -> bytes:
        try:
            async with asyncio.timeout(self._idle_seconds):
                chunk = await anext(self._stream, b"")
        except TimeoutError:
            raise BrokenUploadError(f"Nothing came for {self._idle_seconds:g} seconds; send the file again.") from None
        except ClientDisconnect:
            raise BrokenUploadError("The connection ended before the form did; send the file again.") from None
        self._received_bytes += len(chunk)
        if self._received_bytes > self._max_bytes:
            raise self._too_large
        return chunk

    def _check_length(self, headers: Mapping[str, str]) -> None:
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit():
            if int(length) > self._max_bytes:
                raise self._too_large
        elif length:
            raise BrokenUploadError("Content-Length is not a number.")
        elif "transfer-encoding" not in headers:
            raise LengthRequiredError("Say how long the body is, or send it in chunks.")
