"""How deep a step of training lies below `Network.fit`."""

import pytest

frames = pytest.importorskip("campaigns.frames", reason="the campaigns are not there")


def test_few_calls_lie_between_fit_and_a_kernel():
    found = frames.frames()
    assert found[0].endswith("Network.fit")
    assert found[-1].endswith("conv2d_max_pool_forward")
    assert len(found) <= frames.MOST, found
