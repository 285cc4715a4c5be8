"""The learning-rate range test: its rates, its end, its suggestion, and that it leaves all as it was."""

from typing import Any

import numpy as np
import pytest

from purecnn import (
    SGD,
    Adam,
    BatchNormalization,
    Convolutional,
    Dense,
    Flatten,
    LearningRate,
    Network,
    ReLU,
    Softmax,
    Tanh,
    plots,
)
from purecnn.errors import DivergedError
from purecnn.inspection import LearningRateRange, find_learning_rate
from purecnn.inspection.learning_rates import running_means, steepest

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((96, 3))
Y = np.tanh(X[:, :1] - X[:, 1:2]) + 0.5
IMAGES = RANDOM.integers(0, 256, (90, 6, 6), dtype=np.uint8)
LABELS = (IMAGES[:, :3].mean(axis=(1, 2)) > IMAGES[:, 3:].mean(axis=(1, 2))).astype(int)


def network() -> Network:
    return Network([Dense(3, 8), Tanh(), Dense(8, 1)], task="regression")


def pictures() -> Network:
    layers = [Convolutional(kernel_size=3, depth=3), BatchNormalization(), ReLU(), Flatten()]
    return Network([*layers, Dense(output_size=2), Softmax()])


def test_the_rates_rise_evenly_and_the_losses_are_those_of_such_a_fit() -> None:
    options: dict[str, Any] = {"batch_size": 32, "loss": "mse"}
    found = find_learning_rate(network(), X, Y, low=1e-4, high=1e-2, steps=20, optimizer="sgd", **options)
    np.testing.assert_allclose(found.rates, np.geomspace(1e-4, 1e-2, 20), rtol=1e-12)
    optimizer, losses = SGD(), []

    class Note(LearningRate):
        def step(self, epoch: int, step: int, loss: float) -> None:
            losses.append(loss)
            super().step(epoch, step, loss)

    schedule = Note(optimizer, lambda p: 1e-4 * 100 ** (p * 21 / 19))
    network().fit(X, Y, epochs=7, optimizer=optimizer, callbacks=[schedule], **options)
    np.testing.assert_allclose(found.losses, losses[:20], rtol=1e-6)
    np.testing.assert_allclose(found.smoothed[5], found.losses[4:7].mean(), rtol=1e-12)


@pytest.mark.parametrize("make", [network, pictures])
def test_the_network_and_the_optimizer_stay_as_they_are(make: Any) -> None:
    made, optimizer = make(), Adam(0.01)
    x, y, loss = (X, Y, "mse") if make is network else (IMAGES, LABELS, None)
    made.fit(x, y, optimizer=optimizer, loss=loss, batch_size=30)
    buffers = [b.copy() for layer in made for b in layer.buffers.values()]
    before = (made.parameters.copy(), made.updates, made.epochs, made.history, made.optimizer, made.task)
    state, steps = {name: array.copy() for name, array in optimizer.state.items()}, optimizer.steps
    find_learning_rate(made, x, y, optimizer=optimizer, loss=loss, batch_size=30, steps=15)
    np.testing.assert_array_equal(made.parameters, before[0])
    assert (made.updates, made.epochs, made.history, made.optimizer, made.task) == before[1:]
    assert (optimizer.steps, optimizer.learning_rate) == (steps, 0.01)
    for name, array in state.items():
        np.testing.assert_array_equal(optimizer.state[name], array)
    for buffer, kept in zip((b for layer in made for b in layer.buffers.values()), buffers, strict=True):
        np.testing.assert_array_equal(buffer, kept)


def test_a_network_that_is_not_bound_stays_so() -> None:
    made = pictures()
    assert find_learning_rate(made, IMAGES, LABELS, steps=10, batch_size=30).suggestion is not None
    assert (made.input_shape, made.preprocessing.kind) == (None, pictures().preprocessing.kind)


