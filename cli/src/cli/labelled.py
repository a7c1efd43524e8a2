"""Labelled data in Parquet files: rows read a few at a time, bodies decoded in memory only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from shared.errors import ClientError

_ROWS_TOGETHER = 64
_XOR_A5 = bytes(value ^ 0xA5 for value in range(256))


class BodyEncoding(StrEnum):
    """How the column `body` holds the bytes of a file."""

    XOR_A5 = "xor-a5"
    PLAIN = "plain"

    @classmethod
    def named(cls, name: str) -> BodyEncoding:
        """Return the encoding of that name. Raises ClientError."""
        try:
            return cls(name)
        except ValueError:
            raise ClientError(f"The encoding is {' or '.join(cls)}, not {name}.") from None

    def decode(self, body: bytes) -> bytes:
        """Return the bytes of the file."""
        return body.translate(_XOR_A5) if self is BodyEncoding.XOR_A5 else body


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `label` is None where the file has no such column, `language` is empty."""

    sha256: str
    body: bytes
    label: int | None
    language: str


class LabelledFiles:
    """Parquet files with the columns `sha256` and `body`, and for evaluation `label` and `language`."""

    def __init__(self, paths: Sequence[Path], encoding: BodyEncoding, needed: Sequence[str]) -> None:
        """Open the files. Raises ClientError for one that cannot be used."""
        self._encoding = encoding
        self._files = [_open(path, needed) for path in paths]
        self.rows: int = sum(file.metadata.num_rows for file in self._files)

    def __iter__(self) -> Iterator[Row]:
        for file in self._files:
            columns = [name for name in ("sha256", "body", "label", "language") if name in file.schema_arrow.names]
            for batch in file.iter_batches(batch_size=_ROWS_TOGETHER, columns=columns):
                for row in batch.to_pylist():
                    body = self._encoding.decode(row["body"] or b"")
                    yield Row(row.get("sha256") or "", body, row.get("label"), row.get("language") or "")


def write_scores(path: Path, sha256: Sequence[str], scores: Sequence[float]) -> None:
    """Write the columns `sha256` and `score` in the order of the rows. Raises ClientError."""
    table = pa.table({"sha256": pa.array(sha256, pa.string()), "score": pa.array(scores, pa.float64())})
    try:
        pq.write_table(table, path)
    except OSError as error:
        raise ClientError(f"{path} cannot be written: {error.strerror or error}") from None


def _open(path: Path, needed: Sequence[str]) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise ClientError(f"{path} cannot be read as Parquet: {error}") from None
    missing = [name for name in needed if name not in file.schema_arrow.names]
    if missing:
        raise ClientError(f"{path} has no column {' and no column '.join(missing)}.")
    return file
