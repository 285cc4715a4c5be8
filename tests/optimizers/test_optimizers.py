"""Optimizers against PyTorch's numbers: alone, by blocks, and inside a network."""

import copy
import itertools
import math

import numpy as np
import pytest

from helpers.torch_numbers import close, listed, load, part
from purecnn import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    AveragePooling,
    Convolutional,
    Dense,
    Flatten,
    Identity,
    MaxPooling,
    Network,
    ReLU,
    RMSprop,
    ShapeError,
    Softmax,
    Tanh,
)
from purecnn.optimizers import OPTIMIZERS, as_optimizer, base


def made(setting):
    return OPTIMIZERS[setting["function"]](**setting["options"])


@pytest.mark.parametrize(
    ("dtype", "key", "rtol"), [(np.float64, "parameters", 1e-12), (np.float32, "parameters32", 2e-5)]
)
@pytest.mark.parametrize(("name", "setting"), listed("optimizers").items())
def test_ten_steps_are_pytorchs(name, setting, dtype, key, rtol):
    data = load("optimizers")
    parameters, optimizer = data["parameters"].astype(dtype), made(setting)
    optimizer.begin(parameters)
    for gradient, expected in zip(data["gradients"].astype(dtype), data[f"{name}/{key}"], strict=True):
        optimizer.clip(float(np.linalg.norm(gradient)))
        optimizer.advance()
        optimizer.update(parameters, gradient.copy(), 0, len(parameters))
        assert parameters.dtype == dtype == expected.dtype
        close(parameters, expected, rtol=rtol, atol=rtol * 0.01)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "setting"), listed("optimizers").items())
def test_stretches_and_blocks_give_the_same_bits_as_the_whole(name, setting, dtype, monkeypatch):
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal(101).astype(dtype), rng.standard_normal((5, 101)).astype(dtype)
    found = []
    for block, edges in ((1 << 14, (0, 101)), (1 << 14, (0, 50, 101)), (7, (0, 3, 3, 64, 101))):
        monkeypatch.setattr(base, "BLOCK", block)
        parameters, optimizer = start.copy(), made(setting)
        optimizer.begin(parameters)
        for gradient in gradients.copy():
            optimizer.advance()
            for first, last in itertools.pairwise(edges):
                optimizer.update(parameters, gradient, first, last)
        assert parameters.dtype == dtype
        assert all(state.dtype == dtype for state in optimizer.state.values())
        found.append(parameters.tobytes())
    assert len(set(found)) == 1


