"""Layers of nodes that reduce, normalize or take a part of a sample along some of its axes.

The rules of `axes` go on here: each is given the layout of the samples.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.layers.activations.basic import LogSoftmax, Softmax
from purecnn.layers.base import Layer
from purecnn.layers.normalization.group import GroupNormalization, LayerNormalization
from purecnn.layers.signals.pooling import GlobalAveragePooling1D, GlobalMaxPooling1D
from purecnn.layers.spatial.global_pooling import GlobalAveragePooling, GlobalMaxPooling
from purecnn.layers.spatial.padding import Cropping
from purecnn.layers.spatial.pooling import AveragePooling, MaxPooling
from purecnn.onnx.operators.registry import OperatorCall
from purecnn.onnx.to_network.axes import Found, axis_of, rule
from purecnn.onnx.to_network.finder import PART, refuse
from purecnn.onnx.to_network.layout import Layout, rename
from purecnn.onnx.to_network.normalization import FOUND
from purecnn.onnx.to_network.rules import LayerArrays, epsilon_of, reduced_axes


@rule("LogSoftmax", "Softmax")
def _softmax(held: LayerArrays, call: OperatorCall, layout: Layout) -> Found | None:
    axis = axis_of(call, call.integer("axis", -1 if call.version >= 13 else 1), layout)
    if call.version < 13 and math.prod(layout.shape[axis:]) != layout.shape[axis]:
        refuse(call, f"its axis is {axis + 1}, and before operator set 13 all behind it; wanted the last one")
    before, layout = layout.in_front(axis)
    return [*before, Softmax() if call.node.operator == "Softmax" else LogSoftmax()], layout


@rule("GlobalAveragePool", "GlobalMaxPool", "ReduceMax", "ReduceMean")
def _reduction(held: LayerArrays, call: OperatorCall, layout: Layout) -> Found | None:
    largest = "Max" in call.node.operator
    rank = len(layout.shape)
    given = reduced_axes(held, call) if call.node.operator.startswith("Reduce") else range(2, rank + 1)
    over = {axis_of(call, axis, layout) for axis in given}
    keeps = bool(call.integer("keepdims", 1)) or call.node.operator.startswith("Global")
    shape = tuple(
        1 if axis in over else size for axis, size in enumerate(layout.shape) if keeps or axis not in over
    )
    before, layout = layout.whole()
    real = {axis for axis in range(rank) if layout.shape[axis] > 1}
    if not over & real and len(layout.held) == 3 and {layout.axes[axis] for axis in over} == {1, 2}:
        real |= over  # one pixel, of which larger images have more
    over &= real
    if not over:
        return before, layout.named(shape)
    kept = real - over
    if len(layout.held) not in (2, 3) or not over <= real:
        refuse(call, f"samples of shape {layout.shape} are wanted with 2 or 3 axes")
    if len(kept) <= 1:  # the mean of all that a channel has
        axis = next(
            iter(kept), next(axis for axis in range(rank) if axis not in over) if len(over) < rank else None
        )
        if axis is None:
            refuse(call, "it leaves none of a sample's axes, wanted one for the channels")
        more, layout = layout.in_front(axis)
        signal = len(layout.held) == 2
        layer: Layer = (
            (GlobalMaxPooling1D() if largest else GlobalAveragePooling1D())
            if signal
            else (GlobalMaxPooling() if largest else GlobalAveragePooling())
        )
        return [*before, *more, layer], Layout.plain(layout.held[:1], shape)
    (axis,) = over
    if not layout.axes[axis]:  # any other axis may stand in front
        more, layout = layout.in_front(min(kept))
        before += more
    place = layout.axes[axis]
    cells = (layout.held[1] if place == 1 else 1, layout.held[2] if place == 2 else 1)
    pooling = (MaxPooling if largest else AveragePooling)(cells, cells)
    shrunk = tuple(1 if n == place else size for n, size in enumerate(layout.held))
    return [*before, pooling], Layout(shrunk, shape, layout.axes)


@rule("LayerNormalization", FOUND)
def _normalization(held: LayerArrays, call: OperatorCall, layout: Layout) -> Found | None:
    rank = len(layout.shape)
    if call.node.operator == FOUND:
        if groups := call.integer("groups", 0):
            return _groups(held, call, layout, groups)
        axes = {axis_of(call, axis, layout) for axis in call.integers("axes", [])}
    else:
        axes = {*range(axis_of(call, call.integer("axis", -1), layout), rank)}
    arrays = [
        held.array(call, place)
        for place in range(1, min(len(call.node.inputs), 3))
        if call.node.inputs[place]
    ]
    if len(axes) == 1:
        over = "channels"
        before, layout = layout.in_front(*axes)
    elif len(axes) == rank:
        over = "sample"
        before, layout = layout.settled()
    elif call.node.operator == FOUND and len(layout.held) == 3 and len(axes) == 2:
        (kept,) = set(range(rank)) - axes
        before, layout = layout.in_front(kept)
        return _given(
            held,
            call,
            before,
            layout,
            GroupNormalization(layout.held[0], **_words(held, call, arrays)),
            arrays,
        )
    else:
        refuse(call, f"it normalizes over {len(axes)} axes of samples of {layout.shape}, wanted one, or all")
    layer = LayerNormalization(over, **_words(held, call, arrays))
    return _given(held, call, before, layout, layer, arrays)


def _words(held: LayerArrays, call: OperatorCall, arrays: list[Array]) -> dict[str, Any]:
    return {"epsilon": epsilon_of(held, call), "affine": bool(arrays)}


def _groups(held: LayerArrays, call: OperatorCall, layout: Layout, groups: int) -> Found:
    before, layout = layout.settled()
    arrays = [held.array(call, place) for place in range(1, len(call.node.inputs))]
    return _given(
        held, call, before, layout, GroupNormalization(groups, **_words(held, call, arrays)), arrays
    )


def _given(
    held: LayerArrays,
    call: OperatorCall,
    before: list[Layer],
    layout: Layout,
    layer: GroupNormalization | LayerNormalization,
    arrays: list[Array],
) -> Found:
    """Return a normalization with its gamma and beta, as they lie beside the network's samples."""
    if not arrays:
        return [*before, layer], layout
    layer.bind(layout.held)
    named = {}
    for name, array in zip(("gamma", "beta"), arrays, strict=False):
        laid = layout.of_constant(array)
        shape = (*layer.affine_shape, *[1] * (len(layout.held) - len(layer.affine_shape)))
        if laid is None:
            refuse(
                call,
                f"its array has shape {array.shape}, wanted one that goes with samples of {layout.shape}",
            )
        try:
            named[name] = np.broadcast_to(laid, shape).reshape(layer.affine_shape)
        except ValueError:
            refuse(call, f"its array has shape {array.shape}, wanted numbers for {shape}")
    named.setdefault("beta", np.zeros(layer.affine_shape, held.finder.dtype))
    return [*before, held.of_file(layer, **named)], layout


