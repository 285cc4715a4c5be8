"""Losses against PyTorch's numbers, and at the edges where logarithms end."""

import numpy as np
import pytest

from purecnn import losses
from purecnn.losses import LOSSES, Loss, as_loss, columns
from reference import cases, close, part


@pytest.mark.parametrize("case", cases("losses"))
def test_losses_are_pytorchs(case):
    function = getattr(losses, case["function"])
    prime = getattr(losses, f"{case['function']}_prime")
    data = part("losses", case["name"])
    answers = [data["y_true"], *([data["labels"]] if "labels" in data else [])]
    for y_true in answers:
        loss = function(y_true, data["y_pred"], **case["options"])
        assert type(loss) is float
        close(loss, data["loss"])
        close(prime(y_true, data["y_pred"], **case["options"]), data["gradient"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LOSSES)
def test_finite_where_the_prediction_is_saturated(name, dtype):
    probable = bool(LOSSES[name].activation)
    values = [0.0, 1.0, 1e-300, 1 - 1e-16] if probable else [0.0, 1e4, -1e4, 1.0]
    y_pred = np.array([[a, b] for a in values for b in values], dtype).T  # (2, N), every pair
    for y_true in (np.array([[1.0], [0.0]]), np.array([[0.0], [1.0]]), np.array([[0.5], [0.5]])):
        target = np.repeat(y_true, y_pred.shape[1], axis=1).astype(dtype)
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            loss, gradient = LOSSES[name].function(target, y_pred), LOSSES[name].prime(target, y_pred)
        assert np.isfinite(loss)
        assert np.isfinite(gradient).all()
        assert gradient.dtype == dtype


@pytest.mark.parametrize("name", ["binary_cross_entropy", "categorical_cross_entropy"])
def test_finite_where_the_joint_form_is_saturated(name):
    loss = LOSSES[name]
    logits = np.array([[1e4, -1e4, 0, 1e4], [-1e4, 1e4, 0, 1e4]], np.float32)
    target = np.array([[1, 1, 0, 0], [0, 0, 1, 1]], np.float32)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        value, gradient = loss.joint(target, logits)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert gradient[0, 1] < 0 < gradient[1, 1]  # far off, and still pulled back


@pytest.mark.parametrize("name", LOSSES)
def test_a_derivative_has_the_predictions_dtype(name):
    y_pred = np.full((3, 2), 0.25, np.float32)
    for y_true in (np.full((3, 2), 0.5), np.ones((3, 2), np.int64)):
        assert LOSSES[name].prime(y_true, y_pred).dtype == np.float32


def test_whole_numbers_are_taken_as_predictions_too():
    np.testing.assert_array_equal(losses.mse_prime(np.array([[0, 1]]), np.array([[1, 1]])), [[1.0, 0.0]])


def test_a_perfect_prediction_costs_next_to_nothing():
    one_hot = np.eye(3)
    assert losses.categorical_cross_entropy(one_hot, one_hot) < 1e-15
    assert losses.binary_cross_entropy(one_hot, one_hot) < 1e-15


def test_labels_become_columns_and_columns_stay():
    like = np.zeros((3, 2), np.float32)
    hot = columns(np.array([2, 0]), like)
    assert hot.dtype == np.float32
    assert hot.tolist() == [[0, 1], [0, 0], [1, 0]]
    assert columns(hot, like) is hot


def test_a_known_pair_brings_its_joint_form_along():
    found = as_loss(losses.binary_cross_entropy, losses.binary_cross_entropy_prime)
    assert found.joint is losses.sigmoid_binary_cross_entropy_both
    assert as_loss(losses.binary_cross_entropy, losses.mse_prime) == Loss(
        losses.binary_cross_entropy, losses.mse_prime
    )
    assert as_loss(found) is found


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("mes", "loss must be one of mse, .*, got 'mes'"),
        (max, "is no loss of this package"),
    ],
)
def test_an_unknown_loss_is_refused(loss, message):
    with pytest.raises(ValueError, match=message):
        as_loss(loss)
