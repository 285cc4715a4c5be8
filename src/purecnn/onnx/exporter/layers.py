"""ONNX export of layers: the nodes that each becomes.

What each layer is in ONNX: the nodes it becomes, the batch first, by a rule for each kind of layer.

A layer of one's own gets its rule by ``@become.register``, as this package's have theirs below. The operators
are those of operator set 15, https://github.com/onnx/onnx/blob/main/docs/Operators.md.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.formats.protobuf import Message
from purecnn.layers.base import Layer
from purecnn.layers.composites.base import Composite
from purecnn.layers.composites.branches import Branches
from purecnn.layers.composites.residual import Residual
from purecnn.layers.composites.separable import SeparableConvolutional
from purecnn.layers.dense import Dense
from purecnn.layers.dropout import Dropout, SpatialDropout, StochasticDepth
from purecnn.layers.noise import GaussianNoise
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.normalization.group import GroupNormalization, LayerNormalization
from purecnn.layers.reshape import ChannelShuffle, Flatten, Reshape
from purecnn.layers.spatial.convolution import Convolutional, DepthwiseConvolutional
from purecnn.layers.spatial.transposed import TransposedConvolutional
from purecnn.onnx.schema import ATTRIBUTES, DTYPES

ELEMENT_TYPES = {dtype: number for number, dtype in DTYPES.items()}
ATTRIBUTE_TYPES = {field: number for number, field in ATTRIBUTES.items()}


class Nodes:
    """The nodes of a graph as they are put together, and the arrays that they use.

    Parameters
    ----------
    dtype : dtype
        Of all numbers in the graph: float32 or float64.

    Attributes
    ----------
    prefix : str
        Whose nodes these are, in front of every name: "layers.3", as the arrays in a model's file.
    nodes : list of dict
        Messages NodeProto, in the order in which they run.
    tensors : dict of str to dict
        Messages TensorProto, by name.
    values : list of dict
        Messages ValueInfoProto, of outputs whose shape ONNX does not infer.

    Examples
    --------
    >>> nodes = Nodes(np.float32)
    >>> nodes.add("Mul", "input", nodes.number(2.0))
    'Mul'
    >>> nodes.nodes[0]["input"], list(nodes.tensors)
    (['input', 'constant.2.0'], ['constant.2.0'])
    """

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.is_double = self.dtype == np.float64
        self.prefix = ""
        self.nodes: list[Message] = []
        self.tensors: dict[str, Message] = {}
        self.values: list[Message] = []
        self._taken: dict[str, int] = {}

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Put a node behind the others and return the name of its output.

        Parameters
        ----------
        operator : str
            Of ONNX's default domain.
        *inputs : str
            Names of values and tensors; "" for one that is left out.
        **attributes : int, float, str or sequence of int
            The node's.
        """
        name = self.named(operator)
        count = self._taken[name] = self._taken.get(name, 0) + 1
        name += f".{count}" if count > 1 else ""
        held = [self.attribute(key, value) for key, value in attributes.items()]
        node = {"input": list(inputs), "output": [name], "name": name, "op_type": operator, "attribute": held}
        self.nodes.append(node)
        return name

    def attribute(self, name: str, value: int | float | str | Sequence[int]) -> Message:
        """Return a message AttributeProto."""
        if isinstance(value, str):
            return {"name": name, "s": value.encode(), "type": ATTRIBUTE_TYPES["s"]}
        field = "ints" if isinstance(value, Sequence) else "f" if isinstance(value, float) else "i"
        return {"name": name, field: value, "type": ATTRIBUTE_TYPES[field]}

    def tensor(self, name: str, values: npt.ArrayLike) -> str:
        """Keep an array, numbers with a fraction in the graph's dtype; return the name to use it by."""
        return self.keep(self.named(name), values)

    def number(self, value: float) -> str:
        """Keep one number, once for the whole graph; return the name to use it by."""
        return self.keep(f"constant.{float(value)!r}", float(value))

    def integers(self, *values: int) -> str:
        """Keep some integers, once for the whole graph; return the name to use them by."""
        return self.keep(f"integers.{'.'.join(map(str, values))}", np.array(values, np.int64))

    def keep(self, name: str, values: npt.ArrayLike) -> str:
        """Keep an array under its whole name."""
        array = np.asarray(values)
        array = array.astype(self.dtype if array.dtype.kind == "f" else np.int64)
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        self.tensors[name] = {
            "dims": array.shape,
            "data_type": ELEMENT_TYPES[array.dtype],
            "name": name,
            "raw_data": little.tobytes(),
        }
        return name

    def named(self, name: str) -> str:
        """Return a name with whose it is in front."""
        return f"{self.prefix}.{name}" if self.prefix else name

    def run(self, layers: dict[str, Layer], input: str) -> str:
        """Put the nodes of some layers, by their places, one behind the other; return the last's output.

        Raises
        ------
        TypeError
            If there is no rule for the class of a layer.
        """
        before = self.prefix
        for place, layer in layers.items():
            self.prefix = f"{before}.{place}" if before else place
            # A rule for its parent might be wrong for a layer, so only its own class's counts.
            input = become.registry.get(type(layer), become.registry[object])(layer, self, input)
        self.prefix = before
        return input