def test_the_state_stays_for_the_same_parameters_and_begins_anew_for_others():
    optimizer, parameters = Adam(), np.ones(3)
    optimizer.begin(parameters)
    optimizer.advance()
    optimizer.update(parameters, np.ones(3), 0, 3)
    optimizer.begin(parameters)
    assert optimizer.steps == 1
    assert optimizer.state["mean"].any()
    for other in (np.ones(4), np.ones(3, np.float32)):
        optimizer.begin(other)
        assert optimizer.steps == 0
        assert not optimizer.state["mean"].any()
        assert optimizer.state["mean"].dtype == other.dtype


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SGD(0), ValueError, "learning_rate must be a number above 0, got 0"),
        (lambda: SGD(float("nan")), ValueError, "learning_rate must be a number above 0, got nan"),
        (lambda: SGD(float("inf")), ValueError, "learning_rate must be a number above 0, got inf"),
        (lambda: SGD("fast"), TypeError, "learning_rate must be a finite number above 0, got 'fast'"),
        (lambda: SGD(True), TypeError, "learning_rate must be a finite number above 0, got True"),
        (lambda: SGD(0.1, 1), ValueError, "momentum must be a number at least 0 and below 1, got 1"),
        (lambda: Adam(beta1=-0.1), ValueError, "beta1 must be .* at least 0 and below 1, got -0.1"),
        (lambda: Adam(beta2=1.0), ValueError, "beta2 must be .* at least 0 and below 1, got 1"),
        (lambda: Adam(epsilon=0), ValueError, "epsilon must be a number above 0, got 0"),
        (lambda: as_optimizer("adma"), ValueError, "must be one of sgd, rmsprop, adagrad, adam, adamw or an"),
        (lambda: SGD(nesterov=True), ValueError, "nesterov wants a momentum above 0, got 0.0"),
        (lambda: SGD(0.1, 0.9, nesterov=1), TypeError, "nesterov must be True or False, got 1"),
        (lambda: SGD(weight_decay=-1), ValueError, "weight_decay must be a number at least 0, got -1"),
        (lambda: Adam(clip_norm=0), ValueError, "clip_norm must be a number above 0, got 0"),
        (lambda: AdamW(decay_biases="no"), TypeError, "decay_biases must be True or False, got 'no'"),
        (lambda: RMSprop(alpha=1), ValueError, "alpha must be .* at least 0 and below 1, got 1"),
        (lambda: RMSprop(epsilon=0), ValueError, "epsilon must be a number above 0, got 0"),
        (lambda: RMSprop(centered=0), TypeError, "centered must be True or False, got 0"),
        (lambda: Adagrad(epsilon=0), ValueError, "epsilon must be a number above 0, got 0"),
        (lambda: Adagrad(initial_accumulator_value=-1), ValueError, "initial_acc.* at least 0, got -1"),
        (lambda: SGD(decay_biases=False).begin(np.ones(2)), ValueError, "must be told which .* weights"),
        (lambda: as_optimizer(SGD(), 0.1), ValueError, r"learning_rate belongs to SGD\("),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_an_optimizer_is_made_from_what_it_says_it_is():
    every = {"weight_decay": 0.2, "decay_biases": False, "clip_norm": 3.0}
    for optimizer in (
        SGD(0.1, momentum=0.5, nesterov=True),
        RMSprop(0.1, alpha=0.8, epsilon=1e-4, momentum=0.3, centered=True, **every),
        Adagrad(0.1, initial_accumulator_value=0.3, epsilon=1e-5, **every),
        Adam(0.01, beta1=0.7, beta2=0.8, epsilon=1e-5, **every),
        AdamW(0.01),
        AdamW(0.01, beta1=0.7, beta2=0.8, epsilon=1e-5, **every),
    ):
        assert optimizer.configuration().keys() >= every.keys()
        assert type(optimizer)(**optimizer.configuration()).configuration() == optimizer.configuration()
        assert eval(repr(optimizer)).configuration() == optimizer.configuration()


# What they are for ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(0.1),
        lambda: SGD(0.05, 0.8),
        lambda: SGD(0.05, 0.8, nesterov=True),
        lambda: RMSprop(0.01),
        lambda: RMSprop(0.01, momentum=0.5, centered=True),
        lambda: Adagrad(0.5),
        lambda: Adam(0.05),
        lambda: AdamW(0.05, weight_decay=1e-4),
    ],
)
def test_each_finds_the_bottom_of_a_parabola(make, dtype):
    bottom, scale = np.array([3.0, -2.0, 0.5], dtype), np.array([1.0, 0.3, 2.0], dtype)
    parameters, optimizer = np.zeros(3, dtype), make()
    optimizer.begin(parameters)
    for _ in range(1500):
        optimizer.advance()
        optimizer.update(parameters, 2 * scale * (parameters - bottom), 0, 3)
    np.testing.assert_allclose(parameters, bottom, atol=0.02)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(0.001),
        lambda: SGD(0.0005, 0.9),
        lambda: SGD(0.0005, 0.9, nesterov=True),
        lambda: RMSprop(0.001),
        lambda: RMSprop(0.0005, momentum=0.5, centered=True),
        lambda: Adagrad(0.5),
        lambda: Adam(0.01),
        lambda: AdamW(0.01, weight_decay=1e-5),
    ],
)
def test_each_walks_down_rosenbrocks_valley(make):
    parameters, optimizer = np.array([-1.0, 1.5]), make()
    optimizer.begin(parameters)
    for _ in range(20_000):
        x, y = parameters
        slope = np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])
        optimizer.advance()
        optimizer.update(parameters, slope, 0, 2)
    np.testing.assert_allclose(parameters, [1, 1], atol=0.05)


