"""Byte models (kind `byte-model`): an ONNX model that reads a file as windows of byte tokens.

The model gives each window a logit and, if it can, what each position added to it. The
file's logit is the largest; calibration makes it a probability; the deciding window's
positions become byte ranges of the original with their lines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanner.batcher import Batcher
from scanner.config import EngineSettings
from scanner.content import ByteRange
from scanner.detectors.base import Covered, Inspection, Pictures, Subject
from scanner.detectors.byte_windows import (
    ByteModelInput,
    Script,
    Window,
    normalise,
    read_ends,
    stretch,
    window_starts,
    window_tokens,
)
from scanner.detectors.calibration import Calibration
from scanner.detectors.golden import check_golden
from scanner.detectors.lines import LineIndex
from scanner.detectors.pack import MODEL, Pack, Thresholds
from scanner.detectors.signature import check_signature
from scanner.errors import DetectorError, PackRefusedError
from scanner.sessions import ModelSession, open_session
from scanner.threads import Threads
from shared.scan import CoverageGap, CoverageReason, Finding, Location, Verdict

SHOWN_RANGES = 5
_BUCKET_TOKENS = 512
"""Windows of about the same length share a run, so that padding costs little."""


@dataclass(frozen=True, slots=True)
class WindowResult:
    """What the model says of one window."""

    logit: float
    evidence: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ByteModelConfig:
    """The parts of the manifest that this kind needs, checked."""

    input: ByteModelInput
    thresholds: Thresholds
    calibration: Calibration

    @classmethod
    def of(cls, pack: Pack) -> ByteModelConfig:
        """Read the manifest's tables. Raises PackRefusedError."""
        if pack.manifest.thresholds is None:
            raise PackRefusedError("The manifest has no [thresholds].")
        calibration = pack.table(Calibration, "calibration")
        return cls(pack.table(ByteModelInput, "input"), pack.manifest.thresholds, calibration)