def described(dtype: np.dtype[Any], name: str, shape: Sequence[str | int]) -> Message:
    """Return a message ValueInfoProto: name, dtype and shape of a value; texts are axes of any length."""
    dims = [{"dim_param" if isinstance(size, str) else "dim_value": size} for size in shape]
    return {
        "name": name,
        "type": {"tensor_type": {"elem_type": ELEMENT_TYPES[dtype], "shape": {"dim": dims}}},
    }


@singledispatch
def become(layer: Layer, nodes: Nodes, input: str) -> str:
    """Add what a layer, bound to its input shape, computes in inference; return its output's name.

    Parameters
    ----------
    layer : Layer
        Whose rule is wanted.
    nodes : Nodes
        Where its nodes and arrays go.
    input : str
        The name of its input, ``(N, *input_shape)``.
    """
    raise TypeError(
        f"{nodes.prefix}, {type(layer).__name__}, can't be written as ONNX, since what it computes is not "
        f"known: a layer of this package is wanted, or a rule for it by @become.register, a function in "
        f"{become.__module__}"
    )


# Layers with weights --------------------------------------------------------------------------------------


@become.register(Convolutional)
@become.register(DepthwiseConvolutional)
def _convolutional(layer: Convolutional, nodes: Nodes, input: str) -> str:
    (top, bottom), (left, right) = layer.border
    arrays = [nodes.tensor("kernels", layer.parameters["kernels"])]
    if layer.bias and not layer.per_position_bias:
        arrays.append(nodes.tensor("biases", layer.parameters["biases"]))
    output = nodes.add(
        "Conv",
        input,
        *arrays,
        kernel_shape=layer.kernel_size,
        strides=layer.stride,
        pads=(top, left, bottom, right),
        dilations=layer.dilation,
        group=layer.groups,
    )
    if layer.per_position_bias:
        return nodes.add("Add", output, nodes.tensor("biases", layer.parameters["biases"]))
    return output


@become.register
def _transposed_convolutional(layer: TransposedConvolutional, nodes: Nodes, input: str) -> str:
    (top, bottom), (left, right) = layer.border
    arrays = [nodes.tensor(name, array) for name, array in layer.parameters.items()]
    return nodes.add(
        "ConvTranspose",
        input,
        *arrays,
        kernel_shape=layer.kernel_size,
        strides=layer.stride,
        pads=(top, left, bottom, right),
        output_padding=layer.extra,
        dilations=layer.dilation,
        group=layer.groups,
    )


@become.register
def _dense(layer: Dense, nodes: Nodes, input: str) -> str:
    arrays = [nodes.tensor("weights", layer.parameters["weights"])]
    if layer.bias:
        arrays.append(nodes.tensor("biases", layer.parameters["biases"][:, 0]))
    return nodes.add("Gemm", input, *arrays, transB=1)


@become.register
def _batch_normalization(layer: BatchNormalization, nodes: Nodes, input: str) -> str:
    mean, variance = layer.running()
    epsilon = np.float32(layer.epsilon)
    if float(epsilon) > layer.epsilon:
        epsilon = np.nextafter(epsilon, np.float32(0))
    # What float32 does not hold of epsilon goes into the variance, of which it may take nothing away.
    arrays = {
        "gamma": layer.parameters.get("gamma", np.ones(layer.channels)),
        "beta": layer.parameters.get("beta", np.zeros(layer.channels)),
        "running_mean": mean,
        "running_variance": variance + (layer.epsilon - float(epsilon)),
    }
    names = [nodes.tensor(name, array) for name, array in arrays.items()]
    return nodes.add("BatchNormalization", input, *names, epsilon=float(epsilon))


