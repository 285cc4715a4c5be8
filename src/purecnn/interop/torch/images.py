"""PyTorch modules for layers of images without parameters: padding, pooling and resampling."""

from __future__ import annotations

from purecnn.interop.torch.modules import Module, translate
from purecnn.layers.reshape import ChannelShuffle
from purecnn.layers.spatial.adaptive_pooling import AdaptiveAveragePooling, AdaptiveMaxPooling
from purecnn.layers.spatial.global_pooling import GlobalAveragePooling, GlobalMaxPooling
from purecnn.layers.spatial.padding import Cropping, PixelPadding, ReflectionPadding, ZeroPadding
from purecnn.layers.spatial.pooling import AveragePooling, MaxPooling
from purecnn.layers.spatial.resampling import DepthToSpace, UpSampling


@translate.register
def _(layer: ZeroPadding) -> list[Module]:
    (top, bottom), (left, right) = layer.padding
    return [Module(f"nn.ZeroPad2d({(left, right, top, bottom)})", layer)]


@translate.register
def _(layer: PixelPadding) -> list[Module]:
    (top, bottom), (left, right) = layer.padding
    kind = "Reflection" if isinstance(layer, ReflectionPadding) else "Replication"
    return [Module(f"nn.{kind}Pad2d({(left, right, top, bottom)})", layer)]


@translate.register
def _(layer: Cropping) -> list[Module]:
    (top, bottom), (left, right) = layer.cropping
    return [Module(f"nn.ZeroPad2d({(-left, -right, -top, -bottom)})", layer)]


@translate.register
def _(layer: MaxPooling) -> list[Module]:
    return [Module(f"nn.MaxPool2d({layer.pool_size}, stride={layer.stride})", layer)]


@translate.register
def _(layer: AveragePooling) -> list[Module]:
    return [Module(f"nn.AvgPool2d({layer.pool_size}, stride={layer.stride})", layer)]


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
