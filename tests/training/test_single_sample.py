"""Plain descent on batches of one sample: the step is taken on the way back, to the bits of any other way."""

import numpy as np
import pytest

from helpers import plain_loops as loops
from purecnn import (
    SGD,
    BatchNormalization,
    Callback,
    Convolutional,
    Dense,
    Flatten,
    MaxPooling,
    Network,
    Tanh,
)
from purecnn.layers.dense import Dense as DenseLayer
from purecnn.losses import as_loss
from purecnn.networks import original
from purecnn.training import fit, single_sample
from purecnn.training.host import HostTrainer
from purecnn.training.settings import FitSettings
from purecnn.training.single_sample import SingleSampleTrainer


@pytest.mark.parametrize("cached", [1, 20, 1 << 15])
@pytest.mark.parametrize("propagate", [True, False])
def test_a_dense_layers_step_is_a_backward_pass_and_a_step(monkeypatch, cached, propagate):
    monkeypatch.setattr(single_sample, "CACHED", cached)
    rng = np.random.default_rng(0)
    layer = DenseLayer(7, 5, rng=0, dtype=np.float64)
    g, x = rng.standard_normal((5, 1)), rng.standard_normal((7, 1))
    weights, biases = (layer.parameters[name].copy() for name in ("weights", "biases"))
    layer.propagate = propagate
    layer.forward(x)
    found = single_sample.step_back(layer, g)
    dx, dweights, dbiases = loops.dense_backward(g, x, weights)
    if propagate:
        np.testing.assert_allclose(found, dx, rtol=1e-12)
    else:
        assert found is None
    np.testing.assert_allclose(layer.parameters["weights"], weights - dweights, rtol=1e-12)
    np.testing.assert_allclose(layer.parameters["biases"], biases - dbiases.reshape(5, 1), rtol=1e-12)


def test_a_step_never_writes_the_dense_layers_gradient():
    rng = np.random.default_rng(0)
    network = original(classes=2)
    rows = network.as_rows(rng.random((4, 1, 28, 28)))
    targets = network.targets(np.eye(2)[[0, 1, 0, 1]], 4)
    settings = FitSettings(loss=as_loss("binary_cross_entropy"), optimizer=SGD(0.1), batch_size=1, threads=1)
    with SingleSampleTrainer(network, rows, targets, settings) as trainer:
        before = network.parameters.copy()
        for number in range(4):
            trainer.step([number])
        places = trainer.shards.views[0]
        assert not any(view["weights"].any() for view in places if "weights" in view)
        assert not np.array_equal(before, network.parameters)


class Change(Callback):
    """Change the optimizer in the middle of an epoch."""

    def step(self, epoch, step, loss):
        if step == 3:
            self.fit.optimizer.learning_rate /= 2
        if step == 6:
            self.fit.optimizer.weight_decay = 0.5


def cases():
    """Yield layers, which of them is frozen, and callbacks."""
    yield (
        [Convolutional(kernel_size=3, depth=2), MaxPooling(2), Tanh(), Flatten(), Dense(output_size=3)],
        None,
        [],
    )
    yield [Flatten(), Dense(output_size=5), Tanh(), Dense(output_size=4), Dense(output_size=3)], 3, []
    yield [Flatten(), Dense(output_size=3)], None, [Change()]
    yield [BatchNormalization(), Flatten(), Dense(output_size=3)], None, []


@pytest.mark.parametrize("case", range(4))
def test_the_bits_are_those_of_any_other_batch_size(monkeypatch, case):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 1, 8, 8)), rng.standard_normal((9, 3))
    found = []
    for kind in (SingleSampleTrainer, HostTrainer):
        monkeypatch.setattr(fit, "SingleSampleTrainer", kind)
        layers, frozen, callbacks = list(cases())[case]
        network = Network(layers, input_shape=(1, 8, 8))
        if frozen is not None:
            network[frozen].trainable = False
        network.fit(x, y, epochs=2, batch_size=1, optimizer=SGD(0.01), loss="mse", callbacks=callbacks)
        found.append(network.parameters.tobytes())
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("optimizer", "options", "is_chosen"),
    [
        (SGD(0.01), {}, True),
        (SGD(0.01), {"batch_size": 2}, False),
        (SGD(0.01), {"l2": 0.1}, False),
        (SGD(0.01, momentum=0.5), {}, False),
        (SGD(0.01, weight_decay=0.5), {}, False),
        (SGD(0.01, clip_norm=1.0), {}, False),
        ("adam", {}, False),
    ],
)
def test_it_is_chosen_for_plain_descent_alone(monkeypatch, optimizer, options, is_chosen):
    made = []
    monkeypatch.setattr(fit, "SingleSampleTrainer", lambda *a, **o: made.append(1) or HostTrainer(*a, **o))
    Network([Dense(2, 1)]).fit(
        np.ones((3, 2)), np.ones((3, 1)), **{"batch_size": 1, "loss": "mse", "optimizer": optimizer} | options
    )
    assert bool(made) == is_chosen
