"""Every backward pass against finite differences; and the checker against backward passes that are wrong."""

import copy

import numpy as np
import pytest

from helpers.every_layer import EVERY, made
from purecnn import (
    AveragePooling,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    Identity,
    Layer,
    MaxPooling,
    Network,
    ReLU,
    ShapeError,
    Sigmoid,
    Softmax,
    Tanh,
    check_gradients,
    losses,
)
from purecnn.errors import GradientError
from purecnn.inspection import GradientReport, GradientRow
from purecnn.inspection.gradients import COLUMNS, FULL


@pytest.mark.no_cover  # thousands of runs through the same lines: counting them would double the time
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", EVERY)
def test_every_layer(name: str, batch: int) -> None:
    layer, shape = EVERY[name]
    assert check_gradients(layer, shape, batch=batch, seed=batch).raise_if_wrong().worst.error < 1e-6


@pytest.mark.parametrize("name", ["convolution", "max pooling, overlapping", "dense", "gelu", "softmax"])
def test_layers_too_large_for_a_whole_jacobian(name: str) -> None:
    layer, shape = EVERY[name]
    report = check_gradients(layer, shape, batch=50).raise_if_wrong()
    assert report.rows[0].how.startswith("3 projections of ")


@pytest.mark.parametrize("batch", [1, 3, 400])
@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_loss_and_its_joint_form(name: str, batch: int) -> None:
    report = check_gradients(name, (5,), batch=batch).raise_if_wrong()
    joined = losses.LOSSES[name].joint is not None
    assert [row.name for row in report.rows] == ["y_pred", "logits, jointly"][: 1 + joined]


@pytest.mark.parametrize("delta", [0.1, 1.0, 2.5])
def test_huber_with_other_deltas(delta: float) -> None:
    pair = (
        lambda y, p: losses.huber(y, 4 * p, delta),
        lambda y, p: 4 * losses.huber_prime(y, 4 * p, delta),
    )
    check_gradients(pair, (40,)).raise_if_wrong()


#: Of its images: small, for each parameter costs runs, yet the windows of the average pooling overlap.
IMAGE = (2, 8, 12)


def lenet(last: Layer) -> list[Layer]:
    return [
        Convolutional(kernel_size=3, depth=2, padding=1),
        ReLU(),
        MaxPooling(2),
        Convolutional(kernel_size=2, depth=3, stride=2, per_position_bias=True),
        Tanh(),
        AveragePooling(2, stride=1),
        Flatten(),
        Dropout(0.25),
        Dense(output_size=3),
        last,
    ]


@pytest.mark.no_cover  # thousands of runs through the same lines: counting them would double the time
@pytest.mark.parametrize(
    ("last", "loss", "seed"),
    [
        (Softmax(), None, 0),
        (Softmax(), "categorical_cross_entropy", 1),
        (Sigmoid(), "binary_cross_entropy", 2),
        (Identity(), "softmax_cross_entropy", 3),
        (Tanh(), (losses.mse, losses.mse_prime), 4),
    ],
)
def test_a_whole_network_with_and_without_a_loss(last: Layer, loss: object, seed: int) -> None:
    report = check_gradients(lenet(last), IMAGE, loss=loss, seed=seed).raise_if_wrong()
    assert [row.name for row in report.rows] == [
        "input",
        "0 Convolutional kernels",
        "0 Convolutional biases",
        "3 Convolutional kernels",
        "3 Convolutional biases",
        "8 Dense weights",
        "8 Dense biases",
    ]


def test_a_network_is_left_as_it_was() -> None:
    network = Network(lenet(Softmax()), input_shape=IMAGE)
    before = network.parameters.copy()
    check_gradients(network, loss="categorical_cross_entropy").raise_if_wrong()
    assert network.parameters.dtype == np.float32
    np.testing.assert_array_equal(network.parameters, before)
    assert network[0].parameters["kernels"].base is network.parameters


# What the checker must find -------------------------------------------------------------------------------


