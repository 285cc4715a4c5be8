"""Products cut into parts: the same sums, in parts of the sizes that BLAS has kernels for."""

import numpy as np
import pytest

from purecnn import Convolutional, Dense, Flatten, MaxPooling, Network, Softmax, TransposedConvolutional
from purecnn.kernels import (
    cpu,
    grouped,
    im2col,
    products,
    tiles,
    transposed,
    unrolled,
    winograd,
    winograd_square,
)
from purecnn.training import sample_plan


@pytest.fixture(params=[True, False], ids=["small kernels", "none"])
def small(request, monkeypatch):
    monkeypatch.setattr(products, "small_kernels", lambda: request.param)
    return request.param


@pytest.mark.parametrize(
    ("depth", "maps", "line", "parts"),
    [
        (96, 32, 256, (32, 32)),
        (192, 64, 128, (16, 64)),
        (192, 128, 128, (16, 64)),
        (48, 16, 512, (48, 16)),  # few enough sums
        (27, 32, 2048, (9, 32)),  # too many multiply-adds
        (97, 32, 256, (97, 32)),  # a prime can't be cut
        (96, 67, 256, (96, 67)),  # nor can so many maps
        (5, 2, 3, (5, 2)),
    ],
)
def test_sums_in_parts(small, depth, maps, line, parts):
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((2, 3, depth, line)), rng.standard_normal((2, 3, maps, line))
    found = np.full((2, 3, depth, maps), np.nan)
    views = products.sums_in_parts(left, right.swapaxes(-1, -2), found)
    assert views[2].shape[-2:] == (parts if small else (depth, maps))
    np.matmul(views[0], views[1], out=views[2])
    np.testing.assert_allclose(found, np.einsum("abdl,abml->abdm", left, right), rtol=1e-12, atol=1e-12)


def test_windows_that_overlap_are_cut_as_they_lie(small):
    rows = np.random.default_rng(0).standard_normal((6, 96, 128))
    over = np.lib.stride_tricks.as_strided(rows, (4, 288, 128), rows.strides)
    right = np.random.default_rng(1).standard_normal((4, 32, 128))
    found = np.empty((4, 288, 32))
    left, turned, out = products.sums_in_parts(over, right.swapaxes(-1, -2), found)
    np.matmul(left, turned, out=out)
    by_row = [rows[r : r + 3].reshape(288, 128) @ right[r].T for r in range(4)]
    np.testing.assert_allclose(found, by_row, rtol=1e-12, atol=1e-12)


def test_a_line_is_cut_where_that_brings_a_part_below_the_limit(small):
    assert products.cut_width(16, 200, 512) == (256 if small else 512)
    assert products.cut_width(64, 192, 128) == (64 if small else 128)
    assert products.cut_width(64, 288, 101) == 101
    assert products.cut_width(6, 6, 32768) == (16384 if small else 32768)


@pytest.mark.parametrize(
    ("maps", "depth", "line", "rows"),
    [(96, 4000, 4, 48), (96, 300, 4, 96), (8, 64_000, 2, 8), (96, 200, 65, 96), (97, 4000, 4, 97)],
)
def test_a_product_of_few_columns_is_cut_by_maps(small, maps, depth, line, rows):
    rng = np.random.default_rng(0)
    kernels, columns = rng.integers(-9, 9, (maps, depth)) + 0.0, rng.integers(-9, 9, (depth, line)) + 0.0
    out = np.zeros((maps, line))
    *matrices, parts = products.cut_maps(kernels, columns, out)
    assert parts.shape[-2:] == (rows if small else maps, line)
    np.matmul(*matrices, out=parts)
    np.testing.assert_array_equal(out, np.einsum("mk,kl->ml", kernels, columns))


def test_what_this_blas_says_of_itself_decides(monkeypatch):
    for said, expected in (
        ("OpenBLAS 0.3.31 DYNAMIC_ARCH NO_AFFINITY SkylakeX MAX_THREADS=64", True),
        ("OpenBLAS 0.3.31 DYNAMIC_ARCH NO_AFFINITY Cooperlake MAX_THREADS=64", True),
        ("OpenBLAS 0.3.21 NO_AFFINITY USE_OPENMP SKYLAKEX MAX_THREADS=64", True),
        ("OpenBLAS 0.3.31 DYNAMIC_ARCH NO_AFFINITY Haswell MAX_THREADS=64", False),
        ("OpenBLAS 0.3.31 DYNAMIC_ARCH NO_AFFINITY neoversen1 MAX_THREADS=64", False),
        ("", False),
    ):
        monkeypatch.setattr(products.blas, "configuration", lambda said=said: said)
        products.small_kernels.cache_clear()
        assert products.small_kernels() is expected
    products.small_kernels.cache_clear()


