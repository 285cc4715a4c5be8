"""Layers made of ONNX nodes, a rule for each operator.

Which layers the nodes of a graph are: a rule for each operator that a layer of this package computes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.layers.base import Layer
from purecnn.layers.dense import Dense
from purecnn.layers.dropout import Dropout
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.normalization.group import GroupNormalization
from purecnn.layers.reshape import ChannelShuffle
from purecnn.layers.spatial.convolution import Convolutional, DepthwiseConvolutional
from purecnn.layers.spatial.padding import ReflectionPadding, ReplicationPadding, ZeroPadding
from purecnn.layers.spatial.pooling import AveragePooling, MaxPooling
from purecnn.layers.spatial.resampling import DepthToSpace
from purecnn.layers.spatial.transposed import TransposedConvolutional
from purecnn.onnx.operators.convolution import transposed_window
from purecnn.onnx.operators.registry import OperatorCall
from purecnn.onnx.operators.window import Window, window
from purecnn.onnx.to_network.finder import LayerFinder, refuse
from purecnn.onnx.to_network.layout import Layout


class LayerArrays:
    """The file's arrays, and which layers they are for.

    Attributes
    ----------
    given : dict of int to (Layer, dict of str to ndarray)
        By the layer's id: the layer, which so keeps its id, with the arrays that it gets once it is bound.
    """

    def __init__(self, finder: LayerFinder) -> None:
        self.finder, self.graph = finder, finder.graph
        self.given: dict[int, tuple[Layer, dict[str, Array]]] = {}

    def of_file(self, layer: Layer, **arrays: Array) -> Layer:
        """Let a layer have arrays of the file, once it is bound."""
        self.given[id(layer)] = layer, arrays
        return layer

    def constant(self, call: OperatorCall, place: int) -> Array | None:
        """Return an input that is an array of the file; None where it is left out."""
        name = call.node.inputs[place] if place < len(call.node.inputs) else ""
        if not name:
            return None
        array = self.graph.constants.get(name)
        if array is None:
            array = self.finder.sizes.value(name)
        if array is None:
            refuse(call, f"its input {name!r} is no constant")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            refuse(call, f"its array {name!r} holds NaN or infinite numbers")
        return array

    def array(self, call: OperatorCall, place: int) -> Array:
        """Return an input that must be there, as an array of the network's dtype."""
        found = self.constant(call, place)
        if found is None:
            refuse(call, f"its input {place} is missing")
        return found.astype(self.finder.dtype)

    def of_convolution(self, call: OperatorCall) -> dict[str, Array]:
        """Return a convolution's kernels, and its biases where it has any, by their names here."""
        found = {"kernels": self.array(call, 1)}
        return found if self.constant(call, 2) is None else {**found, "biases": self.array(call, 2)}


Maker = Callable[[LayerArrays, OperatorCall, list[Layer], Shape], list[Layer]]
MAKERS: dict[str, Maker] = {}


def maker(*names: str) -> Callable[[Maker], Maker]:
    """Make a function known as the one for some operators."""

    def register(function: Maker) -> Maker:
        MAKERS.update(dict.fromkeys(names, function))
        return function

    return register


def images(call: OperatorCall, shape: Shape) -> None:
    """Check that samples are images."""
    if len(shape) != 3:
        refuse(call, f"its samples have shape {shape}, wanted images (channels, height, width)")