def wrong(layer: Layer, name: str, spoil: object) -> Layer:
    """Return the layer, but with one of its derivatives spoilt."""

    class Wrong(type(layer)):
        def backward(self, output_gradient):
            back = super().backward(output_gradient)
            if name == "input":
                return spoil(back.copy())
            self.gradients[name][...] = spoil(self.gradients[name])
            return back

    layer.__class__ = Wrong
    return layer


def by_a_thousandth(g: np.ndarray) -> np.ndarray:
    return g * 1.001


#: One entry of the table for each class: the first.
FIRST = [*{type(layer): name for name, (layer, _) in reversed(EVERY.items())}.values()]
#: A normalization behind a bias takes it away again, so that the derivative is 0, and a thousandth of it too.
ZERO = [("residual with shortcut", "0.biases")]


def derivatives() -> list[tuple[str, str, int]]:
    """Return a layer of each class, each thing that it has a derivative by, and sizes of batches."""
    return [
        (layer, name, batch)
        for layer in FIRST
        for name in ("input", *made(layer)[0].parameter_shapes())
        if (layer, name) not in ZERO
        for batch in (2, 60)
    ]


@pytest.mark.no_cover
@pytest.mark.parametrize(("layer", "name", "batch"), derivatives())
def test_a_derivative_off_by_a_thousandth_fails(layer: str, name: str, batch: int) -> None:
    kind, shape = copy.deepcopy(EVERY[layer])
    report = check_gradients(wrong(kind, name, by_a_thousandth), shape, batch=batch)
    assert not report.ok
    assert [row.name for row in report.rows if row.error > report.tolerance] == [name]
    assert 1e-5 < report.worst.error < 3e-3


@pytest.mark.parametrize("batch", [2, 60])
def test_one_element_off_by_a_thousandth_fails(batch: int) -> None:
    def spoil(g):
        g = g.copy()
        g.flat[np.abs(g).argmax()] *= 1.001
        return g

    for name in ("input", "weights", "biases"):
        assert not check_gradients(wrong(Dense(output_size=4), name, spoil), (5,), batch=batch).ok


@pytest.mark.parametrize(
    "spoil",
    [lambda g: -g, lambda g: g[::-1], lambda g: 0 * g, lambda g: np.full_like(g, np.nan), lambda g: g / 2],
    ids=["sign", "order", "zero", "nan", "half"],
)
def test_grosser_errors_fail(spoil) -> None:
    assert not check_gradients(wrong(Dense(output_size=4), "weights", spoil), (5,)).ok
    assert not check_gradients(wrong(Dense(output_size=4), "input", spoil), (5,), batch=200).ok


def test_a_wrong_layer_in_a_network_is_named() -> None:
    network = lenet(Softmax())
    wrong(network[3], "kernels", by_a_thousandth)
    report = check_gradients(network, IMAGE, loss="categorical_cross_entropy")
    assert [row.name for row in report.rows if row.error > 1e-6] == ["3 Wrong kernels"]


@pytest.mark.parametrize("name", losses.LOSSES)
def test_a_loss_off_by_a_thousandth_fails(name: str) -> None:
    loss = losses.LOSSES[name]
    assert not check_gradients((loss.function, lambda y, p: 1.001 * loss.prime(y, p))).ok
    if loss.joint:

        def joint(y, z):
            value, slope = loss.joint(y, z)
            return value, 1.001 * slope

        report = check_gradients(losses.Loss(loss.function, loss.prime, loss.activation, joint))
        assert [row.name for row in report.rows if row.error > 1e-6] == ["logits, jointly"]


def test_a_bias_of_zero_hides_no_derivative_that_forgets_it() -> None:
    class Shifted(Layer):
        """``y = (x + shift)^2``, its backward pass forgetting the shift."""

        def parameter_shapes(self):
            return {"bias": (4, 1)}

        def forward(self, input):
            self.input = self.receive(input)
            return (self.input + self.parameters["bias"]) ** 2

        def backward(self, output_gradient):
            self.gradients["bias"] = (2 * output_gradient * self.input).sum(1, keepdims=True)
            return 2 * output_gradient * self.input

    assert not check_gradients(Shifted(), (4,)).ok


