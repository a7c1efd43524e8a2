"""Model packs of the kinds `text-model`, `image-model` and `tabular-model`: one file, one row, one score.

Byte models, which read windows and say where the evidence is, have a module of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scanner.batcher import Batcher
from scanner.config import EngineSettings
from scanner.content import ByteRange
from scanner.detectors.base import Covered, Inspection, Pictures, Subject
from scanner.detectors.calibration import AS_IT_IS, Calibration, ModelOutput
from scanner.detectors.golden import check_golden
from scanner.detectors.image_input import ImageInput, PicturePreparer
from scanner.detectors.pack import MODEL, Pack, Thresholds
from scanner.detectors.preparation import Prepared, Preparer, Row
from scanner.detectors.signature import check_signature
from scanner.detectors.tabular_input import TabularInput
from scanner.detectors.text_input import TextInput
from scanner.errors import DetectorError, PackRefusedError, TooLargeError
from scanner.sessions import ModelSession, open_session
from scanner.threads import Threads
from shared.scan import CoverageGap, CoverageReason, Finding, Verdict

DeclaredInput = TextInput | ImageInput | TabularInput


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The manifest's tables, checked."""

    input: DeclaredInput
    output: ModelOutput
    thresholds: Thresholds
    calibration: Calibration

    @classmethod
    def of(cls, pack: Pack, declared: type[DeclaredInput]) -> ModelConfig:
        """Read the tables. Raises PackRefusedError."""
        if pack.manifest.thresholds is None:
            raise PackRefusedError("The manifest has no [thresholds].")
        calibration = pack.table(Calibration, "calibration") if pack.manifest.calibration else AS_IT_IS
        return cls(
            pack.table(declared, "input"), pack.table(ModelOutput, "output"), pack.manifest.thresholds, calibration
        )


class ModelDetector:
    """One model; the rows of all files in flight share its batches."""

    def __init__(
        self,
        pack: Pack,
        config: ModelConfig,
        preparer: Preparer,
        model: ModelSession,
        threads: Threads,
    ) -> None:
        self.info = pack.info(model.provider)
        self.shadow = pack.shadow
        self.covered = pack.covered
        self._wanted = Covered(self.covered.labels | set(config.input.also_scores), self.covered.groups)
        self._config = config
        self._preparer = preparer
        self._model = model
        self._threads = threads
        self._batcher: Batcher[Row, float] | None = None

    @classmethod
    def load(
        cls, pack: Pack, declared: type[DeclaredInput], settings: EngineSettings, threads: Threads
    ) -> ModelDetector:
        """Load the model, compare it with the manifest and score the golden file. Raises PackRefusedError."""
        config = ModelConfig.of(pack, declared)
        if pack.manifest.golden is None:
            raise PackRefusedError("The manifest has no [golden] file with its expected score.")
        path = pack.folder / MODEL
        if not path.is_file():
            raise PackRefusedError(f"It has no {MODEL}.")
        preparer = config.input.preparer(pack.folder)
        model = open_session(path, settings)
        fixed = check_signature(
            model.session, config.input.tensor, preparer.element_type, preparer.item_shape, [config.output.tensor]
        )
        if fixed is not None:
            if fixed != 1:
                raise PackRefusedError(f"The model takes {fixed} files at once; it must take any number, or one.")
            model.limit_batch(1)
        detector = cls(pack, config, preparer, model, threads)
        check_golden(pack, detector._score_now)
        return detector

    @property
    def model(self) -> ModelSession:
        """The loaded model."""
        return self._model

    def rows(self, content: ByteRange) -> list[Row]:
        """Return what the model is given for a file: one row. Raises DetectorError."""
        return [self._prepare(content).row]

    def wants(self, subject: Subject) -> bool:
        """Look at the covered types and those the manifest says are scored besides."""
        return subject.content.size > 0 and any(self._wanted.includes(name) for name in subject.types)

    async def inspect(self, subject: Subject) -> Inspection:
        """Score the artifact. Raises DetectorError."""
        try:
            score, whole = await self._score(subject.content, subject.pictures)
        except TooLargeError as error:
            return Inspection(gaps=(CoverageGap(reason=CoverageReason.TOO_LARGE, detail=error.message),))
        gaps = () if whole else (self._cut,)
        covers = any(self.covered.includes(name) for name in subject.types)
        verdict = self._config.thresholds.verdict(score, covers=covers)
        if verdict is Verdict.CLEAN and not self.shadow:
            return Inspection(gaps=gaps, score=score)
        finding = Finding(
            detector=self.info,
            label=self.info.name,
            verdict=verdict,
            score=score,
            reason=f"The model {self.info.name} gives this file a probability of {score:.1%} to be malicious.",
            shadow=self.shadow,
        )
        return Inspection((finding,), gaps, score)

    async def score(self, content: ByteRange, pictures: Pictures) -> float:
        """Return the calibrated probability. Raises DetectorError."""
        score, _ = await self._score(content, pictures)
        return score

    async def close(self) -> None:
        """Stop the batcher."""
        if self._batcher is not None:
            await self._batcher.close()

    async def _score(self, content: ByteRange, pictures: Pictures) -> tuple[float, bool]:
        """Return the probability, and whether the model saw all of the file."""
        if isinstance(self._preparer, PicturePreparer):
            prepared = await self._preparer.prepare_in(pictures, content)
        else:
            prepared = await asyncio.get_running_loop().run_in_executor(self._threads.files, self._prepare, content)
        return await self._running_batcher().submit(prepared.row), prepared.whole

    def _score_now(self, content: ByteRange) -> float:
        """Score in this thread, after the model has been made ready."""
        config = self._config
        row = self._preparer.prepare(content).row
        self._model.warm_up([config.output.tensor], config.input.tensor, row, row)
        return self._run([row])[0]

    def _prepare(self, content: ByteRange) -> Prepared:
        try:
            return self._preparer.prepare(content)
        except OSError as error:
            raise DetectorError(f"The file could not be read: {error.strerror}.") from error

    def _running_batcher(self) -> Batcher[Row, float]:
        """Start the batcher at first use: packs are loaded in a thread, batchers live on the event loop."""
        if self._batcher is None:
            model = self._model
            self._batcher = Batcher(
                self.info.name, self._run, self._threads.models, model.limits, provider=model.provider
            )
        return self._batcher

    def _run(self, rows: Sequence[Row]) -> list[float]:
        output = self._config.output
        (values,) = self._model.run([output.tensor], self._config.input.tensor, rows)
        return [self._config.calibration.probability(logit) for logit in output.logits(values)]

    @property
    def _cut(self) -> CoverageGap:
        detail = f"The detector {self.info.name} reads only a part of this file."
        return CoverageGap(reason=CoverageReason.TOO_LARGE, detail=detail)


def _loading(declared: type[DeclaredInput]) -> Callable[[Pack, EngineSettings, Threads], ModelDetector]:
    return lambda pack, settings, threads: ModelDetector.load(pack, declared, settings, threads)


load_text_model = _loading(TextInput)
load_image_model = _loading(ImageInput)
load_tabular_model = _loading(TabularInput)
