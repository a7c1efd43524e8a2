"""Loads the shipped packs and those of the operator's folder; a broken one is refused, not fatal."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scanner.config import EngineSettings
from scanner.detectors.base import Detector
from scanner.detectors.byte_model import ByteModelDetector
from scanner.detectors.clamd import ClamdDetector
from scanner.detectors.disguise import DisguiseDetector
from scanner.detectors.eicar import EicarDetector
from scanner.detectors.model import load_image_model, load_tabular_model, load_text_model
from scanner.detectors.pack import Manifest, Pack
from scanner.detectors.rules import RulesDetector
from scanner.errors import PackRefusedError
from scanner.threads import Threads

logger = logging.getLogger(__name__)

SHIPPED_PACKS = Path(__file__).parent.parent / "packs"

FolderState = tuple[tuple[str, int, int, int], ...]
Maker = Callable[[Pack, EngineSettings, Threads], Detector]

_BUILTINS: dict[str, Maker] = {
    "content-type": lambda pack, _settings, _threads: DisguiseDetector(pack),
    "eicar": lambda pack, _settings, _threads: EicarDetector(pack),
}


def _make_builtin(pack: Pack, settings: EngineSettings, threads: Threads) -> Detector:
    make = _BUILTINS.get(pack.manifest.name)
    if make is None:
        raise PackRefusedError(f"There is no built-in detector named {pack.manifest.name}.")
    return make(pack, settings, threads)


KINDS: dict[str, Maker] = {
    "builtin": _make_builtin,
    "byte-model": ByteModelDetector.load,
    "clamd": ClamdDetector.load,
    "image-model": load_image_model,
    "tabular-model": load_tabular_model,
    "text-model": load_text_model,
    "yara": RulesDetector.load,
}


@dataclass(frozen=True, slots=True)
class RefusedPack:
    """A pack that cannot be used, and why."""

    folder: Path
    reason: str


@dataclass(frozen=True, slots=True)
class LoadedPack:
    """A pack in use; `problems` says what of it does not work."""

    folder: Path
    manifest: Manifest
    detector: Detector
    state: FolderState
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadedPacks:
    """What came of loading."""

    packs: tuple[LoadedPack, ...]
    refused: tuple[RefusedPack, ...]

    @property
    def detectors(self) -> tuple[Detector, ...]:
        """The detectors of the packs in use."""
        return tuple(pack.detector for pack in self.packs)


def load_detectors(settings: EngineSettings, threads: Threads, present: Iterable[LoadedPack] = ()) -> LoadedPacks:
    """Load every pack folder; of a name one is live and one in shadow at most, and the shipped packs come first.

    A pack of `present` whose files are as they were is taken over as it is.
    """
    unchanged = {pack.folder: pack for pack in present}
    packs: dict[tuple[str, str], LoadedPack] = {}
    refused: list[RefusedPack] = []
    for folder in (*_pack_folders((SHIPPED_PACKS, settings.detectors_dir)), *_rule_folders(settings)):
        try:
            pack = _as_it_was(unchanged.get(folder)) or load_pack(folder, settings, threads)
            _check_name(pack, packs)
        except PackRefusedError as error:
            logger.warning("model pack %s refused: %s", folder, error.message)
            refused.append(RefusedPack(folder, error.message))
            continue
        packs[_place(pack)] = pack
    return LoadedPacks(tuple(packs.values()), tuple(refused))


def load_pack(folder: Path, settings: EngineSettings, threads: Threads) -> LoadedPack:
    """Load one pack, or a folder of rules that has no manifest. Raises PackRefusedError."""
    state = folder_state(folder)
    pack = Pack.of_rules(folder) if folder == settings.rules_dir else Pack.read(folder)
    make = KINDS.get(pack.manifest.kind)
    if make is None:
        raise PackRefusedError(f"The kind {pack.manifest.kind} is not known.")
    detector = make(pack, settings, threads)
    problems = detector.problems if isinstance(detector, RulesDetector) else ()
    for problem in problems:
        logger.warning("detector %s: %s", pack.manifest.name, problem)
    return LoadedPack(folder, pack.manifest, detector, state, problems)


def _as_it_was(pack: LoadedPack | None) -> LoadedPack | None:
    return pack if pack is not None and pack.state == folder_state(pack.folder) else None


def _check_name(pack: LoadedPack, taken: Container[tuple[str, str]]) -> None:
    if _place(pack) in taken:
        name, mode = _place(pack)
        raise PackRefusedError(f"A {mode} detector named {name} is already loaded.")


def _place(pack: LoadedPack) -> tuple[str, str]:
    return pack.manifest.name, pack.manifest.mode


def watched_state(settings: EngineSettings) -> tuple[tuple[Path, FolderState], ...]:
    """Return how the operator's folders are now; another value means that something has changed."""
    folders = (*_pack_folders((settings.detectors_dir,)), *_rule_folders(settings))
    return tuple((folder, folder_state(folder)) for folder in folders)


def folder_state(folder: Path) -> FolderState:
    """Return path, inode, size and time of change of every file below a folder."""
    found = []
    for parent, _, names in os.walk(folder.resolve()):
        for name in names:
            path = Path(parent, name)
            with suppress(OSError):  # gone meanwhile: the next look tells
                status = path.stat()
                found.append((str(path), status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(sorted(found))


def _rule_folders(settings: EngineSettings) -> tuple[Path, ...]:
    folder = settings.rules_dir
    return (folder,) if folder is not None and folder.is_dir() else ()


def _pack_folders(parents: Iterable[Path | None]) -> Iterator[Path]:
    for parent in parents:
        if parent is not None and parent.is_dir():
            yield from sorted(
                path for path in parent.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))
            )