def test_adamw_shrinks_what_has_no_gradient_and_adam_moves_it_by_its_rate():
    found = {}
    for kind in (Adam, AdamW):
        parameters, optimizer = np.array([2.0, -4.0]), kind(0.1, weight_decay=0.5)
        optimizer.begin(parameters)
        optimizer.advance()
        optimizer.update(parameters, np.zeros(2), 0, 2)
        found[kind] = parameters
    np.testing.assert_allclose(found[AdamW], [1.9, -3.8], rtol=1e-12)
    np.testing.assert_allclose(found[Adam], [1.9, -3.9], rtol=1e-6)


@pytest.mark.parametrize("kind", [SGD, AdamW])
def test_biases_are_left_out_of_the_decay_where_asked(kind):
    weights, parameters = np.array([1.0, 0.0, 1.0]), np.array([1.0, 2.0, 3.0])
    optimizer = kind(0.1, weight_decay=0.5, decay_biases=False)
    optimizer.begin(parameters, weights=weights)
    optimizer.advance()
    optimizer.update(parameters, np.zeros(3), 0, 3)
    np.testing.assert_allclose(parameters, [0.95, 2.0, 2.85], rtol=1e-12)


def test_centered_rmsprop_survives_a_variance_that_rounding_takes_below_zero():
    parameters, optimizer = np.zeros(64, np.float32), RMSprop(0.01, alpha=0.1, centered=True)
    optimizer.begin(parameters)
    with np.errstate(invalid="raise"):
        for _ in range(30):
            optimizer.update(parameters, np.linspace(0.1, 3, 64).astype(np.float32), 0, 64)
    assert np.isfinite(parameters).all()


def test_adagrads_sum_starts_once():
    optimizer, parameters = Adagrad(0.1, initial_accumulator_value=0.5), np.ones(2)
    optimizer.begin(parameters)
    optimizer.begin(parameters)
    assert optimizer.state["square"].tolist() == [0.5, 0.5]
    optimizer.advance()
    optimizer.update(parameters, np.ones(2), 0, 2)
    optimizer.begin(parameters)
    assert optimizer.state["square"].tolist() == [1.5, 1.5]


# In a network ---------------------------------------------------------------------------------------------

PLACES = {"convolution1": 0, "convolution2": 3, "dense": 7}


def network(last=Identity):
    """Return the network of network.npz with its first parameters."""
    layers = [
        Convolutional(kernel_size=3, depth=4, padding=1),
        ReLU(),
        MaxPooling(2),
        Convolutional(kernel_size=3, depth=5),
        Tanh(),
        AveragePooling(2),
        Flatten(),
        Dense(output_size=3),
        last(),
    ]
    made = Network(layers, input_shape=(2, 12, 12), dtype=np.float64)
    for name, array in part("network", "parameters").items():
        layer, parameter = name.split(".")
        place = made[PLACES[layer]].parameters[parameter]
        place[...] = array.reshape(place.shape)
    return made


def hold(found, prefix, rtol=1e-9):
    """Hold a network's parameters to those under a prefix of network.npz."""
    for name, array in part("network", prefix).items():
        layer, parameter = name.split(".")
        place = found[PLACES[layer]].parameters[parameter]
        close(place, array.reshape(place.shape), rtol=rtol, atol=1e-11)


@pytest.mark.parametrize(
    ("last", "loss"), [(Identity, "softmax_cross_entropy"), (Softmax, "categorical_cross_entropy")]
)
@pytest.mark.parametrize(("name", "setting"), listed("network", "settings").items())
def test_a_network_trains_as_pytorchs(name, setting, last, loss):
    data, trained, optimizer = load("network"), network(last), made(setting)
    x, options = np.moveaxis(data["input"], -1, 0), {"batch_size": 6, "shuffle": False, "loss": loss}
    if last is Identity:
        close(trained.predict(x), data["logits"].T)
    first = trained.fit(x, data["labels"], optimizer=optimizer, epochs=1, **options)
    hold(trained, f"{name}/1")
    rest = trained.fit(x, data["labels"], optimizer=optimizer, epochs=9, **options)
    hold(trained, f"{name}/10")
    after = trained.evaluate(x, data["labels"], loss=loss)["loss"]
    close([*first.loss, *rest.loss, after], data[f"{name}/losses"], rtol=1e-9)


