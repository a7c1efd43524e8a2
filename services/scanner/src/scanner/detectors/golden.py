"""The proof that a pack works here: a file of the pack and the score it must get."""

from __future__ import annotations

from collections.abc import Callable

from scanner.content import ByteRange
from scanner.detectors.pack import Pack
from scanner.errors import DetectorError, PackRefusedError


def check_golden(pack: Pack, score: Callable[[ByteRange], float]) -> None:
    """Raise PackRefusedError unless the golden file, where there is one, gets the score that the manifest says."""
    golden = pack.manifest.golden
    if golden is None:
        return
    try:
        found = score(ByteRange.whole(pack.folder / golden.file))
    except OSError as error:
        raise PackRefusedError(f"The golden file {golden.file} cannot be read: {error.strerror}.") from error
    except DetectorError as error:
        raise PackRefusedError(f"The golden file {golden.file} cannot be scored: {error.message}") from error
    if not abs(found - golden.score) <= golden.tolerance:
        raise PackRefusedError(
            f"The model gives the golden file {golden.file} {found:.4f}, the manifest says {golden.score:.4f}."
        )
