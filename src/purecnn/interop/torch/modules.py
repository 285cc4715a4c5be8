"""PyTorch modules for each layer, and the tensors that hold its arrays.

What each layer is in PyTorch: the modules that compute the same, and the tensors that hold its arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import singledispatch

from purecnn.backend.types import Array, Shape
from purecnn.layers.activations.basic import (
    HardSigmoid,
    Identity,
    LogSoftmax,
    Sigmoid,
    Softmax,
    Softsign,
    Tanh,
)
from purecnn.layers.activations.custom import Activation
from purecnn.layers.activations.gated import GELU, HardSwish, Mish, SiLU
from purecnn.layers.activations.rectified import ELU, SELU, LeakyReLU, PReLU, ReLU, ReLU6, Softplus
from purecnn.layers.base import Layer, rule_for
from purecnn.layers.composites.branches import Branches
from purecnn.layers.composites.residual import Residual
from purecnn.layers.composites.separable import SeparableConvolutional
from purecnn.layers.dense import Dense
from purecnn.layers.dropout import Dropout, SpatialDropout, StochasticDepth
from purecnn.layers.noise import GaussianNoise
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.normalization.group import GroupNormalization, LayerNormalization
from purecnn.layers.preprocessing import Preprocessing
from purecnn.layers.reshape import Flatten, Reshape
from purecnn.layers.spatial.convolution import Convolutional
from purecnn.layers.spatial.transposed import TransposedConvolutional
from purecnn.networks.network import Network

#: Layers whose counterpart takes no arguments.
PLAIN = {
    Flatten: "Flatten",
    HardSwish: "Hardswish",
    Identity: "Identity",
    Mish: "Mish",
    ReLU: "ReLU",
    ReLU6: "ReLU6",
    SELU: "SELU",
    Sigmoid: "Sigmoid",
    SiLU: "SiLU",
    Softplus: "Softplus",
    Softsign: "Softsign",
    Tanh: "Tanh",
}


@dataclass(frozen=True)
class Tensor:
    """One tensor of a module: which of a layer's arrays has its values, and the shape that it has there."""

    home: str  # "parameters" or "buffers"
    array: str
    shape: Shape


#: The class of PyTorch's program that stands for each merge of `Branches`.
MERGED = {
    "add": "Added",
    "concatenate": "Concatenated",
    "multiply": "Multiplied",
    "maximum": "Largest",
    "mean": "Averaged",
}


@dataclass(frozen=True)
class Module:
    """One module of PyTorch, as it is written in a program.

    Attributes
    ----------
    call : str
        What makes it, such as ``"nn.ReLU()"``; of what is made of layers the class's name.
    layer : Layer or None
        The layer that it is, or is part of; None for the preprocessing.
    tensors : dict of str to Tensor
        What a state dict holds of it, by the end of the name.
    optional : frozenset of str
        Tensors that another module of the kind may lack: they are zeros then.
    inside : dict of str to list of Module
        Those that it is made of, one after the other, by the attribute that holds them.
    is_own : bool
        Whether its class is the user's, of whom PyTorch's counterpart is wanted.
    """

    call: str
    layer: Layer | None
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    inside: Mapping[str, Sequence[Module]] = field(default_factory=dict)
    is_own: bool = False


@singledispatch
def translate(layer: Layer) -> list[Module]:
    """Return the modules that compute, one after the other, what a bound layer does.

    A layer of one's own is a module of one's own, by the name of its class.

    Raises
    ------
    TypeError
        If there are none.
    """
    call = rule_for(PLAIN, layer)
    if call is not None:
        return [Module(f"nn.{call}()", layer)]
    return [own_module(layer)]


def own_module(layer: Layer) -> Module:
    """Return the module that stands for a layer of the user's own, its tensors as the layer has them."""
    if layer.inside():
        raise TypeError(
            f"{type(layer).__name__} can't be written as a module of PyTorch, since it is made of layers: of "
            f"this package's classes Branches and Residual alone are"
        )
    arrays = {"parameters": layer.parameters, "buffers": layer.buffers}
    tensors = {
        name: Tensor(home, name, array.shape) for home, held in arrays.items() for name, array in held.items()
    }
    return Module(repr(layer), layer, tensors, is_own=True)


def counterpart(layer: Layer) -> list[Module]:
    """Return the modules of a layer, by the rule of the class that says what it computes."""
    rule: Callable[[Layer], list[Module]] | None = rule_for(translate.registry, layer)
    return [own_module(layer)] if rule is None else rule(layer)


@translate.register
def _(layer: Activation) -> list[Module]:
    if type(layer) is not Activation:
        return [own_module(layer)]
    raise TypeError(
        "Activation can't be written as a module of PyTorch, since its functions are your own: one of this "
        "package's activations, such as ReLU, is wanted in its place"
    )


