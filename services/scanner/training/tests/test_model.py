"""The exported model against the network it came from, and the evidence against its definition."""

import random

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
from script_threat.preprocessing import normalise, window_starts  # noqa: E402 - as above
from script_threat.windows import make_windows  # noqa: E402 - as above

BIAS = -0.25
SCRIPT = b"import os\nfor name in os.listdir('.'):\n    print(name, os.stat(name).st_size)\n"
BODIES = [SCRIPT, SCRIPT * 200, b"x", SCRIPT.decode().encode("utf-16")]


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


def test_the_exported_model_is_the_mean_of_its_members(
    network: PresenceNetwork, linear: LinearModel, session: ort.InferenceSession
) -> None:
    windows = make_windows(dict(enumerate(BODIES)), network.sizes, None, random.Random(1))
    votes = presence_matrix(windows) @ linear.weights + linear.bias
    expected = (score_windows(network, windows) + votes) / 2
    for index, data in enumerate(BODIES):
        logit = inspect_script(session, data).logit
        assert logit == pytest.approx(expected[windows.owners == index].max(), abs=0.01)


def test_evidence_adds_up_to_the_score(network: PresenceNetwork, session: ort.InferenceSession) -> None:
    script = normalise(BODIES[1])
    scores, evidence = run_windows(session, script, window_starts(len(script.codes)))
    rest = (float(network.output.bias.detach()[0]) + BIAS) / 2
    assert [float(row.sum()) for row in evidence] == pytest.approx([float(score) - rest for score in scores], abs=0.01)


def test_a_longer_batch_does_not_change_a_window(session: ort.InferenceSession) -> None:
    script = normalise(BODIES[1])
    starts = window_starts(len(script.codes))
    together, _ = run_windows(session, script, starts)
    alone = np.concatenate([run_windows(session, script, [start])[0] for start in starts])
    assert together == pytest.approx(alone, abs=1e-4)


def test_evidence_lies_inside_the_original(session: ort.InferenceSession) -> None:
    for data in BODIES:
        for part in inspect_script(session, data).evidence:
            assert 0 <= part.start < part.end <= len(data)
