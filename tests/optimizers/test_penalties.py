"""Penalties, decay and clipping inside a network: exact, and of the same bits at any number of workers."""

import copy

import numpy as np
import pytest

from helpers.workers import COMPANIES, use
from purecnn import (
    SGD,
    Activation,
    Adagrad,
    Adam,
    AdamW,
    Callback,
    Convolutional,
    Dense,
    Flatten,
    Network,
    PReLU,
    ReLU,
    RMSprop,
    Softmax,
    Tanh,
)
from purecnn.errors import DivergedError
from purecnn.optimizers.base import BLOCK, write_squares
from purecnn.optimizers.penalties import Penalty, mark_weights
from purecnn.training.host import LONG


def network(dtype=np.float64, seed=0):
    """Return a network with weights, kernels, biases and slopes."""
    return Network(
        [
            Convolutional(kernel_size=3, depth=2),
            PReLU(),
            Flatten(),
            Dense(output_size=3),
            Softmax(),
        ],
        input_shape=(1, 5, 5),
        seed=seed,
        dtype=dtype,
    )


def data(samples=40):
    rng = np.random.default_rng(0)
    return rng.standard_normal((samples, 1, 5, 5)), rng.integers(0, 3, samples)


def weights_of(net):
    return [
        layer.parameters[name] for layer in net for name in ("weights", "kernels") if name in layer.parameters
    ]


def test_weights_and_kernels_are_marked_and_nothing_else():
    net = network()
    mask = np.zeros(net.parameters.size)
    mark_weights(net.views(mask))
    assert mask.sum() == 2 * 9 + 18 * 3
    for layer, views in zip(net, net.views(mask), strict=True):
        for name, view in views.items():
            assert (view == (name in ("weights", "kernels"))).all(), (layer, name)


@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.2), (0.1, 0.05)])
def test_the_slope_is_that_of_the_cost(l1, l2):
    rng = np.random.default_rng(0)
    parameters, mask = rng.standard_normal(50), (rng.random(50) < 0.5).astype(float)
    penalty, found, h = Penalty(l1, l2, mask), np.zeros(50), 1e-5
    penalty.add_slope(parameters, found, 0, 50)
    for number in range(50):
        up, down = parameters.copy(), parameters.copy()
        up[number] += h
        down[number] -= h
        assert found[number] == pytest.approx((penalty.cost(up) - penalty.cost(down)) / (2 * h), abs=1e-8)
    assert penalty.cost(parameters) == pytest.approx(
        sum(l1 * abs(w) + l2 * w * w for w, m in zip(parameters, mask, strict=True) if m)
    )


@pytest.mark.parametrize(("l1", "l2"), [(0.03, 0.0), (0.0, 0.02), (0.01, 0.005)])
@pytest.mark.parametrize("batch_size", [1, 40])
def test_fit_adds_the_penalty_to_the_loss_and_its_slope_to_the_gradient(l1, l2, batch_size):
    x, y = data(batch_size)
    plain, punished = network(), network()
    before = [w.copy() for w in weights_of(plain)]
    cost = sum(l1 * np.abs(w).sum() + l2 * np.square(w).sum() for w in before)
    options = {"batch_size": batch_size, "optimizer": SGD(0.1)}
    loss = plain.fit(x, y, **options).loss[0]
    assert punished.fit(x, y, l1=l1, l2=l2, **options).loss[0] == pytest.approx(loss + cost, rel=1e-12)
    for w, a, b in zip(before, weights_of(plain), weights_of(punished), strict=True):
        np.testing.assert_allclose(b, a - 0.1 * (l1 * np.sign(w) + 2 * l2 * w), rtol=1e-9, atol=1e-14)
    for number, name in ((0, "biases"), (1, "slopes"), (3, "biases")):
        wanted = plain[number].parameters[name]
        np.testing.assert_allclose(punished[number].parameters[name], wanted, rtol=1e-12, atol=1e-15)
    assert punished.evaluate(x, y)["loss"] < 10  # as of the network alone
    assert punished.evaluate(x, y) == Network(copy.deepcopy(list(punished)), dtype=np.float64).evaluate(x, y)


