"""Losses against PyTorch's numbers, and at the edges where logarithms end."""

import numpy as np
import pytest

from helpers.torch_numbers import cases, close, listed, part
from purecnn import ShapeError, check_gradients, losses
from purecnn.layers.registry import is_own
from purecnn.losses import LOSSES, Loss, as_loss, classification, focal, label_smoothing
from purecnn.losses.base import columns


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
        options = {**case["options"], "sample_weight": data["sample_weight"]}
        close(function(y_true, data["y_pred"], **options), data["weighted_loss"])
        close(prime(y_true, data["y_pred"], **options), data["weighted_gradient"])


@pytest.mark.parametrize("case", cases("losses"))
def test_weights_count_as_samples_do(case):
    function = getattr(losses, case["function"])
    prime = getattr(losses, f"{case['function']}_prime")
    data, options = part("losses", case["name"]), case["options"]
    y_true, y_pred = data["y_true"], data["y_pred"]
    times = np.arange(y_true.shape[1])  # the first sample not at all, the last most often
    repeated = np.repeat(y_true, times, axis=1), np.repeat(y_pred, times, axis=1)
    weighted = {**options, "sample_weight": times}
    close(function(y_true, y_pred, **weighted), function(*repeated, **options))
    slope = prime(*repeated, **options)
    owners = np.repeat(np.arange(len(times)), times)
    summed = np.stack([slope[:, owners == n].sum(axis=1) for n in range(len(times))], axis=1)
    close(prime(y_true, y_pred, **weighted), summed)
    alike = {**options, "sample_weight": np.full(len(times), 0.1)}
    close(function(y_true, y_pred, **alike), data["loss"])
    close(prime(y_true, y_pred, **alike), data["gradient"])
    nothing = {**options, "sample_weight": np.zeros(len(times))}
    assert function(y_true, y_pred, **nothing) == 0.0
    assert not prime(y_true, y_pred, **nothing).any()


@pytest.mark.parametrize("name", LOSSES)
def test_weighted_derivatives_against_finite_differences_and_the_joint_form(name):
    loss, weights = LOSSES[name], np.array([2.0, 0.0, 0.5])
    pair = (
        lambda y, p: loss.function(y, p, sample_weight=weights),
        lambda y, p: loss.prime(y, p, sample_weight=weights),
    )
    check_gradients(pair, (5,), batch=3).raise_if_wrong()
    if loss.joint:
        joint = (
            lambda y, z: loss.joint(y, z, sample_weight=weights)[0],
            lambda y, z: loss.joint(y, z, sample_weight=weights)[1],
        )
        check_gradients(joint, (5,), batch=3).raise_if_wrong()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LOSSES)
def test_weights_leave_the_predictions_dtype(name, dtype):
    weights, y = np.array([1.0, 2.0]), np.full((3, 2), 0.25, dtype)
    assert LOSSES[name].prime(y, y, sample_weight=weights).dtype == dtype
    if LOSSES[name].joint:
        assert LOSSES[name].joint(y, y, sample_weight=weights)[1].dtype == dtype


def test_a_weight_is_wanted_for_each_sample():
    with pytest.raises(ShapeError, match=r"one weight a sample, shape \(2,\), got \(3,\)"):
        losses.mse(np.zeros((4, 2)), np.ones((4, 2)), sample_weight=np.ones(3))


# Focal loss -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_losses_of_scores_are_finite_for_any_and_cross_entropies_without_gamma(gamma, dtype):
    z = np.array([[1e4, -1e4, 0.0, 3.0, 1e-30], [-1e4, 1e4, 0.0, -40.0, -1e-30]], dtype)
    y = np.array([[1.0, 1.0, 0.0, 0.25, 1.0], [0.0, 0.0, 1.0, 0.75, 0.0]], dtype)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        found = focal.softmax_focal_cross_entropy_both(y, z, gamma)
        of_two = focal.sigmoid_focal_cross_entropy_both(y, z, gamma)
    for (loss, slope), plain in (
        (found, losses.softmax_cross_entropy),
        (of_two, losses.sigmoid_binary_cross_entropy),
    ):
        assert np.isfinite(loss)
        assert np.isfinite(slope).all()
        assert slope.dtype == dtype
        assert not slope[:, 0].any()  # it is right, with all certainty
        assert (
            abs(slope[0, 1] * slope[0].size * (1 if plain is losses.softmax_cross_entropy else 2) + 1) < 1e-6
        )
        if gamma == 0:
            close(loss, plain(y, z), rtol=1e-6)
            close(slope, getattr(losses, f"{plain.__name__}_prime")(y, z), rtol=1e-6, atol=1e-6)


