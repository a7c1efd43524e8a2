"""What tests of the engine and its detectors use: archives of our own making, and what stands for the sandbox."""

from __future__ import annotations

import io
import tarfile
import zipfile
from typing import Protocol

from scanner.content import ByteRange
from scanner.errors import DetectorError
from scanner.unpackers.picture import PictureShape
from shared.scan import ScanDocument


class Scan(Protocol):
    """Scans bytes under a name."""

    async def __call__(
        self, name: str, content: bytes, budget_seconds: float = 50, passwords: tuple[str, ...] = ()
    ) -> ScanDocument: ...


class Archives:
    """Makes archives in memory."""

    def zip(self, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
        """Make a zip archive; `compression` as for zipfile."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name), content, compress_type=compression)
        return buffer.getvalue()

    def tar(self, members: dict[str, bytes], mode: str = "w") -> bytes:
        """Make a tar archive; `mode` as for tarfile, e.g. `w:gz`."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return buffer.getvalue()


class NoPictures:
    """Stands for the sandbox where no picture is looked at."""

    async def decode(self, content: ByteRange, shape: PictureShape) -> tuple[bytes, bool]:  # noqa: ARG002 -- nothing is
        """Raise DetectorError."""
        raise DetectorError("No picture is decoded here.")
