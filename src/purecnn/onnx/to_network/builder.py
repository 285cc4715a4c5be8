"""A network built from a graph.

A graph whose nodes are layers becomes a network: the file's parameters, its preprocessing in front.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.errors import FileFormatError, PureCNNError, ShapeError
from purecnn.layers.activations.basic import Identity
from purecnn.layers.base import Layer
from purecnn.layers.composites.nesting import Meeting, composite
from purecnn.layers.dense import Dense
from purecnn.layers.preprocessing import Preprocessing
from purecnn.layers.shapes import NamedShape, ShapeLike
from purecnn.layers.signals.convolution import Convolutional1D
from purecnn.layers.spatial.convolution import Convolutional, DepthwiseConvolutional
from purecnn.layers.spatial.transposed import TransposedConvolutional
from purecnn.networks.network import Network
from purecnn.onnx.operators.registry import OperatorCall
from purecnn.onnx.runtime import Runtime
from purecnn.onnx.shape_inference import Kind, dependent
from purecnn.onnx.to_network import (
    reductions,  # noqa: F401 - which adds rules
    resampling,  # noqa: F401 - which adds the rule of Resize
    signals,
)
from purecnn.onnx.to_network.axes import RULES, affine, axis_of, common_axes
from purecnn.onnx.to_network.crossings import woven
from purecnn.onnx.to_network.finder import ELEMENTWISE, MERGING, LayerFinder, Step, Woven, refuse
from purecnn.onnx.to_network.layout import Layout, rename
from purecnn.onnx.to_network.metadata import classes, preparation, sample_of, task
from purecnn.onnx.to_network.rules import MAKERS, LayerArrays, channel_shuffle

#: What only names axes anew, or does nothing in inference.
RENAMING = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})


@dataclass(frozen=True)
class Layers:
    """A graph as layers.

    Attributes
    ----------
    network : Network
        That computes the same.
    output_shape : tuple of int
        Shape of one sample of the output, as the graph has it.
    """

    network: Network
    output_shape: tuple[int, ...]

    def sealed(self) -> Layers:
        """Return these layers, whose parameters nobody may change: so none is looked at again to compute."""
        self.network.parameters.flags.writeable = False
        return self

    def answers(self, x: Array, threads: int | None) -> Array:
        """Return the output for a batch, samples first, both as the graph has them."""
        with np.errstate(all="ignore"):  # as single nodes have it: what overflows is infinite
            found = self.network.outputs(x.reshape(len(x), -1), threads)
        return found.reshape(len(x), *self.output_shape)


#: Nodes of a graph whose paths may cross.
MAX_CROSSING = 2000
#: Operators that are no layer by themselves, but part of one, of a merge or of the preprocessing.
PARTS = {*RENAMING, *MERGING, *ELEMENTWISE, *RULES, "Cast", "Split"}


def as_network(
    graph: Runtime,
    input_shape: ShapeLike | None = None,
    kinds: Mapping[str, Kind] | None = None,
    refused: set[int] | None = None,
    *,
    crossing: bool = False,
) -> Layers:
    """Return a graph as a network.

    Parameters
    ----------
    graph : Runtime
        The graph.
    input_shape : tuple of int, optional
        Shape of one sample.
    kinds : mapping of str to (shape, dtype), optional
        Those of a `LayerFinder`.
    refused : set of int, optional
        Into which the number of a sample's axes is put where the graph is refused whatever their sizes are.
    crossing : bool
        Whether paths may cross: then the values still wanted go on side by side, which takes copies of them.

    Raises
    ------
    FileFormatError
        If a node prevents it: it says which, and why.
    ShapeError
        If the file leaves the input's shape open, and none is given.
    """
    try:
        shape = sample_of(graph, input_shape)
        check_operators(graph)
        finder = LayerFinder(graph, shape, kinds)
        try:
            steps = finder.steps()
        except FileFormatError:
            if refused is not None:
                refused.add(len(shape))
            if not crossing or len(graph.calls) > MAX_CROSSING:
                raise
            finder = LayerFinder(graph, shape, kinds, weaves=True)
            steps = finder.steps()
        return translated(finder, steps)
    except PureCNNError:
        raise
    except (ValueError, TypeError, ArithmeticError, MemoryError) as error:  # a layer's, of its arguments
        raise FileFormatError(f"the graph can't become a network: {error}") from error


def check_operators(graph: Runtime) -> None:
    """Refuse a graph where an operator that no layer has leads from the input to the output.

    So most graphs that are none of layers are known at once, before anything is computed for them.
    """
    data = dependent(graph, [value.name for value in graph.inputs])
    wanted = {value.name for value in graph.outputs}
    for call in reversed(graph.calls):
        if wanted.intersection(call.node.outputs):
            wanted.update(call.node.inputs)
    for call in graph.calls:
        operator = call.node.operator
        known = operator in MAKERS or operator in signals.MAKERS or operator in PARTS
        leads = data.intersection(call.node.outputs) and wanted.intersection(call.node.outputs)
        if leads and (call.node.domain or not known):
            refuse(call, "no layer of this package computes it")


def translated(finder: LayerFinder, steps: list[Step]) -> Layers:
    """Return what a finder's graph is as a network, of the steps that it found."""
    graph = finder.graph
    builder = Builder(finder)
    shape = finder.shapes[graph.outputs[0].name][1:]
    layers, layout = builder.build(steps, Layout.plain(finder.shape))
    more, _ = layout.named(shape).settled()
    builder.bind(more, layout.held)
    layers = [*layers, *more] or [Identity()]
    preprocessing = Preprocessing(
        builder.scale,
        builder.shift,
        "bytes" if finder.input.dtype == np.uint8 else "numbers",
        classes(graph, shape),
        preparation(graph),
    )
    network = Network(
        layers, input_shape=NamedShape(finder.shape), dtype=finder.dtype, preprocessing=preprocessing
    )
    with suppress(ValueError):  # of another program's metadata, or for another last layer
        network.task = task(graph)
    network.max_bytes = graph.max_bytes
    network.chunk()  # raises where one sample alone takes more
    return Layers(network, shape)


