"""Metrics against scikit-learn's numbers and against numbers worked out by hand; what they refuse."""

import math

import numpy as np
import pytest

from helpers.torch_numbers import cases, close, part
from purecnn import ShapeError
from purecnn.losses import LOSSES
from purecnn.metrics import (
    accuracy,
    calibration_error,
    class_table,
    confusion_matrix,
    f1,
    log_loss,
    precision,
    recall,
    top_k_accuracy,
)
from purecnn.metrics.registry import METRICS, as_metrics, measure

KINDS = {"precision": precision, "recall": recall, "f1": f1}


# Against scikit-learn --------------------------------------------------------------------------------------


@pytest.fixture(params=["plain", "weighted"])
def told(request):
    """What scikit-learn says of a case, with the options under which it says so."""

    def of(case):
        data = part("metrics", case["name"])
        weights = data["sample_weight"] if request.param == "weighted" else None
        return data, case[request.param], {"sample_weight": weights}

    return of


@pytest.mark.parametrize("case", cases("metrics"))
def test_accuracy_log_loss_and_top_k_are_scikit_learns(case, told):
    data, expected, options = told(case)
    y, p = data["y_true"], data["probabilities"]
    for form in (data["y_pred"], p):
        close(accuracy(y, form, **options), expected["accuracy"])
    rtol = 1e-6 if p.dtype == np.float32 else 1e-10  # scikit-learn adds up in the dtype given
    one_hot = np.eye(case["classes"])[y]
    for truth in (y, one_hot, one_hot.astype(int), y[:, np.newaxis]):
        close(log_loss(truth, p, **options), expected["log_loss"], rtol=rtol)
        for k in range(1, case["classes"]):
            close(top_k_accuracy(truth, p, k=k, **options), expected[f"top_{k}_accuracy"])
    close(top_k_accuracy(y, p, k=case["classes"], **options), 1.0)


@pytest.mark.parametrize("normalize", [None, "true", "pred", "all"])
@pytest.mark.parametrize("case", cases("metrics"))
def test_the_confusion_matrix_is_scikit_learns(case, normalize, told):
    data, expected, options = told(case)
    found = confusion_matrix(data["y_true"], data["probabilities"], normalize=normalize, **options)
    close(found, expected[f"confusion_{normalize or 'none'}"])
    if normalize is None and options["sample_weight"] is None:
        assert found.dtype == np.int64


@pytest.mark.parametrize("zero_division", [0.0, 1.0, np.nan])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", cases("metrics"))
def test_precision_recall_and_f1_are_scikit_learns(case, kind, zero_division, told):
    data, expected, options = told(case)
    averages = ["macro", "micro", "weighted", None, *(["binary"] if case["classes"] == 2 else [])]
    for average in averages:
        found = KINDS[kind](
            data["y_true"],
            data["y_pred"],
            classes=case["classes"],
            average=average,
            zero_division=zero_division,
            **options,
        )
        close(found, expected[f"{kind}_{average or 'each'}_{zero_division:g}"])


# By hand ---------------------------------------------------------------------------------------------------

#: Three of class 0, of which two are found; two of class 1, one found; one of class 2, taken for 0.
TRUE, SAID = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 0]


def test_numbers_by_hand():
    assert accuracy(TRUE, SAID) == 3 / 6
    assert confusion_matrix(TRUE, SAID).tolist() == [[2, 1, 0], [1, 1, 0], [1, 0, 0]]
    close(precision(TRUE, SAID, average=None), [2 / 4, 1 / 2, 0])
    close(recall(TRUE, SAID, average=None), [2 / 3, 1 / 2, 0])
    close(f1(TRUE, SAID, average=None), [4 / 7, 2 / 4, 0])
    close(f1(TRUE, SAID), (4 / 7 + 1 / 2) / 3)
    close(f1(TRUE, SAID, average="weighted"), (3 * 4 / 7 + 2 * 1 / 2) / 6)
    close(f1(TRUE, SAID, average="micro"), 1 / 2)
    close(precision(TRUE, SAID, zero_division=np.nan), 1 / 2)


