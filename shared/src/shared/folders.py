"""Folders for work that goes on now: removed at its end, or by the next start when the process was killed.

A folder is locked (flock(2)) for as long as its process lives, whatever container it lives in; the
kernel lets go of the lock with the process.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_PREFIX = "fumehood-work-"
# As mkdtemp(3) completes it. Nobody's own folder is called so, and what is not is never touched.
_NAME = re.compile(rf"{_PREFIX}[a-z]+\.[a-z0-9_]{{8}}")
# Between its making and its locking a folder looks abandoned.
_YOUNG_SECONDS = 60.0


class WorkFolder:
    """A new folder of this process alone."""

    def __init__(self, purpose: str, parent: Path | None = None) -> None:
        """Make and lock `fumehood-work-<purpose>.<random>` in `parent`, default the system's. Raises OSError."""
        self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{purpose}.", dir=parent))
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with suppress(OSError):  # a file system without locks: nothing there is ever taken for abandoned
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def remove(self) -> None:
        """Delete the folder with everything in it and let go of the lock; only the first call counts."""
        if self._descriptor >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remove()


def remove_abandoned(parent: Path | None = None, *, young_seconds: float = _YOUNG_SECONDS) -> int:
    """Delete the work folders in `parent` whose process is gone; return how many went.

    Folders of other users, of living processes and those changed within `young_seconds` stay.
    """
    folder = parent or Path(tempfile.gettempdir())
    found = [path for path in folder.glob(f"{_PREFIX}*") if _NAME.fullmatch(path.name)]
    return sum(_remove_if_abandoned(path, young_seconds) for path in found)


def _remove_if_abandoned(path: Path, young_seconds: float) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # no folder, a link, somebody else's, or gone meanwhile
        return False
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or time.time() - status.st_mtime < young_seconds:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path)
    except OSError:  # locked by its living process, or another start removes it just now
        return False
    finally:
        os.close(descriptor)
    return True