# Without a BLAS --------------------------------------------------------------------------------------------

KERNELS = (cpu, grouped, im2col, tiles, transposed, unrolled, winograd, winograd_square, sample_plan)


@pytest.mark.parametrize("depth", [3, 200])
@pytest.mark.parametrize("line", [1, 5, 90])
@pytest.mark.parametrize(
    ("left", "right"),
    [((), ()), ((), (3,)), ((2, 1), (3,)), ((2, 3), (2, 1)), ((1,), (4,)), ((6, 1, 1), (2, 3))],
)
@pytest.mark.parametrize("turned", [False, True])
def test_products_in_loops(monkeypatch, depth, line, left, right, turned):
    monkeypatch.setattr(products, "WIDE", 900)
    rng = np.random.default_rng(0)
    a = rng.standard_normal((*left, 4, depth))
    b = rng.standard_normal((*right, line, depth)).swapaxes(-1, -2)
    b = b if turned else np.ascontiguousarray(b)
    wanted = np.matmul(a, b)
    np.testing.assert_allclose(products.in_loops(a, b), wanted, rtol=1e-12, atol=1e-12)
    out = np.full((*wanted.shape[:-2], 7, line), np.nan)[..., :4, :]
    assert products.in_loops(a, b, out=out) is out
    np.testing.assert_allclose(out, wanted, rtol=1e-12, atol=1e-12)


def test_what_products_in_loops_are_taken_by(monkeypatch):
    asked = []
    monkeypatch.setattr(products, "one_by_one", lambda left, right, out: asked.append("einsum"))
    monkeypatch.setattr(np, "matmul", lambda left, right, out: asked.append("matmul"))
    for depth, line, turned in (
        (54, 160, 0),
        (54, 256, 0),
        (25, 384, 0),
        (200, 64, 0),
        (96, 8, 1),
        (160, 8, 1),
    ):
        right = np.zeros((line, depth)).T if turned else np.zeros((depth, line))
        products.in_loops(np.zeros((8, depth)), right)
    assert asked == ["matmul", "einsum", "matmul", "einsum", "matmul", "einsum"]


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [Convolutional(kernel_size=5, depth=3)],
        lambda: [Convolutional(kernel_size=3, depth=8), MaxPooling(2)],  # tiles along the rows
        lambda: [Convolutional(kernel_size=3, depth=32)],  # along both axes
        lambda: [Convolutional(kernel_size=3, depth=4, groups=2, dilation=2)],
        lambda: [MaxPooling(4), Convolutional(kernel_size=1, depth=640)],  # whole products
        lambda: [TransposedConvolutional(kernel_size=2, depth=3, stride=2)],
        lambda: [Flatten(), Dense(output_size=40)],
    ],
    ids=["rows", "tiles", "tiles of both axes", "groups", "whole products", "transposed", "dense"],
)
def test_a_network_without_a_blas_learns_the_same(monkeypatch, layers):
    monkeypatch.setattr(products, "WIDE", 0)
    monkeypatch.setattr(products, "LONG_SUMS", 0)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((18, 4, 9, 9)), np.arange(18) % 3

    def trained():
        middle = [Convolutional(kernel_size=2, depth=32), *layers()]
        end = [Dense(output_size=3), Softmax()]
        if not any(type(layer) is Flatten for layer in middle):
            end = [Flatten(), *end]
        network = Network([*middle, *end], input_shape=(4, 9, 9), seed=0, dtype=np.float64)
        network.fit(x, y, batch_size=18, learning_rate=0.01, threads=1)
        return network.parameters, network.predict(x, threads=1)

    wanted, multiplied = trained(), []

    def multiply(*given, **named):
        multiplied.append(given)
        return products.in_loops(*given, **named)

    for module in KERNELS:
        monkeypatch.setattr(module, "matmul", multiply)
    for found, expected in zip(trained(), wanted, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
    assert multiplied


def test_every_kernel_multiplies_by_the_one_function():
    assert all(module.matmul is products.matmul is np.matmul for module in KERNELS)
