"""Arrays as files have them: at any byte, in the file or beside it, and what reading them takes."""

from __future__ import annotations

import sys
import tracemalloc

import numpy as np
import pytest
from onnx import TensorProto, checker, helper, numpy_helper

from helpers.onnx_models import floats, model, node, value
from purecnn import ShapeError, load_onnx
from purecnn.errors import FileFormatError
from purecnn.onnx import Graph
from purecnn.onnx import arrays as onnx_arrays
from purecnn.onnx.reader import as_model, read_model

KINDS = ["float32", "float64", "float16", "int64", "uint8", "bool"]


def stored(shapes, pad, kinds=KINDS):
    """A model with an array of each kind and shape, all of it some bytes later, and the arrays."""
    rng = np.random.default_rng(pad)
    arrays = {}
    for shape in shapes:
        for kind in kinds:
            arrays[f"{kind}{shape}"] = rng.integers(0, 256, shape).astype(kind)
    made = model([node("Identity", ["x"], ["y"])], arrays)
    made.producer_name = "p" * pad
    # As an array within an attribute, which lies in the file in another way.
    attribute = rng.integers(0, 256, shapes[-1]).astype(np.int64)
    made.graph.node.append(node("Constant", [], ["c"], value=numpy_helper.from_array(attribute)))
    return made, arrays, attribute


@pytest.mark.parametrize("pad", range(9))
def test_arrays_are_aligned_wherever_they_lie_in_the_file(pad, tmp_path):
    # 16,384 bytes is from where arrays are moved in place of copied: sizes on both sides of it for each kind.
    made, arrays, attribute = stored([(), (3,), (2047,), (2048,), (4096,), (16384,)], pad)
    data = made.SerializeToString()
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    for read in (read_model(path), as_model(data), as_model(bytearray(data))):
        assert read.arrays.keys() == arrays.keys()
        for name, array in arrays.items():
            found = read.arrays[name]
            assert found.flags.aligned, name
            np.testing.assert_array_equal(found, array)
            assert found.dtype == array.dtype
        found = read.nodes[1].attributes["value"]
        assert found.flags.aligned
        np.testing.assert_array_equal(found, attribute)
    assert path.read_bytes() == data


def test_arrays_of_a_file_are_not_written_to(tmp_path):
    made, _, _ = stored([(3,), (4096,)], 1, ["float32", "int64"])
    (tmp_path / "model.onnx").write_bytes(made.SerializeToString())
    for array in read_model(tmp_path / "model.onnx").arrays.values():
        assert not array.flags.writeable


