"""Layers of nodes that name axes: products along one, sums, means, Softmax and normalizations over some.

Each rule is given the layout of the samples, finds which of the network's axes the node means, and moves axes
only where a layer wants another one first. So what an exporter turns to channels last is not turned back.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.layers.activations.rectified import PReLU, ReLU
from purecnn.layers.base import Layer
from purecnn.layers.dense import Dense
from purecnn.layers.signals.convolution import Convolutional1D, DepthwiseConvolutional1D
from purecnn.layers.spatial.convolution import Convolutional, DepthwiseConvolutional
from purecnn.layers.spatial.resampling import UpSampling
from purecnn.onnx.operators.registry import OperatorCall
from purecnn.onnx.to_network.finder import refuse
from purecnn.onnx.to_network.layout import Layout, rename
from purecnn.onnx.to_network.rules import LayerArrays

#: A rule's layers, the axes of the layout behind them, None where they are in the graph's order.
Found = tuple[list[Layer], Layout]
Rule = Callable[[LayerArrays, OperatorCall, Layout], Found | None]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Make a function known as the rule of some operators; where it returns None, `MAKERS` has one."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def axis_of(call: OperatorCall, axis: int, layout: Layout) -> int:
    """Return an axis of the graph's samples that a node counts with the batch, from the front or the back."""
    rank = len(layout.shape) + 1
    if not -rank <= axis < rank or axis % rank == 0:
        refuse(call, f"its axis is {axis}, wanted one of a sample of shape {layout.shape}")
    return axis % rank - 1


# Axes moved -----------------------------------------------------------------------------------------------


@rule("Transpose")
def _transpose(held: LayerArrays, call: OperatorCall, layout: Layout) -> Found | None:
    perm = call.integers("perm", [*range(len(layout.shape), -1, -1)])
    if not perm or perm[0] != 0:
        refuse(call, f"its perm is {perm}, wanted the samples to stay first")
    return layout.transposed([axis - 1 for axis in perm[1:]])


@rule("Expand", "Tile")
def _repeated(held: LayerArrays, call: OperatorCall, layout: Layout) -> Found | None:
    behind = held.finder.shapes[call.node.outputs[0]][1:]
    groups = layout.groups() or []
    grown = [axis for axis, size in enumerate(layout.shape) if behind[axis : axis + 1] != (size,)]
    group = next((group for group in groups if grown[:1] == group[-1:] and len(group) > 1), None)
    if (
        len(behind) != len(layout.shape)
        or len(grown) > 1
        or (grown and (group is None or layout.shape[grown[0]] != 1))
    ):
        refuse(call, f"it makes samples of {behind} of such of {layout.shape}, wanted each pixel repeated")
    if group is None:
        return [], layout
    place = layout.axes[groups.index(group)]
    if len(layout.held) != 3 or not place:
        refuse(
            call, f"samples of shape {layout.held} are wanted as images, and their rows or columns repeated"
        )
    times = behind[grown[0]]
    factors = tuple(times if number == place else 1 for number in (1, 2))
    wide = tuple(size * times if number == place else size for number, size in enumerate(layout.held))
    return [UpSampling(factors)], Layout(wide, behind, layout.axes)  # type: ignore[arg-type]


# Products -------------------------------------------------------------------------------------------------


@rule("MatMul")
def _product(held: LayerArrays, call: OperatorCall, layout: Layout) -> Found | None:
    data = held.finder.sources_of(call)
    if len(data) != 1 or len(call.node.inputs) != 2:
        refuse(call, "both of its matrices depend on the network's input, and it merges none")
    behind = call.node.inputs[0] == data[0]  # the weights stand behind the samples
    weights = held.array(call, 1 if behind else 0)
    if weights.ndim > 2 and weights.size == math.prod(weights.shape[-2:]):
        weights = weights.reshape(weights.shape[-2:])
    if weights.ndim != 2:
        refuse(call, f"its weights have shape {weights.shape}, wanted a matrix")
    if len(layout.shape) == 1 and not behind:
        refuse(call, f"samples of shape {layout.shape} are wanted as its first matrix, a vector each")
    weights = np.ascontiguousarray(weights.T if behind else weights)
    axis = len(layout.shape) - (1 if behind else 2)
    before: list[Layer] = []
    if not layout.is_vector and not layout.is_whole:
        before, layout = layout.settled()
    if layout.is_vector and layout.shape[axis] == math.prod(layout.shape):
        size = layout.shape[axis]
        shape = (*layout.shape[:axis], len(weights), *layout.shape[axis + 1 :])
        made = held.of_file(Dense(output_size=len(weights), bias=False), weights=weights)
        return [*before, *rename(layout.held, (size,)), made], Layout.plain((len(weights),), shape)
    more, layout = layout.in_front(axis)
    kinds: dict[int, Callable[..., Layer]] = {2: Convolutional1D, 3: Convolutional}
    if len(layout.held) not in kinds:
        refuse(call, f"samples of shape {layout.shape} are wanted with at most 3 axes")
    layer = kinds[len(layout.held)](kernel_size=1, depth=len(weights), bias=False)
    kernels = weights.reshape(*weights.shape, *[1] * (len(layout.held) - 1))
    wide = (len(weights), *layout.held[1:])
    return (
        [*before, *more, held.of_file(layer, kernels=kernels)],
        Layout(wide, tuple(wide[place] for place in layout.axes), layout.axes),
    )