def test_l2_is_half_of_the_weights_decay_under_plain_descent():
    x, y = data()
    penalty, decay = network(), network()
    penalty.fit(x, y, epochs=5, batch_size=8, l2=0.05, optimizer=SGD(0.1))
    decay.fit(x, y, epochs=5, batch_size=8, optimizer=SGD(0.1, weight_decay=0.1, decay_biases=False))
    np.testing.assert_allclose(penalty.parameters, decay.parameters, rtol=1e-10, atol=1e-13)


def test_l1_takes_weights_that_do_not_help_to_nothing():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 10))
    y = x[:, :2] @ np.array([[1.0], [-2.0]])
    net = Network([Dense(10, 1)], dtype=np.float64)
    net.fit(x, y, loss="mse", epochs=300, batch_size=200, optimizer=SGD(0.05), l1=0.1)
    weights = np.abs(net[0].parameters["weights"][0])
    assert (weights[:2] > 0.9).all()
    assert (weights[2:] < 0.01).all()


def test_all_decay_as_in_pytorch_unless_asked_otherwise():
    x, y = data()
    start = network()
    found = {}
    for decay_biases in (True, False):
        net = network()
        net[0].parameters["biases"] += 1.0
        net.fit(x, y, batch_size=40, optimizer=AdamW(1e-9, weight_decay=1e8, decay_biases=decay_biases))
        found[decay_biases] = net
        for w, a in zip(weights_of(start), weights_of(net), strict=True):
            np.testing.assert_allclose(a, 0.9 * w, atol=1e-8)
    np.testing.assert_allclose(found[True][0].parameters["biases"], 0.9, rtol=1e-6)
    np.testing.assert_allclose(found[True][1].parameters["slopes"], 0.225, rtol=1e-6)
    np.testing.assert_allclose(found[False][0].parameters["biases"], 1.0, rtol=1e-6)
    np.testing.assert_allclose(found[False][1].parameters["slopes"], 0.25, rtol=1e-6)


# The gradient's norm --------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [1, 10, 64])
def test_the_whole_batchs_gradient_is_clipped_penalty_included(samples):
    x, y = data(samples)
    free, clipped = network(), network()
    start = free.parameters.copy()
    for net, clip_norm in ((free, None), (clipped, 0.05)):
        net.fit(x, y, batch_size=64, optimizer=SGD(0.1, clip_norm=clip_norm), l2=0.1)
    gradient = (start - free.parameters) / 0.1
    norm = np.linalg.norm(gradient)
    assert norm > 0.1
    expected = start - 0.1 * gradient * 0.05 / (norm + 1e-6)
    np.testing.assert_allclose(clipped.parameters, expected, rtol=1e-9, atol=1e-12)


def test_a_small_gradient_is_left_alone():
    x, y = data()
    free, clipped = network(), network()
    free.fit(x, y, batch_size=40, optimizer=SGD(0.1, 0.5))
    clipped.fit(x, y, batch_size=40, optimizer=SGD(0.1, 0.5, clip_norm=1e3))
    assert free.parameters.tobytes() == clipped.parameters.tobytes()


def test_squares_are_summed_by_blocks_in_double_precision():
    gradient = np.full(3 * BLOCK + 5, 1e25, np.float32)
    found = np.zeros(4)
    write_squares(gradient, BLOCK, 2 * BLOCK, found)
    assert found.tolist() == [0, pytest.approx(BLOCK * 1e50, rel=1e-6), 0, 0]
    write_squares(gradient, 2 * BLOCK, gradient.size, found)
    assert found[3] == pytest.approx(5e50, rel=1e-6)


def test_a_norm_that_is_no_number_stops_training_before_the_step():
    def slope(x):
        return np.full_like(x, np.inf)

    net = Network([Dense(2, 2), Activation(np.tanh, slope)])
    net.predict(np.ones((1, 2)))
    before = net.parameters.copy()
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(DivergedError, match=r"gradient's norm became (inf|nan) at"),
    ):
        net.fit(np.ones((4, 2)), np.zeros((4, 2)), loss="mse", optimizer=SGD(0.1, clip_norm=1.0))
    np.testing.assert_array_equal(net.parameters, before)


