"""PyTorch modules for layers of images without parameters: padding, pooling and resampling."""

from __future__ import annotations

from purecnn.interop.torch.modules import Module, translate
from purecnn.layers.reshape import ChannelShuffle
from purecnn.layers.spatial.adaptive_pooling import AdaptiveAveragePooling, AdaptiveMaxPooling
from purecnn.layers.spatial.global_pooling import GlobalAveragePooling, GlobalMaxPooling
from purecnn.layers.spatial.padding import Cropping, PixelPadding, ReflectionPadding, ZeroPadding
from purecnn.layers.spatial.pooling import AveragePooling, MaxPooling, Pooling
from purecnn.layers.spatial.resampling import DepthToSpace, UpSampling


@translate.register
def _(layer: ZeroPadding) -> list[Module]:
    (top, bottom), (left, right) = layer.padding
    if any(layer.channels):  # a batch of images is one volume to this module, its channels the last pair
        return [Module(f"nn.ZeroPad3d({(left, right, top, bottom, *layer.channels)})", layer)]
    return [Module(f"nn.ZeroPad2d({(left, right, top, bottom)})", layer)]


@translate.register
def _(layer: PixelPadding) -> list[Module]:
    (top, bottom), (left, right) = layer.padding
    kind = "Reflection" if isinstance(layer, ReflectionPadding) else "Replication"
    return [Module(f"nn.{kind}Pad2d({(left, right, top, bottom)})", layer)]


@translate.register
def _(layer: Cropping) -> list[Module]:
    (top, bottom), (left, right) = layer.cropping
    sides = (-left, -right, -top, -bottom)
    if any(layer.channels):
        front, behind = layer.channels
        return [Module(f"nn.ZeroPad3d({(*sides, -front, -behind)})", layer)]
    return [Module(f"nn.ZeroPad2d({sides})", layer)]


@translate.register
def _(layer: MaxPooling) -> list[Module]:
    even, border = padded_pooling(layer)
    call = f"nn.MaxPool2d({layer.pool_size}, stride={layer.stride}{even})"
    around = [Module(f"nn.ConstantPad2d({border}, float('-inf'))", layer)] if border else []
    return [*around, Module(call, layer)]


@translate.register
def _(layer: AveragePooling) -> list[Module]:
    even, border = padded_pooling(layer)
    if border and not layer.count_padding:
        return [Module(f"AverageWithin({layer.pool_size}, {layer.stride}, {border})", layer)]
    uncounted = "" if layer.count_padding or not even else ", count_include_pad=False"
    call = f"nn.AvgPool2d({layer.pool_size}, stride={layer.stride}{even}{uncounted})"
    around = [Module(f"nn.ZeroPad2d({border})", layer)] if border else []
    return [*around, Module(call, layer)]


def padded_pooling(layer: Pooling) -> tuple[str, tuple[int, ...]]:
    """Return the padding that a pooling of PyTorch takes as its argument, and that which it does not take.

    It takes as much on opposite sides, up to half the window.
    """
    (top, bottom), (left, right) = layer.border
    if not layer.is_padded:
        return "", ()
    height, width = layer.pool_size
    even = top == bottom and left == right and 2 * top <= height and 2 * left <= width
    return (f", padding={(top, left)}", ()) if even else ("", (left, right, top, bottom))


@translate.register
def _(layer: GlobalAveragePooling) -> list[Module]:
    return [Module("nn.AdaptiveAvgPool2d(1)", layer), Module("nn.Flatten()", layer)]


@translate.register
def _(layer: GlobalMaxPooling) -> list[Module]:
    return [Module("nn.AdaptiveMaxPool2d(1)", layer), Module("nn.Flatten()", layer)]


@translate.register
def _(layer: AdaptiveAveragePooling) -> list[Module]:
    return [Module(f"nn.AdaptiveAvgPool2d({layer.output_size})", layer)]


@translate.register
def _(layer: AdaptiveMaxPooling) -> list[Module]:
    return [Module(f"nn.AdaptiveMaxPool2d({layer.output_size})", layer)]


@translate.register
def _(layer: UpSampling) -> list[Module]:
    # PyTorch's "nearest" takes a neighbour at some factors, 41 the least of them.
    mode = "nearest-exact" if layer.interpolation == "nearest" else layer.interpolation
    corners = ", align_corners=True" if layer.align_corners else ""
    return [Module(f"nn.Upsample(scale_factor={layer.size}, mode={mode!r}{corners})", layer)]


@translate.register
def _(layer: ChannelShuffle) -> list[Module]:
    return [Module(f"nn.ChannelShuffle({layer.groups})", layer)]


@translate.register
def _(layer: DepthToSpace) -> list[Module]:
    # A shuffle brings the channels of each map together, which in DCR lie apart.
    shuffled = layer.mode == "DCR" and layer.block_size > 1
    found = [Module(f"nn.ChannelShuffle({layer.block_size**2})", layer)] if shuffled else []
    return [*found, Module(f"nn.PixelShuffle({layer.block_size})", layer)]