# Numbers for each channel ---------------------------------------------------------------------------------


def scale_and_shift(held: LayerArrays, call: OperatorCall) -> tuple[Array, Array] | None:
    """Return by what a node multiplies each value and what it adds, in the graph's axes; None if neither."""
    data = held.finder.sources_of(call)
    if len(data) != 1 or len(call.node.inputs) != 2:
        return None
    first = call.node.inputs[0] == data[0]
    array = held.array(call, 1 if first else 0)
    one, zero = np.ones_like(array), np.zeros_like(array)
    operator = call.node.operator
    if operator == "Div" and (not first or not array.all()):
        return None
    return {
        "Add": (one, array),
        "Sub": (one, -array) if first else (-one, array),
        "Mul": (array, zero),
        "Div": (1 / np.where(array == 0, one, array), zero),
    }[operator]


@rule("Add", "Div", "Mul", "Sub")
def _affine(held: LayerArrays, call: OperatorCall, layout: Layout) -> Found | None:
    found = scale_and_shift(held, call)
    if found is None:
        return None
    before, layout = layout.whole()
    scale, shift = (layout.of_constant(array) for array in found)
    if scale is None or shift is None:
        refuse(
            call, f"its array has shape {found[0].shape}, wanted one that goes with samples of {layout.shape}"
        )
    varying = [axis for axis, size in enumerate(scale.shape) if size > 1]
    fits = all(size in (1, n) for size, n in zip(scale.shape, layout.held, strict=True))
    if len(varying) > 1 and fits and len(layout.held) <= 3 and np.ptp(scale) == 0:
        return [*before, *placed(held, layout, float(scale.flat[0]), shift)], layout
    if len(varying) > 1 or not fits:
        refuse(
            call,
            f"its array of shape {found[0].shape} has numbers along several axes of samples of "
            f"{layout.shape}, wanted one number, or one for each channel",
        )
    if varying and varying[0]:
        more, layout = layout.in_front(layout.axes.index(varying[0]))
        before += more
    channels = layout.held[0]
    factor, term = (
        np.ascontiguousarray(np.broadcast_to(array.reshape(-1), (channels,))) for array in (scale, shift)
    )
    return [*before, *affine(held, layout, factor, term, fixed=not varying)], layout


def affine(held: LayerArrays, layout: Layout, scale: Array, shift: Array, fixed: bool) -> list[Layer]:
    """Return the layers that multiply each channel by a number and add one: a convolution of each by itself.

    One number for all is the file's own constant: it is not trained.
    """
    biases = {"biases": shift} if shift.any() else {}
    signal = len(layout.held) == 2
    kind: Callable[..., Layer] = DepthwiseConvolutional1D if signal else DepthwiseConvolutional
    layer = kind(kernel_size=1, bias=bool(biases))
    kernels = scale.reshape(-1, 1, *[1] * (1 if signal else 2))
    layer.trainable = not fixed
    made = held.of_file(layer, kernels=kernels, **biases)
    image = layout.held if signal else (layout.held[0], *layout.held[1:2], math.prod(layout.held[2:]))
    image = image if signal else (*image, 1)[:3] if len(image) == 2 else image
    return [*rename(layout.held, image), made, *rename(image, layout.held)]