# Bits -----------------------------------------------------------------------------------------------------

EVERYTHING = {"weight_decay": 0.01, "decay_biases": False, "clip_norm": 0.5}
OPTIMIZERS = [
    lambda: SGD(0.1, weight_decay=0.1, decay_biases=False),
    lambda: SGD(0.1, clip_norm=0.1),
    lambda: SGD(0.1, 0.9, nesterov=True, **EVERYTHING),
    lambda: RMSprop(0.01, momentum=0.5, centered=True, **EVERYTHING),
    lambda: Adagrad(0.01, initial_accumulator_value=0.1, **EVERYTHING),
    lambda: Adam(0.01, **EVERYTHING),
    lambda: AdamW(0.01, clip_norm=0.2),
]


class Change(Callback):
    """Change what a user may, between steps."""

    def __init__(self, optimizer):
        self.optimizer = optimizer

    def step(self, epoch, step, loss):
        self.optimizer.learning_rate *= 0.7
        self.optimizer.weight_decay *= 1.1
        if hasattr(self.optimizer, "beta1"):
            self.optimizer.beta1 = 0.5
        if self.optimizer.clip_norm is not None:
            self.optimizer.clip_norm = 2.0 if step == 1 else 0.05


@pytest.mark.parametrize("width", [20, 900], ids=["short", "long"])
@pytest.mark.parametrize("make", OPTIMIZERS)
def test_same_bits_in_threads_in_processes_and_alone(make, width, monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (300, 14, 14)).astype(np.uint8), rng.integers(0, 4, 300)
    found = []
    for kind, threads in COMPANIES:
        use(monkeypatch, kind)
        net, optimizer = (
            Network([Flatten(), Dense(output_size=width), ReLU(), Dense(output_size=4), Softmax()]),
            make(),
        )
        history = net.fit(
            x,
            y,
            batch_size=256,
            epochs=2,
            l1=1e-4,
            l2=1e-4,
            threads=threads,
            optimizer=optimizer,
            callbacks=[Change(optimizer)],
        )
        assert (net.parameters.size > LONG) == (width == 900)
        found.append((net.parameters.tobytes(), history.loss))
    assert all(one == found[0] for one in found[1:])


def test_a_clipping_that_is_taken_off_between_steps_is_off():
    x, y = data()

    class Off(Callback):
        def step(self, epoch, step, loss):
            optimizer.clip_norm = None
            after.append(net.parameters.copy())

    net, optimizer, after = network(), SGD(0.1, 0.5, clip_norm=1e-6), []
    start = net.parameters.copy()
    net.fit(x, y, batch_size=20, optimizer=optimizer, callbacks=[Off()], shuffle=False)
    assert np.abs(after[0] - start).max() < 1e-6
    assert np.abs(after[1] - after[0]).max() > 1e-3


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"l1": -1}, ValueError, "l1 must be a number at least 0, got -1"),
        ({"l2": -0.5}, ValueError, "l2 must be a number at least 0, got -0.5"),
        ({"l2": "much"}, TypeError, "l2 must be a finite number at least 0, got 'much'"),
        ({"l1": float("nan")}, ValueError, "l1 must be a number at least 0, got nan"),
        ({"l1": {}}, TypeError, "l1 must be a finite number at least 0, got {}"),
        ({"l2": np.zeros(2)}, TypeError, "l2 must be a finite number at least 0, got array"),
    ],
)
def test_bad_penalties_are_refused_in_one_sentence(options, error, words):
    x, y = data()
    with pytest.raises(error, match=words):
        network().fit(x, y, **options)


def test_a_layer_of_ones_own_is_punished_for_its_weights_too():
    x, y = data()
    net = Network([Flatten(), Dense(output_size=3), Tanh()])
    with_penalty = net.fit(x, np.eye(3)[y], loss="mse", optimizer="sgd", l2=10.0)
    assert with_penalty.loss[0] > 5
