"""Reads the labelled scripts; the decoded bodies live in memory only."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

BODY_KEY = bytes(value ^ 0xA5 for value in range(256))
COLUMNS = ["sha256", "label", "language", "package", "weak", "body"]


@dataclass(frozen=True)
class Sample:
    """One labelled script."""

    sha256: str
    label: int
    language: str
    package: str
    weak: bool
    data: bytes


def read_samples(folders: list[Path], split: str) -> list[Sample]:
    """All rows of a split: the shipped file and the rebuilt benign one, from whichever folder holds them."""
    names = [f"scripts-{split}.parquet", f"scripts-benign-{split}.parquet"]
    files = [folder / name for name in names for folder in folders if (folder / name).is_file()]
    if len(files) != len(names):
        raise FileNotFoundError(f"{names} are not both, once each, in {[str(folder) for folder in folders]}")
    rows = pa.concat_tables([pq.read_table(file, columns=COLUMNS) for file in files]).to_pylist()
    return [
        Sample(
            row["sha256"],
            row["label"],
            row["language"],
            row["package"] or row["sha256"],
            row["weak"] == 1,
            row["body"].translate(BODY_KEY),
        )
        for row in rows
    ]
