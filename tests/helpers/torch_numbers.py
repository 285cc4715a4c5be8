"""PyTorch's numbers, as `fixtures/make_fixtures.py` wrote them."""

import json
from pathlib import Path

import numpy as np
import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"


def load(name):
    """Return the arrays of one fixture file by their names."""
    with np.load(FIXTURES / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def listed(name, key="cases"):
    """Return the list or object that a file says it holds."""
    return json.loads(str(load(name)[key]))


def cases(name):
    """Return a file's cases as parameters of a test."""
    return [pytest.param(case, id=case if isinstance(case, str) else case["name"]) for case in listed(name)]


def part(name, prefix):
    """Return the arrays of a file under one prefix."""
    return {
        key.removeprefix(f"{prefix}/"): a for key, a in load(name).items() if key.startswith(f"{prefix}/")
    }


def close(found, expected, rtol=1e-10, atol=1e-12):
    """Hold an array to another one, of the same shape."""
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)