def test_the_report_is_a_table_and_raises() -> None:
    report = GradientReport(
        (GradientRow("input", 3.2e-11, "Jacobian, 4 x 5"), GradientRow("weights", 2e-3, "3 projections")),
        1e-6,
    )
    assert str(report).splitlines() == [
        "derivative by  relative error  compared       ",
        "input                 3.2e-11  Jacobian, 4 x 5  right",
        "weights               2.0e-03  3 projections    WRONG",
    ]
    with pytest.raises(
        AssertionError, match=r"by weights is off by 2\.0e-03, at most 1e-06 is wanted\nderiv"
    ):
        report.raise_if_wrong()
    with pytest.raises(GradientError):
        report.raise_if_wrong()


def test_small_jacobians_are_compared_whole() -> None:
    rows = check_gradients(Dense(10, 10), batch=2).rows
    assert [row.how for row in rows] == ["Jacobian, 20 x 20", "Jacobian, 20 x 100", "Jacobian, 20 x 10"]
    assert FULL == 20 * 100
    assert check_gradients("mse", (COLUMNS,), batch=1).rows[0].how == f"Jacobian, 1 x {COLUMNS}"
    assert (
        check_gradients("mse", (COLUMNS + 1,), batch=1).rows[0].how == f"3 projections of 1 x {COLUMNS + 1}"
    )


class Forgetful(Layer):
    """A layer whose backward pass leaves something out, or answers in another shape or dtype."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def parameter_shapes(self):
        return {"scale": (1, 1)}

    def forward(self, input):
        self.input = self.receive(input)
        y = self.input * self.parameters["scale"]
        return y.astype(np.float32) if self.fault == "dtype" else y

    def backward(self, output_gradient):
        self.gradients = {}
        if self.fault != "parameter":
            self.gradients["scale"] = np.sum(output_gradient * self.input)[None]
        if self.fault == "input":
            return None
        return output_gradient * self.parameters["scale"]


@pytest.mark.parametrize(
    ("target", "options", "error", "message"),
    [
        (Dense(output_size=3), {}, ValueError, r"give the shape of one sample as input_shape: Dense"),
        ([], {}, ValueError, "at least one layer, got none"),
        (7, {}, TypeError, r"a loss or its name, or \(loss, derivative\); got 7"),
        ("mes", {}, ValueError, "loss must be one of mse, .* got 'mes'"),
        ("mse", {"loss": "mse"}, TypeError, "target must be a Layer or a list of them, got 'mse'"),
        (Dense(2, 3), {"batch": 0}, ValueError, "batch must be an integer of at least 1, got 0"),
        (Dense(2, 3), {"epsilon": 0}, ValueError, "epsilon must be a number above 0, got 0"),
        (Dense(2, 3), {"tolerance": "x"}, TypeError, "tolerance must be a finite number above 0, got 'x'"),
        (
            Dense(2, 3),
            {"projections": 1.5},
            TypeError,
            "projections must be an integer of at least 1, got 1.5",
        ),
        (Dense(2, 3), {"seed": -1}, ValueError, "seed must be from 0 to .* got -1"),
        (Dense(2, 3), {"input_shape": (4,)}, ShapeError, "wants 2 inputs, got 4"),
        (Forgetful("input"), {"input_shape": (4,)}, ValueError, "must return an input gradient .* got None"),
        (Forgetful("parameter"), {"input_shape": (4,)}, ValueError, r"must write gradients\['scale'\]"),
        (
            Forgetful("shape"),
            {"input_shape": (4,)},
            ShapeError,
            r"scale must have its shape, \(1, 1\); got \(1,\)",
        ),
        (Forgetful("dtype"), {"input_shape": (4,)}, TypeError, "float64; its output is float32"),
    ],
)
def test_what_can_not_be_checked_is_refused_in_one_sentence(target, options, error, message) -> None:
    with pytest.raises(error, match=message):
        check_gradients(target, **options)
