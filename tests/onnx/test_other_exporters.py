"""Files that the exporters of PyTorch and Keras wrote: the same answers, and the layers they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from purecnn import load_onnx

HERE = Path(__file__).parents[1] / "fixtures" / "onnx"
KINDS = {
    "residual": "Convolutional ReLU MaxPooling Residual ReLU Residual ReLU GlobalAveragePooling Dense",
    "functions": "Convolutional GELU MaxPooling Flatten Dense Softmax",
    "mobile": "Convolutional HardSwish DepthwiseConvolutional ReLU6 Convolutional SiLU AveragePooling Mish "
    "PReLU GlobalAveragePooling Dense Sigmoid",
    "branches": "Branches GlobalMaxPooling Dense",
    "inception": "Convolutional ReLU Branches MaxPooling Branches GlobalAveragePooling Dense",
    "dense": "Convolutional Branches Branches Branches Convolutional AveragePooling Branches Branches "
    "BatchNormalization ReLU GlobalAveragePooling Dense",
    "normalized": "Convolutional GroupNormalization ReLU LayerNormalization GroupNormalization Flatten Dense "
    "LayerNormalization LogSoftmax",
    "squeeze": "Convolutional ReLU Residual ReLU Residual ReLU GlobalAveragePooling Dense",
}
FILES = sorted(path.stem for path in HERE.glob("*.onnx"))


@pytest.fixture(scope="module")
def answers():
    with np.load(HERE / "answers.npz") as stored:
        return dict(stored)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_program_answers_as_its_model_does(name, answers):
    x, wanted = (answers[f"{name.removesuffix('-script')}/{what}"] for what in "xy")
    graph = load_onnx(HERE / f"{name}.onnx")
    for found in (graph.predict(x), graph.predict(x[:1]), *graph.run({graph.inputs[0].name: x}).values()):
        np.testing.assert_allclose(found, wanted[: len(found)], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("script", ["", "-script"])
@pytest.mark.parametrize("name", KINDS)
def test_it_can_be_trained_from_there(name, script, answers):
    x, wanted = answers[f"{name}/x"], answers[f"{name}/y"]
    network = load_onnx(HERE / f"{name}{script}.onnx").network()
    assert [type(layer).__name__ for layer in network] == KINDS[name].split()
    np.testing.assert_allclose(network.predict(x), wanted, rtol=1e-4, atol=1e-6)
    y = np.eye(wanted.shape[1])[np.arange(len(x)) % wanted.shape[1]]
    history = network.fit(x, y, loss="mse", epochs=3, learning_rate=1e-3)
    assert history.loss[-1] < history.loss[0]


def paths(layer):
    """The classes of the layers on each path, those of branches within branches too."""
    return [[paths(f) if f.inside() else type(f).__name__ for f in path] for path in layer.branches.values()]


@pytest.mark.parametrize("script", ["", "-script"])
def test_branches_are_written_as_they_were_meant(script):
    def layers(name):
        return load_onnx(HERE / f"{name}{script}.onnx").network().layers

    block = [["Convolutional", "ReLU"], ["Convolutional", "ReLU"] * 2, ["Convolutional", "ReLU"] * 2]
    block.append(["AveragePooling", "Convolutional", "ReLU"])
    assert [paths(layer) for layer in layers("inception") if layer.inside()] == [block] * 2
    dense = [paths(layer) for layer in layers("dense") if layer.inside()]
    assert dense == [[[], ["BatchNormalization", "ReLU", "Convolutional"]]] * 5
    first, second = (paths(layer) for layer in layers("squeeze") if layer.inside())
    kernels = ["Reshape", "Convolutional", "ReLU", "Convolutional", "Sigmoid", "Flatten"]
    assert first == [["Convolutional", [[], ["GlobalAveragePooling", *kernels]]], []]
    plain = ["GlobalAveragePooling", "Dense", "ReLU", "Dense", "Sigmoid"]
    assert second == [["Convolutional", [[], plain]], []]


@pytest.mark.parametrize("script", ["", "-script"])
def test_a_network_of_images_can_be_trained_from_there(script, answers):
    x, wanted = answers["unet/x"], answers["unet/y"]
    network = load_onnx(HERE / f"unet{script}.onnx").network()
    assert "TransposedConvolutional" in str([paths(layer) for layer in network if layer.inside()])
    np.testing.assert_allclose(network.predict(x), wanted, rtol=1e-4, atol=1e-6)
    history = network.fit(x, 0.5 * wanted, loss="mse", epochs=3, learning_rate=1e-3)
    assert history.loss[-1] < history.loss[0]


def test_a_file_of_channels_last_is_a_network(answers):
    network = load_onnx(HERE / "keras.onnx").network()
    np.testing.assert_allclose(network.predict(answers["keras/x"]), answers["keras/y"], rtol=1e-4, atol=1e-6)


def test_every_file_is_held_to_an_answer(answers):
    assert len(FILES) == 19
    assert {name.removesuffix("-script") for name in FILES} == {key.split("/")[0] for key in answers}
    assert (HERE / "residual.onnx.data").exists()  # some of the arrays lie in files of their own
    model = onnx.load(HERE / "residual.onnx", load_external_data=False)
    assert any(array.data_location for array in model.graph.initializer)
