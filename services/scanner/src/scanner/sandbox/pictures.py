"""Pictures for image models, decoded by a sandbox worker: a decoder's bug costs that artifact's coverage only."""

from __future__ import annotations

import math
from dataclasses import asdict

from scanner.config import EngineSettings
from scanner.content import ByteRange
from scanner.errors import DetectorError, SandboxError, TooLargeError
from scanner.sandbox.messages import JobLimits
from scanner.sandbox.pool import SandboxPool, UnpackJob
from scanner.unpackers.picture import WHOLE, PictureDecoder, PictureShape
from shared.scan import CoverageReason

# A few bytes may decode to the largest input of a model, which has limits of its own.
_ANY_RATIO = 1 << 32


class SandboxPictures:
    """Decodes pictures in the workers of a pool."""

    def __init__(self, pool: SandboxPool, settings: EngineSettings) -> None:
        self._pool = pool
        self._settings = settings

    async def decode(self, content: ByteRange, shape: PictureShape) -> tuple[bytes, bool]:
        """Return the first frame in that shape, and whether it is the only one. Raises DetectorError."""
        seconds = min(self._settings.sandbox_seconds, self._settings.detector_seconds)
        limits = JobLimits(
            artifacts=1,
            unpacked_bytes=shape.size_bytes,
            member_bytes=shape.size_bytes,
            ratio=_ANY_RATIO,
            cpu_seconds=math.ceil(seconds),
        )
        job = UnpackJob(PictureDecoder(), "", content, limits, seconds, parameters=asdict(shape))
        try:
            decoded = await self._pool.unpack(job)
        except SandboxError as error:
            raise DetectorError(error.message) from error
        for gap in decoded.gaps:
            raise TooLargeError(gap.detail) if gap.reason is CoverageReason.TOO_LARGE else DetectorError(gap.detail)
        if len(decoded.children) != 1 or decoded.children[0].content.size != shape.size_bytes:
            raise DetectorError("The picture could not be decoded.")
        picture = decoded.children[0]
        return picture.content.read(), picture.origin == WHOLE