def test_a_class_that_occurs_nowhere_has_a_row_and_no_part_in_the_mean():
    assert confusion_matrix(TRUE, SAID, classes=4).shape == (4, 4)
    close(recall(TRUE, SAID, classes=4, average=None), [2 / 3, 1 / 2, 0, 0])
    assert recall(TRUE, SAID, classes=4) == recall(TRUE, SAID)
    assert math.isnan(f1(TRUE, SAID, classes=4, average=None, zero_division=np.nan)[3])


def test_a_lone_output_is_class_1_above_a_half():
    outputs, y = np.array([[0.5], [0.51], [0.2], [0.9]]), [0, 1, 1, 1]
    for form in (outputs, outputs[:, 0], np.float32(outputs)):
        assert accuracy(y, form) == 3 / 4
        assert confusion_matrix(y, form).tolist() == [[1, 0], [1, 2]]
        assert precision(y, form, average="binary") == 1
        assert recall(y, form, average="binary") == 2 / 3
        close(log_loss(y, form), -np.mean(np.log([0.5, 0.51, 0.2, 0.9])), rtol=1e-6)
        assert top_k_accuracy(y, form, k=1) == 3 / 4
    assert accuracy([[0.0], [1.0], [1.0], [1.0]], outputs) == 3 / 4
    assert accuracy([0, 1], [[-0.3], [1.2]]) == 1  # a Tanh's: no probabilities, and yet an answer


def test_soft_targets_share_a_sample_out():
    y, p = [[0.9, 0.1], [0.5, 0.5]], [[0.6, 0.4], [0.25, 0.75]]
    by_hand = -(0.9 * math.log(0.6) + 0.1 * math.log(0.4) + 0.5 * math.log(0.25) + 0.5 * math.log(0.75)) / 2
    close(log_loss(y, p), by_hand)
    close(log_loss(y, p, sample_weight=[0, 3]), -(0.5 * math.log(0.25) + 0.5 * math.log(0.75)))


def test_a_certain_mistake_costs_much_and_not_infinitely_much():
    close(log_loss([1], [[1.0, 0.0]]), -math.log(np.finfo(np.float64).eps))
    close(log_loss([1], np.float32([[1, 0]])), -math.log(np.finfo(np.float32).eps))


def test_equal_scores_rank_the_lower_label_first():
    p = [[0.25, 0.25, 0.25, 0.25]] * 4
    assert [top_k_accuracy([0, 1, 2, 3], p, k=k) for k in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1]
    assert top_k_accuracy([1, 1], [[3, 1, 2], [0, 4, 4]], k=1) == 0.5  # scores may be integers
    assert top_k_accuracy([0, 1, 2, 3], p, k=1) == accuracy([0, 1, 2, 3], p)


def test_the_calibration_error_by_hand():
    # Two bins: up to 0.5, and above. Lower: one sample, 0.5 sure and right. Upper: 0.6 right, 0.9 right and
    # 0.9 wrong, so 2 of 3 right at a mean of 0.8.
    p, y = [[0.5, 0.5], [0.6, 0.4], [0.1, 0.9], [0.9, 0.1]], [0, 0, 1, 1]
    close(calibration_error(y, p, bins=2), 1 / 4 * 0.5 + 3 / 4 * (0.8 - 2 / 3))
    # The same as a lone output's probability of class 1.
    close(calibration_error(y, [0.5, 0.4, 0.9, 0.1], bins=2), 1 / 8 + 0.1)
    # Weights: the first counts for nothing, the last three times.
    close(
        calibration_error(y, p, bins=2, sample_weight=[0, 1, 1, 3]),
        abs((1 - 0.6) + (1 - 0.9) - 3 * 0.9) / 5,
    )


