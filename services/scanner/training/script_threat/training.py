"""The whole way from the data folders to a model pack."""

import logging
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from script_threat.calibration import Calibration, fit_platt, reliability
from script_threat.card import Measurements, render_card
from script_threat.costing import cpu_milliseconds, magika_runner
from script_threat.dataset import Sample, read_samples
from script_threat.evaluation import figures_by_language, verdicts_by_archive, verdicts_by_language, without_doubt
from script_threat.exporting import export_onnx
from script_threat.fitting import Fit, FitOptions
from script_threat.inference import inspect_script, open_model
from script_threat.linear import LinearModel, LinearOptions, fit_linear, shared_weights
from script_threat.metrics import Floats, Labels, threshold_at
from script_threat.mining import mine, trust_weak
from script_threat.network import ExportedNetwork
from script_threat.pack import GOLDEN_TEXT, PackFacts, render_manifest, sha256_of
from script_threat.proof import prove_evidence
from script_threat.robustness import measure_robustness
from script_threat.tables import made_tables
from script_threat.windows import Piece, WindowSets, augmented_scripts, cut_windows, joined, make_sets
from script_threat.wrapped import wrapped_scripts

logger = logging.getLogger(__name__)

HERE = Path(__file__).parent
PROBED_SCRIPTS = 160  # malicious val scripts in the tests of robustness and evidence
SUSPICIOUS_RATE, MALICIOUS_RATE = 0.01, 0.001  # of the benign val scripts exceed the thresholds
LINE_MARGIN = 0.02  # of the logit
ROUNDING = 1e-6  # of the score
PADDING_SCRIPTS = 20  # benign val scripts per language to pad with


@dataclass(frozen=True)
class TrainingOptions:
    """What the command line sets."""

    data: list[Path]
    pack: Path
    version: str = "1.0.0"
    magika: Path | None = None
    doubted: frozenset[str] = frozenset()  # SHA-256 of val rows whose label is doubted
    baseline: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    linear: LinearOptions = field(default_factory=LinearOptions)
    fit: FitOptions = field(default_factory=FitOptions)
    networks: int = 1
    tables: int = 700  # benign scripts of data, made
    wrapped: int = 400  # malicious scripts in base64, made
    mined_windows: int = 4  # of each script, searched for the segments that decide


def labels_of(samples: list[Sample]) -> Labels:
    """The labels, int64 [samples]."""
    return np.array([sample.label for sample in samples], dtype=np.int64)


def fit_model(train: list[Sample], options: TrainingOptions) -> ExportedNetwork:
    """A regression, and networks that differ in their random order, as one."""
    fit, sizes = options.fit, options.fit.network.sizes
    rng = random.Random(fit.seed)  # noqa: S311 - not for secrets
    train = [*train, *made_tables(options.tables), *wrapped_scripts(train, options.wrapped)]
    bodies = {place: sample.data for place, sample in enumerate(train)}
    base = make_sets(cut_windows(bodies, fit.windows_per_script, rng), sizes)
    weights = np.array([fit.weak_weight if sample.weak else 1.0 for sample in train])
    linear, mined = fit_regression(train, base, cut_windows(bodies, options.mined_windows, rng), weights, options)
    if not options.networks:
        return ExportedNetwork(linear, [], sizes)
    augmented = make_sets(
        cut_windows(augmented_scripts(train, fit.augmented_share, rng), fit.windows_per_script, rng), sizes
    )
    windows = joined(base, augmented, mined)
    logger.info("%d windows for the networks, %d of them augmented", len(windows), len(augmented))
    networks = []
    for member in range(options.networks):
        run = Fit(train, base, windows, replace(fit, seed=fit.seed + member))
        for epoch, loss, seconds in run.epochs():
            logger.info("network %d, epoch %d: loss %.4f, %.0f s", member + 1, epoch, loss, seconds)
        networks.append(run.averaged)
    return ExportedNetwork(linear, networks, sizes)


def fit_regression(
    train: list[Sample], base: WindowSets, searched: list[Piece], weights: Floats, options: TrainingOptions
) -> tuple[LinearModel, WindowSets]:
    """A regression on whole windows, then on these and the segments that decide by it; and those segments."""
    labels, linear, sizes = labels_of(train), options.linear, options.fit.network.sizes
    shares = shared_weights(base.owners, weights)
    first = fit_linear(base, labels, shares, linear.penalties, linear.iterations)
    logger.info("regression fitted to %d windows", len(base))
    mined = mine(searched, labels, sizes, first, random.Random(options.fit.seed))  # noqa: S311 - as above
    segments = make_sets(mined.pieces, sizes)
    logger.info("%d segments decide, of %d windows searched", len(segments), len(searched))
    weights = trust_weak(train, mined.logits, options.fit.weak_weight)
    shares = shared_weights(base.owners, weights)
    shares[labels[base.owners] == 1] *= linear.whole_weight
    shares = np.concatenate([shares, mined.weights * weights[segments.owners]])
    second = fit_linear(joined(base, segments), labels, shares, linear.refined, linear.iterations, start=first)
    logger.info("regression fitted")
    return second, segments


def sample_malicious(samples: list[Sample]) -> list[Sample]:
    """A fixed sample of the malicious scripts."""
    malicious = [sample for sample in samples if sample.label == 1]
    order = np.random.default_rng(7).permutation(len(malicious))[:PROBED_SCRIPTS]
    return [malicious[index] for index in sorted(order)]