def _standardized(nodes: Nodes, input: str, axes: Sequence[int], epsilon: float) -> str:
    """Add (x - mean) / sqrt(variance + epsilon), along some axes.

    ONNX has operators for it, but later than set 15, or in float32 alone.
    """
    centred = nodes.add("Sub", input, nodes.add("ReduceMean", input, axes=axes, keepdims=1))
    variance = nodes.add("ReduceMean", nodes.add("Mul", centred, centred), axes=axes, keepdims=1)
    root = nodes.add("Sqrt", nodes.add("Add", variance, nodes.number(epsilon)))
    return nodes.add("Div", centred, root)


def _scaled(layer: GroupNormalization | LayerNormalization, nodes: Nodes, input: str) -> str:
    """Add gamma x + beta, where there are any."""
    if not layer.affine:
        return input
    shape = layer.affine_shape
    wide = (*shape, *[1] * (len(layer.input_shape or ()) - len(shape)))
    arrays = [nodes.tensor(name, layer.parameters[name].reshape(wide)) for name in ("gamma", "beta")]
    return nodes.add("Add", nodes.add("Mul", input, arrays[0]), arrays[1])


@become.register
def _group_normalization(layer: GroupNormalization, nodes: Nodes, input: str) -> str:
    shape = layer.input_shape or ()
    parts = nodes.add(
        "Reshape", input, nodes.tensor("groups", [0, layer.groups, math.prod(shape) // layer.groups])
    )
    output = _standardized(nodes, parts, (2,), layer.epsilon)
    return _scaled(layer, nodes, nodes.add("Reshape", output, nodes.tensor("shape", [0, *shape])))


@become.register
def _layer_normalization(layer: LayerNormalization, nodes: Nodes, input: str) -> str:
    axes = [*range(1, len(layer.input_shape or ()) + 1)] if layer.over == "sample" else [1]
    return _scaled(layer, nodes, _standardized(nodes, input, axes, layer.epsilon))


@become.register(Branches)
@become.register(Residual)
@become.register(SeparableConvolutional)
def _composite(layer: Composite, nodes: Nodes, input: str) -> str:
    inside = iter(layer.inside().items())
    ways = [dict(itertools.islice(inside, len(branch))) for branch in layer.branches.values()]
    ends = [nodes.run(way, input) for way in ways]
    if layer.merge == "concatenate":
        return nodes.add("Concat", *ends, axis=1)
    if layer.merge == "maximum":
        return nodes.add("Max", *ends)
    axes = len(layer.output_shape or ())
    for place, branch in enumerate(layer.branches.values()):
        shape = branch[-1].output_shape if branch else layer.input_shape
        if len(shape or ()) < axes:  # a factor for each channel
            wide = nodes.tensor(f"shape {place}", [0, -1, *[1] * (axes - 1)])
            ends[place] = nodes.add("Reshape", ends[place], wide)
    output, *rest = ends
    for end in rest:
        output = nodes.add("Mul" if layer.merge == "multiply" else "Add", output, end)
    if layer.merge == "mean":
        output = nodes.add("Mul", output, nodes.number(1 / len(ends)))
    return output


# Shapes, and what does nothing outside training -----------------------------------------------------------


@become.register
def _reshape(layer: Reshape, nodes: Nodes, input: str) -> str:
    # A 0 keeps the axis as it is: the batch.
    return nodes.add("Reshape", input, nodes.tensor("shape", [0, *layer.target_shape]))


@become.register
def _flatten(layer: Flatten, nodes: Nodes, input: str) -> str:
    return nodes.add("Flatten", input, axis=1)


@become.register
def _channel_shuffle(layer: ChannelShuffle, nodes: Nodes, input: str) -> str:
    channels, *rest = layer.input_shape or (0,)
    cut = nodes.tensor("groups", [0, layer.groups, channels // layer.groups, *rest])
    apart = nodes.add("Transpose", nodes.add("Reshape", input, cut), perm=(0, 2, 1, *range(3, 3 + len(rest))))
    return nodes.add("Reshape", apart, nodes.tensor("shape", [0, channels, *rest]))


@become.register(Dropout)
@become.register(GaussianNoise)
@become.register(SpatialDropout)
@become.register(StochasticDepth)
def _nothing(layer: Layer, nodes: Nodes, input: str) -> str:
    return input
