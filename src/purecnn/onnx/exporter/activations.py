"""ONNX export of activations.

What each activation is in ONNX, which has operators for some and arithmetic for all.

ONNX keeps the numbers among a node's attributes in float32, and onnxruntime has many activations in float32
alone: so in float64 what would lose digits, or not run, is put together from arithmetic.
"""

from __future__ import annotations

import math

from purecnn.layers.activations.basic import (
    HardSigmoid,
    Identity,
    LogSoftmax,
    Sigmoid,
    Softmax,
    Softsign,
    Tanh,
)
from purecnn.layers.activations.gated import GELU, HardSwish, Mish, SiLU
from purecnn.layers.activations.rectified import ELU, SELU, LeakyReLU, PReLU, ReLU, ReLU6, Softplus
from purecnn.onnx.exporter.layers import Nodes, become


@become.register
def _identity(layer: Identity, nodes: Nodes, input: str) -> str:
    return input


@become.register
def _relu(layer: ReLU, nodes: Nodes, input: str) -> str:
    return nodes.add("Relu", input)


@become.register
def _sigmoid(layer: Sigmoid, nodes: Nodes, input: str) -> str:
    return nodes.add("Sigmoid", input)


@become.register
def _tanh(layer: Tanh, nodes: Nodes, input: str) -> str:
    return nodes.add("Tanh", input)


@become.register
def _softmax(layer: Softmax, nodes: Nodes, input: str) -> str:
    return nodes.add("Softmax", input, axis=1)


@become.register
def _log_softmax(layer: LogSoftmax, nodes: Nodes, input: str) -> str:
    return nodes.add("LogSoftmax", input, axis=1)


@become.register
def _relu6(layer: ReLU6, nodes: Nodes, input: str) -> str:
    return nodes.add("Clip", input, nodes.number(0), nodes.number(6))


@become.register
def _leaky_relu(layer: LeakyReLU, nodes: Nodes, input: str) -> str:
    if nodes.is_double:
        return nodes.add("Max", input, nodes.add("Mul", input, nodes.number(layer.slope)))
    return nodes.add("LeakyRelu", input, alpha=layer.slope)


@become.register
def _prelu(layer: PReLU, nodes: Nodes, input: str) -> str:
    beside = [1] * (len(layer.input_shape or (0,)) - 1)
    slopes = nodes.tensor("slopes", layer.parameters["slopes"].reshape(-1, *beside))
    if nodes.is_double:
        damped = nodes.add("Mul", nodes.add("Min", input, nodes.number(0)), slopes)
        return nodes.add("Add", nodes.add("Relu", input), damped)
    return nodes.add("PRelu", input, slopes)


def _bent(nodes: Nodes, input: str, alpha: float) -> str:
    """Add max(x, 0) + alpha (exp(min(x, 0)) - 1)."""
    power = nodes.add("Exp", nodes.add("Min", input, nodes.number(0)))
    low = nodes.add("Mul", nodes.add("Sub", power, nodes.number(1)), nodes.number(alpha))
    return nodes.add("Add", nodes.add("Relu", input), low)


@become.register
def _elu(layer: ELU, nodes: Nodes, input: str) -> str:
    return _bent(nodes, input, layer.alpha) if nodes.is_double else nodes.add("Elu", input, alpha=layer.alpha)


@become.register
def _selu(layer: SELU, nodes: Nodes, input: str) -> str:
    if nodes.is_double:
        return nodes.add("Mul", _bent(nodes, input, layer.alpha), nodes.number(layer.scale))
    return nodes.add("Selu", input, alpha=layer.alpha, gamma=layer.scale)


def _smooth(nodes: Nodes, input: str) -> str:
    """Add log(1 + exp(x)), in float64 as max(x, 0) + log(1 + exp(-|x|))."""
    if not nodes.is_double:
        return nodes.add("Softplus", input)
    power = nodes.add("Exp", nodes.add("Neg", nodes.add("Abs", input)))
    return nodes.add(
        "Add", nodes.add("Relu", input), nodes.add("Log", nodes.add("Add", power, nodes.number(1)))
    )


@become.register
def _softplus(layer: Softplus, nodes: Nodes, input: str) -> str:
    return _smooth(nodes, input)


@become.register
def _softsign(layer: Softsign, nodes: Nodes, input: str) -> str:
    if nodes.is_double:
        return nodes.add("Div", input, nodes.add("Add", nodes.add("Abs", input), nodes.number(1)))
    return nodes.add("Softsign", input)


def _line(nodes: Nodes, input: str, slope: float = 1 / 6) -> str:
    """Add min(max(slope x + 1 / 2, 0), 1); ONNX's own slope is 0.2 if left out."""
    if nodes.is_double:
        line = nodes.add("Add", nodes.add("Mul", input, nodes.number(slope)), nodes.number(0.5))
        return nodes.add("Clip", line, nodes.number(0), nodes.number(1))
    return nodes.add("HardSigmoid", input, alpha=slope, beta=0.5)


@become.register
def _hard_sigmoid(layer: HardSigmoid, nodes: Nodes, input: str) -> str:
    return _line(nodes, input, layer.slope)


@become.register
def _hard_swish(layer: HardSwish, nodes: Nodes, input: str) -> str:
    if nodes.is_double:
        return nodes.add("Mul", input, _line(nodes, input))
    return nodes.add("HardSwish", input)


@become.register
def _silu(layer: SiLU, nodes: Nodes, input: str) -> str:
    # onnxruntime 1.27 and older puts an operator in place of a product with the sigmoid, in float32 alone.
    if nodes.is_double:
        power = nodes.add("Exp", nodes.add("Neg", input))
        return nodes.add("Div", input, nodes.add("Add", power, nodes.number(1)))
    return nodes.add("Mul", input, nodes.add("Sigmoid", input))


@become.register
def _mish(layer: Mish, nodes: Nodes, input: str) -> str:
    return nodes.add("Mul", input, nodes.add("Tanh", _smooth(nodes, input)))


@become.register
def _gelu(layer: GELU, nodes: Nodes, input: str) -> str:
    if layer.approximate == "tanh":
        cube = nodes.add("Mul", nodes.add("Mul", input, input), input)
        inner = nodes.add("Add", input, nodes.add("Mul", cube, nodes.number(0.044715)))
        bend = nodes.add("Tanh", nodes.add("Mul", inner, nodes.number(math.sqrt(2 / math.pi))))
    else:
        bend = nodes.add("Erf", nodes.add("Mul", input, nodes.number(math.sqrt(0.5))))
    below = nodes.add("Mul", nodes.add("Add", bend, nodes.number(1)), nodes.number(0.5))
    return nodes.add("Mul", input, below)
