"""Graphs whose axes are turned, cut, named anew or taken in part become networks of the same answers."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from onnx import helper, numpy_helper

from helpers.onnx_models import floats, graph, node, value
from purecnn import (
    AveragePooling,
    Branches,
    ChannelShuffle,
    Convolutional,
    Convolutional1D,
    Cropping,
    Dense,
    DepthwiseConvolutional,
    Flatten,
    GlobalAveragePooling,
    LayerNormalization,
    MaxPooling,
    Network,
    PReLU,
    ReLU,
    Softmax,
    UpSampling,
)
from purecnn.errors import FileFormatError, ShapeError
from purecnn.onnx.to_network.layout import Layout, shuffles

#: Nodes from "x" to "y", their arrays, the shape of a sample, and the layers that they become.
GRAPHS = {
    "channels last, turned at the input and before flattening": (
        [
            node("Transpose", ["x"], ["a"], perm=[0, 3, 1, 2]),
            node("Conv", ["a", "w"], ["b"]),
            node("Transpose", ["b"], ["c"], perm=[0, 2, 3, 1]),
            node("Reshape", ["c", "flat"], ["d"]),
            node("MatMul", ["d", "m"], ["e"]),
            node("Add", ["e", "s"], ["y"]),
        ],
        {"w": floats(4, 3, 3, 3), "flat": [-1, 4 * 4 * 3], "m": floats(48, 5), "s": floats(5)},
        (6, 5, 3),
        [Flatten, ChannelShuffle, Convolutional, Flatten, ChannelShuffle, Dense],
    ),
    "nothing is moved between operators that name their axes": (
        [
            node("Conv", ["x", "w"], ["a"]),
            node("Transpose", ["a"], ["b"], perm=[0, 2, 3, 1]),
            node("LayerNormalization", ["b", "g", "s"], ["c"], axis=-1),
            node("MatMul", ["c", "m"], ["d"]),
            node("Add", ["d", "s5"], ["e"]),
            node("Relu", ["e"], ["f"]),
            node("Softmax", ["f"], ["g1"], axis=-1),
            node("Transpose", ["g1"], ["y"], perm=[0, 3, 1, 2]),
        ],
        {"w": floats(4, 2, 1, 1), "g": floats(4), "s": floats(4), "m": floats(4, 5), "s5": floats(5)},
        (2, 4, 3),
        [Convolutional, LayerNormalization, Convolutional, ReLU, Softmax],
    ),
    "sums meet in the layout of most": (
        [
            node("Transpose", ["x"], ["a"], perm=[0, 2, 3, 1]),
            node("MatMul", ["a", "m"], ["b"]),
            node("MatMul", ["a", "m2"], ["b2"]),
            node("Add", ["b", "b2"], ["c"]),
            node("Concat", ["c", "a"], ["d"], axis=3),
            node("ReduceMean", ["d"], ["y"], axes=[1, 2], keepdims=0),
        ],
        {"m": floats(2, 3), "m2": floats(2, 3, seed=1)},
        (2, 4, 3),
        [Branches, GlobalAveragePooling],
    ),
    "squeeze and excitation, channels last": (
        [
            node("Transpose", ["x"], ["a"], perm=[0, 2, 3, 1]),
            node("ReduceMean", ["a"], ["p"], axes=[1, 2]),
            node("MatMul", ["p", "m"], ["q"]),
            node("Sigmoid", ["q"], ["r"]),
            node("Mul", ["a", "r"], ["s"]),
            node("Transpose", ["s"], ["y"], perm=[0, 3, 1, 2]),
        ],
        {"m": floats(3, 3)},
        (3, 4, 5),
        [Branches],
    ),
    "vectors along the second axis": (
        [
            node("Reshape", ["x", "flat"], ["a"]),
            node("Transpose", ["a"], ["b"], perm=[0, 2, 1]),
            node("MatMul", ["b", "m"], ["c"]),
            node("Transpose", ["c"], ["d"], perm=[0, 2, 1]),
            node("MatMul", ["d", "t"], ["e"]),
            node("ReduceMax", ["e"], ["y"], axes=[1], keepdims=0),
        ],
        {"flat": [0, 2, -1], "m": floats(2, 3), "t": floats(12, 4)},
        (2, 4, 3),
        [Convolutional1D, ChannelShuffle, Convolutional1D],
    ),
    "numbers for each channel, and one for all": (
        [
            node("Sub", ["x", "s"], ["a"]),
            node("Div", ["a", "d"], ["b"]),
            node("Conv", ["b", "w"], ["c"]),
            node("Mul", ["c", "two"], ["e"]),
            node("Max", ["e", "low"], ["f"]),
            node("Clip", ["f", "", "high"], ["y"]),
        ],
        {
            "s": floats(1, 2, 1, 1),
            "d": floats(2, 1, 1),
            "w": floats(3, 2, 2, 2),
            "two": np.float32(2),
            "low": np.float32(-0.4),
            "high": np.float32(0.7),
        },
        (2, 4, 3),
        [DepthwiseConvolutional, DepthwiseConvolutional, Convolutional],
    ),
    "parts of channels and of lines": (
        [
            node("Split", ["x", "cut"], ["a", "b", "c"], axis=1),
            node("Conv", ["b", "w"], ["d"]),
            node("Concat", ["c", "d", "a"], ["e"], axis=1),
            node("Slice", ["e", "from", "to", "along", "by"], ["y"]),
        ],
        {
            "cut": [1, 2, 2],
            "w": floats(3, 2, 1, 1),
            "from": [1, 1],
            "to": [100, 4],
            "along": [2, 1],
            "by": [2, 1],
        },
        (5, 6, 4),
        [Branches, Cropping, MaxPooling],
    ),
    "every second pixel, four times": (
        [
            node("Slice", ["x", "0", "end", "h", "2"], ["a"]),
            node("Slice", ["x", "1", "end", "h", "2"], ["b"]),
            node("Slice", ["a", "0", "end", "w", "2"], ["c"]),
            node("Slice", ["b", "0", "end", "w", "2"], ["d"]),
            node("Slice", ["a", "1", "end", "w", "2"], ["e"]),
            node("Slice", ["b", "1", "end", "w", "2"], ["f"]),
            node("Concat", ["c", "d", "e", "f"], ["y"], axis=1),
        ],
        {"0": [0], "1": [1], "2": [2], "h": [2], "w": [3], "end": [2**31]},
        (2, 6, 4),
        [Branches],
    ),
    "a path that parts once more, concatenated with the others": (
        [
            node("Conv", ["x", "w"], ["a"]),
            node("Relu", ["x"], ["b"]),
            node("Conv", ["b", "w"], ["c"]),
            node("Conv", ["c", "v"], ["d"]),
            node("Conv", ["c", "v2"], ["e"]),
            node("Concat", ["a", "d", "e", "c"], ["y"], axis=1),
        ],
        {"w": floats(3, 2, 1, 1), "v": floats(2, 3, 1, 1), "v2": floats(2, 3, 1, 1, seed=3)},
        (2, 4, 3),
        [Branches],
    ),
    "pixels repeated along rows, then columns": (
        [
            node("Unsqueeze", ["x", "3"], ["a"]),
            node("Tile", ["a", "rows"], ["b"]),
            node("Transpose", ["b"], ["c"], perm=[0, 2, 3, 4, 1]),
            node("Reshape", ["c", "s1"], ["d"]),
            node("Unsqueeze", ["d", "3"], ["e"]),
            node("Tile", ["e", "columns"], ["f"]),
            node("Reshape", ["f", "s2"], ["g"]),
            node("Transpose", ["g"], ["y"], perm=[0, 3, 1, 2]),
        ],
        {
            "3": [3],
            "rows": [1, 1, 1, 2, 1],
            "s1": [-1, 8, 3, 2],
            "columns": [1, 1, 1, 3, 1],
            "s2": [-1, 8, 9, 2],
        },
        (2, 4, 3),
        [UpSampling, UpSampling],
    ),
    "means along one axis": (
        [node("ReduceMean", ["x"], ["a"], axes=[2]), node("ReduceMax", ["a"], ["y"], axes=[3], keepdims=0)],
        {},
        (2, 4, 3),
        [AveragePooling],
    ),
    "a normalization as TensorFlow writes it, and a PRelu behind it": (
        [
            node("ReduceMean", ["x"], ["mean"], axes=[1]),
            node("Sub", ["x", "mean"], ["d"]),
            node("Mul", ["d", "d"], ["dd"]),
            node("ReduceMean", ["dd"], ["var"], axes=[1]),
            node("Add", ["var", "eps"], ["ve"]),
            node("Sqrt", ["ve"], ["root"]),
            node("Reciprocal", ["root"], ["r"]),
            node("Mul", ["r", "g"], ["m"]),
            node("Mul", ["x", "m"], ["xm"]),
            node("Neg", ["mean"], ["n"]),
            node("Mul", ["n", "m"], ["nm"]),
            node("Add", ["nm", "b"], ["nmb"]),
            node("Add", ["xm", "nmb"], ["z"]),
            node("PRelu", ["z", "p"], ["y"]),
        ],
        {"eps": np.float32(1e-3), "g": floats(1, 3, 1, 1), "b": floats(3, 1, 1), "p": floats(3, 1, 1)},
        (3, 4, 2),
        [LayerNormalization, PReLU],
    ),
    "where a slice ends is computed of the shape": (
        [
            node("Shape", ["x"], ["s"]),
            node("Gather", ["s", "one"], ["n"]),
            node("Div", ["n", "two"], ["h"]),
            node("Slice", ["x", "zero", "h", "one"], ["y"]),
        ],
        {"one": [1], "two": [2], "zero": [0]},
        (4, 3, 2),
        [Cropping],
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_becomes_layers_of_the_same_answers(name):
    nodes, arrays, shape, kinds = GRAPHS[name]
    opset = 13 if any(n.op_type in ("ReduceMean", "ReduceMax") for n in nodes) else 17
    opset = 17 if name.startswith("nothing") else opset
    made = graph(nodes, arrays, [value("x", ["N", *shape])], opset=opset)
    network = made.network()
    found = [type(layer) for layer in network.layers]
    assert [kind for kind in found if kind in kinds][: len(kinds)] == kinds, found
    x = floats(5, *shape)
    (wanted,) = made.run({"x": x}).values()
    np.testing.assert_allclose(
        network.outputs(x.reshape(5, -1)).reshape(5, -1), wanted.reshape(5, -1), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(made.predict(x), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", GRAPHS)
def test_its_gradients_are_those_of_the_graph(name):
    """Along the network's own gradient, the graph's answers change as it says: differences of `Graph.run`."""
    nodes, arrays, shape, _ = GRAPHS[name]
    opset = 13 if any(n.op_type in ("ReduceMean", "ReduceMax") for n in nodes) else 17
    opset = 17 if name.startswith("nothing") else opset
    made = graph(nodes, arrays, [value("x", ["N", *shape])], opset=opset)
    network = made.network()
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, *shape)).astype(np.float32)
    output = np.moveaxis(x, 0, -1)
    for layer in network.layers:
        output = layer.forward(output)
    weights = rng.normal(size=output.shape).astype(np.float32)
    g = weights
    for layer in reversed(network.layers):
        g = layer.backward(g)
    direction = rng.normal(size=x.shape).astype(np.float32)
    step = 1e-3

    def told(at):
        (found,) = made.run({"x": at.astype(np.float32)}).values()
        return np.moveaxis(found.reshape(3, -1), 0, -1).reshape(weights.shape).astype(float)

    slope = ((told(x + step * direction) - told(x - step * direction)) / (2 * step) * weights).sum()
    assert (np.moveaxis(g, -1, 0) * direction).sum() == pytest.approx(slope, rel=0.03, abs=0.05)


CROSSING = [
    node("Conv", ["x", "w"], ["a"]),
    node("Conv", ["a", "v"], ["b"]),
    node("Conv", ["b", "v"], ["c"]),
    node("Add", ["b", "c"], ["p"]),
    node("Relu", ["c"], ["q"]),
    node("Mul", ["p", "q"], ["r"]),
    node("Add", ["r", "a"], ["s"]),
    node("Concat", ["s", "q", "p", "c"], ["y"], axis=1),
]
WEIGHTS = {"w": floats(4, 2, 1, 1), "v": floats(4, 4, 1, 1)}


def test_where_paths_cross_the_values_still_wanted_go_on_side_by_side():
    made = graph(CROSSING, WEIGHTS)
    network = made.network()
    x = floats(3, 2, 6, 5)
    wanted = made.run({"x": x})["y"]
    found = network.outputs(x.reshape(3, -1)).reshape(wanted.shape)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert network.parameters.size == sum(array.size for array in WEIGHTS.values()) + 16  # v is used twice
    history = network.fit(x, 0.5 * wanted, loss="mse", epochs=3, learning_rate=1e-3)
    assert history.loss[-1] < history.loss[0]


def test_where_they_cross_the_graph_itself_answers():
    made = graph(CROSSING, WEIGHTS)
    made.predict(floats(3, 2, 6, 5))
    assert set(made._networks.values()) <= {None}  # the copies would cost more than the layers give


def test_the_constant_of_a_file_is_not_trained():
    made = graph(
        [node("Conv", ["x", "w"], ["a"]), node("Mul", ["a", "k"], ["y"])],
        {"w": floats(2, 2, 1, 1), "k": np.float32(3)},
    )
    assert [layer.trainable for layer in made.network().layers] == [True, False]


def test_axes_are_brought_to_any_order():
    shape = (2, 3, 4)
    x = floats(*shape, 5)
    for axes in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]:
        layers, layout = Layout(shape, tuple(shape[axis] for axis in axes), axes).settled()
        y = x
        for layer in layers:
            y = layer.forward(y)
        np.testing.assert_array_equal(y, x.transpose(*axes, 3))
        assert layout.is_plain
    with pytest.raises(ValueError, match="7 axes are moved, wanted at most 6"):
        shuffles((2,) * 7, (6, 5, 4, 3, 2, 1, 0))


REFUSED = [
    (
        [node("Transpose", ["x"], ["y"], perm=[1, 0, 2, 3])],
        {},
        "wanted the samples to stay first|of 3 samples",
    ),
    ([node("Mul", ["x", "p"], ["y"])], {"p": floats(6, 5)}, "several axes"),
    (
        [node("Slice", ["x", "a", "b", "c", "d"], ["y"])],
        {"a": [5], "b": [0], "c": [2], "d": [-1]},
        "steps of -1",
    ),
    ([node("ReduceMean", ["x"], ["y"], axes=[1, 2, 3])], {}, "none of a sample's axes"),
    ([node("Tile", ["x", "t"], ["y"])], {"t": [1, 1, 2, 1]}, "each pixel repeated"),
]


@pytest.mark.parametrize(("nodes", "arrays", "words"), REFUSED)
def test_one_sentence_says_which_node_prevents_it(nodes, arrays, words):
    with pytest.raises((FileFormatError, ValueError), match=words):
        graph(nodes, arrays, opset=13).network()


@pytest.mark.parametrize(("operator", "reduction"), [("GlobalMaxPool", "ReduceMax"), ("", "ReduceMean")])
def test_a_pooling_over_one_pixel_is_one_over_all_pixels_of_larger_images(operator, reduction):
    pooled = node(operator or reduction, ["v"], ["g"], **({} if operator else {"axes": [2, 3]}))
    nodes = [node("Conv", ["x", "w"], ["v"]), pooled, node("Flatten", ["g"], ["f"])]
    nodes.append(node("Gemm", ["f", "m"], ["y"]))
    arrays = {"w": floats(4, 2, 3, 3), "m": floats(4, 3)}
    found = graph(nodes, arrays, inputs=[value("x", ["N", 2, "H", "W"])])
    layers = copy.deepcopy(found.network((2, 3, 3)).layers)  # of which the convolution leaves one pixel
    x = floats(3, 2, 6, 5)
    np.testing.assert_allclose(
        Network(layers, input_shape=(2, 6, 5)).predict(x), found.run({"x": x})["y"], rtol=1e-4, atol=1e-5
    )


def test_an_activation_of_several_nodes_stays_one_where_paths_cross():
    def across(first, second, name):
        return [node("Add", [first, second], [f"{name}0"]), node("Relu", [f"{name}0"], [name])]

    nodes = [
        node("Conv", ["x", "p"], ["a"]),
        node("Conv", ["x", "q"], ["b"]),
        node("Div", ["a", "root"], ["c"]),
        node("Erf", ["c"], ["d"]),
        node("Add", ["d", "one"], ["e"]),
        node("Mul", ["a", "e"], ["f"]),
        node("Mul", ["f", "half"], ["g"]),
        node("Conv", ["g", "r"], ["h"]),
        node("Conv", ["g", "s"], ["i"]),
        *across("h", "b", "j"),
        *across("i", "b", "k"),
        node("Mul", ["j", "k"], ["y"]),
    ]
    kernels = {name: floats(2, 2, 1, 1, seed=place) for place, name in enumerate("pqrs")}
    numbers = {"root": np.float32(math.sqrt(2)), "one": np.float32(1), "half": np.float32(0.5)}
    network = graph(nodes, {**kernels, **numbers}).network()
    x = floats(3, 2, 6, 5, seed=9)
    p, q, r, s = (lambda z, w=w[:, :, 0, 0]: np.einsum("oc,nchw->nohw", w, z) for w in kernels.values())
    a, b = p(x), q(x)
    g = a * (1 + np.vectorize(math.erf)(a / math.sqrt(2))) / 2
    wanted = np.maximum(r(g) + b, 0) * np.maximum(s(g) + b, 0)
    np.testing.assert_allclose(network.predict(x).reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-5)
    assert "GELU" in repr(network.layers)


def test_weights_too_large_to_compute_at_loading_are_computed_for_a_network(monkeypatch):
    monkeypatch.setattr("purecnn.onnx.runtime.FOLDED", 0)
    nodes = [node("Mul", ["m", "two"], ["w"]), node("MatMul", ["x", "w"], ["y"])]
    m = floats(40, 30)
    made = graph(nodes, {"m": m, "two": np.float32(2)}, inputs=[value("x", ["N", 40])])
    x = floats(3, 40, seed=1)
    np.testing.assert_allclose(made.network().predict(x), x @ (2 * m), rtol=1e-5, atol=1e-5)


def per_pixel(kernels, x):
    """A convolution of 1 x 1, by its formula."""
    return np.einsum("oc,nchw->nohw", kernels[:, :, 0, 0], x)


def test_one_path_less_another_and_that_less_a_third_are_paths_whose_sum_has_turned_signs():
    nodes = [node("Conv", ["x", name], [name.upper()]) for name in "pqr"]
    nodes += [node("Sub", ["P", "Q"], ["a"]), node("Sub", ["R", "a"], ["b"]), node("Relu", ["b"], ["y"])]
    kernels = {name: floats(3, 2, 1, 1, seed=place) for place, name in enumerate("pqr")}
    network = graph(nodes, kernels).network()
    x = floats(4, 2, 6, 5, seed=9)
    p, q, r = (per_pixel(kernels[name], x) for name in "pqr")
    wanted = np.maximum(r - (p - q), 0)
    np.testing.assert_allclose(network.predict(x).reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("operator", "first"), [("Add", True), ("Sub", True), ("Sub", False)])
def test_a_number_for_each_place_is_added_as_a_detectors_grid_and_not_trained(operator, first):
    grid, kernels = floats(1, 3, 6, 5), floats(3, 2, 1, 1, seed=1)
    inputs = ["b", "grid"] if first else ["grid", "b"]
    nodes = [node("Conv", ["x", "w"], ["a"]), node("Relu", ["a"], ["b"]), node(operator, inputs, ["y"])]
    network = graph(nodes, {"w": kernels, "grid": grid}).network()
    x = floats(4, 2, 6, 5, seed=9)
    b = np.maximum(per_pixel(kernels, x), 0)
    wanted = b + grid if operator == "Add" else (b - grid if first else grid - b)
    np.testing.assert_allclose(network.predict(x).reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-5)
    (placed,) = [layer for layer in network.layers[1:] if isinstance(layer, Convolutional)]
    assert not placed.trainable


def test_sides_that_a_file_computes_of_a_shape_of_sizes_are_known():
    nodes = [
        node("Shape", ["x"], ["sizes"]),
        node("Shape", ["sizes"], ["axes"]),  # of what is no constant, and depends on the input's shape alone
        node("Sub", ["axes", "two"], ["count"]),
        node("ConstantOfShape", ["count"], ["zeros"]),
        node("Concat", ["zeros", "sides", "zeros", "sides"], ["pads"], axis=0),
        node("Pad", ["x", "pads"], ["y"]),
    ]
    zeros = numpy_helper.from_array(np.array([0]))
    nodes[3].attribute.append(helper.make_attribute("value", zeros))
    made = graph(nodes, {"two": np.array([2]), "sides": np.array([1, 2])})
    x = floats(3, 2, 6, 5)
    wanted = np.pad(x, [(0, 0), (0, 0), (1, 1), (2, 2)])
    np.testing.assert_array_equal(made.network().predict(x).reshape(wanted.shape), wanted)


def test_of_several_outputs_or_of_all_values_one_is_named():
    kernels = floats(3, 2, 1, 1)
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("Relu", ["a"], ["y"]),
        node("ReduceMean", ["y"], ["z"], axes=[2, 3], keepdims=0),
    ]
    made = graph(nodes, {"w": kernels}, outputs=[value("y", None), value("z", None)])
    x = floats(4, 2, 6, 5, seed=9)
    wanted = {"a": per_pixel(kernels, x)}
    wanted["y"] = np.maximum(wanted["a"], 0)
    wanted["z"] = wanted["y"].mean((2, 3))
    for name, answers in wanted.items():
        found = made.network(output=name).predict(x)
        np.testing.assert_allclose(found.reshape(answers.shape), answers, rtol=1e-4, atol=1e-5)
    assert made.predict(x).keys() == {"y", "z"}  # the graph is as it was
    with pytest.raises(FileFormatError, match="the graph has 1 and 2; output= names the one that is wanted"):
        made.network()
    with pytest.raises(ShapeError, match="the graph has no value 'b' that depends on its input"):
        made.network(output="b")


def test_a_value_whose_output_is_named_needs_no_other_input():
    """Nor the nodes that others lead to."""
    weights = floats(4, 3)
    nodes = [node("MatMul", ["x", "w"], ["y"]), node("Relu", ["u"], ["z"])]
    given = [value("x", ["N", 4]), value("u", ["N", 4])]
    made = graph(nodes, {"w": weights}, given, [value("y", None), value("z", None)])
    x = floats(5, 4, seed=3)
    np.testing.assert_allclose(made.network(output="y").predict(x), x @ weights, rtol=1e-5)
    assert made.network(output="z").input_shape == (4,)
    for wrong in (3, ["y"], b"y", np.array(["y"])):
        with pytest.raises(TypeError, match="output must be the name of a value, got "):
            made.network(output=wrong)
    with pytest.raises(ShapeError, match="the graph has no value ''"):
        made.network(output="")


@pytest.mark.parametrize("merge", ["Sub", "Add"])
@pytest.mark.parametrize("shape", [(60, 1), (1, 60), (60,), (1, 1, 60)])
def test_paths_meet_in_samples_with_axes_of_length_one(shape, merge):
    nodes = [
        node("Reshape", ["x", "s"], ["a"]),
        node("Tanh", ["a"], ["b"]),
        node(merge, ["a", "b"], ["y"]),
    ]
    made = graph(nodes, {"s": np.array([0, *shape])})
    x = floats(3, 2, 6, 5)
    a = x.reshape(3, *shape)
    wanted = a + np.tanh(a) * (1 if merge == "Add" else -1)
    np.testing.assert_allclose(made.predict(x), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(made.network().predict(x).reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-6)


def test_inputs_that_no_node_wants_are_none_of_a_networks():
    inputs = [value("x", ["N", 4]), value("unused", [1, 1])]
    made = graph([node("MatMul", ["x", "w"], ["y"])], {"w": floats(4, 3)}, inputs)
    x = floats(5, 4, seed=1)
    np.testing.assert_allclose(made.network().predict(x), x @ floats(4, 3), rtol=1e-5, atol=1e-6)
    assert [each.name for each in made.inputs] == ["x", "unused"]


def test_a_size_beside_the_number_of_samples_is_known_as_pytorch_writes_interpolate():
    nodes = [
        node("Shape", ["x"], ["sizes"]),
        node("Slice", ["sizes", "from", "to"], ["front"]),
        node("Concat", ["front", "wanted"], ["all"], axis=0),
        node("Resize", ["x", "", "", "all"], ["y"], mode="nearest", nearest_mode="floor",
             coordinate_transformation_mode="asymmetric"),
    ]  # fmt: skip
    arrays = {"from": np.array([0]), "to": np.array([2]), "wanted": np.array([12, 15])}
    network = graph(nodes, arrays).network()
    x = floats(3, 2, 6, 5)
    wanted = x.repeat(2, 2).repeat(3, 3)
    np.testing.assert_array_equal(network.predict(x).reshape(wanted.shape), wanted)
