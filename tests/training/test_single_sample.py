"""Plain descent on batches of one sample: the step is taken on the way back, to the bits of any other way."""

import numpy as np
import pytest

from helpers import plain_loops as loops
from purecnn import (
    SGD,
    Augmentation,
    BatchNormalization,
    Callback,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPooling,
    Network,
    ReLU,
    Residual,
    Sigmoid,
    Softmax,
    Tanh,
)
from purecnn.errors import DivergedError
from purecnn.layers.dense import Dense as DenseLayer
from purecnn.losses import as_loss
from purecnn.networks import original
from purecnn.training import fit, sample_plan
from purecnn.training.host import HostTrainer
from purecnn.training.settings import FitSettings
from purecnn.training.single_sample import SingleSampleTrainer


@pytest.mark.parametrize("cached", [1, 20, 1 << 15])
@pytest.mark.parametrize("propagate", [True, False])
def test_a_dense_layers_step_is_a_backward_pass_and_a_step(monkeypatch, cached, propagate):
    monkeypatch.setattr(sample_plan, "CACHED", cached)
    rng = np.random.default_rng(0)
    layer = DenseLayer(7, 5, rng=0, dtype=np.float64)
    g, x = rng.standard_normal((5, 1)), rng.standard_normal((7, 1))
    weights, biases = (layer.parameters[name].copy() for name in ("weights", "biases"))
    layer.propagate = propagate
    plan = sample_plan.DensePlan(layer, x, is_free=False)
    sample_plan.run([*plan.forward, *plan.backward(g)])
    np.testing.assert_allclose(plan.output, weights @ x + biases, rtol=1e-12)
    dx, dweights, dbiases = loops.dense_backward(g, x, weights)
    if propagate:
        np.testing.assert_allclose(plan.dx, dx, rtol=1e-12)
    else:
        assert plan.dx is None
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
    """Change the optimizer in the middle of an epoch, there and back."""

    def step(self, epoch, step, loss):
        if step == 3:
            self.fit.optimizer.learning_rate /= 2
        if step == 5:
            self.fit.optimizer.weight_decay = 0.5
        if step == 7:
            self.fit.optimizer.weight_decay = 0.0


class Replace(Callback):
    """Put an array of one's own into a layer in the middle of an epoch."""

    def step(self, epoch, step, loss):
        if step == 4:
            layer = self.fit.network.layers[-1]
            layer.parameters["weights"] = layer.parameters["weights"] * 0.5


class Doubled(Layer):
    """A layer of one's own, which gives new arrays in each step, read-only ones on the way back."""

    def forward(self, input):
        return 2 * self.receive(input)

    def backward(self, output_gradient):
        found = 2 * self.receive_gradient(output_gradient)
        found.flags.writeable = False
        return found


def plain_convolution(**options):
    """Return the original's layers on small images."""
    return [
        *(Convolutional(kernel_size=3, depth=2, per_position_bias=True, **options), Sigmoid(), Flatten()),
        *(Dense(output_size=4), Sigmoid(), Dense(output_size=3)),
    ]


def pooled():
    """Return layers whose passes are their own, and some that are planned, between."""
    return [
        *(Convolutional(kernel_size=3, depth=2), MaxPooling(2), Tanh(), Dropout(0.3), Flatten()),
        *(Dense(output_size=5), ReLU(), Dense(output_size=3)),
    ]


#: Layers, which of them is frozen, callbacks, and what else `fit` is told.
CASES = {
    "pooled": (pooled, None, None, {}),
    "dense": (lambda: [Flatten(), Dense(5), Tanh(), Dense(4), Sigmoid(), Dense(3)], None, None, {}),
    "no biases": (
        lambda: [
            *(Convolutional(kernel_size=3, depth=2, bias=False), Sigmoid(), Flatten()),
            *(Dense(4, bias=False), Tanh(), Dense(3, bias=False)),
        ],
        None,
        None,
        {},
    ),
    "frozen between": (lambda: [Flatten(), Dense(5), Tanh(), Dense(4), Dense(3)], 3, None, {}),
    "frozen first": (plain_convolution, 0, None, {}),
    "frozen convolution": (
        lambda: [Convolutional(kernel_size=3, depth=1), *plain_convolution()],
        1,
        None,
        {},
    ),
    "convolutions": (
        lambda: [Convolutional(kernel_size=3, depth=2, padding=1), Tanh(), *plain_convolution(stride=2)],
        *(None, None, {}),
    ),
    "groups": (
        lambda: [Convolutional(kernel_size=3, depth=2, dilation=2), *plain_convolution()],
        None,
        None,
        {},
    ),
    "changed": (lambda: [Flatten(), Dense(3), Tanh(), Dense(3)], None, Change, {}),
    "replaced": (lambda: [Flatten(), Dense(3), Tanh(), Dense(3)], None, Replace, {}),
    "one's own": (lambda: [Flatten(), Dense(4), Doubled(), Tanh(), Dense(3)], None, None, {}),
    "residual": (
        lambda: [Flatten(), Dense(4), Residual([Dense(4), Tanh(), Dense(4)]), Dense(3)],
        None,
        None,
        {},
    ),
    "normalized": (lambda: [BatchNormalization(), Flatten(), Dense(3)], None, None, {}),
    "weights": (plain_convolution, None, None, {"sample_weight": [1, 0, 2, 0.5, 0, 1, 1, 3, 0]}),
    "augmented": (plain_convolution, None, None, {"augmentation": Augmentation(shift=1)}),
    "joined": (lambda: [*plain_convolution(), Softmax()], None, None, {"loss": "categorical_cross_entropy"}),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_the_bits_are_those_of_any_other_batch_size(monkeypatch, case, dtype):
    rng = np.random.default_rng(0)
    make, frozen, callback, options = CASES[case]
    x, y = rng.standard_normal((9, 1, 8, 8)), rng.standard_normal((9, 3))
    if "loss" in options:
        y = np.argmax(y, axis=1)
    found = []
    for kind in (SingleSampleTrainer, HostTrainer):
        monkeypatch.setattr(fit, "SingleSampleTrainer", kind)
        network = Network(make(), input_shape=(1, 8, 8), dtype=dtype)
        if frozen is not None:
            network[frozen].trainable = False
        given = {"loss": "mse", "callbacks": [callback()] if callback else []} | options
        history = network.fit(x, y, epochs=2, batch_size=1, optimizer=SGD(0.01), **given)
        found.append((network.parameters.tobytes(), history.loss, network.predict(x).tobytes()))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "layers", [lambda: [Dense(2, 3), Tanh(), Dense(3, 1)], lambda: [Dense(2, 3), Doubled(), Dense(1)]]
)
def test_a_step_that_diverges_changes_nothing(layers):
    network = Network(layers(), input_shape=(2,))
    rows, targets = network.as_rows(np.array([[0.0, 1.0], [1e30, 1e30]])), network.targets([1e30, 1e30], 2)
    settings = FitSettings(loss=as_loss("mse"), optimizer=SGD(0.1), batch_size=1, threads=1)
    before = network.parameters.copy()
    with np.errstate(all="ignore"), SingleSampleTrainer(network, rows, targets, settings) as trainer:
        for number in (0, 1, 0):
            with pytest.raises(DivergedError, match="the loss became inf"):
                trainer.step([number])
    assert np.array_equal(before, network.parameters)


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