def unusual(options: Mapping[str, tuple[object, object]]) -> str:
    """Return the arguments of a call that differ from what PyTorch takes without them."""
    return "".join(f", {name}={value}" for name, (value, usual) in options.items() if value != usual)


def kernels_and_biases(layer: Layer) -> dict[str, Tensor]:
    """Return the tensors of a convolution."""
    names = {"kernels": "weight", "biases": "bias"}
    return {names[k]: Tensor("parameters", k, shape) for k, shape in layer.parameter_shapes().items()}


@translate.register
def _(layer: Convolutional) -> list[Module]:
    (channels, *_), depth = layer.input_shape or (0,), layer.depth
    (top, bottom), (left, right) = layer.border
    even = top == bottom and left == right
    options = {
        "stride": (layer.stride, (1, 1)),
        "padding": ((top, left) if even else (0, 0), (0, 0)),
        "dilation": (layer.dilation, (1, 1)),
        "groups": (layer.groups, 1),
        "bias": (layer.bias and not layer.per_position_bias, True),
    }
    tensors = kernels_and_biases(layer)
    position_bias = tensors.pop("bias") if layer.per_position_bias else None
    call = f"nn.Conv2d({channels}, {depth}, kernel_size={layer.kernel_size}{unusual(options)})"
    found = [] if even else [Module(f"nn.ZeroPad2d({(left, right, top, bottom)})", layer)]
    found.append(Module(call, layer, tensors, frozenset(tensors.keys() - {"weight"})))
    if position_bias:
        found.append(Module(f"PositionBias{position_bias.shape}", layer, {"bias": position_bias}))
    return found


@translate.register
def _(layer: TransposedConvolutional) -> list[Module]:
    (channels, *_), depth = layer.input_shape or (0,), layer.depth
    # PyTorch cuts as much off on both sides: what is more on one is cut off behind, by a padding below 0.
    padding = tuple(map(min, layer.border))
    (top, bottom), (left, right) = (
        (less - before, less - behind) for less, (before, behind) in zip(padding, layer.border, strict=True)
    )
    options = {
        "stride": (layer.stride, (1, 1)),
        "padding": (padding, (0, 0)),
        "output_padding": (layer.extra, (0, 0)),
        "groups": (layer.groups, 1),
        "bias": (layer.bias, True),
        "dilation": (layer.dilation, (1, 1)),
    }
    tensors = kernels_and_biases(layer)
    call = f"nn.ConvTranspose2d({channels}, {depth}, kernel_size={layer.kernel_size}{unusual(options)})"
    found = [Module(call, layer, tensors, frozenset(tensors.keys() - {"weight"}))]
    around = (left, right, top, bottom)
    return [*found, Module(f"nn.ZeroPad2d({around})", layer)] if any(around) else found


@translate.register
def _(layer: Dense) -> list[Module]:
    (inputs,), outputs = layer.input_shape or (0,), layer.output_size
    tensors = {"weight": Tensor("parameters", "weights", (outputs, inputs))}
    if layer.bias:
        tensors["bias"] = Tensor("parameters", "biases", (outputs,))
    without = "" if layer.bias else ", bias=False"
    optional = frozenset(tensors.keys() - {"weight"})
    return [Module(f"nn.Linear({inputs}, {outputs}{without})", layer, tensors, optional)]


@translate.register
def _(layer: BatchNormalization) -> list[Module]:
    axes = len(layer.input_shape or ())
    if axes > 4:
        raise TypeError(
            f"BatchNormalization of samples of shape {layer.input_shape} can't be written as a module of "
            f"PyTorch, whose BatchNorm3d takes 4 axes a sample at most"
        )
    channels = (layer.channels,)
    tensors = {"weight": Tensor("parameters", "gamma", channels)} if layer.affine else {}
    tensors |= {"bias": Tensor("parameters", "beta", channels)} if layer.affine else {}
    tensors["running_mean"] = Tensor("buffers", "running_mean", channels)
    tensors["running_var"] = Tensor("buffers", "running_variance", channels)
    plain = "" if layer.affine else ", affine=False"
    call = f"{layer.channels}, eps={layer.epsilon!r}, momentum={layer.momentum!r}{plain}"
    return [Module(f"nn.BatchNorm{max(1, axes - 1)}d({call})", layer, tensors)]


@translate.register
def _(layer: GroupNormalization) -> list[Module]:
    channels = layer.affine_shape
    tensors = {
        "weight": Tensor("parameters", "gamma", channels),
        "bias": Tensor("parameters", "beta", channels),
    }
    plain = "" if layer.affine else ", affine=False"
    call = f"nn.GroupNorm({layer.groups}, {channels[0]}, eps={layer.epsilon!r}{plain})"
    return [Module(call, layer, tensors if layer.affine else {})]