def test_a_focal_loss_of_a_negative_gamma_is_refused():
    y = np.eye(2)
    for function in (losses.categorical_focal_cross_entropy, losses.binary_focal_cross_entropy_prime):
        with pytest.raises(ValueError, match="gamma must be a number at least 0, got -1"):
            function(y, y, gamma=-1)


# Label smoothing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["name"]) for case in listed("losses", "smoothed")]
)
def test_smoothed_losses_are_pytorchs(case):
    data, loss = part("losses", case["name"]), label_smoothing(case["function"], case["amount"])
    for y_true in (data["y_true"], *([data["labels"]] if "labels" in data else [])):
        close(loss.function(y_true, data["y_pred"]), data["loss"])
        close(loss.prime(y_true, data["y_pred"]), data["gradient"])
        joint = label_smoothing("categorical_cross_entropy", case["amount"]).joint
        close(joint(y_true, data["y_pred"])[0], data["loss"])
        close(joint(y_true, data["y_pred"])[1], data["gradient"])


@pytest.mark.parametrize(
    "name", [name for name, loss in LOSSES.items() if loss.targets in ("classes", "shares")]
)
def test_smoothed_losses_keep_their_derivatives_and_weights(name):
    loss, given = label_smoothing(name, 0.2), LOSSES[name]
    assert (loss.joint is None) == (given.joint is None)
    assert (loss.activation, loss.targets, loss.weighted) == (given.activation, given.targets, True)
    check_gradients(loss, (5,)).raise_if_wrong()
    y, p = np.eye(3), np.full((3, 3), 1 / 4)
    weights, classes = np.array([0.0, 1.0, 2.0]), 3 if loss.targets == "classes" else 2
    softened = 0.8 * y + 0.2 / classes
    close(loss.function(y, p, sample_weight=weights), given.function(softened, p, sample_weight=weights))
    close(loss.prime(y, p, sample_weight=weights), given.prime(softened, p, sample_weight=weights))
    if loss.joint:
        found, wanted = (f.joint(a, 4 * y, sample_weight=weights) for f, a in ((loss, y), (given, softened)))
        close(found[0], wanted[0])
        close(found[1], wanted[1])


def test_a_smoothed_loss_of_ones_own_stays_ones_own():
    mine = Loss(lambda y, p: 0.0, lambda y, p: p, targets="classes")
    assert not any(map(is_own, (label_smoothing(mine, 0.1).function, label_smoothing(mine, 0.1).prime)))
    assert is_own(label_smoothing("kl_divergence", 0.1).function)


@pytest.mark.parametrize(
    ("loss", "amount", "words"),
    [
        ("mse", 0.1, "label smoothing wants a cross-entropy, got 'mse'"),
        ("softmax_cross_entropy", 1, "amount must be a number at least 0 and below 1, got 1"),
        ("softmax_cross_entropy", -0.1, "amount must be a number at least 0 and below 1, got -0.1"),
    ],
)
def test_what_can_not_be_smoothed(loss, amount, words):
    with pytest.raises(ValueError, match=words):
        label_smoothing(loss, amount)


# At the edges ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LOSSES)
def test_finite_where_the_prediction_is_saturated(name, dtype):
    probable = LOSSES[name].predictions == "probabilities"
    values = [0.0, 1.0, 1e-300, 1 - 1e-16] if probable else [0.0, 1e4, -1e4, 1.0]
    y_pred = np.array([[a, b] for a in values for b in values], dtype).T  # (2, N), every pair
    for y_true in (np.array([[1.0], [0.0]]), np.array([[0.0], [1.0]]), np.array([[0.5], [0.5]])):
        target = np.repeat(y_true, y_pred.shape[1], axis=1).astype(dtype)
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            loss, gradient = LOSSES[name].function(target, y_pred), LOSSES[name].prime(target, y_pred)
        assert np.isfinite(loss)
        assert np.isfinite(gradient).all()
        assert gradient.dtype == dtype


@pytest.mark.parametrize("name", ["binary_cross_entropy", "categorical_cross_entropy", "kl_divergence"])
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
    assert found.joint is classification.sigmoid_binary_cross_entropy_both
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
