"""PyTorch modules for layers of signals."""

from __future__ import annotations

from purecnn.interop.torch.modules import Module, Tensor, translate
from purecnn.layers.signals.convolution import Convolutional1D
from purecnn.layers.signals.padding import ZeroPadding1D
from purecnn.layers.signals.pooling import (
    AveragePooling1D,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    MaxPooling1D,
)


@translate.register
def _(layer: Convolutional1D) -> list[Module]:
    (channels, *_), (before, behind) = layer.input_shape or (0,), layer.border
    options = {
        "stride": (layer.stride, 1),
        "padding": (before if before == behind else 0, 0),
        "dilation": (layer.dilation, 1),
        "groups": (layer.groups, 1),
        "bias": (layer.bias, True),
    }
    given = "".join(f", {name}={value}" for name, (value, usual) in options.items() if value != usual)
    found = {"kernels": "weight", "biases": "bias"}
    tensors = {found[k]: Tensor("parameters", k, shape) for k, shape in layer.parameter_shapes().items()}
    call = f"nn.Conv1d({channels}, {layer.depth}, kernel_size={layer.kernel_size}{given})"
    padded = [] if before == behind else [Module(f"nn.ZeroPad1d({layer.border})", layer)]
    return [*padded, Module(call, layer, tensors, frozenset(tensors.keys() - {"weight"}))]


@translate.register
def _(layer: ZeroPadding1D) -> list[Module]:
    return [Module(f"nn.ZeroPad1d({layer.padding})", layer)]


@translate.register
def _(layer: MaxPooling1D) -> list[Module]:
    return [Module(f"nn.MaxPool1d({layer.pool_size}, stride={layer.stride})", layer)]


@translate.register
def _(layer: AveragePooling1D) -> list[Module]:
    return [Module(f"nn.AvgPool1d({layer.pool_size}, stride={layer.stride})", layer)]


@translate.register
def _(layer: GlobalAveragePooling1D) -> list[Module]:
    return [Module("nn.AdaptiveAvgPool1d(1)", layer), Module("nn.Flatten()", layer)]


@translate.register
def _(layer: GlobalMaxPooling1D) -> list[Module]:
    return [Module("nn.AdaptiveMaxPool1d(1)", layer), Module("nn.Flatten()", layer)]