def test_a_network_in_float32_trains_nearly_as_pytorchs_in_float64():
    data, exact = load("network"), network()
    trained = Network(copy.deepcopy(list(exact)), dtype=np.float32)
    x, setting = np.moveaxis(data["input"], -1, 0), listed("network", "settings")["momentum"]
    trained.fit(
        x,
        data["labels"],
        optimizer=made(setting),
        epochs=10,
        batch_size=6,
        shuffle=False,
        loss="softmax_cross_entropy",
    )
    assert trained.parameters.dtype == np.float32
    for name, array in part("network", "momentum/10").items():
        layer, parameter = name.split(".")
        place = trained[PLACES[layer]].parameters[parameter]
        close(place, array.reshape(place.shape), rtol=1e-4, atol=1e-5)


def test_a_step_by_hand_is_the_formula_of_the_paper() -> None:
    """Adam, written out in plain Python, on a matrix, whose gradient stays as it is."""
    p, optimizer = np.array([[1.0, -2.0], [0.5, 3.0]]), Adam(0.1)
    wanted, m, v = p.ravel().tolist(), [0.0] * 4, [0.0] * 4
    for t in (1, 2, 3):
        gradient = np.sin(np.arange(4.0) + t).reshape(2, 2)
        before = gradient.copy()
        optimizer.step(p, gradient)
        assert (gradient == before).all()
        for i, g in enumerate(gradient.ravel()):
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g * g
            wanted[i] -= 0.1 * (m[i] / (1 - 0.9**t)) / (math.sqrt(v[i] / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(p.ravel(), wanted, rtol=1e-12)
    assert optimizer.steps == 3


def test_a_step_by_hand_clips_the_gradient_as_fit_does() -> None:
    p = np.zeros(2)
    SGD(1.0, clip_norm=1.0).step(p, np.array([3.0, 4.0]))
    np.testing.assert_allclose(p, [-0.6, -0.8], rtol=1e-6)


def test_steps_by_hand_are_those_of_fit() -> None:
    """Plain descent and momentum, a batch of all samples at a time."""
    x, y = np.array([[1.0], [2.0], [4.0]]), np.array([[2.0], [3.0], [1.0]])
    for make in (lambda: SGD(0.05), lambda: SGD(0.02, momentum=0.9)):
        fitted, by_hand = (Network([Dense(1, 1)], seed=3, dtype=np.float64) for _ in range(2))
        fitted.fit(x, y, epochs=4, batch_size=3, loss="mse", optimizer=make())
        gradient, optimizer = np.zeros(2), make()
        for layer, views in zip(by_hand, by_hand.views(gradient), strict=True):
            layer.gradients = views
        for _ in range(4):
            output = by_hand[0].forward(x.T)
            by_hand[0].backward(2 * (output - y.T) / 3)
            optimizer.step(by_hand.parameters, gradient)
        np.testing.assert_allclose(by_hand.parameters, fitted.parameters, rtol=1e-12)


def test_a_step_by_hand_refuses_what_is_no_pair() -> None:
    with pytest.raises(TypeError, match="gradient must be an array of floats, got"):
        SGD().step(np.zeros(2), np.zeros(2, int))
    with pytest.raises(ShapeError, match=r"shape of parameters, \(2,\), got \(3,\)"):
        SGD().step(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="contiguous"):
        SGD().step(np.zeros((2, 2))[:, 0], np.zeros(2))
    optimizer = Adam()
    optimizer.step(np.zeros(2), np.zeros(2))
    with pytest.raises(
        ValueError, match="this Adam has taken steps of 2 parameters, got 3: make an optimizer"
    ):
        optimizer.step(np.zeros(3), np.zeros(3))


def test_what_derives_from_plain_descent_takes_its_own_step():
    class SignDescent(SGD):
        def change(self, parameters, gradient, *state):
            parameters -= self.learning_rate * np.sign(gradient)

    parameters = np.zeros(2)
    SignDescent(0.5).step(parameters, np.array([3.0, -4.0]))
    assert parameters.tolist() == [-0.5, 0.5]
    network = Network([Dense(2, 1)])
    before = network.parameters.copy()
    for batch_size in (1, 2):
        network.fit(
            np.ones((batch_size, 2)),
            np.full((batch_size, 1), 9.0),
            batch_size=batch_size,
            loss="mse",
            optimizer=SignDescent(0.5),
        )
    assert np.allclose(network.parameters, before + 1)
