"""A network built from a graph.

A graph whose nodes are layers becomes a network: the file's parameters, its preprocessing in front.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from purecnn.backend.checks import choice
from purecnn.backend.types import Shape
from purecnn.errors import FileFormatError, PureCNNError, ShapeError
from purecnn.layers.activations.basic import Identity
from purecnn.layers.base import Layer
from purecnn.layers.composites.nesting import Meeting, composite
from purecnn.layers.dense import Dense
from purecnn.layers.preprocessing import PREPARATIONS, Preprocessing
from purecnn.layers.reshape import Flatten, Reshape
from purecnn.layers.shapes import NamedShape, ShapeLike, check_channels, sample_shape
from purecnn.layers.signals.convolution import Convolutional1D
from purecnn.layers.spatial.convolution import Convolutional, DepthwiseConvolutional
from purecnn.layers.spatial.transposed import TransposedConvolutional
from purecnn.losses.tasks import Task, as_task
from purecnn.networks.network import Network
from purecnn.onnx.operators.registry import OperatorCall
from purecnn.onnx.runtime import Runtime
from purecnn.onnx.shape_inference import Kind, dependent
from purecnn.onnx.to_network import (
    resampling,  # noqa: F401 - which adds the rule of Resize
    signals,
)
from purecnn.onnx.to_network.finder import ELEMENTWISE, MERGING, LayerFinder, Step, refuse
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


#: Operators that are no layer by themselves, but part of one, of a merge or of the preprocessing.
PARTS = {*RENAMING, *MERGING, *ELEMENTWISE, "Cast", "ReduceMean", "Transpose"}


def as_network(
    graph: Runtime,
    input_shape: ShapeLike | None = None,
    kinds: Mapping[str, Kind] | None = None,
    refused: set[int] | None = None,
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
            raise
        return translated(finder, steps)
    except PureCNNError:
        raise
    except (ValueError, TypeError, ArithmeticError, MemoryError) as error:  # a layer's, of its arguments
        raise FileFormatError(f"the graph can't become a network: {error}") from error


def sample_of(graph: Runtime, given: ShapeLike | None) -> Shape:
    """Return the shape of one sample of the input: as the file has it, or as given where it is open."""
    value = graph.inputs[0] if len(graph.inputs) == 1 else None
    stated = value.shape[1:] if value and value.shape is not None else None
    if given is not None:
        named = isinstance(given, Mapping)
        shape = sample_shape(given) if named else tuple(map(int, given))  # type: ignore[arg-type]
        if stated is not None and (
            len(stated) != len(shape)
            or any(isinstance(a, int) and a != b for a, b in zip(stated, shape, strict=True))
        ):
            raise ShapeError(f"input_shape must be {stated}, as the graph has it; got {shape}")
        check_channels("input_shape", NamedShape(shape) if stated == shape else shape)
        return shape
    if value is None:
        return ()
    if stated is None or not all(isinstance(size, int) for size in stated):
        raise ShapeError(
            f"the graph leaves the shape of its input open, {value.shape}: "
            "input_shape, that of one sample, is wanted"
        )
    return tuple(size for size in stated if isinstance(size, int))


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
    layers = builder.build(steps, finder.shape, shape) or [Identity()]
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


def classes(graph: Runtime, shape: Shape) -> tuple[str, ...]:
    """Return the names of the outputs, if the file has them as purecnn writes them."""
    try:
        found = json.loads(graph.metadata.get("classes", "[]"))
    except (ValueError, RecursionError):
        return ()
    named = isinstance(found, list) and all(isinstance(name, str) for name in found)
    return tuple(found) if named and len(found) == int(np.prod(shape)) else ()


def preparation(graph: Runtime) -> str:
    """Return how the pictures were prepared, if the file has it as purecnn writes it."""
    try:
        given = json.loads(graph.metadata.get("preprocessing", "{}"))["preparation"]
        return choice("preparation", given, PREPARATIONS)
    except (LookupError, TypeError, ValueError, RecursionError):
        return "unknown"


def task(graph: Runtime) -> Task | None:
    """Return the task, if the file has one as purecnn writes it.

    Raises
    ------
    ValueError
        If there is another text in its place.
    """
    try:
        return as_task(json.loads(graph.metadata.get("task", "null")))
    except RecursionError:
        return None


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

    def bind(self, layer: Layer, shape: Shape, step: Step) -> Shape:
        """Bind a layer to a shape; if it can't be, say which node it is."""
        try:
            return layer.bind(shape)
        except ShapeError as error:
            if isinstance(step, Layer):
                raise
            refuse(self.finder.makers[step.value] if isinstance(step, Meeting) else step, str(error))

    def build(
        self, steps: list[Step], shape: Shape, end: Shape, before: Sequence[Layer] | None = None
    ) -> list[Layer]:
        """Return the layers of some steps.

        Parameters
        ----------
        steps : list of Step
            In order.
        shape, end : tuple of int
            Those of a sample of the value that they begin with, and of what the last layer is to give.
        before : list of Layer, optional
            What lies before them; left out, they are the graph's outermost.
        """
        layers: list[Layer] = []
        held = shape  # what the layers so far give; `shape` is what the graph says, which may name axes anew
        waiting = [*reversed(steps)]
        while waiting:
            step = waiting.pop()
            if isinstance(step, OperatorCall):
                if step.node.operator in RENAMING and not step.node.domain:
                    shape = self.shape_behind(step)
                    continue
                if before is None and not layers and self.prepare(step):
                    continue
                if self.add_biases(step, layers, shape):
                    continue
            shuffle = channel_shuffle(step, shape) if isinstance(step, OperatorCall) else None
            # The channels of a shuffle are the two axes that the graph has cut them into.
            made = rename(held, (shape[0] * shape[1], *shape[2:]) if shuffle else shape)
            so_far = [*(before or ()), *layers, *made]
            if isinstance(step, OperatorCall):
                made += [shuffle] if shuffle else self.layers_for(step, so_far, shape)
            elif isinstance(step, Meeting):
                merge = step.merge
                if self.finder.divisor(step.value) == len(step.paths) and isinstance(
                    waiting[-1], OperatorCall
                ):
                    merge = "mean"
                    waiting.pop()
                made.append(self.composite(step, shape, so_far, merge))
            else:
                made.append(step)
            for layer in made:
                held = self.bind(layer, held, step)
                for name, array in self.held.given.get(id(layer), (layer, {}))[1].items():
                    home = layer.buffers if name.startswith("running") else layer.parameters
                    home[name] = array
            layers += made
            shape = self.shape_behind(step) if isinstance(step, OperatorCall) else held
            if isinstance(step, OperatorCall) and np.prod(held) != np.prod(shape):
                refuse(step, f"the layer gives samples of {held}, the graph has {shape}")
        return [*layers, *rename(held, end)]

    def composite(self, step: Meeting, shape: Shape, before: Sequence[Layer], merge: str) -> Layer:
        """Return the layer that merges some paths; what multiplies each channel of images ends in vectors."""
        call = self.finder.makers[step.value]
        whole = self.shape_behind(call)
        paths = []
        for end, path in zip(step.ends, step.paths, strict=True):
            behind = self.finder.shapes[end][1:]
            if merge == "multiply" and behind != whole and set(behind[1:]) == {1}:
                behind = behind[:1]
            paths.append(self.build(path, shape, behind, before))
        try:
            return composite(merge, paths)
        except (ShapeError, ValueError) as error:
            refuse(call, str(error))

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

    def add_biases(self, call: OperatorCall, layers: list[Layer], shape: Shape) -> bool:
        """Take an addition behind a layer without biases into it, as another one that has them."""
        last = layers[-1] if layers else None
        if call.node.operator != "Add" or not isinstance(last, BIASED) or last.bias:
            return False
        biases = self.held.array(call, 0 if call.node.inputs[0] not in self.finder.data else 1)
        per_map = (1, shape[0], *[1] * (len(shape) - 1))
        kind, configuration = type(last), last.configuration()
        per_position = (
            issubclass(kind, Convolutional) and (1, *shape) == (1,) * (4 - biases.ndim) + biases.shape
        )
        given: dict[str, Any] = {"bias": True}
        if per_position and per_map != (1, *shape):
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
        wanted = made.parameter_shapes()["biases"]
        made.parameters.update(last.parameters, biases=biases.reshape(wanted).copy())
        return True

    def layers_for(self, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
        """Return the layers that a node is."""
        known = {**MAKERS, **signals.MAKERS} if len(shape) == 2 else MAKERS
        maker = None if call.node.domain else known.get(call.node.operator)
        if maker is None:
            refuse(call, "no layer of this package computes it")
        try:
            return maker(self.held, call, layers, shape)
        except (ShapeError, ValueError, TypeError) as error:
            if str(error).startswith(str(call.node)):
                raise
            refuse(call, str(error))


def rename(held: Shape, shape: Shape) -> list[Layer]:
    """Return the layers that bring samples of one shape to another of as many values."""
    if not shape or held == sample_shape(shape):
        return []
    return [Flatten()] if len(sample_shape(shape)) == 1 else [Reshape(held, NamedShape(shape))]
