"""A user's program with parts of the user's own: a layer, a loss, a metric, an optimizer, data, callbacks."""

from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

from purecnn import (
    SGD,
    Activation,
    Callback,
    Dataset,
    Dense,
    Flatten,
    History,
    Layer,
    LearningRate,
    Network,
    Optimizer,
    Softmax,
    check_gradients,
)
from purecnn.inspection import GradientReport
from purecnn.losses import Loss, label_smoothing
from purecnn.training import Fit

Array = npt.NDArray[Any]


class Scale(Layer):
    """Multiply each channel by a number of its own."""

    def __init__(self, start: float = 1.0) -> None:
        super().__init__()
        self.start = start

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"scales": (self.input_shape[0] if self.input_shape else 0, 1)}

    def draw(self, rng: np.random.Generator, dtype: npt.DTypeLike, gain: str) -> None:
        super().draw(rng, dtype, gain)
        self.parameters["scales"][...] = self.start

    def forward(self, input: Array) -> Array:
        self.input = self.receive(input)
        output: Array = self.parameters["scales"][:, :, None, None] * self.input
        return output

    def backward(self, output_gradient: Array) -> Array | None:
        products = self.receive_gradient(output_gradient) * self.input
        self.gradients["scales"][:, 0] = products.sum(axis=(1, 2, 3))
        return self.parameters["scales"][:, :, None, None] * output_gradient if self.propagate else None

    def configuration(self) -> dict[str, Any]:
        return {"start": self.start}


class Signs(Optimizer):
    """Step by the sign of a running mean of gradients."""

    states = ("mean",)

    def change(self, parameters: Array, gradient: Array, mean: Array) -> None:
        mean *= 0.9
        mean += 0.1 * gradient
        parameters -= self.learning_rate * np.sign(mean)


class Average(Callback):
    """Keep a running mean of the parameters."""

    def begin(self, epochs: int, steps: int) -> None:
        self.mean = self.fit.network.parameters.copy()

    def step(self, epoch: int, step: int, loss: float) -> None:
        self.mean += 0.05 * (self.fit.network.parameters - self.mean)

    def epoch(self, epoch: int, history: History) -> None:
        if history.loss[-1] < 0.01:
            self.fit.stop("good enough")

    def state(self) -> dict[str, Any]:
        return {"mean": self.mean}

    def restore(self, state: dict[str, Any]) -> None:
        self.mean = state["mean"]


class Stripes:
    """A data set of one's own."""

    labels = np.arange(40) % 2

    def __len__(self) -> int:
        return 40

    def batch(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return np.stack([np.full((4, 4), 200 * (row % 2), np.uint8) for row in rows])


def fourth_power(y_true: Array, y_pred: Array) -> float:
    return float(np.mean((y_pred - y_true) ** 4))


def fourth_power_prime(y_true: Array, y_pred: Array) -> Array:
    gradient: Array = 4 * (y_pred - y_true) ** 3 / y_true.size
    return gradient


def unsure(y_true: Array, y_pred: Array) -> float:
    return float((y_pred.max(axis=1) < 0.9).mean())


def look(fit: Fit) -> None:
    print(fit.epoch, fit.history.line())


def main() -> None:
    assert_type(check_gradients(Scale(), input_shape=(3, 4, 5)).raise_if_wrong(), GradientReport)
    check_gradients((fourth_power, fourth_power_prime)).raise_if_wrong()
    check_gradients(Activation(np.sin, np.cos), input_shape=(5,)).raise_if_wrong()

    stripes: Dataset = Stripes()
    network = Network([Scale(2.0), Flatten(), Dense(output_size=2), Softmax()], input_shape=(1, 4, 4))
    average = Average()
    history = network.fit(
        stripes, epochs=3, optimizer=Signs(0.01), callbacks=[average, look], metrics=[unsure]
    )
    assert_type(history, History)
    network.fit(Stripes(), metrics={"my own": unsure}, loss=label_smoothing("categorical_cross_entropy", 0.1))
    assert_type(network.evaluate(Stripes())["accuracy"], float)
    network.parameters = average.mean

    optimizer = SGD(0.01, momentum=0.9)
    curve = Network([Dense(1, 1)])
    x = np.linspace(-1, 1, 64).reshape(64, 1)
    schedule = LearningRate(optimizer, lambda progress: 0.01 * 0.1**progress)
    loss = Loss(fourth_power, fourth_power_prime)
    curve.fit(x, 3 * x + 1, loss=loss, optimizer=optimizer, callbacks=[schedule])
    curve.fit(x, 3 * x + 1, loss=fourth_power, loss_prime=fourth_power_prime, optimizer=optimizer)


if __name__ == "__main__":
    main()
