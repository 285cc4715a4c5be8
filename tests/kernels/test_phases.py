"""A convolution laid out for a pooling that comes later, and that pooling, against loops and plain layers."""

import numpy as np
import pytest

from helpers import plain_loops as loops
from helpers.workers import COMPANIES, use
from purecnn import BatchNormalization, Convolutional, Dense, Flatten, MaxPooling, Network, ReLU, Softmax
from purecnn.backend.memory import Workspace
from purecnn.kernels import cpu, winograd, winograd_square
from purecnn.kernels import rows as rows_module
from purecnn.kernels.geometry import Window
from purecnn.training import fusion, runnable

SHAPES = {  # image (C, H, W), maps, size, stride, padding, pool
    "two": ((2, 6, 8), 3, (3, 3), (1, 1), ((1, 1), (1, 1)), (2, 2)),
    "many rows": ((2, 14, 6), 2, (3, 3), (1, 1), ((0, 0), (1, 1)), (2, 2)),
    "wide": ((1, 5, 9), 2, (2, 3), (1, 1), ((0, 0), (1, 1)), (2, 3)),
    "tall": ((2, 7, 5), 2, (2, 2), (1, 1), ((0, 0), (0, 0)), (3, 1)),
    "one row": ((2, 4, 8), 2, (1, 3), (1, 1), ((0, 0), (1, 1)), (1, 4)),
    "stride": ((1, 9, 9), 2, (3, 3), (2, 2), ((1, 0), (1, 0)), (2, 2)),
}


def in_order(y):
    """(M, P, OH, A, N) -> (M, OH, A P, N)."""
    maps, phases, rows, columns, batch = y.shape
    return y.transpose(0, 2, 3, 1, 4).reshape(maps, rows, phases * columns, batch)