@translate.register
def _(layer: LayerNormalization) -> list[Module]:
    shape = layer.affine_shape
    tensors = {"weight": Tensor("parameters", "gamma", shape), "bias": Tensor("parameters", "beta", shape)}
    plain = "" if layer.affine else ", elementwise_affine=False"
    kind = "nn.LayerNorm" if shape == layer.input_shape else "ChannelNorm"
    call = f"{kind}({shape}, eps={layer.epsilon!r}{plain})"
    return [Module(call, layer, tensors if layer.affine else {})]


@translate.register
def _(layer: PReLU) -> list[Module]:
    shape = layer.parameter_shapes()["slopes"][:1]
    call = f"nn.PReLU(num_parameters={shape[0]}, init={layer.initial!r})"
    return [Module(call, layer, {"weight": Tensor("parameters", "slopes", shape)})]


@translate.register
def _(layer: Residual) -> list[Module]:
    ways = {"layers": layer.layers, "shortcut": layer.shortcut}
    inside = {name: [module for part in way for module in counterpart(part)] for name, way in ways.items()}
    return [Module("Residual", layer, inside=inside)]


@translate.register
def _(layer: SeparableConvolutional) -> list[Module]:
    return [*counterpart(layer.depthwise), *counterpart(layer.pointwise)]


@translate.register
def _(layer: Branches) -> list[Module]:
    inside = {
        f"paths.{front}": [module for part in path for module in counterpart(part)]
        for front, path in layer.branches.items()
    }
    return [Module(MERGED[layer.merge], layer, inside=inside)]


@translate.register
def _(layer: Reshape) -> list[Module]:
    before, after = layer.declared_shape, layer.target_shape
    calls = [] if len(before) == 1 else ["nn.Flatten()"]
    calls += [f"nn.Unflatten(1, {after})"] if len(after) > 1 else []
    return [Module(call, layer) for call in calls or ["nn.Identity()"]]


@translate.register
def _(layer: Dropout) -> list[Module]:
    return [Module(f"nn.Dropout({layer.rate!r})", layer)]


@translate.register
def _(layer: SpatialDropout) -> list[Module]:
    axes = len(layer.input_shape or ()) - 1
    return [Module(f"nn.Dropout{axes}d({layer.rate!r})", layer)]


@translate.register
def _(layer: StochasticDepth) -> list[Module]:
    return [Module(f"StochasticDepth({layer.rate!r})", layer)]


@translate.register
def _(layer: GaussianNoise) -> list[Module]:
    return [Module(f"GaussianNoise({layer.stddev!r})", layer)]


@translate.register
def _(layer: LogSoftmax) -> list[Module]:
    return [Module("nn.LogSoftmax(dim=1)", layer)]


@translate.register
def _(layer: Softmax) -> list[Module]:
    return [Module("nn.Softmax(dim=1)", layer)]


@translate.register
def _(layer: LeakyReLU) -> list[Module]:
    return [Module(f"nn.LeakyReLU({layer.slope!r})", layer)]


@translate.register
def _(layer: ELU) -> list[Module]:
    call = "nn.SELU()" if isinstance(layer, SELU) else f"nn.ELU({layer.alpha!r})"
    return [Module(call, layer)]


@translate.register
def _(layer: HardSigmoid) -> list[Module]:
    if layer.slope != 1 / 6:
        raise TypeError(
            f"HardSigmoid can't be written as a module of PyTorch, whose slope is 1 / 6, got {layer.slope:g}"
        )
    return [Module("nn.Hardsigmoid()", layer)]


@translate.register
def _(layer: GELU) -> list[Module]:
    return [Module(f"nn.GELU(approximate={layer.approximate!r})", layer)]


def modules(network: Network) -> list[Module]:
    """Return a network's modules in order, its preprocessing in front if it changes anything.

    Raises
    ------
    TypeError
        If a layer has no counterpart; the message names it.
    ValueError
        If the network has no input shape yet.
    """
    if network.input_shape is None:
        raise ValueError(
            "this network has no input shape yet, so the shapes of its parameters are not known: "
            "a network that was trained, used or given an input_shape is wanted"
        )
    network.sync()
    found = []
    before: Preprocessing = network.preprocessing
    if (before.scale, before.shift) != (1.0, 0.0) or before.kind == "bytes":
        found.append(Module(f"Preprocessing({before.scale!r}, {before.shift!r})", None))
    for place, layer in enumerate(network):
        try:
            found += counterpart(layer)
        except TypeError as error:
            raise TypeError(f"layer {place}, {error}") from None
    return found


def named(found: Sequence[Module], front: str = "") -> Iterator[tuple[str, Module]]:
    """Yield the modules that hold tensors, those inside of others too, by their names in a state dict."""
    for place, module in enumerate(found):
        if module.tensors:
            yield f"{front}{place}", module
        for attribute, way in module.inside.items():
            yield from named(way, f"{front}{place}.{attribute}.")


def tensor(module: Module, name: str) -> Array:
    """Return one of a module's tensors as a view of the layer's array."""
    held = module.tensors[name]
    array: Array = getattr(module.layer, held.home)[held.array]
    return array.reshape(held.shape)
