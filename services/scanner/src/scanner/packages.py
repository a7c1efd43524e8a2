"""Packages of code: which archives are one, and which of their files run at install, at import or never.

An archive is recognised by the names of its members. What its manifests and install scripts say is
read in the sandbox, one file after another, and comes back as facts.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scanner.declared import HARMLESS_EXTENSIONS, DeclaredName
from scanner.unpackers.package_facts import ACTS, Fact
from shared.scan import PackageRole

MAX_READ = 16
"""Manifests and install scripts of one package that are read."""

_MAX_TOP_FOLDERS = 8
_MAX_NAMESAKES = 3
_SIDE_FOLDERS = frozenset({
    "__tests__", "bench", "benchmark", "benchmarks", "demo", "demos", "doc", "docs", "documentation", "example",
    "examples", "fixtures", "sample", "samples", "spec", "specs", "t", "test", "testdata", "tests",
})  # fmt: skip
_TEST_FILE = re.compile(r"^(?:test_.*|.*_test|conftest)\.py$")
_DATA_EXTENSIONS = HARMLESS_EXTENSIONS | {
    "cfg",
    "in",
    "ini",
    "lock",
    "map",
    "pyi",
    "rst",
    "toml",
    "typed",
    "yaml",
    "yml",
}
_WHEEL = re.compile(r"^[^/]+\.dist-info/WHEEL$")
_RUN_BY_EVERY_PYTHON = re.compile(
    r"^(?:[^/]+\.data/(?:purelib|platlib)/)?(?:[^/]+\.pth|(?:site|user)customize\.py)$", re.IGNORECASE
)
_WHEEL_COMMAND = re.compile(r"^[^/]+\.data/scripts/")
_ENDINGS = ("", ".js", ".cjs", ".mjs", ".py", "/index.js")


@dataclass(frozen=True, slots=True)
class Layout:
    """One form of package that an archive has."""

    kind: str
    """For people: `Python source package`, `Python wheel` or `npm package`."""
    root: str
    """The folder that is the package: empty, or with a slash at its end."""
    name: str
    """What its own folder, or that of its metadata, is called in small letters; with the version."""
    published: bool
    """Whether the archive is that package and nothing else, as a registry would hand it out."""


def layouts(paths: Sequence[str]) -> tuple[Layout, ...]:
    """Return the forms of package that an archive with these members has; none if it is no package."""
    members = set(paths)
    tops = sorted({top + "/" for top, slash, _ in (path.partition("/") for path in paths) if slash})
    found = []
    for root in ("", *(tops if len(tops) <= _MAX_TOP_FOLDERS else ())):
        alone = bool(root) and all(path.startswith(root) for path in paths)
        if {root + "PKG-INFO", root + "setup.py", root + "pyproject.toml"} & members:
            found.append(Layout("Python source package", root, root.lower(), alone and root + "PKG-INFO" in members))
        if root + "package.json" in members:
            found.append(Layout("npm package", root, "", alone and root == "package/"))
    for path in filter(_WHEEL.match, paths):
        folder = path.rpartition("/")[0]
        if {f"{folder}/METADATA", f"{folder}/RECORD"} <= members:
            found.append(Layout("Python wheel", "", folder.lower(), published=True))
            break
    return tuple(found)


class Package:
    """One archive that is a package, while its manifests and install scripts are read.

    Files are named by their position among the archive's children. Feed `add` until `unread` gives nothing.
    """

    def __init__(self, paths: Sequence[str], forms: tuple[Layout, ...]) -> None:
        self._paths = paths
        self._forms = forms
        self._at: dict[str, list[int]] = defaultdict(list)
        self._by_last_part: dict[str, list[int]] = defaultdict(list)
        for position, path in enumerate(paths):
            self._at[path].append(position)
            self._by_last_part[path.rpartition("/")[2]].append(position)
        self._waiting: list[tuple[int, str]] = []
        self._read: set[int] = set()
        self._installs: dict[int, frozenset[Fact]] = {}
        self._imports: set[int] = set()
        self._named: set[int] = set()
        self.hooked = False
        """Whether an install hook of npm runs something, in the package or not."""
        self.downloads = False
        """Whether the command of an install hook fetches something."""
        self.whole = True
        """Whether all that was to be read could be."""
        self._begin()

    @classmethod
    def of(cls, names: Sequence[str]) -> Package | None:
        """Return the package that an archive with these member names is, if it is one."""
        paths = [posixpath.normpath(name.replace("\\", "/")) for name in names]
        forms = layouts(paths)
        return cls(paths, forms) if forms else None

    @property
    def kind(self) -> str:
        """What sort of package it is, for people."""
        return " and ".join(dict.fromkeys(form.kind for form in self._forms))

    def unread(self) -> tuple[int, str] | None:
        """Return the next file to be read and the name of its reader."""
        while self._waiting:
            position, reader = self._waiting.pop(0)
            if position in self._read:
                continue
            if len(self._read) >= MAX_READ:
                self.whole = False
                return None
            self._read.add(position)
            return position, reader
        return None

    def add(self, position: int, facts: Sequence[tuple[Fact, str]], *, whole: bool) -> None:
        """Take what was read in a file; `whole` says whether its reader got through."""
        self.whole = self.whole and whole
        folder = posixpath.dirname(self._paths[position])
        if position in self._installs:
            self._installs[position] |= {fact for fact, _ in facts if fact in ACTS}
        for fact, name in facts:
            found = list(self._resolve(name, folder)) if name else []
            if fact is Fact.HOOK_DOWNLOADS:
                self.downloads = True
            elif fact is Fact.RUNS_AT_INSTALL:
                self.hooked = self.hooked or self._paths[position].endswith("package.json")
                for script in found:
                    self._runs_at_install(script)
            elif fact is Fact.RUNS_AT_IMPORT:
                self._imports.update(found)
            elif fact is Fact.NAMES:
                self._named.update(found)

    @property
    def install_scripts(self) -> dict[int, frozenset[Fact]]:
        """What runs at install by itself, and what it does."""
        return self._installs

    def role(self, position: int) -> PackageRole | None:
        """Return when the file runs; None where the archive is not a published package, or not all could be read."""
        path = self._paths[position]
        data = DeclaredName.of(path).extension in _DATA_EXTENSIONS
        if position in self._installs or (position in self._named and not data):
            return PackageRole.INSTALL
        if position in self._imports:
            return PackageRole.IMPORT
        if position in self._named or not self.whole or not any(form.published for form in self._forms):
            return None
        return PackageRole.OTHER if data or self._set_aside(path) else PackageRole.IMPORT

    def _begin(self) -> None:
        """Queue the manifests and what runs at install by its name alone."""
        for form in self._forms:
            if form.kind == "npm package":
                self._wait_for(form.root + "package.json", "npm manifest")
                for position in self._at.get(form.root + "binding.gyp", ()):  # node-gyp runs its commands
                    self._installs[position] = frozenset()
            elif form.kind == "Python source package":
                self._wait_for(form.root + "pyproject.toml", "pyproject manifest")
                for position in self._at.get(form.root + "setup.py", ()):
                    self._runs_at_install(position)
            else:
                for path, positions in self._at.items():
                    if _RUN_BY_EVERY_PYTHON.match(path):
                        for position in positions:
                            self._runs_at_install(position)
                    elif _WHEEL_COMMAND.match(path):
                        self._imports.update(positions)

    def _wait_for(self, path: str, reader: str) -> None:
        self._waiting += [(position, reader) for position in self._at.get(path, ())]

    def _runs_at_install(self, position: int) -> None:
        if position not in self._installs:
            self._installs[position] = frozenset()
            self._waiting.append((position, "install script"))

    def _resolve(self, name: str, folder: str) -> Iterator[int]:
        """Yield the members that a manifest or script in `folder` may mean by a name."""
        name = name.replace("\\", "/")
        roots = (form.root for form in self._forms)
        for base in dict.fromkeys((folder, *roots)):
            path = posixpath.normpath(posixpath.join(base, name))
            for candidate in (*(path + ending for ending in _ENDINGS), path.removesuffix(".py") + "/__init__.py"):
                if candidate in self._at:
                    yield from self._at[candidate]
                    return
        namesakes = self._by_last_part.get(name, ())  # a path put together from its parts
        if "." in name and len(namesakes) <= _MAX_NAMESAKES:
            yield from namesakes

    def _set_aside(self, path: str) -> bool:
        """Whether a file is by its place or name a test, document or example."""
        *folders, last = path.lower().split("/")
        # demo-1.0/demo is no demonstration, it is the package of that name.
        own = [form.name for form in self._forms]
        aside = (folder for folder in _SIDE_FOLDERS.intersection(folders) if not any(n.startswith(folder) for n in own))
        return any(aside) or _TEST_FILE.search(last) is not None
