"""Command line: `train` makes a model pack, `measure` repeats its figures, `score` applies it to a data file."""

import argparse
import csv
import logging
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from script_threat.calibration import Calibration
from script_threat.dataset import BODY_KEY
from script_threat.inference import inspect_script, open_model


def read_baseline(path: Path | None) -> dict[str, tuple[str, str, str]]:
    """Figures to compare with, by language, from a CSV file with the columns language, auc, tpr_1, tpr_01."""
    if path is None:
        return {}
    with path.open(newline="") as file:
        return {row["language"]: (row["auc"], row["tpr_1"], row["tpr_01"]) for row in csv.DictReader(file)}


def read_doubted(path: Path | None) -> frozenset[str]:
    """SHA-256 of rows whose label is doubted, from a CSV file with the column sha256."""
    if path is None:
        return frozenset()
    with path.open(newline="") as file:
        return frozenset(row["sha256"] for row in csv.DictReader(file))


def train(options: argparse.Namespace) -> None:
    """Make a model pack, or measure one that is there."""
    import torch  # noqa: PLC0415 - scoring does without it

    from script_threat.fitting import FitOptions  # noqa: PLC0415 - as above
    from script_threat.training import TrainingOptions, measure_pack, train_pack  # noqa: PLC0415 - as above

    torch.set_num_threads(options.threads)
    work = measure_pack if options.measure_only else train_pack
    work(
        TrainingOptions(
            data=options.data,
            pack=options.pack,
            version=options.version,
            magika=options.magika,
            baseline=read_baseline(options.baseline),
            doubted=read_doubted(options.doubted),
            fit=replace(FitOptions(), seed=options.seed),
            networks=options.networks,
        )
    )


def score(options: argparse.Namespace) -> None:
    """Write sha256 and calibrated score of each row of a data file."""
    with (options.pack / "detector.toml").open("rb") as file:
        parameters = tomllib.load(file)["calibration"]
    calibration = Calibration(parameters["slope"], parameters["intercept"])
    session = open_model(options.pack / "model.onnx", options.threads)
    rows = pq.read_table(options.input, columns=["sha256", "body"]).to_pylist()
    logits = np.array([inspect_script(session, row["body"].translate(BODY_KEY)).logit for row in rows])
    scores = {"sha256": [row["sha256"] for row in rows], "score": calibration.apply(logits)}
    pq.write_table(pa.table(scores), options.output)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="script_threat", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for name, text in (("train", "fit, export, measure, write the pack"), ("measure", "measure a pack that is there")):
        add_pack_arguments(commands.add_parser(name, help=text), measure_only=name == "measure")
    command = commands.add_parser("score", help="write sha256 and score of each row")
    command.add_argument("--pack", type=Path, required=True)
    command.add_argument("--input", type=Path, required=True, help="parquet file with sha256 and body")
    command.add_argument("--output", type=Path, required=True)
    command.add_argument("--threads", type=int, default=1)
    command.set_defaults(run=score)
    return parser.parse_args()


def add_pack_arguments(command: argparse.ArgumentParser, *, measure_only: bool) -> None:
    """The arguments that training and measuring share."""
    command.add_argument("data", type=Path, nargs="+", help="folders with the shipped and the rebuilt parquet files")
    command.add_argument("--pack", type=Path, required=True, help="folder to write")
    command.add_argument("--version", default="1.0.0", help="of the pack")
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("--networks", type=int, default=1, help="in the mean with the regression")
    command.add_argument("--threads", type=int, default=1)
    command.add_argument("--magika", type=Path, help="Magika's model.onnx, to compare the cost with")
    command.add_argument("--baseline", type=Path, help="CSV of figures to compare with")
    command.add_argument("--doubted", type=Path, help="CSV of val rows whose label is doubted, measured apart")
    command.set_defaults(run=train, measure_only=measure_only)


def main() -> None:
    """Run one command."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("script_threat").setLevel(logging.INFO)
    options = parse_arguments()
    options.run(options)


if __name__ == "__main__":
    main()
