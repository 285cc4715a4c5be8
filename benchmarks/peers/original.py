"""The original algorithm, written anew: NumPy in float64 and SciPy's correlations, one sample at a time.

It is what purecnn grew from, kept at the speed that such a program has: every layer an object, every sample a
forward sweep, a backward sweep and an update on the way; no batch, no scratch memory, no float32.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.networks import Bench
from benchmarks.harness.setup import read
from benchmarks.harness.worker import Batches, StepByStep, serve


class Layer:
    """Keeps its input from the forward sweep for the backward sweep."""

    input: np.ndarray

    def forward(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def backward(self, gradient: np.ndarray, rate: float) -> np.ndarray:
        raise NotImplementedError


class Convolution(Layer):
    """Valid cross-correlation summed over the input channels, one bias at each output position."""

    def __init__(self, kernels: np.ndarray, biases: np.ndarray) -> None:
        from scipy.signal import convolve2d, correlate2d  # here, since XOR does without SciPy

        self.kernels, self.biases = kernels, biases
        self.convolve, self.correlate = convolve2d, correlate2d

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.input = x
        y = self.biases.copy()
        for out in range(len(self.kernels)):
            for channel in range(len(x)):
                y[out] += self.correlate(x[channel], self.kernels[out, channel], "valid")
        return y

    def backward(self, gradient: np.ndarray, rate: float) -> np.ndarray:
        kernel_gradient = np.zeros_like(self.kernels)
        input_gradient = np.zeros_like(self.input)
        for out in range(len(self.kernels)):
            for channel in range(len(self.input)):
                kernel_gradient[out, channel] = self.correlate(self.input[channel], gradient[out], "valid")
                input_gradient[channel] += self.convolve(gradient[out], self.kernels[out, channel], "full")
        self.kernels -= rate * kernel_gradient
        self.biases -= rate * gradient
        return input_gradient


class FullyConnected(Layer):
    """weights @ x + bias, for a column x."""

    def __init__(self, weights: np.ndarray, bias: np.ndarray) -> None:
        self.weights, self.bias = weights, bias

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.input = x
        return self.weights @ x + self.bias

    def backward(self, gradient: np.ndarray, rate: float) -> np.ndarray:
        weight_gradient = gradient @ self.input.T
        input_gradient = self.weights.T @ gradient
        self.weights -= rate * weight_gradient
        self.bias -= rate * gradient
        return input_gradient


class Column(Layer):
    """Reshapes a volume to a column, and back."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.input = x
        return x.reshape(-1, 1)

    def backward(self, gradient: np.ndarray, rate: float) -> np.ndarray:
        return gradient.reshape(self.input.shape)


class HyperbolicTangent(Layer):
    """tanh(x)."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.input = x
        y: np.ndarray = np.tanh(x)
        return y

    def backward(self, gradient: np.ndarray, rate: float) -> np.ndarray:
        slope: np.ndarray = 1 - np.tanh(self.input) ** 2
        return gradient * slope


class Logistic(Layer):
    """1 / (1 + exp(-x))."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.input = x
        return self.function(x)

    def backward(self, gradient: np.ndarray, rate: float) -> np.ndarray:
        value = self.function(self.input)
        return gradient * (value * (1 - value))

    @staticmethod
    def function(x: np.ndarray) -> np.ndarray:
        y: np.ndarray = 1 / (1 + np.exp(-x))
        return y


def cross_entropy(y: np.ndarray, p: np.ndarray) -> float:
    """Binary cross-entropy, the mean over all elements."""
    return float(np.mean(-y * np.log(p) - (1 - y) * np.log(1 - p)))


def cross_entropy_gradient(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Its derivative by p."""
    gradient: np.ndarray = ((1 - y) / (1 - p) - y / p) / np.size(y)
    return gradient


def squared_error(y: np.ndarray, p: np.ndarray) -> float:
    """The mean of (p - y)^2 over all elements."""
    return float(np.mean((p - y) ** 2))


def squared_error_gradient(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Its derivative by p."""
    gradient: np.ndarray = 2 * (p - y) / np.size(y)
    return gradient


LOSSES = {
    "binary_cross_entropy": (cross_entropy, cross_entropy_gradient),
    "mse": (squared_error, squared_error_gradient),
}


def build(bench: Bench, arrays: list[np.ndarray]) -> list[Layer]:
    """The layers of a bench, with its first parameters."""
    given = (array.astype(np.float64) for array in arrays)
    layers: list[Layer] = []
    for layer in bench.layers:
        kind = layer["layer"]
        if kind == "conv":
            layers.append(Convolution(next(given), next(given)))
        elif kind == "dense":
            layers.append(FullyConnected(next(given), next(given)[:, None]))
        else:
            layers.append({"flatten": Column, "sigmoid": Logistic, "tanh": HyperbolicTangent}[kind]())
    return layers


class Original(StepByStep):
    """One of the original's experiments as a benched program."""

    def __init__(self, place: Path) -> None:
        bench, arrays = read(place)
        self.rate = bench.rate
        self.x = np.load(place / "x.npy").astype(np.float64)
        self.y = np.load(place / "y.npy").astype(np.float64)
        self.batches = Batches(np.load(place / "order.npy"), 1)
        self.layers = build(bench, arrays)
        self.loss, self.loss_gradient = LOSSES[bench.loss]

    def train_step(self) -> float:
        row = self.batches.next()[0]
        output, target = self.x[row], self.y[row]
        for layer in self.layers:
            output = layer.forward(output)
        loss = self.loss(target, output)
        gradient = self.loss_gradient(target, output)
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient, self.rate)
        return loss

    def describe(self) -> dict[str, Any]:
        return {"numpy": np.__version__}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", type=Path)
    serve(Original(parser.parse_args().place))


if __name__ == "__main__":
    main()
