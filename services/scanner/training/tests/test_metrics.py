import numpy as np
import pytest

from script_threat.calibration import Calibration, calibration_error, fit_platt, reliability
from script_threat.evaluation import figures_by_language, verdicts_by_archive, verdicts_by_language, without_doubt
from script_threat.metrics import detection_rate, roc_auc, threshold_at


def test_auc_counts_ties_half() -> None:
    labels = np.array([1, 1, 0, 0])
    assert roc_auc(labels, np.array([0.9, 0.8, 0.1, 0.2])) == 1.0
    assert roc_auc(labels, np.array([0.5, 0.5, 0.5, 0.5])) == 0.5
    assert roc_auc(labels, np.array([0.9, 0.1, 0.5, 0.2])) == 0.5


def test_auc_needs_both_labels() -> None:
    with pytest.raises(ValueError, match="both labels"):
        roc_auc(np.array([1, 1]), np.array([0.1, 0.2]))


def test_no_more_than_the_rate_exceed_the_threshold() -> None:
    benign = np.arange(1000.0)
    assert (benign > threshold_at(benign, 0.01)).mean() == 0.01
    assert (benign > threshold_at(benign, 0.0001)).sum() == 0


def test_detection_at_a_rate() -> None:
    labels = np.array([0] * 100 + [1] * 4)
    scores = np.concatenate([np.arange(100.0), [98.5, 99.5, 50, 120]])
    assert detection_rate(labels, scores, 0.01) == 0.75


def test_platt_recovers_a_known_scale() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 4, 20_000)
    labels = (rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * logits - 1)))).astype(np.int64)
    found = fit_platt(labels, logits)
    assert found.slope == pytest.approx(0.5, abs=0.03)
    assert found.intercept == pytest.approx(-1, abs=0.08)
    assert calibration_error(reliability(labels, found.apply(logits))) < 0.02


def test_calibration_keeps_the_order() -> None:
    scores = Calibration(0.7, 0.1).apply(np.array([-3.0, 0.0, 5.0]))
    assert (np.diff(scores) > 0).all()


def test_figures_leave_out_languages_with_too_few_rows() -> None:
    labels = np.array([1] * 10 + [0] * 40 + [1])
    languages = ["php"] * 50 + ["perl"]
    rows = figures_by_language(labels, languages, labels.astype(float))
    assert [row.language for row in rows] == ["all", "php"]
    assert rows[1].auc == 1.0


def test_rows_in_doubt_are_left_out_by_kind() -> None:
    labels = np.array([1] * 10 + [0] * 40)
    scores = labels.astype(float)
    scores[0], scores[10] = -1.0, 2.0  # a weak row below all, a doubted one above all
    weak, doubted = np.zeros_like(labels), np.zeros_like(labels)
    weak[0], doubted[10] = 1, 1
    found = without_doubt(labels, ["python"] * 50, scores, weak, doubted)
    assert [(row.malicious, row.benign) for _, row in found[::2]] == [(10, 40), (10, 39), (9, 40), (9, 39)]
    assert found[0][1].auc < found[-1][1].auc == 1.0


def test_verdicts_start_at_the_threshold() -> None:
    labels, scores = np.array([1, 1, 0]), np.array([0.9, 0.5, 0.5])
    row = verdicts_by_language(labels, ["php"] * 3, scores, suspicious=0.5, malicious=0.9)[0]
    assert (row.flagged_malicious, row.flagged_suspicious) == (1, 2)
    assert (row.false_malicious, row.false_suspicious) == (0, 1)


def test_the_worst_script_speaks_for_its_archive() -> None:
    counts = verdicts_by_archive(["a", "a", "b", "c"], np.array([0.1, 0.95, 0.6, 0.2]), suspicious=0.5, malicious=0.9)
    assert (counts.archives, counts.flagged_malicious, counts.flagged_suspicious) == (3, 1, 2)
