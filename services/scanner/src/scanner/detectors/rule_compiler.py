"""Compiles folders of YARA rules; what is broken is said by file and line, and the rest works."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yara_x

from scanner.errors import PackRefusedError

MAX_PROBLEMS = 1000
_GLOBALS = ("filename", "filepath", "extension", "filetype", "owner")
"""External variables that community collections use, by the convention of THOR and LOKI."""

_INCLUDE_NOT_ALLOWED = "E044"
_INCLUDE = re.compile(r'include\s+"([^"]+)"')


@dataclass(frozen=True, slots=True)
class CompiledRules:
    """Rules that work, and what is wrong with the others, as `file:line: reason`."""

    rules: yara_x.Rules
    problems: tuple[str, ...]


def compile_rules(folder: Path, files: Sequence[Path]) -> CompiledRules:
    """Compile the files, a namespace each. Raises PackRefusedError when not a single rule is left.

    `include` is not followed: an index file of a collection names files that are compiled anyway.
    A rule that needs a module or variable that YARA-X lacks is left out like one with a mistake.
    """
    if not files:
        raise PackRefusedError("It has no rule files (*.yar, *.yara).")
    compiler = yara_x.Compiler(includes_enabled=False, relaxed_re_syntax=True)
    for name in _GLOBALS:
        compiler.define_global(name, "")
    problems = []
    for path in files:
        origin = path.relative_to(folder).as_posix()
        compiler.new_namespace(origin)
        try:
            compiler.add_source(path.read_text(encoding="utf-8"), origin=origin)
        except yara_x.CompileError:
            continue  # each mistake is in errors()
        except UnicodeDecodeError:
            problems.append(f"{origin}: not UTF-8")
        except OSError as error:
            problems.append(f"{origin}: {error.strerror}")
    present = set(files)
    problems.extend(_problem(error) for error in compiler.errors() if not _names_a_file(error, folder, present))
    rules = compiler.build()
    if not any(True for _ in rules):
        first = problems[0] if problems else "there is none in the files"
        raise PackRefusedError(f"None of its rules can be compiled: {first}.")
    if len(problems) > MAX_PROBLEMS:
        problems[MAX_PROBLEMS:] = [f"and {len(problems) - MAX_PROBLEMS} more"]
    return CompiledRules(rules, tuple(problems))


def file_globals(name: str) -> dict[str, str]:
    """Return the values of the external variables for a file of that name."""
    base = os.path.basename(name)  # noqa: PTH119 -- an untrusted name is no path of this machine
    return {"filename": base, "filepath": name, "extension": os.path.splitext(base)[1]}  # noqa: PTH122 -- as above


def _names_a_file(error: dict[str, Any], folder: Path, present: Container[Path]) -> bool:
    """Whether the error is an `include` of one of the files."""
    if error.get("code") != _INCLUDE_NOT_ALLOWED:
        return False
    origin = folder / error["labels"][0]["code_origin"]
    line = origin.read_text(encoding="utf-8").splitlines()[error["line"] - 1]
    named = _INCLUDE.search(line)
    return named is not None and Path(os.path.normpath(origin.parent / named[1])) in present


def _problem(error: dict[str, Any]) -> str:
    labels = error.get("labels") or [{}]
    origin = labels[0].get("code_origin", "?")
    detail = labels[0].get("text")
    return f"{origin}:{error.get('line', '?')}: {error['title']}" + (f" ({detail})" if detail else "")
