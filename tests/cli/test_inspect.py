"""`purecnn inspect`: what a file holds, all that is missing in it, and whether it becomes a network."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from helpers.onnx_models import model, node, value
from purecnn import Convolutional, Dense, Flatten, Network, ReLU, export_onnx, save, save_state_dict
from purecnn.cli.app import purecnn
from purecnn.errors import FileFormatError
from purecnn.onnx.inventory import inventory

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def rows(*arguments):
    """Return what the command prints, as a list of texts by label."""
    result = CliRunner().invoke(purecnn, ["inspect", *map(str, arguments)], prog_name="purecnn")
    assert result.exit_code == 0, result.output
    found, label = {}, ""
    for line in result.stdout.splitlines():
        first, _, words = line.partition("  ")
        label = first or label
        found.setdefault(label, []).append(words.strip())
    return found


def refusal(*arguments):
    result = CliRunner().invoke(purecnn, ["inspect", *map(str, arguments)], prog_name="purecnn")
    assert result.exit_code == 2
    return result.stderr


def small():
    layers = [Convolutional(kernel_size=3, depth=2), ReLU(), Flatten(), Dense(output_size=3)]
    return Network(layers, input_shape=(1, 6, 5))


def test_an_exported_network_is_told_with_its_sizes_and_metadata():
    export_onnx(small(), "a.onnx")
    found = rows("a.onnx")
    assert found["file"] == [f"a.onnx, {Path('a.onnx').stat().st_size:,} bytes"]
    assert found["kind"] == ["an ONNX model, version 8 of the format, operators of ONNX 15"]
    assert found["input"] == ["input: float32 (N, 1, 6, 5)"]
    assert found["output"] == ["output: float32 (N, 3)"]
    # by hand: 2 * 9 + 2, and 3 * 24 + 3
    assert found["arrays"] == ["4, of 95 numbers and 380 bytes"]
    assert found["operators"] == ["Conv 1, Flatten 1, Gemm 1, Relu 1; 4 nodes"]
    assert "input_shape: [1, 6, 5]" in found["metadata"]
    assert found["runs"] == ["yes"]
    assert found["network"] == ["yes: Convolutional 1, Dense 1, Flatten 1, ReLU 1; 4 layers"]
    assert "missing" not in found


def test_every_operator_that_is_missing_is_named_those_in_graphs_within_the_graph_too():
    inner = helper.make_graph([node("Wobble", ["x"], ["z"])], "inner", [], [value("z", None)])
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Wobble", ["a"], ["b"]),
        node("Frob", ["b"], ["c"], domain="my.own"),
        node("If", ["k"], ["y"], then_branch=inner, else_branch=inner),
    ]
    made = model(nodes, {"k": np.array(True)}, domains={"my.own": 1})
    Path("a.onnx").write_bytes(made.SerializeToString())
    found = rows("a.onnx")
    assert "my.own.Frob, 1 nodes: not known here" in found["missing"]
    assert "Wobble, 3 nodes: not known here" in found["missing"]
    assert found["operators"] == ["Wobble 3, If 1, Relu 1, my.own.Frob 1; 6 nodes"]
    assert found["runs"] == ["no"]
    assert "network" not in found
    # an operator that came later than the file
    made = model([node("LayerNormalization", ["x", "s"], ["y"])], {"s": np.ones(5, np.float32)}, opset=13)
    Path("b.onnx").write_bytes(made.SerializeToString())
    assert rows("b.onnx")["missing"] == ["LayerNormalization, 1 nodes: not known in operator set 13"]


def test_elements_that_numpy_lacks_are_missing_too():
    made = model([node("Cast", ["x"], ["y"], to=1)], inputs=[value("x", [3], TensorProto.BFLOAT16)])
    Path("a.onnx").write_bytes(made.SerializeToString())
    found = rows("a.onnx")
    assert found["input"] == ["x: bfloat16 (3)"]
    assert found["missing"] == [
        "bfloat16: elements of a kind that NumPy lacks",
        found["missing"][1],
    ]
    assert "'x' has elements of type 16, bfloat16" in found["missing"][1]


def test_the_node_that_prevents_a_network_is_named_and_an_open_shape_is_asked_for():
    nodes = [node("Relu", ["x"], ["a"]), node("Sin", ["a"], ["y"])]
    Path("a.onnx").write_bytes(model(nodes).SerializeToString())
    (told,) = rows("a.onnx")["network"]
    assert told.startswith("no: node 1, Sin can't become a layer")
    made = model([node("Relu", ["x"], ["y"])], inputs=[value("x", ["N", 2, "H", "W"])])
    Path("b.onnx").write_bytes(made.SerializeToString())
    assert rows("b.onnx")["network"] == [
        "its input's shape is open: --input-shape C,H,W says for which it becomes one"
    ]
    assert rows("b.onnx", "--input-shape", "2,6,5")["network"] == ["yes: ReLU 1; 1 layers"]
    assert "no: " in rows("b.onnx", "--input-shape", "3,6,5")["network"][0]
    assert "--input-shape must be whole numbers above 0" in refusal("b.onnx", "--input-shape", "2,x")


def test_arrays_in_files_beside_the_model_are_named():
    found = rows(FIXTURES / "onnx" / "unet.onnx")
    assert found["in file"] == ["unet.onnx.data"]
    assert found["made by"] == ["pytorch 2.13.0+cpu"]
    assert found["network"][0].startswith("yes: Convolutional 6, ReLU 5, Branches 2")


def test_a_network_of_this_package_and_of_keras():
    network = small()
    network.preprocessing.classes = ("a", "b", "c")
    network.fit(np.zeros((4, 1, 6, 5), np.uint8), np.arange(4) % 3, epochs=1)
    save(network, "a.safetensors")
    found = rows("a.safetensors")
    assert found["kind"] == ["a network of purecnn"]
    assert found["input"] == ["uint8 (N, 1, 6, 5)"]
    assert found["classes"] == ["a, b, c"]
    assert found["task"] == ["classification"]
    assert found["parameters"] == ["95 numbers and 380 bytes"]
    assert found["trained"] == ["1 epochs, 1 updates"]
    assert "--input-shape is for ONNX files" in refusal("a.safetensors", "--input-shape", "1,6,5")
    pytest.importorskip("h5py")
    found = rows(FIXTURES / "weights" / "nested.keras")
    assert found["kind"] == ["a model of Keras"]
    assert "trained" not in found


def test_weights_are_told_a_tensor_each():
    save_state_dict(small(), "a.safetensors")
    found = rows("a.safetensors")
    assert found["kind"] == ["weights, without the network that they belong to"]
    assert found["arrays"] == ["4, of 95 numbers and 380 bytes"]
    assert "0.weight: float32 (2, 1, 3, 3)" in found["tensor"]
    found = rows(FIXTURES / "torch" / "checkpoint.pth")
    assert found["tensor"][0] == "0.weight: float32 (4, 3)"


def test_what_is_no_model_is_refused():
    Path("a.onnx").write_bytes(b"\x08\x08\x12\x00\x12\x00")
    with pytest.raises(FileFormatError, match=r"a\.onnx: is no ONNX model: it has no graph"):
        inventory("a.onnx")
    Path("b").write_text("A text and nothing else.")
    assert "b: looks like a text, wanted a safetensors file" in refusal("b")
    for name, wanted in (
        ("b.onnx", "an ONNX model"),
        ("b.keras", "a .keras, .h5 or .json file"),
        ("b.h5", "a .keras, .h5 or .json file"),
        ("b.PT", "a PyTorch file of tensors"),
    ):
        Path(name).write_text("A text and nothing else.")
        assert f"{name}: looks like a text, wanted {wanted}" in refusal(name)
    assert "nowhere: there is no such file" in refusal("nowhere")


def test_names_of_a_strangers_file_are_shortened():
    name = "x" * 5000
    made = model([node("Relu", [name], ["y"])], inputs=[value(name, ["N", 2])])
    made.metadata_props.add(key="a\x1b[31m", value="b\nc" * 500)
    Path("a.onnx").write_bytes(made.SerializeToString())
    found = rows("a.onnx")
    assert len(found["input"][0]) < 400
    assert "\x1b" not in found["metadata"][0]
    assert found["metadata"][0].endswith("... (1,500 characters)")