def in_phases(y, phases):
    """(M, OH, OW, N) -> (M, P, OH, OW / P, N)."""
    maps, rows, columns, batch = y.shape
    return y.reshape(maps, rows, columns // phases, phases, batch).transpose(0, 3, 1, 2, 4)


@pytest.fixture(params=["unrolled", "tiles"])
def kind(request, monkeypatch):
    if request.param == "tiles":
        monkeypatch.setattr(winograd, "WORTH", 0)
        monkeypatch.setattr(winograd, "FEWEST", 1)
        monkeypatch.setattr(winograd_square, "WORTH", -np.inf)
        monkeypatch.setattr(winograd_square, "WORTH_COPIED", -np.inf)


@pytest.mark.parametrize("block", [1, 1 << 18], ids=["row by row", "whole"])
@pytest.mark.parametrize("name", SHAPES)
def test_a_convolution_in_phases(kind, monkeypatch, name, block):
    monkeypatch.setattr(rows_module, "BLOCK", block)
    shape, maps, size, stride, padding, pool = SHAPES[name]
    rng, workspace, window = np.random.default_rng(0), Workspace(), Window(size, stride, padding)
    x = np.empty((*shape, 3))
    weights, biases = rng.standard_normal((maps, shape[0], *size)), rng.standard_normal(maps)
    for _ in range(2):
        x[...] = rng.standard_normal(x.shape)
        y = cpu.conv2d_forward(x, weights, biases, window, workspace, pool)
        expected = loops.conv2d_forward(x, weights, biases, stride, padding)
        np.testing.assert_allclose(in_order(y), expected, atol=1e-10)
        g = rng.standard_normal(expected.shape)
        dx, dweights, dbiases = loops.conv2d_backward(g, x, weights, stride, padding)[:3]
        for given in (in_phases(g, pool[1]).copy(), y):  # another array, and the output's own
            given[...] = in_phases(g, pool[1])
            into = np.full(weights.shape, np.nan), np.full(maps, np.nan)
            found = cpu.conv2d_backward(given, x, weights, *into, window, workspace, True, pool)
            for one, other in zip((found, *into), (dx, dweights, dbiases), strict=True):
                np.testing.assert_allclose(one, other, atol=1e-10)


@pytest.mark.parametrize("overwrites", [True, False])
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("block", [1, 1 << 17])
@pytest.mark.parametrize("pool", [(2, 2), (3, 1), (1, 4), (2, 3), (4, 2)])
def test_a_pooling_of_phases(monkeypatch, pool, block, ordered, overwrites):
    monkeypatch.setattr("purecnn.kernels.pooled.BLOCK", block)
    height, phases = pool
    rng, workspace = np.random.default_rng(0), Workspace()
    plain = np.empty((phases, 12, 3, 2, 5)).transpose(2, 0, 1, 3, 4)
    x = plain if ordered else np.empty((3, phases, 12, 2, 5))
    for _ in range(2):
        images = rng.integers(-1, 2, (3, 12, 2 * phases, 5)).astype(float)  # many ties
        x[...] = in_phases(images, phases)
        y = cpu.max_pool_phases_forward(x, height, workspace, overwrites, True)
        np.testing.assert_array_equal(y, loops.max_pool_forward(images, pool, pool))
        assert overwrites or (x == in_phases(images, phases)).all()
        g = rng.standard_normal(y.shape)
        dx = cpu.max_pool_phases_backward(g, x, height, workspace, overwrites)
        np.testing.assert_allclose(in_order(dx), loops.max_pool_backward(g, images, pool, pool), atol=1e-12)


def network(pool, size, frozen):
    layers = [
        *(
            Convolutional(kernel_size=3, depth=4, padding="same"),
            BatchNormalization(),
            ReLU(),
            MaxPooling(pool),
        ),
        *(Convolutional(kernel_size=2, depth=3), BatchNormalization(), MaxPooling(2), ReLU()),
        *(Flatten(), Dense(output_size=3), Softmax()),
    ]
    layers[1].trainable = not frozen
    return Network(layers, input_shape=(2, size, size), seed=0, dtype="float64")


def test_which_convolutions_are_laid_out_for_their_pooling():
    def steps(*arguments):
        return [type(step).__name__ for step in fusion.fuse(network(*arguments))]

    phased = ["PhasedConvolutional", "BatchNormalization", "PhasedMaxPooling", "ReLU"]
    plain = ["Convolutional", "BatchNormalization", "MaxPooling", "ReLU"]
    rest = ["Flatten", "Dense", "Softmax"]
    assert steps(2, 10, False) == [*phased, *phased, *rest]
    assert steps(2, 11, False) == [*plain, *phased, *rest]  # a row and a column fill no window
    assert steps(1, 8, False) == [*plain, *plain, *rest]  # nothing is pooled; 7 x 7 are left over


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("shards", [1, 2])
def test_training_in_phases_is_training(monkeypatch, frozen, shards):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((24, 2, 10, 10)), rng.integers(0, 3, 24)
    fused, plain = network(2, 10, frozen), network(2, 10, frozen)
    options = {"epochs": 2, "batch_size": 8, "shards": shards, "shuffle": False}
    fused.fit(x, y, **options)
    monkeypatch.setattr(runnable, "fuse", fusion.unfused)
    plain.fit(x, y, **options)
    np.testing.assert_allclose(fused.parameters, plain.parameters, atol=1e-9)
    for one, other in zip(fused, plain, strict=True):
        for name in one.buffers:
            np.testing.assert_allclose(one.buffers[name], other.buffers[name], atol=1e-9)


def test_wide_layers_give_the_same_bits_in_any_number_of_threads_and_processes(monkeypatch):
    x, y = np.random.default_rng(0).integers(0, 256, (150, 8, 8)).astype(np.uint8), np.arange(150) % 3
    found = set()
    for kind, threads in COMPANIES:
        use(monkeypatch, kind)
        wide = [
            Convolutional(kernel_size=3, depth=64, padding=1),
            BatchNormalization(),
            MaxPooling(2),
            ReLU(),
        ]
        deep = [Convolutional(kernel_size=3, depth=64, padding=1), ReLU(), *wide]
        made = Network([*deep, Flatten(), Dense(output_size=3), Softmax()], input_shape=(1, 8, 8), seed=0)
        made.fit(x, y, batch_size=128, shards=4, threads=threads)
        found.add((made.parameters.tobytes(), made.predict(x, threads=threads).tobytes()))
    assert len(found) == 1
    assert winograd_square.suits(
        np.zeros((64, 8, 8, 32), np.float32), 64, Window((3, 3), padding=((1, 1), (1, 1)))
    )