# Parts ----------------------------------------------------------------------------------------------------


@rule("Slice", PART)
def _part(held: LayerArrays, call: OperatorCall, layout: Layout) -> Found | None:
    cuts = parts(held, call, layout)
    before, layout = layout.whole()
    shape = [*layout.shape]
    taken = {layout.axes[axis]: cut for axis, cut in cuts.items()}
    for axis, (start, stop, step) in cuts.items():
        shape[axis] = len(range(start, stop, step))
    layers, held_shape = before, layout.held
    if len(held_shape) > 3:
        refuse(call, f"samples of shape {layout.shape} are wanted with at most 3 axes")
    image = (*held_shape, 1, 1)[:3]
    layers = [*layers, *rename(held_shape, image)]
    if 0 in taken and taken[0][2] != 1:
        refuse(call, f"it takes channels in steps of {taken[0][2]}, wanted 1")
    ends = [
        (start, size - start - ((stop - 1 - start) // step * step + 1))
        for size, (start, stop, step) in zip(
            image, (taken.get(n, (0, image[n], 1)) for n in range(3)), strict=True
        )
    ]
    if any(map(any, ends)):
        layers.append(Cropping((ends[1], ends[2]), channels=ends[0]))
    steps = (taken.get(1, (0, 0, 1))[2], taken.get(2, (0, 0, 1))[2])
    if steps != (1, 1):
        layers.append(MaxPooling(1, steps))
    out = tuple(len(range(*taken[n])) if n in taken else size for n, size in enumerate(held_shape))
    return [*layers, *rename((*out, 1, 1)[:3], out)], Layout(out, tuple(shape), layout.axes)


def parts(held: LayerArrays, call: OperatorCall, layout: Layout) -> dict[int, tuple[int, int, int]]:
    """Return start, stop and step along each axis of a sample that a node takes a part of."""
    names = ("starts", "ends", "axes", "steps")
    if call.node.operator == PART or call.version < 10:
        starts, ends, axes, steps = (call.integers(name, None) for name in names)
    else:
        given = (held.constant(call, place) for place in range(1, 5))
        starts, ends, axes, steps = (None if array is None else array.tolist() for array in given)
    sizes, found = (held.finder.samples, *layout.shape), {}
    for place, (start, end) in enumerate(zip(starts or (), ends or (), strict=True)):
        axis, step = axes[place] % len(sizes) if axes else place, steps[place] if steps else 1
        if step < 1:
            refuse(call, f"it goes along axis {axis} in steps of {step}, wanted 1 or more")
        first, behind, _ = slice(start, end, step).indices(sizes[axis])
        if (first, behind, step) == (0, sizes[axis], 1):
            continue
        if not axis or first >= behind:
            refuse(
                call,
                f"it takes {max(behind - first, 0)} of {sizes[axis]} along axis {axis}, "
                "wanted all samples, and some of what they have",
            )
        found[axis - 1] = first, behind, step
    return found
