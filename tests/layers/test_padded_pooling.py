"""Poolings whose windows reach past the image: by hand, against loops and PyTorch, fused and refused."""

import itertools

import numpy as np
import pytest

from helpers import plain_loops as loops
from helpers.own_passes import data, hold_threads_to_the_same_bits
from helpers.torch_numbers import cases, close, part
from purecnn import (
    AveragePooling,
    BatchNormalization,
    Convolutional,
    Dense,
    GlobalAveragePooling,
    MaxPooling,
    Network,
    ReLU,
    ShapeError,
)
from purecnn.inspection.spatial_cells import explain
from purecnn.training.fusion import fuse

GEOMETRIES = {  # image, window, step, padding, what that comes to
    "around": ((2, 4, 5), (3, 3), (1, 1), 1, ((1, 1), (1, 1))),
    "same": ((1, 6, 7), (3, 2), (2, 2), "same", ((0, 1), (0, 1))),
    "same, nothing to add": ((2, 4, 6), (2, 2), (2, 2), "same", ((0, 0), (0, 0))),
    "same, steps past the window": ((1, 7, 5), (2, 1), (3, 2), "same", ((0, 1), (0, 0))),
    "lopsided": ((2, 3, 4), (2, 3), (1, 2), ((1, 0), (0, 2)), ((1, 0), (0, 2))),
    "vertical": ((1, 5, 3), (4, 2), (3, 1), (2, 0), ((2, 2), (0, 0))),
    "one pixel": ((2, 1, 1), (3, 3), (1, 1), ((1, 1), (2, 2)), ((1, 1), (2, 2))),
}


def padded(x, border, value):
    return np.pad(x, ((0, 0), *border, (0, 0)), constant_values=value)


def within(x, border):
    (top, _), (left, _) = border
    return x[:, top:, left:]


def mean_within(x, g, size, stride, border):
    """The mean of each window's pixels and, for g, the gradient: plain loops."""
    _, height, width, _ = x.shape
    y, dx = np.zeros(g.shape), np.zeros(x.shape)
    for c, p, q, n in np.ndindex(g.shape):
        rows = range(p * stride[0] - border[0][0], p * stride[0] - border[0][0] + size[0])
        columns = range(q * stride[1] - border[1][0], q * stride[1] - border[1][0] + size[1])
        cells = [(i, j) for i, j in itertools.product(rows, columns) if 0 <= i < height and 0 <= j < width]
        for i, j in cells:
            y[c, p, q, n] += x[c, i, j, n] / len(cells)
            dx[c, i, j, n] += g[c, p, q, n] / len(cells)
    return y, dx


def test_by_hand():
    x = np.arange(1.0, 5).reshape(1, 2, 2, 1)
    assert (MaxPooling(2, 1, 1).forward(-x)[0, :, :, 0] == [[-1, -1, -2], [-1, -1, -2], [-3, -3, -4]]).all()
    assert MaxPooling(3, 2, "same").forward(-x).item() == -1
    assert AveragePooling(3, 2, "same").forward(x).item() == pytest.approx(10 / 9)
    layer = AveragePooling(3, 2, "same", count_padding=False)
    assert layer.forward(x).item() == 2.5
    assert (layer.backward(np.full((1, 1, 1, 1), 8.0)) == 2).all()
    corners = AveragePooling(2, 1, 1, count_padding=False).forward(x)[0, :, :, 0]
    assert (corners == [[1, 1.5, 2], [2, 2.5, 3], [3, 3.5, 4]]).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch", [1, 2, 17])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_they_are_the_loops(name, batch, dtype):
    shape, size, stride, padding, border = GEOMETRIES[name]
    rng, tolerance = np.random.default_rng(batch), 1e-12 if dtype == np.float64 else 1e-5
    layers = [MaxPooling(size, stride, padding)]
    layers += [AveragePooling(size, stride, padding, counts) for counts in (True, False)]
    for layer in layers:
        layer.bind(shape)
        assert layer.border == border
    for _ in range(2):  # a second time in the same working memory
        x = rng.integers(-3, 3, (*shape, batch)).astype(dtype)
        found = [layer.forward(x) for layer in layers]
        g = rng.standard_normal(found[0].shape).astype(dtype)
        low, zero = padded(x, border, -np.inf), padded(x, border, 0)
        wanted = [
            (loops.max_pool_forward(low, size, stride), loops.max_pool_backward(g, low, size, stride)),
            (
                loops.average_pool_forward(zero, size, stride),
                loops.average_pool_backward(g, zero, size, stride),
            ),
        ]
        wanted = [(y, within(dx, border)[:, : shape[1], : shape[2]]) for y, dx in wanted]
        wanted.append(mean_within(x, g, size, stride, border))
        for layer, y, (whole, back) in zip(layers, found, wanted, strict=True):
            assert y.dtype == dtype
            close(y, whole, tolerance, tolerance)
            dx = layer.backward(g)
            assert dx.dtype == dtype
            close(dx, back, tolerance, tolerance)


