"""Loads the shipped packs and those of the operator's folder; a broken one is refused, not fatal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from pathlib import Path

from scanner.config import EngineSettings
from scanner.detectors.base import Detector
from scanner.detectors.byte_model import ByteModelDetector
from scanner.detectors.disguise import DisguiseDetector
from scanner.detectors.eicar import EicarDetector
from scanner.detectors.model import load_image_model, load_tabular_model, load_text_model
from scanner.detectors.pack import Pack
from scanner.detectors.rules import RulesDetector
from scanner.errors import PackRefusedError
from scanner.threads import Threads

logger = logging.getLogger(__name__)

SHIPPED_PACKS = Path(__file__).parent.parent / "packs"

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
    """A pack in use."""

    folder: Path
    detector: Detector


@dataclass(frozen=True, slots=True)
class LoadedPacks:
    """What came of loading."""

    packs: tuple[LoadedPack, ...]
    refused: tuple[RefusedPack, ...]

    @property
    def detectors(self) -> tuple[Detector, ...]:
        """The detectors of the packs in use."""
        return tuple(pack.detector for pack in self.packs)


def load_detectors(settings: EngineSettings, threads: Threads) -> LoadedPacks:
    """Load every pack folder; names must be unique and the shipped packs come first."""
    packs: dict[str, LoadedPack] = {}
    refused: list[RefusedPack] = []
    for folder in _pack_folders((SHIPPED_PACKS, settings.detectors_dir)):
        try:
            detector = _load(folder, settings, threads, packs)
        except PackRefusedError as error:
            logger.warning("model pack %s refused: %s", folder, error.message)
            refused.append(RefusedPack(folder, error.message))
            continue
        packs[detector.info.name] = LoadedPack(folder, detector)
    return LoadedPacks(tuple(packs.values()), tuple(refused))


def _load(folder: Path, settings: EngineSettings, threads: Threads, taken: Container[str]) -> Detector:
    pack = Pack.read(folder)
    if pack.manifest.name in taken:
        raise PackRefusedError(f"A detector named {pack.manifest.name} is already loaded.")
    make = KINDS.get(pack.manifest.kind)
    if make is None:
        raise PackRefusedError(f"The kind {pack.manifest.kind} is not known.")
    return make(pack, settings, threads)


def _pack_folders(parents: Iterable[Path | None]) -> Iterable[Path]:
    for parent in parents:
        if parent is not None and parent.is_dir():
            yield from sorted(
                path for path in parent.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))
            )