@pytest.mark.parametrize("pad", range(4))
def test_reading_takes_no_more_memory_than_the_file(pad, tmp_path):
    made, _, _ = stored([(500_000,)], pad, ["float32", "int64"])
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    tracemalloc.start()
    read = read_model(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(read.arrays) == 2
    assert peak < 1.05 * path.stat().st_size


def test_an_input_at_any_byte_is_computed_with(tmp_path):
    weights = floats(6, 3)
    made = model([node("MatMul", ["x", "w"], ["y"])], {"w": weights}, [value("x", ["N", 6])])
    (tmp_path / "model.onnx").write_bytes(made.SerializeToString())
    memory = np.zeros(4 * 6 * 5 + 1, np.uint8)
    x = memory[1:].view(np.float32).reshape(5, 6)
    x[...] = floats(5, 6, seed=1)
    assert not x.flags.aligned
    graph = load_onnx(tmp_path / "model.onnx")
    np.testing.assert_allclose(graph.run({"x": x})["y"], x @ weights, rtol=1e-5)
    received = graph.inputs[0].receive(x)
    assert received.flags.aligned


# Initializers that are inputs too -----------------------------------------------------------------------


def old_model(ir_version):
    """A classifier whose arrays are inputs too, as version 3 of the format wants it; weights are reshaped."""
    arrays = {
        "kernels": floats(4, 1, 3, 3, seed=1),
        "biases": floats(4, 1, 1, seed=2),
        "weights": floats(4, 6, 6, 3, seed=3),
        "shape": np.array([144, 3]),
        "flat": np.array([-1, 144]),
    }
    nodes = [
        node("Conv", ["x", "kernels"], ["a"], kernel_shape=[3, 3], auto_pad="VALID"),
        node("Add", ["a", "biases"], ["b"]),
        node("Relu", ["b"], ["c"]),
        node("Reshape", ["weights", "shape"], ["w"]),
        node("Reshape", ["c", "flat"], ["d"]),
        node("MatMul", ["d", "w"], ["y"]),
    ]
    inputs = [value("x", ["N", 1, 8, 8])]
    for name, array in arrays.items():
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        inputs.append(value(name, array.shape, kind))
    made = model(nodes, arrays, inputs, [value("y", ["N", 3])], opset=8)
    made.ir_version = ir_version
    checker.check_model(made)
    return made


@pytest.mark.parametrize("ir_version", [3, 8])
def test_arrays_that_are_inputs_too_are_folded_become_layers_and_may_be_given(ir_version):
    onnxruntime = pytest.importorskip("onnxruntime", reason="has no wheels for this system and Python")
    data = old_model(ir_version).SerializeToString()
    # Of version 3, onnxruntime holds the arrays to be constants; of later ones they may be given.
    session, session_8 = (
        onnxruntime.InferenceSession(stored, providers=["CPUExecutionProvider"])
        for stored in (data, old_model(8).SerializeToString())
    )
    graph = Graph(as_model(data))
    assert [given.name for given in graph.inputs] == ["x"]
    assert [call.node.operator for call in graph.calls] == ["Conv", "Add", "Relu", "Reshape", "MatMul"]
    x = floats(5, 1, 8, 8)
    (wanted,) = session.run(None, {"x": x})
    np.testing.assert_allclose(graph.predict(x), wanted, atol=1e-5)
    np.testing.assert_allclose(graph.run({"x": x})["y"], wanted, atol=1e-5)
    network = graph.network()
    assert [type(layer).__name__ for layer in network.layers] == ["Convolutional", "ReLU", "Flatten", "Dense"]
    np.testing.assert_allclose(network.predict(x), wanted, atol=1e-5)
    for given in ({"weights": floats(4, 6, 6, 3, seed=9)}, {"biases": floats(4, 1, 1, seed=8)}):
        (wanted,) = session_8.run(None, {"x": x, **given})
        for _ in range(2):
            np.testing.assert_allclose(graph.run({"x": x, **given})["y"], wanted, atol=1e-5)
    (wanted,) = session.run(None, {"x": x})  # what was given is forgotten
    np.testing.assert_allclose(graph.run({"x": x})["y"], wanted, atol=1e-5)


def test_what_is_given_for_an_array_is_checked():
    graph = Graph(as_model(old_model(3).SerializeToString()))
    x = floats(5, 1, 8, 8)
    with pytest.raises(ShapeError, match=r"the input 'biases' has shape \(4, 1, 1\); got \(4,\)"):
        graph.run({"x": x, "biases": floats(4)})
    with pytest.raises(ShapeError, match="the graph wants an input 'x'; got biases"):
        graph.run({"biases": floats(4, 1, 1)})
    fixed = model([node("Add", ["x", "b"], ["y"])], {"b": floats(1)})
    with pytest.raises(ShapeError, match="the graph has no input 'b'"):
        Graph(as_model(fixed.SerializeToString())).run({"x": floats(7, 2, 6, 5), "b": floats(1)})


# Arrays in large files of their own ---------------------------------------------------------------------


def beside(folder, arrays, offset):
    """A model that adds arrays which lie in a file of their own, from an offset on."""
    wanted = model([node("Sum", ["x", *arrays], ["y"])], inputs=[value("x", None)])
    with open(folder / "weights.bin", "wb") as file:
        for name, array in arrays.items():
            tensor = wanted.graph.initializer.add(name=name, dims=array.shape, data_type=1)
            tensor.data_location = TensorProto.EXTERNAL
            for key, text in {"location": "weights.bin", "offset": offset, "length": array.nbytes}.items():
                tensor.external_data.add(key=key, value=str(text))
            file.seek(offset)
            file.write(array.tobytes())
            offset += array.nbytes
    (folder / "model.onnx").write_bytes(wanted.SerializeToString())
    return folder / "model.onnx"


@pytest.mark.parametrize("offset", [0, 1, 4096])
def test_a_large_file_of_arrays_is_mapped(offset, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_arrays, "MAPPED", 2**20)
    arrays = {"v": floats(1, 500), "w": floats(1000, 500, seed=1)}
    path = beside(tmp_path, arrays, offset)
    tracemalloc.start()
    graph = load_onnx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Its elements lie at any byte only where the file was written so: then they are copied.
    assert (peak < 2**20) == (offset % 4 == 0)
    for name, array in arrays.items():
        np.testing.assert_array_equal(graph.constants[name], array)
        assert graph.constants[name].flags.aligned
        assert not graph.constants[name].flags.writeable
    np.testing.assert_allclose(
        graph.run({"x": floats(1, 500)})["y"], arrays["v"] + arrays["w"] + floats(1, 500), atol=1e-6
    )


@pytest.mark.skipif(sys.platform != "linux", reason="a file with a hole takes its whole size on disk")
def test_arrays_behind_two_gibibytes_are_read(tmp_path):
    arrays = {"w": floats(3, 500)}
    path = beside(tmp_path, arrays, 2**31 + 8)
    assert (tmp_path / "weights.bin").stat().st_size > 2**31
    np.testing.assert_array_equal(load_onnx(path).constants["w"], arrays["w"])
    with open(tmp_path / "weights.bin", "r+b") as file:
        file.truncate(2**31 + 4)
    with pytest.raises(FileFormatError, match="'w' is to have 6000 bytes: bytes 2147483656 to 2147489656 of"):
        load_onnx(path)


def test_an_output_whose_kind_is_empty_is_as_one_that_says_nothing():
    made = model([node("Relu", ["x"], ["y"])])
    made.graph.output[0].type.Clear()
    made.graph.output[0].type.SetInParent()
    x = floats(3, 2, 6, 5)
    (found,) = Graph(as_model(made.SerializeToString())).run({"x": x}).values()
    np.testing.assert_array_equal(found, np.maximum(x, 0))
    for kind in ("optional_type", "sparse_tensor_type"):
        made.graph.output[0].type.Clear()
        getattr(made.graph.output[0].type, kind).SetInParent()
        with pytest.raises(FileFormatError, match="'y' is no tensor"):
            as_model(made.SerializeToString())
