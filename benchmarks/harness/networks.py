"""The benched networks as plain data, so that every program builds the same one.

A layer is a dictionary with the key "layer"; a network is a list of them without the final softmax, which
belongs to the loss. Shapes are per sample: (channels, height, width).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Layer = dict[str, Any]
Shape = tuple[int, ...]

RELU: Layer = {"layer": "relu"}
TANH: Layer = {"layer": "tanh"}
SIGMOID: Layer = {"layer": "sigmoid"}
POOL: Layer = {"layer": "pool", "size": 2}
FLATTEN: Layer = {"layer": "flatten"}
NORM: Layer = {"layer": "norm"}
GLOBAL_POOL: Layer = {"layer": "global_pool"}

# Of every batch normalization; the momentum is how far the running statistics move, as PyTorch means it.
NORM_EPSILON, NORM_MOMENTUM = 1e-5, 0.1


def conv(kernel: int, depth: int, **options: Any) -> Layer:
    """A square convolution.

    Options: same=True (zero padding that keeps the shape) or padding=number, stride=number, groups=number,
    per_position_bias=True.
    """
    return {"layer": "conv", "kernel": kernel, "depth": depth, **options}


def padding(layer: Layer) -> int:
    """The zeros that a convolution puts on each side; its kernel is odd where it keeps the shape."""
    kept: int = layer["kernel"] // 2 if layer.get("same") else layer.get("padding", 0)
    return kept


def dense(outputs: int) -> Layer:
    """A fully connected layer."""
    return {"layer": "dense", "outputs": outputs}


def dropout(rate: float) -> Layer:
    """Dropout with this probability of a zero."""
    return {"layer": "dropout", "rate": rate}


def residual(layers: tuple[Layer, ...], shortcut: tuple[Layer, ...] = ()) -> Layer:
    """Layers whose output is added to their input, or to what the shortcut makes of it."""
    return {"layer": "residual", "layers": layers, "shortcut": shortcut}


@dataclass(frozen=True)
class Bench:
    """One network with all that its training needs to be the same everywhere."""

    layers: tuple[Layer, ...]
    input_shape: Shape
    batch: int
    # or "patterns" (drawn bytes), "zero_one" (the original's 200 images), or "xor" (its four samples)
    data: str = "mnist"
    loss: str = "categorical_cross_entropy"
    optimizer: str = "adam"
    rate: float = 1e-3
    rounding_grows: bool = False  # in float32, PyTorch's own two layouts soon differ by more than 1e-4


LENET = (conv(5, 8), RELU, POOL, conv(5, 16), RELU, POOL, FLATTEN, dense(10))
KERAS = (conv(3, 32), RELU, POOL, conv(3, 64), RELU, POOL, FLATTEN, dropout(0.5), dense(10))
TORCH_EXAMPLE = (
    *(conv(3, 32), RELU, conv(3, 64), RELU, POOL, dropout(0.25)),
    *(FLATTEN, dense(128), RELU, dropout(0.5), dense(10)),
)
CIFAR = (
    *(conv(3, 32, same=True), RELU, conv(3, 32, same=True), RELU, POOL),
    *(conv(3, 64, same=True), RELU, conv(3, 64, same=True), RELU, POOL),
    *(FLATTEN, dense(128), RELU, dense(10)),
)
NORMALIZED = (
    *(conv(3, 16), NORM, RELU, POOL, conv(3, 32), NORM, RELU, POOL, conv(3, 32), NORM, RELU),
    *(FLATTEN, dense(10)),
)
LENET_5 = (
    *(conv(5, 6), RELU, POOL, conv(5, 16), RELU, POOL),
    *(FLATTEN, dense(120), RELU, dense(84), RELU, dense(10)),
)
VGG = (
    *(layer for depth in (32, 64, 128) for layer in (conv(3, depth, same=True), NORM, RELU, POOL)),
    *(FLATTEN, dense(10)),
)


def block(before: int, depth: int) -> tuple[Layer, ...]:
    """Two convolutions and a shortcut; where the depth grows, the first has a stride of 2."""
    stride = 1 if depth == before else 2
    layers = (
        *(conv(3, depth, padding=1, stride=stride), NORM, RELU),
        *(conv(3, depth, padding=1), NORM),
    )
    return residual(layers, (conv(1, depth, stride=stride),) if stride > 1 else ()), RELU


RESNET_20 = (
    *(conv(3, 16, padding=1), NORM, RELU),
    *(layer for _ in range(3) for layer in block(16, 16)),
    *(block(16, 32) + block(32, 32) + block(32, 32)),
    *(block(32, 64) + block(64, 64) + block(64, 64)),
    *(GLOBAL_POOL, dense(10)),
)
SEPARABLE = (
    *(conv(3, 16), RELU, POOL, conv(3, 16, groups=16), conv(1, 32), RELU, POOL),
    *(conv(3, 32, groups=32), conv(1, 64), RELU, FLATTEN, dense(10)),
)
ORIGINAL = (
    *(conv(3, 5, per_position_bias=True), SIGMOID, FLATTEN),
    *(dense(100), SIGMOID, dense(2), SIGMOID),
)
XOR = (dense(3), TANH, dense(1), TANH)

MNIST_SHAPE = (1, 28, 28)
BENCHES: dict[str, Bench] = {
    "lenet": Bench(LENET, MNIST_SHAPE, 128),
    "lenet-512": Bench(LENET, MNIST_SHAPE, 512),
    "lenet-32": Bench(LENET, MNIST_SHAPE, 32),
    "lenet-5": Bench(LENET_5, MNIST_SHAPE, 128),
    "keras": Bench(KERAS, MNIST_SHAPE, 128),
    "torch-example": Bench(TORCH_EXAMPLE, MNIST_SHAPE, 64),
    "cifar": Bench(CIFAR, (3, 32, 32), 128, data="patterns", rounding_grows=True),
    "vgg": Bench(VGG, (3, 32, 32), 128, data="patterns", rounding_grows=True),
    "resnet-20": Bench(RESNET_20, (3, 32, 32), 128, data="patterns", rounding_grows=True),
    "normalized": Bench(NORMALIZED, MNIST_SHAPE, 128, rounding_grows=True),
    "separable": Bench(SEPARABLE, MNIST_SHAPE, 128),
    "original": Bench(
        ORIGINAL, MNIST_SHAPE, 1, data="zero_one", loss="binary_cross_entropy", optimizer="sgd", rate=0.1
    ),
    "xor": Bench(XOR, (2,), 1, data="xor", loss="mse", optimizer="sgd", rate=0.1),
}


def shapes(layers: Sequence[Layer], shape: Shape) -> Iterator[tuple[Layer, Shape, Shape]]:
    """Every layer with its input shape and output shape, per sample; a residual one counts as one layer."""
    for layer in layers:
        before, kind = shape, layer["layer"]
        if kind == "conv":
            lost, stride = layer["kernel"] - 2 * padding(layer), layer.get("stride", 1)
            shape = (layer["depth"], *((size - lost) // stride + 1 for size in before[1:]))
        elif kind == "pool":
            shape = (before[0], before[1] // layer["size"], before[2] // layer["size"])
        elif kind == "global_pool":
            shape = before[:1]
        elif kind == "flatten":
            shape = (int(np.prod(before)),)
        elif kind == "dense":
            shape = (layer["outputs"],)
        elif kind == "residual":
            *_, (_, _, shape) = shapes(layer["layers"], before)
        yield layer, before, shape


def parts(layers: Sequence[Layer], shape: Shape) -> Iterator[tuple[Layer, Shape, Shape]]:
    """The same with what is inside of residual layers in their place, the shortcut last."""
    for layer, before, after in shapes(layers, shape):
        if layer["layer"] == "residual":
            yield from parts(layer["layers"], before)
            yield from parts(layer["shortcut"], before)
        else:
            yield layer, before, after


def initial_parameters(bench: Bench, seed: int = 0) -> list[np.ndarray]:
    """Weights and biases in turn, float32: kernels (out, in, k, k), weights (out, in), biases (out, ...).

    Normal, with the variance 1 / fan-in; the biases are small and not zero, so that a program that misplaces
    them is found out.
    """
    rng = np.random.default_rng(seed)
    arrays = []
    for layer, before, after in parts(bench.layers, bench.input_shape):
        if layer["layer"] == "conv":
            size: Shape = (after[0], before[0] // layer.get("groups", 1), layer["kernel"], layer["kernel"])
            bias: Shape = after if layer.get("per_position_bias") else after[:1]
        elif layer["layer"] == "dense":
            size, bias = (after[0], before[0]), after
        elif layer["layer"] == "norm":
            arrays += [np.ones(after[0], np.float32), np.zeros(after[0], np.float32)]
            continue
        else:
            continue
        weights = rng.standard_normal(size) / np.sqrt(np.prod(size[1:]))
        arrays += [weights.astype(np.float32), (0.01 * rng.standard_normal(bias)).astype(np.float32)]
    return arrays


def training_flops(bench: Bench) -> int:
    """Floating-point operations of one sample's direct forward and backward products.

    Two for each multiply-add; a layer has three products (forward, weight gradient, input gradient), the
    first layer two. Element-wise work is not counted.
    """
    total, products = 0, 2
    for layer, before, after in parts(bench.layers, bench.input_shape):
        if layer["layer"] == "conv":
            channels = before[0] // layer.get("groups", 1)
            multiply_adds = int(np.prod(after)) * channels * layer["kernel"] ** 2
        elif layer["layer"] == "dense":
            multiply_adds = after[0] * before[0]
        else:
            continue
        total += products * 2 * multiply_adds
        products = 3
    return total
