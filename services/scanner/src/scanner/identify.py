"""What the bytes are: Magika's ONNX model, run in our own session behind the batcher.

Preprocessing, thresholds, the overwrite map and the rules for small files follow the `magika`
package, version 1 (https://github.com/google/magika), whose model and configuration are used.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from scanner.batcher import Batcher
from scanner.config import EngineSettings
from scanner.content import ByteRange
from scanner.corrections import ADDED_TYPES, corrected_label
from scanner.errors import PackRefusedError
from scanner.sessions import ModelSession, open_session
from scanner.threads import Threads
from scanner.unpackers import label_by_magic
from shared.scan import ContentType

MODEL_NAME = "standard_v3_3"
_INPUT, _OUTPUT = "bytes", "target_label"

Tokens = NDArray[np.int32]


class ModelConfig(BaseModel):
    """The part of Magika's `config.min.json` that decides about the answer."""

    model_config = ConfigDict(frozen=True)

    beg_size: int
    end_size: int
    block_size: int
    padding_token: int
    min_file_size_for_dl: int
    medium_confidence_threshold: float
    target_labels_space: tuple[str, ...]
    thresholds: dict[str, float]
    overwrite_map: dict[str, str]


def magika_folder() -> Path:
    """Return the folder of the installed `magika` package without importing its client code."""
    spec = importlib.util.find_spec("magika")
    if spec is None or not spec.submodule_search_locations:
        raise PackRefusedError("The magika package, which carries the content-type model, is not installed.")
    return Path(next(iter(spec.submodule_search_locations)))


def load_content_types(folder: Path) -> dict[str, ContentType]:
    """Read Magika's knowledge base: label to MIME type, group, description (score 1); with what it lacks."""
    entries: dict[str, dict[str, Any]] = json.loads((folder / "config/content_types_kb.min.json").read_text())
    types = {
        label: ContentType(
            label=label,
            mime_type=entry["mime_type"] or ("text/plain" if entry["is_text"] else "application/octet-stream"),
            group=entry["group"] or "unknown",
            description=entry["description"] or label,
            score=1.0,
            is_text=entry["is_text"],
        )
        for label, entry in entries.items()
    }
    return types | {added.label: added for added in ADDED_TYPES}


_TEXT_BYTES = 4096
# Field names of RFC 5322 2.2, or the line that begins a message in a mailbox.
_MAIL_HEADER = re.compile(rb"From |[!-9;-~]+[ \t]*:")


class TypeIdentifier:
    """Answers what an artifact is; safe for many callers at once."""

    def __init__(
        self,
        config: ModelConfig,
        types: dict[str, ContentType],
        model: ModelSession,
        threads: Threads,
    ) -> None:
        self._config = config
        self._types = types
        self._model = model
        self._files = threads.files
        self._batcher: Batcher[Tokens, tuple[str, float]] = Batcher(
            "content-type",
            self._predict,
            threads.models,
            model.limits,
            provider=model.provider,
        )

    @classmethod
    def load(cls, settings: EngineSettings, threads: Threads) -> TypeIdentifier:
        """Load the model of the installed package. Raises PackRefusedError."""
        folder = magika_folder()
        model_folder = folder / "models" / MODEL_NAME
        config = ModelConfig.model_validate_json((model_folder / "config.min.json").read_text())
        model = open_session(model_folder / "model.onnx", settings)
        tokens = np.full(config.beg_size + config.end_size, config.padding_token, dtype=np.int32)
        model.warm_up([_OUTPUT], _INPUT, tokens, tokens)
        return cls(config, load_content_types(folder), model, threads)

    @property
    def model(self) -> ModelSession:
        """The loaded model, with the execution provider really in use."""
        return self._model

    @property
    def unknown(self) -> ContentType:
        """The answer for content that could not be identified."""
        return self._types["unknown"].model_copy(update={"score": 0.0})

    def of(self, label: str) -> ContentType:
        """Return the content type of that label, as a certain answer."""
        return self._types[label].model_copy(update={"score": 1.0})

    async def close(self) -> None:
        """Stop the batcher."""
        await self._batcher.close()

    async def identify(self, content: ByteRange) -> ContentType:
        """Return the content type with the confidence of the model (1 where no model was needed)."""
        prepared = await asyncio.get_running_loop().run_in_executor(self._files, self.prepare, content)
        if isinstance(prepared, ContentType):
            return prepared
        label, score = await self._batcher.submit(prepared)
        return self._types[self._trusted_label(label, score)].model_copy(update={"score": score})

    def corrected(self, content_type: ContentType, head: bytes, *, whole: bool) -> ContentType:
        """Return what the first bytes leave of the model's guess; `whole` says that they are all of the file."""
        label = corrected_label(content_type.label, head, whole=whole)
        if not content_type.is_text:  # what is a script may begin with anything
            label = label_by_magic(head) or label
        if label == "eml" and not _MAIL_HEADER.match(head.lstrip()):  # change logs have none
            lines = head[:_TEXT_BYTES].rpartition(b"\n")[0] or head  # no character is cut in two at the end of a line
            label = "unknown" if b"\0" in head else self._few_bytes(lines).label
        if label == content_type.label:
            return content_type
        return self._types[label].model_copy(update={"score": content_type.score})

    def prepare(self, content: ByteRange) -> Tokens | ContentType:
        """Return the model's input, int32 [beg_size + end_size], or the answer for tiny content."""
        config = self._config
        if content.size == 0:
            return self._types["empty"]
        if content.size < config.min_file_size_for_dl:
            return self._few_bytes(content.read())
        block = min(config.block_size, content.size)
        first = content.read(0, block)
        head = first.lstrip()[: config.beg_size]
        tail = content.read(content.size - block, block).rstrip()[-config.end_size :]
        if len(head) < config.min_file_size_for_dl:
            return self._few_bytes(first)
        tokens = np.full(config.beg_size + config.end_size, config.padding_token, dtype=np.int32)
        tokens[: len(head)] = np.frombuffer(head, dtype=np.uint8)
        if tail:
            tokens[-len(tail) :] = np.frombuffer(tail, dtype=np.uint8)
        return tokens

    def rows(self, content: ByteRange) -> list[Tokens]:
        """Return what the model is given for a file: one row, or none for tiny content."""
        prepared = self.prepare(content)
        return [] if isinstance(prepared, ContentType) else [prepared]

    def _few_bytes(self, content: bytes) -> ContentType:
        try:
            content.decode("utf-8")
        except UnicodeDecodeError:
            return self._types["unknown"]
        return self._types["txt"]

    def _predict(self, batch: Sequence[Tokens]) -> list[tuple[str, float]]:
        scores = self._model.run([_OUTPUT], _INPUT, batch)[0]
        best = scores.argmax(axis=1)
        labels = self._config.target_labels_space
        return [(labels[index], float(row[index])) for index, row in zip(best, scores, strict=True)]

    def _trusted_label(self, label: str, score: float) -> str:
        """Apply the overwrite map, then fall back to `txt` or `unknown` below the label's threshold."""
        config = self._config
        answer = config.overwrite_map.get(label, label)
        if score >= config.thresholds.get(label, config.medium_confidence_threshold):
            return answer
        return "txt" if self._types[answer].is_text else "unknown"