#: Layers that may have biases, and may lack them.
BIASED = (Convolutional, Convolutional1D, Dense, TransposedConvolutional)


class Builder:
    """Makes layers of the steps that a `LayerFinder` found."""

    def __init__(self, finder: LayerFinder) -> None:
        self.finder, self.graph = finder, finder.graph
        self.held = LayerArrays(finder)
        self.scale, self.shift = 1.0, 0.0

    def shape_behind(self, call: OperatorCall) -> Shape:
        """Return the shape of a sample of a node's output."""
        shape = self.finder.shapes[call.node.outputs[0]]
        if shape[:1] != (self.finder.samples,):
            refuse(call, f"of {self.finder.samples} samples it makes an array of shape {shape}")
        return shape[1:]

    def bind(self, layers: list[Layer], shape: Shape, step: Step | None = None) -> Shape:
        """Bind layers one after another, and give them their arrays; if it can't be, say which node it is."""
        for layer in layers:
            try:
                shape = layer.bind(shape)
            except ShapeError as error:
                if step is None or isinstance(step, Layer):
                    raise
                refuse(step if isinstance(step, OperatorCall) else self.finder.makers[step.value], str(error))
            for name, array in self.held.given.get(id(layer), (layer, {}))[1].items():
                home = layer.buffers if name.startswith("running") else layer.parameters
                home[name] = array
        return shape

    def build(
        self, steps: list[Step], layout: Layout, before: Sequence[Layer] | None = None
    ) -> tuple[list[Layer], Layout]:
        """Return the layers of some steps, and how samples lie behind them.

        Parameters
        ----------
        steps : list of Step
            In order.
        layout : Layout
            How samples lie that they begin with.
        before : list of Layer, optional
            What lies before them; left out, they are the graph's outermost.
        """
        layers: list[Layer] = []
        waiting = [*reversed(steps)]
        while waiting:
            step = waiting.pop()
            held, so_far = layout.held, [*(before or ()), *layers]
            if isinstance(step, OperatorCall):
                if before is None and not layers and self.prepare(step):
                    continue
                if self.renames(step):
                    layout = layout.named(self.shape_behind(step))
                    if len(layout.shape) == 1 < len(layout.held):  # as Flatten, which the file has here
                        more, layout = layout.settled()
                        self.bind(more, held, step)
                        layers += more
                    continue
                if self.add_biases(step, layers, layout):
                    continue
                made, behind = self.layers_for(step, so_far, layout)
            elif isinstance(step, Meeting):
                merge = step.merge
                if self.finder.divisor(step.value) == len(step.paths) and isinstance(
                    waiting[-1], OperatorCall
                ):
                    merge = "mean"
                    waiting.pop()
                made, behind = self.composite(step, layout, so_far, merge)
            elif isinstance(step, Woven):
                made, behind = woven(self, step, layout, so_far)
            else:
                made, behind = [step], layout
            held = self.bind(made, held, step)
            layers += made
            layout = Layout.plain(held) if behind is None else behind.bound(held)
            if isinstance(step, OperatorCall):
                layout = layout.named(self.shape_behind(step))
                if np.prod(held) != np.prod(layout.shape):
                    refuse(step, f"the layer gives samples of {held}, the graph has {layout.shape}")
        return layers, layout

    def renames(self, call: OperatorCall) -> bool:
        """Return whether a node changes and moves no number: it names axes, or casts to what a value is."""
        if call.node.domain:
            return False
        if call.node.operator == "Cast":
            dtypes = {self.finder.dtypes.get(name) for name in (call.node.inputs[0], call.node.outputs[0])}
            return dtypes == {self.finder.dtype}
        return call.node.operator in RENAMING

    def composite(
        self, step: Meeting, layout: Layout, before: Sequence[Layer], merge: str
    ) -> tuple[list[Layer], Layout]:
        """Return the layer that merges some paths, and how samples lie behind it.

        What multiplies each channel of images ends in vectors.
        """
        made = [self.build(path, layout, before) for path in step.paths]
        return self.merged(step, merge, made)

    def merged(
        self, step: Meeting | Woven, merge: str, made: list[tuple[list[Layer], Layout]], value: str = ""
    ) -> tuple[list[Layer], Layout]:
        """Return the layer that merges paths whose layers are made, and how samples lie behind it."""
        call = self.finder.makers[value or step.value]
        whole = self.shape_behind(call)
        if merge == "subtract":
            made = [made[0], self.negated(*made[1])]
            merge = "add"
        if merge == "concatenate" and len({len(end.shape) for _, end in made} | {len(whole)}) == 1:
            along = axis_of(call, call.integer("axis", 1), made[0][1])
            size = sum(end.shape[along] for _, end in made)  # less than all where the others meet later
            whole = (*whole[:along], size, *whole[along + 1 :])
        axes = common_axes(call, whole, [found for _, found in made], merge)
        paths = []
        for layers, end in made:
            if end.shape != whole and merge == "multiply" and end.is_vector:
                more = rename(end.held, (math.prod(end.shape),))
            elif len(end.shape) != len(whole):
                refuse(call, f"samples of {end.shape} meet such of {whole}")
            else:
                more, _ = end.adapted(axes)
            self.bind(more, end.held, step)
            paths.append([*layers, *more])
        try:
            return [composite(merge, paths)], Layout(whole, whole, axes)
        except (ShapeError, ValueError) as error:
            refuse(call, str(error))

    def negated(self, layers: list[Layer], end: Layout) -> tuple[list[Layer], Layout]:
        """Return the layers of a path, and one behind them that turns the sign."""
        ones = np.ones(end.held[0], self.finder.dtype)
        more = affine(self.held, end, -ones, 0 * ones, fixed=True)
        self.bind(more, end.held)
        return [*layers, *more], end

    def prepare(self, call: OperatorCall) -> bool:
        """Take arithmetic with one number in front of all layers into the preprocessing."""
        operator = call.node.operator
        if operator == "Cast":
            return call.integer("to", 0) in (1, 11)
        constants = [name for name in call.node.inputs if name not in self.finder.data]
        if operator not in ("Mul", "Div", "Add", "Sub") or len(constants) != 1:
            return False
        array = self.graph.constants.get(constants[0])
        if array is None or array.size != 1 or not np.isfinite(array).all():
            return False
        number, in_front = float(array.reshape(())), constants[0] == call.node.inputs[0]
        if operator == "Mul":
            scale, shift = self.scale * number, self.shift * number
        elif operator == "Div":
            if in_front or not number:
                return False
            scale, shift = self.scale / number, self.shift / number
        elif operator == "Add":
            scale, shift = self.scale, self.shift + number
        else:
            sign = -1 if in_front else 1
            scale, shift = sign * self.scale, sign * self.shift - sign * number
        if not scale or not np.isfinite(scale) or not np.isfinite(shift):
            return False
        self.scale, self.shift = scale, shift
        return True

    def add_biases(self, call: OperatorCall, layers: list[Layer], layout: Layout) -> bool:
        """Take an addition behind a layer without biases into it, as another one that has them."""
        last = layers[-1] if layers else None
        operator = call.node.operator
        if operator not in ("Add", "Sub") or not isinstance(last, BIASED) or last.bias:
            return False
        first = call.node.inputs[0] in self.finder.data
        if operator == "Sub" and not first:
            return False
        array = self.held.array(call, 1 if first else 0)
        biases = layout.of_constant(-array if operator == "Sub" else array)
        if biases is None:
            return False
        kind, configuration = type(last), last.configuration()
        given: dict[str, Any] = {"bias": True}
        per_map = (layout.held[0], *[1] * (len(layout.held) - 1))
        if issubclass(kind, Convolutional) and biases.shape == layout.held != per_map:
            given["per_position_bias"] = True
            if isinstance(
                last, DepthwiseConvolutional
            ):  # which has none such, but is this with as many groups
                del configuration["depth_multiplier"]
                kind, given = Convolutional, {**given, "depth": last.depth, "groups": last.groups}
        else:
            try:
                biases = np.broadcast_to(biases, per_map)
            except ValueError:
                return False
        layers[-1] = made = kind.from_configuration(configuration | given)
        made.bind(last.input_shape or ())
        made.trainable = last.trainable
        wanted = made.parameter_shapes()["biases"]
        made.parameters.update(last.parameters, biases=biases.reshape(wanted).copy())
        return True

    def layers_for(
        self, call: OperatorCall, layers: list[Layer], layout: Layout
    ) -> tuple[list[Layer], Layout | None]:
        """Return the layers that a node is, and how samples lie behind them, None where as in the graph."""
        shape, operator = layout.shape, "" if call.node.domain else call.node.operator
        known = {**MAKERS, **signals.MAKERS} if len(shape) == 2 else MAKERS
        try:
            if shuffle := channel_shuffle(call, layout):
                return [shuffle], None
            if operator in RULES and (found := RULES[operator](self.held, call, layout)):
                return found
            if operator not in known:
                refuse(call, "no layer of this package computes it")
            before, _ = layout.settled()
            return [*before, *known[operator](self.held, call, [*layers, *before], shape)], None
        except (ShapeError, ValueError, TypeError) as error:
            if str(error).startswith(str(call.node)):
                raise
            refuse(call, str(error))
