"""Products cut into parts: the same sums, in parts of the sizes that BLAS has kernels for."""

import numpy as np
import pytest

from purecnn.kernels import products


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
