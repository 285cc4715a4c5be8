"""The strict arrays refuse what a device would; and code that does so on purpose is found out."""

import math

import numpy as np
import pytest

from helpers.strict_arrays import STRICT, Refused, StrictArray, strict
from purecnn import SGD, Activation, Dense, Dropout, Layer, Network, ReLU
from purecnn.backend import devices, module_of, to_device, to_host


def there(*shape, dtype=np.float32):
    return to_device(np.ones(shape, dtype), strict)


REFUSED = {
    "np.asarray": lambda x: np.asarray(x),
    "np.array": lambda x: np.array(x),
    "float": lambda x: float(x[0, 0]),
    "int": lambda x: int(x[0, 0]),
    "bool": lambda x: bool(x[0, 0] > 0),
    "if": lambda x: 1 if (x > 0).all() else 0,
    "math": lambda x: math.fsum([x[0, 0]]),
    "item": lambda x: x[0, 0].item(),
    "list": lambda x: x.tolist(),
    "copy": lambda x: __import__("copy").deepcopy(x),
    "index": lambda x: [1, 2][x[0, 0]],
    "host + there": lambda x: np.ones((2, 3)) + x,
    "there + host": lambda x: x + np.ones((2, 3)),
    "there += host": lambda x: x.__iadd__(np.ones((2, 3), np.float32)),
    "there[...] = host": lambda x: x.__setitem__(..., np.ones((2, 3))),
    "host[...] = there": lambda x: np.ones((2, 3)).__setitem__(..., x),
    "host index": lambda x: x[np.array([0, 1])],
    "mask as index": lambda x: x[x > 0],
    "host function": lambda x: np.exp(x),
    "host function, out there": lambda x: np.exp(np.ones((2, 3)), out=x),
    "host operand": lambda x: strict.maximum(x, np.zeros((2, 3), np.float32)),
    "host concatenate": lambda x: np.concatenate([x, x]),
    "sent by the wrong door": lambda x: strict.asarray(np.ones(2)),
    "brought by the wrong door": lambda x: strict.asnumpy(x),
    "made of the host's": lambda x: strict.array(np.ones(2)),
    "maximum in place": lambda x: strict.maximum(x, 0, out=x),
    "maximum into a view of itself": lambda x: strict.maximum(x[:1], 0, out=x[:1]),
    "where=": lambda x: strict.add(x, x, where=x > 0),
    "out of another dtype": lambda x: strict.greater(x, 0, out=x),
    "out of another shape": lambda x: strict.add(x, x, out=there(3, 2)),
    "dtype by position": lambda x: strict.zeros(3, np.float32),
    "axes by position": lambda x: strict.tensordot(x, x, 1),
    "initial=": lambda x: x.max(initial=0),
    "sum(initial=)": lambda x: strict.sum(x, initial=0),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_wait_mix_or_be_lacking_is_refused(name):
    with pytest.raises(TypeError):
        REFUSED[name](there(2, 3))


@pytest.mark.parametrize(
    "missing", [lambda: strict.add.at, lambda: strict.add.reduce, lambda: strict.lib, lambda: strict.erf]
)
def test_what_a_package_lacks_is_not_there(missing):
    with pytest.raises(AttributeError):
        missing()


def test_what_is_allowed():
    x = there(2, 3)
    for found in (x * np.float32(2), np.float32(2) * x, 2 * x, x + 1, there(2, 3) + x, x[0] + x):
        assert type(found) is StrictArray
        assert found.dtype == np.float32
    mean, other = x
    assert mean.shape == other.shape == (3,)
    assert (to_host(strict.maximum(x, 2, out=there(2, 3))) == 2).all()
    assert np.shape(x) == (2, 3)
    assert module_of(x) is strict
    assert module_of(1.0) is module_of([1]) is np


def run(layers):
    network = Network(layers, input_shape=(3,), device=STRICT)
    return network.fit(np.ones((4, 3)), np.zeros((4, 2)), loss="mse", optimizer="sgd")


class Waits(Layer):
    """Asks the device for a number in the middle of its pass."""

    def forward(self, input):
        return input * float(input.sum())

    def backward(self, output_gradient):
        return output_gradient


class Mixes(Waits):
    """Adds an array of the host."""

    def forward(self, input):
        return input + np.ones(input.shape, input.dtype)


def test_a_network_of_this_package_passes():
    assert run([Dense(3, 2), Dropout(0.5)]).loss


@pytest.mark.parametrize(
    "layer", [Activation(np.sin, np.cos), Waits(), Mixes()], ids=["np.sin", "float", "host"]
)
def test_a_layer_that_is_not_careful_is_found_out(layer):
    with pytest.raises(TypeError):
        run([Dense(3, 2), layer])


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        ("purecnn.kernels.reference.module_of", lambda array: np),
        ("purecnn.losses.base.to_host", lambda array: array),
        ("purecnn.layers.dropout.to_device", lambda array, xp: array),
        ("purecnn.training.replica.to_device", lambda array, xp: array),
        ("purecnn.training.shards.to_device", lambda array, xp: array),
        ("purecnn.training.runnable.to_host", lambda array: array),
        ("purecnn.optimizers.sgd.module_of", lambda array: np),
    ],
)
def test_code_broken_on_purpose_is_found_out(place, wrong, monkeypatch):
    monkeypatch.setattr(place, wrong)
    network = Network([Dense(3, 2), ReLU(), Dropout(0.5), Dense(2, 2)], input_shape=(3,), device=STRICT)
    with pytest.raises((TypeError, AttributeError)):
        network.fit(
            np.ones((4, 3)), np.zeros((4, 2)), loss="mse", optimizer=SGD(0.1, 0.9), validation_split=0.5
        )


def test_the_seam_is_two_functions():
    assert to_device(there(2), strict).held is not None
    assert devices.as_device("strict") is STRICT
    with pytest.raises(Refused, match="not from `to_device`"):
        strict.asarray(np.ones(2))