@pytest.mark.parametrize("case", cases("padded_pooling"))
def test_they_are_pytorchs(case):
    data = part("padded_pooling", case["name"])
    geometry = tuple(case["size"]), tuple(case["stride"]), case["padding"]
    for kind, layer in (
        ("max", MaxPooling(*geometry)),
        ("average", AveragePooling(*geometry)),
        ("within", AveragePooling(*geometry, count_padding=False)),
    ):
        close(layer.forward(data["input"]), data[f"{kind}_output"])
        close(layer.backward(data["output_gradient"]), data[f"{kind}_dinput"])


@pytest.mark.parametrize(
    "pool", [MaxPooling(2, 2, "same"), MaxPooling(3, 3, 1), MaxPooling(2, 2, ((0, 1), (1, 0)))]
)
def test_a_convolution_before_one_gives_what_the_layers_give(pool):
    layers = [Convolutional(kernel_size=3, depth=4, padding=1), ReLU(), pool]
    network = Network(
        [*layers, GlobalAveragePooling(), Dense(output_size=3)], input_shape=(2, 5, 7), dtype=np.float64
    )
    assert [type(step).__name__ for step in fuse(network.layers)][:2] == ["Convolutional", "MaxPooling"]
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 2, 5, 7)) - 0.5, rng.normal(size=(20, 3))
    values = np.moveaxis(x, 0, -1)
    for layer in network:
        values = layer.forward(values)
    np.testing.assert_allclose(network.predict(x), values.T, rtol=1e-9)
    losses = network.fit(x, y, loss="mse", epochs=3, learning_rate=1e-3).loss
    assert losses[-1] < losses[0]


def test_the_same_bits_in_any_number_of_threads():
    def build():
        layers = [Convolutional(kernel_size=3, depth=4), BatchNormalization(), MaxPooling(2, padding="same")]
        layers += [AveragePooling(3, 2, 1, count_padding=False), GlobalAveragePooling(), Dense(output_size=3)]
        return Network(layers)

    hold_threads_to_the_same_bits(build, *data(150, size=7))


def test_what_a_cell_at_the_edge_is_made_of():
    x = np.arange(1.0, 5).reshape(1, 1, 2, 2)
    for layer, winner, share in (
        (MaxPooling(2, 1, 1), (0, 0), None),
        (AveragePooling(2, 1, 1), None, 1 / 4),
        (AveragePooling(2, 1, 1, count_padding=False), None, 1 / 2),
    ):
        y = np.moveaxis(layer.forward(np.moveaxis(-x, 0, -1)), -1, 0)
        cell = explain(layer, -x, y, (0, 0, 1), 0)
        assert cell.window.tolist() == [[-1, -2]]
        assert (cell.origin, cell.winner) == ((0, 0, 0), winner)
        assert cell.weights is None or (cell.weights == share).all()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (
            {"padding": 2},
            ValueError,
            r"less than the window, \(2, 2\), on each.*got \(\(2, 2\), \(2, 2\)\)",
        ),
        ({"padding": ((0, 0), (0, 2))}, ValueError, "padding must be less than the window"),
        ({"padding": -1}, ValueError, "padding must be at least 0, got -1"),
        ({"padding": "valid"}, ValueError, "got 'valid': that is a padding of 0"),
        (
            {"padding": "full"},
            ValueError,
            "must be an integer, pairs of them or \"same\", got 'full'",
        ),
        ({"padding": 1.5}, TypeError, "padding must be an integer or a pair of them"),
    ],
)
@pytest.mark.parametrize("kind", [MaxPooling, AveragePooling])
def test_paddings_that_are_none(kind, arguments, error, words):
    with pytest.raises(error, match=words):
        kind(2, **arguments)


def test_what_else_is_refused():
    with pytest.raises(ShapeError, match=r"than the image, \(2, 2\) with a padding of \(\(1, 1\), \(0"):
        MaxPooling((5, 2), 1, (1, 0)).bind((1, 2, 2))
    with pytest.raises(TypeError, match="count_padding"):
        AveragePooling(2, count_padding=1)


def test_files_of_poolings_without_a_padding_are_as_before():
    assert MaxPooling(2).configuration() == {"pool_size": (2, 2), "stride": (2, 2)}
    assert AveragePooling(2).configuration() == {"pool_size": (2, 2), "stride": (2, 2)}