@maker("Conv")
def _conv(held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
    images(call, shape)
    arrays = held.of_convolution(call)
    kernels = arrays["kernels"]
    over = window(call, shape[1:], kernels.shape[2:])
    (top, bottom), (left, right) = over.pads
    groups = call.integer("group", 1)
    arguments: dict[str, Any] = {
        "kernel_size": kernels.shape[2:],
        "stride": over.strides,
        "dilation": over.dilations,
    }
    before: list[Layer] = []
    if top == bottom and left == right:
        arguments["padding"] = (top, left)
    else:
        arguments["padding"] = "same"
        same = Convolutional(depth=len(kernels), **arguments).borders(shape)
        if same != over.pads:
            arguments["padding"] = 0
            before = [ZeroPadding(over.pads)]  # type: ignore[arg-type]
    arguments["bias"] = "biases" in arrays
    if groups == shape[0] > 1:
        layer: Layer = DepthwiseConvolutional(depth_multiplier=len(kernels) // groups, **arguments)
    else:
        layer = Convolutional(depth=len(kernels), groups=groups, **arguments)
    return [*before, held.of_file(layer, **arrays)]


@maker("ConvTranspose")
def _conv_transpose(held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
    images(call, shape)
    arrays, groups = held.of_convolution(call), call.integer("group", 1)
    kernels = arrays["kernels"]
    over = transposed_window(call, shape[1:], kernels.shape[2:])
    # What kernels reach and is not the output's is cut off; what they don't reach is added to it.
    ends = [a - b - c for a, b, c in zip(over.reach(shape[1:]), over.starts, over.sizes, strict=True)]
    sides = tuple((start, max(end, 0)) for start, end in zip(over.starts, ends, strict=True))
    layer = TransposedConvolutional(
        kernel_size=over.cells,  # type: ignore[arg-type]
        depth=kernels.shape[1] * groups,
        stride=over.strides,  # type: ignore[arg-type]
        padding=sides,  # type: ignore[arg-type]
        output_padding=tuple(max(-end, 0) for end in ends),  # type: ignore[arg-type]
        dilation=over.dilations,  # type: ignore[arg-type]
        groups=groups,
        bias="biases" in arrays,
    )
    return [held.of_file(layer, **arrays)]


@maker("Gemm")
def _dense(held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
    if len(shape) != 1 or held.finder.sources_of(call)[0] != call.node.inputs[0] or call.integer("transA", 0):
        refuse(call, f"samples of shape {shape} are wanted as its first matrix, a vector each")
    weights = held.array(call, 1)
    if weights.ndim != 2:
        refuse(call, f"its weights have shape {weights.shape}, wanted a matrix")
    if not call.integer("transB", 0):
        weights = weights.T
    weights = np.ascontiguousarray(weights * weights.dtype.type(call.number("alpha", 1.0)))
    biases = held.constant(call, 2)
    if biases is None:
        return [held.of_file(Dense(output_size=len(weights), bias=False), weights=weights)]
    given = np.broadcast_to(biases.astype(weights.dtype) * call.number("beta", 1.0), (1, len(weights)))
    return [
        held.of_file(Dense(output_size=len(weights)), weights=weights, biases=given.T.astype(weights.dtype))
    ]


@maker("BatchNormalization")
def _normalization(held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
    if call.integer("training_mode", 0) or not call.integer("spatial", 1):
        refuse(call, "it is in training, or has a mean for each position")
    layer = BatchNormalization(
        epsilon=epsilon_of(held, call),
        momentum=float(f"{min(1.0, max(0.0, 1 - call.number('momentum', 0.9))):.6g}"),
    )
    gamma, beta, mean, variance = (held.array(call, place) for place in range(1, 5))
    return [held.of_file(layer, gamma=gamma, beta=beta, running_mean=mean, running_variance=variance)]


def epsilon_of(held: LayerArrays, call: OperatorCall) -> float:
    """Return epsilon: a float32 in the file, where 1e-5 is 9.99999975e-06."""
    epsilon = call.number("epsilon", 1e-5)
    return epsilon if held.finder.dtype == np.float64 else float(f"{epsilon:.6g}")


@maker("GroupNormalization", "InstanceNormalization")
def _group_normalization(
    held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape
) -> list[Layer]:
    groups = call.integer("num_groups", 0) or shape[0]
    layer = GroupNormalization(groups, epsilon=epsilon_of(held, call))
    gamma, beta = (held.array(call, place) for place in (1, 2))
    if len(gamma) == groups:  # before operator set 21 one for each group
        gamma, beta = (np.repeat(array, shape[0] // groups) for array in (gamma, beta))
    return [held.of_file(layer, gamma=gamma, beta=beta)]


@maker("Dropout")
def _dropout(held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
    ratio = held.constant(call, 1)
    rate = call.number("ratio", 0.5) if ratio is None else float(ratio.reshape(-1)[0])
    return [Dropout(rate)]


def filling(held: LayerArrays, call: OperatorCall) -> float:
    """Return the number that a Pad puts around its input."""
    value = held.constant(call, 2)
    return call.number("value", 0.0) if value is None else float(value.reshape(-1)[0])


def sides(held: LayerArrays, call: OperatorCall, rank: int) -> tuple[Any, list[tuple[int, int]]]:
    """Return the pads of a Pad as it has them, and what it adds before and behind along each of all axes."""
    given, axes = held.constant(call, 1), held.constant(call, 3)
    pads = call.integers("pads") if given is None else given.tolist()
    along = list(range(rank)) if axes is None else [axis % rank for axis in axes.tolist()]
    found = {axis: (pads[place], pads[place + len(along)]) for place, axis in enumerate(along)}
    return pads, [found.get(axis, (0, 0)) for axis in range(rank)]


@maker("Pad")
def _pad(held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
    images(call, shape)
    filled, mode = filling(held, call), call.text("mode", "constant")
    kinds: dict[str, Callable[[Any], Layer]] = {
        "constant": ZeroPadding,
        "reflect": ReflectionPadding,
        "edge": ReplicationPadding,
    }
    if mode not in kinds:
        refuse(call, f"its mode is {mode!r}, wanted one of {', '.join(kinds)}")
    if mode == "constant" and filled:
        refuse(call, f"it puts {filled} around images, wanted zeros")
    pads, (samples, channels, *around) = sides(held, call, 4)
    if any(samples) or (any(channels) and mode != "constant"):
        refuse(call, f"its pads are {pads}, wanted none around samples, and around channels zeros alone")
    return [ZeroPadding(around, channels=channels) if any(channels) else kinds[mode](around)]  # type: ignore[arg-type]


def channel_shuffle(call: OperatorCall, layout: Layout) -> ChannelShuffle | None:
    """Return the shuffle that a node is which turns the two axes that channels were cut into, or None."""
    shape = layout.shape
    turned = [0, 2, 1, *range(3, len(shape) + 1)]
    if call.node.operator != "Transpose" or call.node.domain or call.integers("perm", None) != turned:
        return None
    cut = layout.is_plain and layout.held == (shape[0] * shape[1], *shape[2:])
    return ChannelShuffle(shape[0]) if cut else None


def around(over: Window) -> tuple[tuple[int, int], ...]:
    """Return what lies around an image, and what the last window reaches past that."""
    return tuple((a, b + c) for (a, b), c in zip(over.pads, over.beyond, strict=True))


def pooling_window(call: OperatorCall, shape: Shape) -> Window:
    """Return a pooling's window, if it is one of this package's."""
    over = window(call, shape[1:], ceil=bool(call.integer("ceil_mode", 0)))
    if any(apart != 1 for apart in over.dilations):
        refuse(call, f"its dilations are {over.dilations}, wanted 1")
    return over


def counts_padding(call: OperatorCall, over: Window) -> bool:
    """Return whether the means of an average pooling count what lies around; they do where nothing does."""
    counts = bool(call.integer("count_include_pad", 0))
    if counts and any(map(any, over.pads)) and any(over.beyond):
        refuse(call, f"its pads {over.pads} count, and what lies past them does not; wanted no ceil_mode")
    return not any(map(any, around(over))) or (counts and not any(over.beyond))


def reduced_axes(held: LayerArrays, call: OperatorCall) -> Any:
    """Return the axes of a reduction, which newer operator sets have as an input."""
    given = held.constant(call, 1)
    return call.integers("axes", []) if given is None else given.tolist()


@maker("MaxPool")
def _max_pooling(held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
    images(call, shape)
    over = pooling_window(call, shape)
    return [MaxPooling(over.cells, over.strides, around(over))]  # type: ignore[arg-type]


@maker("AveragePool")
def _average_pooling(held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
    images(call, shape)
    over = pooling_window(call, shape)
    return [AveragePooling(over.cells, over.strides, around(over), counts_padding(call, over))]  # type: ignore[arg-type]


@maker("DepthToSpace")
def _depth_to_space(held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
    images(call, shape)
    return [DepthToSpace(call.integer("blocksize"), call.text("mode", "DCR"))]