def test_it_ends_where_the_loss_has_risen_or_is_infinite() -> None:
    options: dict[str, Any] = {"optimizer": "sgd", "loss": "mse", "batch_size": 32, "high": 1e4}
    risen = find_learning_rate(network(), X, Y, stop_at=2, **options)
    later = find_learning_rate(network(), X, Y, stop_at=1e30, **options)
    assert 10 < len(risen.rates) < len(later.rates) <= 100
    assert max(risen.losses) > 2 * min(risen.smoothed)
    assert np.isfinite(later.losses).all()
    np.testing.assert_array_equal(risen.losses, later.losses[: len(risen.losses)])


def test_the_suggestion_is_a_rate_that_trains() -> None:
    found = find_learning_rate(network(), X, Y, optimizer="sgd", loss="mse", batch_size=32, high=100)
    assert found.suggestion is not None
    made = network()
    history = made.fit(X, Y, epochs=10, optimizer=SGD(found.suggestion), loss="mse", batch_size=32)
    assert history.loss[-1] < 0.5 * history.loss[0]


def test_threads_change_no_bit() -> None:
    one, two = (
        find_learning_rate(pictures(), IMAGES, LABELS, steps=12, batch_size=30, shards=3, threads=threads)
        for threads in (1, 2)
    )
    np.testing.assert_array_equal(one.losses, two.losses)


def test_a_last_batch_of_one_is_left_out_where_it_must_be() -> None:
    made = Network([BatchNormalization(), Dense(output_size=1)], task="regression")
    found = find_learning_rate(made, X[:33], Y[:33], loss="mse", batch_size=16, steps=10)
    assert len(found.rates) == 10


def test_steepest_descent_by_hand() -> None:
    rates = np.array([1.0, 2, 4, 8, 16])
    assert steepest(rates, np.array([9.0, 8, 4, 3, 7])) == 2.0  # slopes -1, -2.5, -2.5, 1.5, 4
    assert steepest(rates, np.array([9.0, 8, 3, 2, 7])) == 2.0  # slopes -1, -3, -3, 2, 5
    assert steepest(rates, np.array([9.0, 9, 7, 2, 7])) == 4.0  # slopes 0, -1, -3.5, 0, 5
    assert steepest(rates, np.array([1.0, 1, 1, 1, 1])) is None
    assert steepest(rates[:1], np.array([1.0])) is None
    assert running_means(np.array([0.0, 3, 6, 9]), 2).tolist() == [3.0, 4.5, 4.5, 6.0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"low": 0}, "low must be a number above 0, got 0"),
        ({"high": -1}, "high must be a number above 0, got -1"),
        ({"low": 1, "high": 1}, "high must be above low, 1, got 1"),
        ({"steps": 9}, "steps must be an integer of at least 10, got 9"),
        ({"steps": 10**30}, "steps must be at most 1000000, got 10{30}"),
        ({"stop_at": 1}, "stop_at must be a number above 1, got 1"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        find_learning_rate(network(), X, Y, loss="mse", **options)


def test_a_first_loss_that_is_infinite_is_told() -> None:
    with pytest.raises(DivergedError, match="the loss became inf at step 1"):
        find_learning_rate(network(), X * 1e30, Y * 1e30, loss="mse")


def test_its_plot() -> None:
    pytest.importorskip("plotly")
    found = find_learning_rate(network(), X, Y, loss="mse", steps=30)
    figure = plots.learning_rate_range(found)
    np.testing.assert_array_equal(figure.data[0].y, found.losses)
    np.testing.assert_array_equal(figure.data[1].y, found.smoothed)
    assert figure.data[2].x == (found.suggestion,)
    assert figure.layout.xaxis.type == "log"
    flat = LearningRateRange(found.rates, found.losses, found.smoothed, None)
    figure = plots.learning_rate_range(flat)
    assert (len(figure.data), figure.layout.title.text) == (2, "no learning rate lets the loss fall")
    assert plots.learning_rate_range(flat, title="mine").layout.title.text == "mine"
    with pytest.raises(TypeError, match="what find_learning_rate returns is wanted, got 3"):
        plots.learning_rate_range(3)  # type: ignore[arg-type]
