"""Registry of architectures: every one that ends in classes, by its name in the literature."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from purecnn.layers.shapes import ShapeLike
from purecnn.networks.architectures.concatenated import densenet, inception_small, squeezenet
from purecnn.networks.architectures.mobile import (
    efficientnet_b0,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3_small,
)
from purecnn.networks.architectures.residual import resnet, wide_resnet
from purecnn.networks.architectures.shuffle import shufflenet
from purecnn.networks.architectures.vgg import vgg_small
from purecnn.networks.network import Network

#: Architectures by name, functions of ``(input_shape, classes, seed)``; each is in `networks.NETWORKS` too.
ARCHITECTURES: dict[str, Callable[[ShapeLike, int, int | None], Network]] = {
    "vgg-small": vgg_small,
    "resnet-20": partial(resnet, depth=20),
    "resnet-32": partial(resnet, depth=32),
    "resnet-44": partial(resnet, depth=44),
    "resnet-56": partial(resnet, depth=56),
    "wide-resnet-16-4": partial(wide_resnet, depth=16, width=4),
    "densenet-40-12": partial(densenet, depth=40, growth=12),
    "inception-small": inception_small,
    "squeezenet": squeezenet,
    "mobilenet-v1": mobilenet_v1,
    "mobilenet-v2": mobilenet_v2,
    "mobilenet-v3-small": mobilenet_v3_small,
    "shufflenet": shufflenet,
    "efficientnet-b0": efficientnet_b0,
}
