"""Which files a command line names: files as they are, folders with everything below."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import typer

from shared.presentation.text import is_hidden


def regular_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield every regular file, folders walked in order; links inside folders are not followed.

    A named path that does not exist is yielded too, so that the caller reports it.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for folder, folders, names in os.walk(path):
            folders.sort()
            for name in sorted(names):
                file = Path(folder) / name
                if _is_regular(file):
                    yield file


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def printable(path: object) -> str:
    """Return the path for a terminal: what could move the cursor or fool the eye is escaped."""
    text = str(path).encode("utf-8", "backslashreplace").decode()
    return "".join(c.encode("unicode_escape").decode() if is_hidden(c) else c for c in text)


def coloured(text: str, colour: str) -> str:
    """Return the text in a colour if standard output is a terminal (and NO_COLOR is not set)."""
    return typer.style(text, fg=colour) if _COLOUR else text


_COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
