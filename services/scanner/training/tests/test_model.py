"""The exported model against the network it came from, and the evidence against its definition."""

from pathlib import Path

import numpy as np
import pytest

ort = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from script_threat.exporting import export_onnx  # noqa: E402 - after the check that torch is there
from script_threat.fitting import score_windows  # noqa: E402 - as above
from script_threat.inference import inspect_script, open_model, run_windows  # noqa: E402 - as above
from script_threat.linear import LinearModel, presence_matrix  # noqa: E402 - as above
from script_threat.network import ExportedNetwork, NetworkOptions, PresenceNetwork  # noqa: E402 - as above
from script_threat.ngrams import SIZES, hashed_ngrams  # noqa: E402 - as above
from script_threat.preprocessing import WINDOW, normalise, window_starts  # noqa: E402 - as above
from script_threat.segments import FLOOR, OFFSETS, STEEPNESS, segment_logits  # noqa: E402 - as above
from script_threat.windows import make_sets  # noqa: E402 - as above

BIAS = -0.25
SCRIPT = b"import os\nfor name in os.listdir('.'):\n    print(name, os.stat(name).st_size)\n"
ODD = b".".join(b"%x" % (7919**power) for power in range(1, 40))
MIXED = SCRIPT * 60 + ODD + SCRIPT * 60
BODIES = [MIXED, SCRIPT, SCRIPT * 200, b"x", SCRIPT.decode().encode("utf-16")]


def heard(logit: float) -> float:
    """What a part's logit counts for."""
    return logit - STEEPNESS * max(0.0, FLOOR - logit)


@pytest.fixture(scope="module")
def network() -> PresenceNetwork:
    torch.manual_seed(5)
    network = PresenceNetwork(NetworkOptions(hidden=4))
    torch.nn.init.normal_(network.votes, std=0.2)
    return network.eval()


@pytest.fixture(scope="module")
def linear(network: PresenceNetwork) -> LinearModel:
    return LinearModel(network.votes.detach().numpy()[:, 0], BIAS)


@pytest.fixture(scope="module")
def session(
    network: PresenceNetwork, linear: LinearModel, tmp_path_factory: pytest.TempPathFactory
) -> ort.InferenceSession:
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    export_onnx(ExportedNetwork(linear, [network]), path)
    return open_model(path)


@pytest.mark.parametrize("count", [0, 1])
def test_the_exported_model_is_the_mean_of_its_members(
    network: PresenceNetwork, linear: LinearModel, tmp_path: Path, count: int
) -> None:
    path = tmp_path / "model.onnx"
    export_onnx(ExportedNetwork(linear, [network] * count, network.sizes), path)
    session = open_model(path)
    codes = normalise(SCRIPT).codes
    windows = make_sets([(0, codes)], network.sizes)
    members = [float((presence_matrix(windows) @ linear.weights)[0]) + linear.bias]
    members += [float(score_windows(network, windows)[0])] * count
    assert inspect_script(session, SCRIPT).logit == pytest.approx(sum(members) / len(members), abs=0.01)


def test_the_graph_scores_parts_as_mining_does(linear: LinearModel, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    export_onnx(ExportedNetwork(linear, []), path)
    session = open_model(path)
    for data in BODIES:
        script = normalise(data)
        starts = window_starts(len(script.codes))
        scores, _ = run_windows(session, script, starts)
        logits = [
            segment_logits(script.codes[start : start + WINDOW], SIZES, linear.weights, linear.bias) for start in starts
        ]
        expected = [max(row[0], heard(row[1:].max())) for row in logits]
        assert scores == pytest.approx(expected, abs=0.01)


def test_evidence_adds_up_to_the_score(network: PresenceNetwork, session: ort.InferenceSession) -> None:
    script = normalise(MIXED)
    scores, evidence = run_windows(session, script, window_starts(len(script.codes)))
    rest = (float(network.output.bias.detach()[0]) + BIAS) / 2
    for score, row in zip(scores, evidence, strict=True):
        logit = float(row.sum()) + rest
        counted = [logit, *(heard(logit - offset) for offset in set(OFFSETS[1:].tolist()))]
        assert min(abs(score - value) for value in counted) < 0.01


def test_other_text_beside_a_script_does_not_dilute_it(linear: LinearModel, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    wanted = np.full(len(linear.weights), -0.1, dtype=np.float32)
    wanted[hashed_ngrams(normalise(ODD).codes, SIZES)] = 1.0
    export_onnx(ExportedNetwork(LinearModel(wanted, BIAS), []), path)
    session = open_model(path)
    alone = inspect_script(session, ODD).logit
    for data in (ODD + SCRIPT * 800, SCRIPT * 800 + ODD, SCRIPT * 400 + ODD + SCRIPT * 400):
        padded = inspect_script(session, data)
        assert padded.logit > alone * 0.75
        begin = data.index(ODD)
        assert all(begin - 64 <= part.start < begin + len(ODD) for part in padded.evidence[:3])


@pytest.mark.parametrize("below", [0.2, 8.0])
def test_other_text_cannot_undo_a_malicious_verdict(linear: LinearModel, tmp_path: Path, below: float) -> None:
    path = tmp_path / "model.onnx"
    weights = np.zeros(len(linear.weights), dtype=np.float32)
    weights[hashed_ngrams(normalise(ODD).codes, SIZES)] = 1.0
    model = LinearModel(weights, BIAS)
    export_onnx(ExportedNetwork(model, []), path)
    free = inspect_script(open_model(path), ODD).logit
    line = np.float32(free - below)
    export_onnx(ExportedNetwork(model, [], line=float(line)), path)
    alone, *padded = (
        inspect_script(open_model(path), data).logit for data in (ODD, ODD + SCRIPT * 800, SCRIPT * 800 + ODD)
    )
    if below > 1:
        assert line < alone < free
        assert all(logit > line for logit in padded)
    else:
        assert alone == line
        assert all(logit < line for logit in padded)


def test_a_longer_batch_does_not_change_a_window(session: ort.InferenceSession) -> None:
    script = normalise(BODIES[2])
    starts = window_starts(len(script.codes))
    together, _ = run_windows(session, script, starts)
    alone = np.concatenate([run_windows(session, script, [start])[0] for start in starts])
    assert together == pytest.approx(alone, abs=1e-4)


def test_evidence_lies_inside_the_original(session: ort.InferenceSession) -> None:
    for data in BODIES:
        for part in inspect_script(session, data).evidence:
            assert 0 <= part.start < part.end <= len(data)