class ByteModelDetector:
    """One byte model; the windows of all files in flight share its batches."""

    def __init__(self, pack: Pack, config: ByteModelConfig, model: ModelSession, threads: Threads) -> None:
        self.info = pack.info(model.provider)
        self.shadow = pack.shadow
        self.covered = pack.covered
        self._config = config
        self._model = model
        self._threads = threads
        self._wanted = Covered(self.covered.labels | set(config.input.also_scores), self.covered.groups)
        self._outputs = [name for name in (config.input.score, config.input.evidence) if name is not None]
        self._batcher: Batcher[Window, WindowResult] | None = None

    @classmethod
    def load(cls, pack: Pack, settings: EngineSettings, threads: Threads) -> ByteModelDetector:
        """Load the model and check it on the manifest's golden text. Raises PackRefusedError."""
        config = ByteModelConfig.of(pack)
        path = pack.folder / MODEL
        if not path.is_file():
            raise PackRefusedError(f"It has no {MODEL}.")
        model = open_session(path, settings)
        detector = cls(pack, config, model, threads)
        check_signature(model.session, config.input.tensor, "tensor(int32)", (None,), detector._outputs)
        detector._warm_up()
        detector.check_golden()
        check_golden(pack, detector._score_now)
        return detector

    def _warm_up(self) -> None:
        declared = self._config.input
        smallest, largest = (
            np.full(length, declared.padding_token, np.int32) for length in (declared.alignment, declared.window)
        )
        try:
            self._model.warm_up(self._outputs, declared.tensor, smallest, largest, declared.padding_token)
        except DetectorError as error:
            raise PackRefusedError(f"The model cannot be run: {error.message}") from error

    def check_golden(self) -> None:
        """Raise PackRefusedError unless the model gives the manifest's text its logit."""
        golden = self._config.input.golden
        if golden is None:
            return
        try:
            logit = self._logit_now(ByteRange.of(golden.text.encode()))
        except DetectorError as error:
            raise PackRefusedError(f"The model cannot be run: {error.message}") from error
        if not abs(logit - golden.logit) <= golden.tolerance:
            raise PackRefusedError(
                f"The model gives its golden text {logit:.4f}, the manifest says {golden.logit:.4f}."
            )

    @property
    def model(self) -> ModelSession:
        """The loaded model."""
        return self._model

    def rows(self, content: ByteRange) -> list[Window]:
        """Return what the model is given for a file: its windows. Raises DetectorError."""
        return self._windows(self._prepare(content))

    def _logit_now(self, content: ByteRange) -> float:
        """Run the model in this thread, one window at a time."""
        windows = self._windows(self._prepare(content))
        return max(result.logit for window in windows for result in self._run([window]))

    def _score_now(self, content: ByteRange) -> float:
        return self._config.calibration.probability(self._logit_now(content))

    def wants(self, subject: Subject) -> bool:
        """Look at the covered types and those the manifest says are scored besides."""
        return subject.content.size > 0 and any(self._wanted.includes(name) for name in subject.types)

    async def inspect(self, subject: Subject) -> Inspection:
        """Score the artifact. Raises DetectorError."""
        script, best, decisive = await self._score_windows(subject.content)
        score = self._config.calibration.probability(decisive.logit)
        verdict = self._verdict(score, subject)
        findings: tuple[Finding, ...] = ()
        if self.shadow or verdict is not Verdict.CLEAN:
            start = window_starts(len(script.codes), self._config.input)[best]
            locations = await asyncio.get_running_loop().run_in_executor(
                self._threads.files, self._locate, subject, script, start, decisive.evidence
            )
            findings = (self._finding(score, verdict, locations),)
        return Inspection(findings, self._gaps(subject), score)

    async def score(self, content: ByteRange, pictures: Pictures) -> float:  # noqa: ARG002 -- of image models
        """Return the calibrated probability of the worst window. Raises DetectorError."""
        _, _, decisive = await self._score_windows(content)
        return self._config.calibration.probability(decisive.logit)

    async def close(self) -> None:
        """Stop the batcher."""
        if self._batcher is not None:
            await self._batcher.close()

    def _running_batcher(self) -> Batcher[Window, WindowResult]:
        """Start the batcher at first use: packs are loaded in a thread, batchers live on the event loop."""
        if self._batcher is None:
            model = self._model
            self._batcher = Batcher(
                self.info.name, self._run, self._threads.models, model.limits, _bucket, model.provider
            )
        return self._batcher

    async def _score_windows(self, content: ByteRange) -> tuple[Script, int, WindowResult]:
        """Return the script as the model reads it, and the window that decides with its number."""
        script = await asyncio.get_running_loop().run_in_executor(self._threads.files, self._prepare, content)
        windows = self._windows(script)
        results = await asyncio.gather(*(self._running_batcher().submit(window) for window in windows))
        best = max(range(len(results)), key=lambda index: results[index].logit)
        return script, best, results[best]

    def _prepare(self, content: ByteRange) -> Script:
        try:
            read, cut, left_out = read_ends(content, self._config.input.max_bytes)
        except OSError as error:
            raise DetectorError(f"The file could not be read: {error.strerror}.") from error
        return normalise(read, cut, left_out, self._config.input.normalise)

    def _windows(self, script: Script) -> list[Window]:
        declared = self._config.input
        return [window_tokens(script.codes, start, declared) for start in window_starts(len(script.codes), declared)]

    def _run(self, windows: Sequence[Window]) -> list[WindowResult]:
        declared = self._config.input
        length = 0
        if self._model.on_gpu:  # few shapes: the whole bucket's length
            bucket = max(map(_bucket, windows)) * _BUCKET_TOKENS
            length = -(-bucket // declared.alignment) * declared.alignment
        found = self._model.run(self._outputs, declared.tensor, windows, length=length, padding=declared.padding_token)
        scores = found[0]
        evidence = found[1] if len(found) > 1 else np.zeros((len(windows), 0), dtype=np.float32)
        return [WindowResult(float(score), places) for score, places in zip(scores, evidence, strict=True)]

    def _verdict(self, score: float, subject: Subject) -> Verdict:
        """Compare with the thresholds; about a type it does not cover the model says suspicious at most."""
        covers = any(self.covered.includes(name) for name in subject.types)
        return self._config.thresholds.verdict(score, covers=covers)

    def _locate(
        self, subject: Subject, script: Script, start: int, evidence: NDArray[np.float32]
    ) -> tuple[Location, ...]:
        """Return the heaviest positions of the deciding window as ranges of the original."""
        alignment = self._config.input.alignment
        total = float(evidence[evidence > 0].sum()) if len(evidence) else 0.0
        heaviest = [int(place) for place in np.argsort(-evidence, kind="stable")[:SHOWN_RANGES] if evidence[place] > 0]
        lines = LineIndex(subject.content.read(0, self._config.input.max_bytes)) if heaviest else None
        locations = []
        for place in heaviest:
            first = start + place * alignment
            last = min(first + alignment, len(script.codes)) - 1
            if lines is None or first > last:
                continue
            begin, end = stretch(script.offsets[first : last + 1])
            known = end <= self._config.input.max_bytes
            locations.append(
                Location(
                    start=begin,
                    end=end,
                    first_line=lines.line_of(begin) if known else None,
                    last_line=lines.line_of(end - 1) if known else None,
                    weight=round(float(evidence[place]) / total, 4),
                )
            )
        return tuple(locations)

    def _finding(self, score: float, verdict: Verdict, locations: tuple[Location, ...]) -> Finding:
        lines = sorted({location.first_line for location in locations if location.first_line is not None})
        where = f"; see line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines))}" if lines else ""
        return Finding(
            detector=self.info,
            label=self.info.name,
            verdict=verdict,
            score=score,
            reason=f"The model gives this script a probability of {score:.1%} to be malicious{where}.",
            locations=locations,
            shadow=self.shadow,
        )

    def _gaps(self, subject: Subject) -> tuple[CoverageGap, ...]:
        limit = self._config.input.max_bytes
        if subject.content.size <= limit:
            return ()
        detail = f"The detector {self.info.name} reads {limit} bytes of a file, from both ends; this one is larger."
        return (CoverageGap(reason=CoverageReason.TOO_LARGE, detail=detail),)


def _bucket(window: Window) -> int:
    return -(-len(window) // _BUCKET_TOKENS)
