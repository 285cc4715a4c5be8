"""PyTorch's numbers, as `fixtures/make_fixtures.py` wrote them."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"


@functools.cache
def kept(name):
    """Return the arrays of one fixture file by their names, read once for all tests: none may change them."""
    with np.load(FIXTURES / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def load(name):
    """Return a test's own copies of the arrays of one fixture file by their names."""
    return {key: array.copy() for key, array in kept(name).items()}


def listed(name, key="cases"):
    """Return the list or object that a file says it holds."""
    return json.loads(str(kept(name)[key]))


def cases(name):
    """Return a file's cases as parameters of a test."""
    return [pytest.param(case, id=case if isinstance(case, str) else case["name"]) for case in listed(name)]


def part(name, prefix):
    """Return a test's own copies of the arrays of a file under one prefix."""
    begin = f"{prefix}/"
    return {
        key.removeprefix(begin): array.copy() for key, array in kept(name).items() if key.startswith(begin)
    }


def close(found, expected, rtol=1e-10, atol=1e-12):
    """Hold an array to another one, of the same shape."""
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)