def test_the_calibration_error_in_plain_loops():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), 300)
    y, total = rng.integers(0, 4, 300), 0.0
    for low in range(15):
        inside = [i for i in range(300) if low / 15 < p[i].max() <= (low + 1) / 15]
        if inside:
            right = sum(int(p[i].argmax()) == y[i] for i in inside) / len(inside)
            sure = sum(p[i].max() for i in inside) / len(inside)
            total += len(inside) / 300 * abs(right - sure)
    assert total > 0.1
    close(calibration_error(y, p), total)
    assert calibration_error([0, 1], [[1.0, 0.0], [0.0, 1.0]]) == 0


def test_the_table_of_classes():
    table = class_table(TRUE, SAID, names=["zero", "one", "two"])
    lines = str(table).splitlines()
    assert lines[0].split() == ["class", "precision", "recall", "f1", "samples"]
    assert lines[2].split() == ["zero", "0.5000", "0.6667", "0.5714", "3"]
    assert lines[6].split() == ["accuracy", "0.5000", "6"]
    assert lines[7].split() == ["macro", "0.3333", "0.3889", "0.3571", "6"]
    assert lines[8].split() == ["weighted", "0.4167", "0.5000", "0.4524", "6"]
    assert {len(line) for line in lines} == {len(lines[0])}
    assert table.support.tolist() == [3, 2, 1]
    assert repr(table) == str(table)
    weighted = class_table(TRUE, SAID, sample_weight=[0.5] * 6, classes=4)
    assert weighted.names == ("0", "1", "2", "3")
    assert str(weighted).splitlines()[2].split()[-1] == "1.5"


# By name ---------------------------------------------------------------------------------------------------


def test_every_metric_by_its_name_gives_a_number_or_lists_of_them():
    rng = np.random.default_rng(1)
    y, p = rng.integers(0, 2, 40), rng.dirichlet(np.ones(2), 40)
    found = measure(as_metrics([*METRICS["classification"], "top_1_accuracy"]), y, p)
    assert found.pop("confusion_matrix") == confusion_matrix(y, p).tolist()
    assert all(type(value) is float for value in found.values())
    assert found["top_1_accuracy"] == found["accuracy"] == accuracy(y, p)
    assert found["f1_weighted"] == f1(y, p, average="weighted")
    assert found["recall_binary"] == recall(y, p, average="binary")


def test_functions_of_ones_own_see_what_they_can_not_change():
    def spoils(y_true, y_pred):
        y_true[0] = 1

    def largest(y_true, y_pred):
        return y_pred.max()

    y, p = np.zeros(3, int), np.full((3, 2), 0.5)
    assert measure(as_metrics([largest]), y, p) == {"largest": 0.5}
    assert measure(as_metrics({"own": largest, "k": "top_2_accuracy"}), y, p) == {"own": 0.5, "k": 1.0}
    with pytest.raises(ValueError, match="read-only"):
        measure(as_metrics([spoils]), y, p)
    assert y.flags.writeable
    assert p.flags.writeable


@pytest.mark.parametrize("value", ["high", None, np.array(["a"]), True, [1.0]])
def test_what_a_metric_returns_must_be_a_number(value):
    with pytest.raises(TypeError, match="the metric own must return a number or an array of numbers, got"):
        measure({"own": lambda t, p: value}, np.zeros(1), np.zeros((1, 1)))


def test_scores_become_probabilities_where_the_loss_takes_scores():
    scores = np.array([[0.0, math.log(3)]])
    close(LOSSES["softmax_cross_entropy"].probabilities(scores), [[0.25, 0.75]])
    close(LOSSES["sigmoid_binary_cross_entropy"].probabilities(scores), [[0.5, 0.75]])
    assert LOSSES["mse"].probabilities(scores) is scores


# Refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: accuracy([0, 1], [0]), ValueError, "as many samples, got 2 and 1"),
        (lambda: accuracy([0, -1], [0, 0]), ValueError, "y_true must hold labels of at least 0, got -1"),
        (lambda: accuracy([0.0, 2.0], [0, 1]), ValueError, "y_true of shape .* floats from 0 to 1, got 2"),
        (lambda: accuracy([0, 1], [0.0, -2.0]), ValueError, "y_pred of shape .* floats from 0 to 1, got -2"),
        (lambda: accuracy([0, 1], ["a", "b"]), TypeError, "y_pred must hold real numbers"),
        (lambda: accuracy(np.zeros((2, 2, 2)), [0, 1]), ShapeError, r"got shape \(2, 2, 2\)"),
        (lambda: accuracy(np.eye(3), np.eye(3)[:, :2]), ShapeError, "as many classes, got 3 and 2"),
        (lambda: accuracy([0, 3], np.eye(2)), ValueError, "labels must be from 0 to 1, got 3"),
        (lambda: confusion_matrix([0, 3], [0, 1], classes=3), ValueError, "from 0 to 2, got 3"),
        (
            lambda: confusion_matrix([0], [0], classes=0),
            ValueError,
            "classes must be an integer of at least 1",
        ),
        (lambda: confusion_matrix([0], [0], normalize="rows"), ValueError, "one of true, pred, all or None"),
        (lambda: precision([0], [0], average="mean"), ValueError, "one of macro, .*, None, got 'mean'"),
        (lambda: f1([0, 2], [0, 1], average="binary"), ValueError, 'wants 2 classes, got 3: try "macro"'),
        (lambda: recall([0], [0], zero_division=0.5), ValueError, "must be 0, 1 or nan, got 0.5"),
        (lambda: recall([0], [0], zero_division="warn"), ValueError, "must be 0, 1 or nan, got 'warn'"),
        (lambda: accuracy([0, 1], [0, 1], sample_weight=[1]), ShapeError, r"shape \(2,\), got \(1,\)"),
        (lambda: accuracy([0], [0], sample_weight=[-1]), ValueError, "no negative number .*, got -1"),
        (lambda: accuracy([0], [0], sample_weight=[0]), ValueError, "got zeros alone"),
        (lambda: top_k_accuracy([0], [[1.0, 0.0]], k=3), ValueError, "number of classes, 2, got 3"),
        (lambda: top_k_accuracy([0, 1], [0, 1]), ShapeError, "a number for each class"),
        (lambda: log_loss([0], [[0.5, 0.6]]), ValueError, r"row 0 has \[0.5 0.6\]: is Softmax or Sigmoid"),
        (lambda: log_loss([0, 0], [[1.0, 0.0], [1.5, -0.5]]), ValueError, r"row 1 has \[ 1.5 -0.5\]"),
        (lambda: log_loss([2], [[0.5, 0.5]]), ValueError, "labels must be from 0 to 1, got 2"),
        (lambda: calibration_error([0], [[1.0, 0.0]], bins=0), ValueError, "bins must be an integer"),
        (lambda: class_table([0], [0], names=["a"], classes=2), ValueError, "each of 2 classes, got 1"),
        (lambda: as_metrics(3), TypeError, "a name, a function or a list of them, got 3"),
        (
            lambda: as_metrics(["acuracy"]),
            ValueError,
            "must be of accuracy, .*, got 'acuracy': did you mean 'accuracy'",
        ),
        (lambda: as_metrics(["top_0_accuracy"]), ValueError, "got 'top_0_accuracy'"),
        (lambda: as_metrics([3]), ValueError, "3 has no name"),
        (lambda: as_metrics({"three": 3}), TypeError, "a name or a function .*, got 3"),
        (lambda: as_metrics(["f1", f1]), ValueError, "'f1' is already taken"),
        (lambda: as_metrics({"loss": f1}), ValueError, "'loss' is already taken"),
        (lambda: as_metrics({"validation_f1": f1}), ValueError, "'validation_f1' is already taken"),
    ],
)
def test_each_refusal_is_one_sentence(call, kind, words):
    with pytest.raises(kind, match=words):
        call()
