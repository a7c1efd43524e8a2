"""Manifests of packages: which of its files a package runs when it is installed, imported or used.

npm: https://docs.npmjs.com/cli/v11/using-npm/scripts and .../configuring-npm/package-json.
Python: PEP 517 (build backends in the tree) and the build hooks of hatch, pdm, poetry and setuptools.
Only called for members of an archive that is a package; see `scanner.packages`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import BinaryIO

from scanner.unpackers.base import GapReason, PackageReader, Sink, read_bounded
from scanner.unpackers.package_facts import Fact

MAX_PARSED_BYTES = 1024 * 1024
_HOOKS = ("preinstall", "install", "postinstall")
_MAX_DEPTH = 8
# A hook that calls another entry of "scripts".
_CALLS_SCRIPT = re.compile(r"\b(?:npm|pnpm|yarn|bun)\s+(?:run(?:-script)?\s+)?(?:-\S+\s+){0,3}([\w:.-]{1,100})")
_WORD = re.compile(r"""[^\s"'`;&|()<>=,]{1,300}""")
_DOWNLOADERS = re.compile(
    r"(?i)\b(?:curl|wget|powershell|pwsh|certutil|bitsadmin|mshta|nslookup|invoke-webrequest)\b|/dev/(?:tcp|udp)/"
)
# What a pyproject.toml says of code of its own; most have none of it and need no parser.
_OWN_BUILD_CODE = re.compile(rb"backend-path|hooks|custom-hook|cmdclass|poetry|pdm")
_DAMAGE = "The manifest of the package cannot be read."


class NpmManifestReader(PackageReader):
    """package.json: install hooks with the files they name, and the entry points."""

    name = "npm manifest"

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- the manifest has one name
        """Tell what runs at install and what at import."""
        try:
            manifest = json.loads(read_bounded(source, MAX_PARSED_BYTES, "read as a manifest", sink))
        except (ValueError, RecursionError):
            sink.gap(GapReason.ERROR, _DAMAGE)
            return
        if not isinstance(manifest, dict):
            sink.gap(GapReason.ERROR, _DAMAGE)
            return
        scripts = manifest.get("scripts")
        for command in _install_commands(scripts if isinstance(scripts, dict) else {}):
            if _DOWNLOADERS.search(command):
                sink.fact(Fact.HOOK_DOWNLOADS)
            for word in _WORD.findall(command):
                sink.fact(Fact.RUNS_AT_INSTALL, word)
        for key in ("main", "module", "browser", "bin", "exports"):
            for path in _strings(manifest.get(key)):
                sink.fact(Fact.RUNS_AT_IMPORT, path)


class PyprojectReader(PackageReader):
    """pyproject.toml: code of the package itself that its build runs."""

    name = "pyproject manifest"

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- the manifest has one name
        """Tell what runs at install."""
        data = read_bounded(source, MAX_PARSED_BYTES, "read as a manifest", sink)
        if not _OWN_BUILD_CODE.search(data):
            return
        try:
            manifest = tomllib.loads(data.decode())
        except (ValueError, RecursionError):
            sink.gap(GapReason.ERROR, _DAMAGE)
            return
        for path in _built_by(manifest):
            sink.fact(Fact.RUNS_AT_INSTALL, path)


def _install_commands(scripts: dict[str, object]) -> Iterator[str]:
    """Yield the commands of the install hooks and of the scripts they call."""
    waiting, seen = list(_HOOKS), set(_HOOKS)
    while waiting:
        command = scripts.get(waiting.pop())
        if not isinstance(command, str):
            continue
        yield command
        called = set(_CALLS_SCRIPT.findall(command)) - seen
        seen |= called
        waiting.extend(sorted(called))


def _built_by(manifest: dict[str, object]) -> Iterator[str]:
    """Yield the files that a build of the package runs."""
    build = _table(manifest, "build-system")
    backend = str(build.get("build-backend", "")).partition(":")[0].replace(".", "/")
    for folder in _strings(build.get("backend-path")):
        yield f"{folder}/{backend}.py"
        yield f"{folder}/{backend}/__init__.py"
    hatch = _table(manifest, "tool", "hatch", "build")
    targets = _table(hatch, "targets")
    for table in (hatch, *(_table(targets, target) for target in targets)):
        hooks = _table(table, "hooks")
        if "custom" in hooks:
            yield str(_table(hooks, "custom").get("path", "hatch_build.py"))
    pdm = _table(manifest, "tool", "pdm", "build")
    yield str(pdm.get("custom-hook", "pdm_build.py"))
    poetry = _table(manifest, "tool", "poetry")
    yield from _strings(poetry.get("build"))
    for command in _strings(_table(manifest, "tool", "setuptools").get("cmdclass")):
        yield f"{command.rpartition('.')[0].replace('.', '/')}.py"


def _table(value: object, *keys: str) -> dict[str, object]:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _strings(value: object, depth: int = 0) -> Iterator[str]:
    """Yield every string in a value of JSON or TOML."""
    if isinstance(value, str):
        yield value
    elif depth < _MAX_DEPTH and isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner, depth + 1)
