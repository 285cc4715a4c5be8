"""Receptive fields, beside what moves a cell when it is changed."""

import numpy as np
import pytest

from purecnn import (
    AveragePooling,
    Branches,
    Convolutional,
    Convolutional1D,
    Dense,
    Flatten,
    Identity,
    MaxPooling,
    Network,
    Residual,
    SeparableConvolutional,
    Softmax,
    Tanh,
    TransposedConvolutional,
    ZeroPadding,
    trace,
)
from purecnn.inspection.receptive_fields import every, receptive_fields


def convolution(size, depth=2, **how):
    return Convolutional(kernel_size=size, depth=depth, **how)


NETWORKS = {
    "plain": ((2, 9, 8), [convolution(3, padding=1), Tanh(), AveragePooling(2), convolution((2, 3))]),
    "dilated, strided": ((1, 11, 10), [convolution(3, stride=2), convolution(2, dilation=2)]),
    "in groups": ((4, 6, 6), [convolution(3, 4, groups=2), convolution(1, 4, groups=4)]),
    "upwards": ((1, 4, 5), [TransposedConvolutional(kernel_size=3, depth=2, stride=2), convolution(2)]),
    "residual": ((2, 7, 7), [Residual([convolution(3, padding=1), Tanh()]), convolution(2)]),
    "of branches": (
        (2, 8, 8),
        [
            Branches([convolution(1, 1)], [convolution(3, padding=1), convolution(3, padding=1)]),
            convolution(1, 1),
        ],
    ),
    "separable": (
        (2, 6, 6),
        [SeparableConvolutional(kernel_size=3, depth=3), ZeroPadding(1), convolution(2)],
    ),
    "to a vector": ((1, 5, 6), [convolution(2), AveragePooling(2), Flatten(), Identity()]),
    "of a vector": ((4,), [Dense(3), Softmax()]),
    "of signals": ((2, 12), [Convolutional1D(kernel_size=3, depth=2, dilation=2), Tanh()]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_what_lies_outside_moves_nothing_and_the_ends_do(name):
    shape, layers = NETWORKS[name]
    network = Network(layers, input_shape=shape, dtype=np.float64, seed=1)
    rng = np.random.default_rng(0)
    x = rng.random(shape)
    count = x.size
    changed = np.repeat(x.reshape(1, -1), count, axis=0)
    changed[np.arange(count), np.arange(count)] += 0.5
    found = trace(network, x[np.newaxis])
    others = {one.name: one.output for one in every(trace(network, changed.reshape(count, *shape)))}
    for one in every(found):
        output = one.output[0]
        places = [tuple(int(rng.integers(side)) for side in output.shape) for _ in range(3)]
        for place in [(0,) * output.ndim, tuple(side - 1 for side in output.shape), *places]:
            moved = np.abs(others[one.name][(slice(None), *place)] - output[place]) > 1e-9
            where = np.argwhere(moved.reshape(shape))
            box = receptive_fields(found, one.name, place).get("")
            if box is None:
                assert not len(where)
                continue
            assert box == tuple(zip(where.min(axis=0), where.max(axis=0) + 1, strict=True))


def test_each_layer_on_the_way_has_its_part():
    network = Network(
        [convolution(3, 4), Branches([convolution(1, 3)], [convolution(3, 5, padding=1)]), MaxPooling(2)],
        input_shape=(1, 10, 10),
    )
    found = trace(network, np.zeros((1, 1, 10, 10)))
    parts = receptive_fields(found, "2", (4, 1, 0))  # of the second branch's map 1 alone
    assert list(parts) == ["1", "1.1.0", "0", ""]
    assert parts["1"] == ((4, 5), (2, 4), (0, 2))
    assert parts["1.1.0"] == ((1, 2), (2, 4), (0, 2))
    assert parts["0"] == ((0, 4), (1, 5), (0, 3))
    assert parts[""] == ((0, 1), (1, 7), (0, 5))


def test_what_is_no_cell_is_refused():
    found = trace(Network([Dense(2), Tanh()], input_shape=(3,)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="a layer is one of 0, 1, got '7'"):
        receptive_fields(found, "7", (0,))
    with pytest.raises(IndexError, match="a place in one of them, from 0, is wanted"):
        receptive_fields(found, "1", (2,))
