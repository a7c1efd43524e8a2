"""The `[input]` table of a text model: decoded text as a string, as characters, words or hashed n-grams.

Nothing here needs a tokenizer of a framework, so that what a manifest declares is all there is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from scanner.content import ByteRange
from scanner.detectors.preparation import ModelInput, Prepared, Preparer, read_bounded, read_vocabulary
from scanner.errors import PackRefusedError

_WORDS = re.compile(r"\w+|[^\w\s]")
_FNV_OFFSET = np.uint32(2166136261)
_FNV_PRIME = np.uint32(16777619)
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_FILE_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$"


class TextInput(ModelInput):
    """How text becomes numbers; lengths in characters, words or buckets."""

    encoding: str = Field(default="utf-8", description="Of text without a byte-order mark; errors become U+FFFD.")
    lower_case: bool = False
    max_characters: int = Field(default=65536, ge=1, le=1 << 24)
    features: Literal["string", "characters", "words", "hashed-ngrams"]
    length: int | None = Field(default=None, ge=1, le=1 << 20, description="Of characters and words: ids in a row.")
    vocabulary: str | None = Field(default=None, pattern=_FILE_NAME, description="File with one token a line.")
    unknown_id: int = Field(default=1, ge=0)
    padding_id: int = Field(default=0, ge=0)
    ngrams: tuple[int, int] = Field(default=(3, 5), description="Shortest and longest n-gram, in bytes of UTF-8.")
    buckets: int = Field(default=1 << 16, ge=2, le=1 << 22)
    weights: Literal["binary", "counts", "l2"] = "l2"

    @model_validator(mode="after")
    def _complete(self) -> TextInput:
        if self.features in {"characters", "words"} and (self.length is None or self.vocabulary is None):
            raise ValueError(f"features = {self.features!r} needs length and vocabulary")
        if not 1 <= self.ngrams[0] <= self.ngrams[1] <= 16:
            raise ValueError("ngrams are two lengths from 1 to 16, the shorter first")
        try:
            "".encode(self.encoding)
        except LookupError as error:
            raise ValueError(f"the encoding {self.encoding!r} is not known") from error
        return self

    def preparer(self, folder: Path) -> Preparer:
        """Return what makes rows. Raises PackRefusedError."""
        if self.features == "string":
            return _Strings(self)
        if self.features == "hashed-ngrams":
            return _HashedNgrams(self)
        try:
            return _Ids(self, read_vocabulary(folder / (self.vocabulary or "")))
        except (OSError, UnicodeDecodeError) as error:
            raise PackRefusedError(f"The vocabulary {self.vocabulary} cannot be read.") from error

    def text(self, content: ByteRange) -> tuple[str, bool]:
        """Return the text as the model reads it, and whether that is all of it."""
        data = read_bounded(content, self.max_bytes)
        encoding = self.encoding
        for mark, marked in _MARKS:
            if data.startswith(mark):
                data, encoding = data[len(mark) :], marked
                break
        text = data.decode(encoding, "replace")
        whole = content.size <= self.max_bytes and len(text) <= self.max_characters
        text = text[: self.max_characters]
        return (text.lower() if self.lower_case else text), whole


class _Strings:
    """The text itself, for models that carry their own tokenizer: string [files, 1]."""

    item_shape = (1,)
    element_type = "tensor(string)"

    def __init__(self, declared: TextInput) -> None:
        self._declared = declared

    def prepare(self, content: ByteRange) -> Prepared:
        text, whole = self._declared.text(content)
        return Prepared(np.array([text], dtype=object), whole)


class _Ids:
    """Numbers of characters or words: int64 [files, length]."""

    element_type = "tensor(int64)"

    def __init__(self, declared: TextInput, vocabulary: dict[str, int]) -> None:
        self._declared = declared
        self._vocabulary = vocabulary
        self.item_shape = (declared.length or 0,)

    def prepare(self, content: ByteRange) -> Prepared:
        text, whole = self._declared.text(content)
        tokens = text if self._declared.features == "characters" else _WORDS.findall(text)
        ids = [self._vocabulary.get(token, self._declared.unknown_id) for token in tokens[: self.item_shape[0]]]
        row = np.full(self.item_shape, self._declared.padding_id, dtype=np.int64)
        row[: len(ids)] = ids
        return Prepared(row, whole and len(tokens) <= len(row))


class _HashedNgrams:
    """Byte n-grams of the UTF-8 text, numbered by FNV-1a (32 bits) modulo the buckets: float32 [files, buckets]."""

    element_type = "tensor(float)"

    def __init__(self, declared: TextInput) -> None:
        self._declared = declared
        self.item_shape = (declared.buckets,)

    def prepare(self, content: ByteRange) -> Prepared:
        declared = self._declared
        text, whole = declared.text(content)
        codes = np.frombuffer(text.encode("utf-8", "replace"), dtype=np.uint8)
        counts = np.zeros(declared.buckets, dtype=np.float32)
        for length in range(declared.ngrams[0], declared.ngrams[1] + 1):
            numbers = fnv1a_ngrams(codes, length) % np.uint32(declared.buckets)
            counts += np.bincount(numbers, minlength=declared.buckets).astype(np.float32)
        return Prepared(self._weighed(counts), whole)

    def _weighed(self, counts: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._declared.weights == "counts":
            return counts
        present = (counts > 0).astype(np.float32)
        if self._declared.weights == "l2":
            present /= max(float(np.linalg.norm(present)), 1e-12)
        return present


def fnv1a_ngrams(codes: NDArray[np.uint8], length: int) -> NDArray[np.uint32]:
    """Return the FNV-1a hash of each run of `length` bytes (http://www.isthe.com/chongo/tech/comp/fnv/)."""
    runs = len(codes) - length + 1
    if runs < 1:
        return np.zeros(0, dtype=np.uint32)
    hashes = np.full(runs, _FNV_OFFSET, dtype=np.uint32)
    for place in range(length):
        hashes = (hashes ^ codes[place : place + runs]) * _FNV_PRIME
    return hashes