def placed(held: LayerArrays, layout: Layout, factor: float, shift: Array) -> list[Layer]:
    """Return the layers that multiply all by one number and add one for each place, as a grid of anchors.

    They are the file's own constants: none is trained.
    """
    channels, image = layout.held[0], (*layout.held, 1, 1)[:3]
    layer = Convolutional(kernel_size=1, depth=channels, groups=channels, per_position_bias=True)
    layer.bind(image)
    shape = layer.parameter_shapes()["biases"]
    layer.trainable = False
    biases = np.broadcast_to(shift, layout.held).reshape(shape).astype(held.finder.dtype)
    made = held.of_file(
        layer, kernels=np.full((channels, 1, 1, 1), factor, held.finder.dtype), biases=np.array(biases)
    )
    return [*rename(layout.held, image), made, *rename(image, layout.held)]


@rule("Clip", "Max", "Min")
def _limits(held: LayerArrays, call: OperatorCall, layout: Layout) -> Found | None:
    """Limits that no activation has: ``max(x, c) = relu(x - c) + c``, ``min(x, c) = c - relu(c - x)``."""
    if len(held.finder.sources_of(call)) != 1:
        return None
    given = [name for name in call.node.inputs if name and name not in held.finder.data]
    low: Array | None = None
    high: Array | None = None
    if call.node.operator != "Clip":
        if len(given) != 1:
            refuse(call, f"it has {len(given)} constants, wanted one")
        constant = held.array(call, call.node.inputs.index(given[0]))
        low, high = (constant, None) if call.node.operator == "Max" else (None, constant)
    elif call.version < 11:
        limits = {
            name: np.array(call.number(name)) for name in ("min", "max") if name in call.node.attributes
        }
        low, high = limits.get("min"), limits.get("max")
    else:
        low, high = held.constant(call, 1), held.constant(call, 2)
    layers: list[Layer] = []
    ones = np.ones(layout.held[0], held.finder.dtype)
    for limit, sign in ((low, 1), (high, -1)):
        if limit is None:
            continue
        if limit.size != 1:
            refuse(call, f"its limits have shape {limit.shape}, wanted one number")
        number = float(limit.reshape(()))
        before = affine(held, layout, sign * ones, -sign * number * ones, fixed=True)
        layers += [*before, ReLU(), *affine(held, layout, sign * ones, number * ones, fixed=True)]
    return layers, layout


@rule("PRelu")
def _prelu(held: LayerArrays, call: OperatorCall, layout: Layout) -> Found | None:
    slopes = held.array(call, 1)
    before, layout = layout.whole()
    spread = layout.of_constant(slopes)
    if spread is None:
        refuse(
            call, f"its slopes have shape {slopes.shape}, wanted some that go with samples of {layout.shape}"
        )
    varying = [axis for axis, size in enumerate(spread.shape) if size > 1]
    if len(varying) > 1:
        refuse(
            call,
            f"its slopes have shape {slopes.shape}, wanted one, or one for each channel of {layout.shape}",
        )
    if varying and varying[0]:
        more, layout = layout.in_front(layout.axes.index(varying[0]))
        before += more
    return [*before, held.of_file(PReLU(per_channel=bool(varying)), slopes=spread.reshape(-1, 1))], layout


# Merges --------------------------------------------------------------------------------------------------


def common_axes(call: OperatorCall, whole: Shape, ends: list[Layout], merge: str) -> tuple[int, ...]:
    """Return where the graph's axes are to lie behind a merge: as most of its paths have them, if possible.

    What is concatenated, or has a factor for each place, must be the network's first axis.
    """
    wanted = {axis_of(call, call.integer("axis", 1), ends[0])} if merge == "concatenate" else set()
    if merge == "multiply":
        wanted = {
            int(np.argmax(end.shape))
            for end in ends
            if end.shape != whole and end.is_vector and len(end.shape) == len(whole)
        }
    if len(wanted) > 1:
        refuse(call, f"it multiplies samples of {' and '.join(str(end.shape) for end in ends)}")
    first = next(iter(wanted), 0)
    order = [first, *(axis for axis in range(len(whole)) if axis != first)]
    met = Counter(end.axes for end in ends if end.is_whole and len(end.axes) == len(whole))
    fitting = [axes for axes, _ in met.most_common() if not wanted or not axes[first]]
    return fitting[0] if fitting else tuple(order.index(axis) for axis in range(len(whole)))
