"""A network that has diverged, and huge values: sentences of the package, and no warnings of NumPy."""

import numpy as np
import pytest

from purecnn import (
    BatchNormalization,
    CNNRegressor,
    Convolutional,
    Dense,
    Flatten,
    Network,
    Softmax,
    metrics,
    plots,
    trace,
    write_report,
)
from purecnn.backend.overflow import unwarned
from purecnn.errors import DivergedError
from purecnn.losses import mse, mse_prime, softmax_cross_entropy

X = np.random.default_rng(0).random((12, 1, 8, 8), dtype=np.float32)
Y = np.arange(12) % 3


def diverged(value):
    """Return a network whose parameters are `value` and its negative by turns."""
    layers = [Convolutional(kernel_size=3, depth=2), BatchNormalization(), Flatten(), Dense(3), Softmax()]
    network = Network(layers, input_shape=(1, 8, 8))
    network.parameters[:] = np.where(np.arange(network.parameters.size) % 2, value, -value)
    return network


@pytest.mark.parametrize("value", [1e30, 3e38, np.inf, np.nan])
def test_a_diverged_network_is_told_of_without_a_warning(value, tmp_path):
    network = diverged(value)
    assert network.predict(X).shape == (12, 3)
    assert set(network.evaluate(X, Y)) == {"loss", "accuracy"}
    assert trace(network, X, Y)[-1].output.shape == (12, 3)
    with pytest.raises(DivergedError, match="the loss became"):
        network.fit(X, Y)
    with pytest.raises((ValueError, DivergedError)):
        write_report(network, X, Y, tmp_path / "report.html")


def test_an_embedding_of_what_is_no_number():
    pytest.importorskip("plotly")
    with pytest.raises(ValueError, match=r"an embedding wants finite numbers.*has the network diverged"):
        plots.embedding(diverged(np.nan), X, Y)


def test_huge_values_in_answers_and_scores():
    with pytest.raises(ValueError, match="y_pred must hold probabilities"):
        metrics.log_loss([0], [[1e308, 1e308, 1e308]])
    values = np.full((12, 1), 3e38, np.float32)
    measured = Network([Dense(1)], input_shape=1).evaluate(values, -values, loss="mean_absolute_error")
    assert measured["loss"] == np.inf


def test_huge_answers_of_a_regressor():
    pytest.importorskip("sklearn")
    with pytest.raises(ValueError, match=r"at most 1e\+150 in size, got 1e\+300"):
        CNNRegressor(epochs=1).fit(X[:, 0, 0], np.where(Y, 1e300, -1e300))


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3)])
def test_losses_of_nothing(shape):
    for function in (mse, mse_prime, softmax_cross_entropy):
        with pytest.raises(ValueError, match="must hold at least one value, got shape"):
            function(np.zeros(shape), np.zeros(shape))


def test_who_asked_numpy_to_raise_is_heeded():
    with np.errstate(over="raise"), unwarned(), pytest.raises(FloatingPointError):
        np.float32(3e38) * np.float32(10)
