"""PyTorch modules for layers of signals."""

from __future__ import annotations

from purecnn.interop.torch.modules import Module, kernels_and_biases, translate, unusual
from purecnn.layers.signals.convolution import Convolutional1D
from purecnn.layers.signals.padding import ZeroPadding1D
from purecnn.layers.signals.pooling import (
    AveragePooling1D,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    MaxPooling1D,
    Pooling1D,
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
    tensors = kernels_and_biases(layer)
    call = f"nn.Conv1d({channels}, {layer.depth}, kernel_size={layer.kernel_size}{unusual(options)})"
    padded = [] if before == behind else [Module(f"nn.ZeroPad1d({layer.border})", layer)]
    return [*padded, Module(call, layer, tensors, frozenset(tensors.keys() - {"weight"}))]


@translate.register
def _(layer: ZeroPadding1D) -> list[Module]:
    return [Module(f"nn.ZeroPad1d({layer.padding})", layer)]


def padded_pooling(layer: Pooling1D) -> tuple[str, tuple[int, ...]]:
    """Return the padding that a pooling of PyTorch takes as its argument, and that which it does not take.

    It takes as much before as behind, of half of the window at most.
    """
    before, behind = layer.border
    if not before and not behind:
        return "", ()
    even = before == behind and 2 * before <= layer.pool_size
    return (f", padding={before}", ()) if even else ("", layer.border)


@translate.register
def _(layer: MaxPooling1D) -> list[Module]:
    even, border = padded_pooling(layer)
    around = [Module(f"nn.ConstantPad1d({border}, float('-inf'))", layer)] if border else []
    return [*around, Module(f"nn.MaxPool1d({layer.pool_size}, stride={layer.stride}{even})", layer)]


@translate.register
def _(layer: AveragePooling1D) -> list[Module]:
    even, border = padded_pooling(layer)
    if border and not layer.count_padding:
        raise TypeError(
            f"AveragePooling1D can't be written as a module of PyTorch where its padding does not count and "
            f"is uneven, or more than half of the window: got {border} at a window of {layer.pool_size}"
        )
    uncounted = "" if layer.count_padding or not even else ", count_include_pad=False"
    call = f"nn.AvgPool1d({layer.pool_size}, stride={layer.stride}{even}{uncounted})"
    around = [Module(f"nn.ZeroPad1d({border})", layer)] if border else []
    return [*around, Module(call, layer)]


@translate.register
def _(layer: GlobalAveragePooling1D) -> list[Module]:
    return [Module("nn.AdaptiveAvgPool1d(1)", layer), Module("nn.Flatten()", layer)]


@translate.register
def _(layer: GlobalMaxPooling1D) -> list[Module]:
    return [Module("nn.AdaptiveMaxPool1d(1)", layer), Module("nn.Flatten()", layer)]