def padding_by_language(samples: list[Sample]) -> dict[str, list[bytes]]:
    """Benign scripts to pad with."""
    found: dict[str, list[bytes]] = {}
    for sample in samples:
        texts = found.setdefault(sample.language, [])
        if sample.label == 0 and len(texts) < PADDING_SCRIPTS:
            texts.append(sample.data)
    return found


def count_rows(samples: list[Sample]) -> dict[str, tuple[int, int]]:
    """Malicious and benign rows of each language."""
    counts = Counter((sample.language, sample.label) for sample in samples)
    return {language: (counts[language, 1], counts[language, 0]) for language, _ in counts}


def above(logit: float, calibration: Calibration) -> float:
    """A score that exceeds that of a logit by more than rounding: verdicts are given from this score on."""
    return float(calibration.apply(np.array([logit]))[0]) + ROUNDING


def line_of(benign_logits: Floats) -> float:
    """The logit above which scripts are malicious, a little above that of the benign one at 0.1 %.

    Scripts that `segments.py` keeps from being malicious stand on the line itself, above that benign one.
    """
    return threshold_at(benign_logits, MALICIOUS_RATE) + LINE_MARGIN


def logits_of(model: Path, samples: list[Sample]) -> Floats:
    """What the exported model says of each script, [samples]."""
    session = open_model(model)
    return np.array([inspect_script(session, sample.data).logit for sample in samples])


def draw_line(network: ExportedNetwork, model: Path, val: list[Sample]) -> None:
    """Export the model without and then with the logit from which its scripts are malicious (`segments.py`)."""
    export_onnx(network, model)
    benign = [sample for sample in val if sample.label == 0]
    network.line = line_of(logits_of(model, benign))
    logger.info("scripts are malicious above %.3f", network.line)
    export_onnx(network, model)


def measure(
    model: Path, val: list[Sample], train: list[Sample], options: TrainingOptions
) -> tuple[Measurements, PackFacts]:
    """Everything the card and the manifest say, from the exported file alone."""
    session = open_model(model)
    labels, languages = labels_of(val), [sample.language for sample in val]
    logits = logits_of(model, val)
    calibration = fit_platt(labels, logits)
    scores = calibration.apply(logits)
    benign = logits[labels == 0]
    suspicious = above(threshold_at(benign, SUSPICIOUS_RATE), calibration)
    malicious = above(line_of(benign), calibration)

    def score(data: bytes) -> float:
        return float(calibration.apply(np.array([inspect_script(session, data).logit]))[0])

    weak = np.array([int(sample.weak and sample.label == 1) for sample in val])
    doubted = np.array([int(sample.sha256 in options.doubted) for sample in val])
    packed = np.array([sample.label == 1 and sample.package != sample.sha256 for sample in val])
    packages = [sample.package for sample, inside in zip(val, packed, strict=True) if inside]
    probed, bodies = sample_malicious(val), [sample.data for sample in val]
    magika = cpu_milliseconds(magika_runner(open_model(options.magika)), bodies) if options.magika else None
    measured = Measurements(
        training=count_rows(train),
        figures=figures_by_language(labels, languages, logits),
        undoubted=without_doubt(labels, languages, logits, weak, doubted),
        doubted=int(doubted.sum()),
        weak=int(weak.sum()),
        verdicts=verdicts_by_language(labels, languages, scores, suspicious, malicious),
        archives=verdicts_by_archive(packages, scores[packed], suspicious, malicious),
        baseline=options.baseline,
        calibration=calibration,
        suspicious=suspicious,
        malicious=malicious,
        reliability=reliability(labels, scores),
        robustness=measure_robustness(score, probed, padding_by_language(val), suspicious, malicious),
        proof=prove_evidence(session, [sample.data for sample in probed]),
        cost=cpu_milliseconds(lambda data: inspect_script(session, data), bodies),
        magika_cost=magika,
        size_bytes=model.stat().st_size,
    )
    golden = inspect_script(session, GOLDEN_TEXT.encode()).logit
    return measured, PackFacts(options.version, calibration, suspicious, malicious, golden)


def write_pack(model: Path, val: list[Sample], train: list[Sample], options: TrainingOptions) -> None:
    """Measure the exported model and write detector.toml and MODEL_CARD.md beside it."""
    measured, facts = measure(model, val, train, options)
    template = (HERE / "model_card_template.md").read_text()
    tried = (HERE / "experiments.md").read_text().strip()
    (options.pack / "MODEL_CARD.md").write_text(render_card(template, measured, tried))
    (options.pack / "detector.toml").write_text(render_manifest(facts, sha256_of(model)))


def measure_pack(options: TrainingOptions) -> None:
    """Measure the model of a pack that is there and write its manifest and card anew."""
    train, val = read_samples(options.data, "train"), read_samples(options.data, "val")
    write_pack(options.pack / "model.onnx", val, train, options)


def train_pack(options: TrainingOptions) -> None:
    """Fit the model, export it, measure it and write the pack."""
    torch.use_deterministic_algorithms(mode=True)
    options.pack.mkdir(parents=True, exist_ok=True)
    train, val = read_samples(options.data, "train"), read_samples(options.data, "val")
    logger.info("%d rows to train on, %d to measure with", len(train), len(val))
    model = options.pack / "model.onnx"
    draw_line(fit_model(train, options), model, val)
    write_pack(model, val, train, options)
