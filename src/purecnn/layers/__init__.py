"""Layers: what a network is made of, each with parameters, shapes, a forward and a backward pass.

`base` is what every layer is, `shapes` what a sample's axes are called, `stack` a list of layers whose
parameters are one flat vector. `registry` names every layer, `serialization` writes and builds them,
`summaries`, `footprint` and `ranges` say what they cost and can give.

Imports `backend`, `formats` and `kernels`. Begin with `base`, then `dense` and `convolution`; for a
layer of your own read CONTRIBUTING.md.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.layers.activations.basic import HardSigmoid as HardSigmoid
    from purecnn.layers.activations.basic import Identity as Identity
    from purecnn.layers.activations.basic import LogSoftmax as LogSoftmax
    from purecnn.layers.activations.basic import Sigmoid as Sigmoid
    from purecnn.layers.activations.basic import Softmax as Softmax
    from purecnn.layers.activations.basic import Softsign as Softsign
    from purecnn.layers.activations.basic import Tanh as Tanh
    from purecnn.layers.activations.custom import Activation as Activation
    from purecnn.layers.activations.gated import GELU as GELU
    from purecnn.layers.activations.gated import HardSwish as HardSwish
    from purecnn.layers.activations.gated import Mish as Mish
    from purecnn.layers.activations.gated import SiLU as SiLU
    from purecnn.layers.activations.rectified import ELU as ELU
    from purecnn.layers.activations.rectified import SELU as SELU
    from purecnn.layers.activations.rectified import LeakyReLU as LeakyReLU
    from purecnn.layers.activations.rectified import PReLU as PReLU
    from purecnn.layers.activations.rectified import ReLU as ReLU
    from purecnn.layers.activations.rectified import ReLU6 as ReLU6
    from purecnn.layers.activations.rectified import Softplus as Softplus
    from purecnn.layers.base import Layer as Layer
    from purecnn.layers.composites.branches import Branches as Branches
    from purecnn.layers.composites.residual import Residual as Residual
    from purecnn.layers.composites.separable import SeparableConvolutional as SeparableConvolutional
    from purecnn.layers.dense import Dense as Dense
    from purecnn.layers.dropout import Dropout as Dropout
    from purecnn.layers.dropout import SpatialDropout as SpatialDropout
    from purecnn.layers.dropout import StochasticDepth as StochasticDepth
    from purecnn.layers.noise import GaussianNoise as GaussianNoise
    from purecnn.layers.normalization.batch import BatchNormalization as BatchNormalization
    from purecnn.layers.normalization.group import GroupNormalization as GroupNormalization
    from purecnn.layers.normalization.group import LayerNormalization as LayerNormalization
    from purecnn.layers.preprocessing import Preprocessing as Preprocessing
    from purecnn.layers.reshape import ChannelShuffle as ChannelShuffle
    from purecnn.layers.reshape import Flatten as Flatten
    from purecnn.layers.reshape import Reshape as Reshape
    from purecnn.layers.signals.convolution import Convolutional1D as Convolutional1D
    from purecnn.layers.signals.convolution import DepthwiseConvolutional1D as DepthwiseConvolutional1D
    from purecnn.layers.signals.padding import ZeroPadding1D as ZeroPadding1D
    from purecnn.layers.signals.pooling import AveragePooling1D as AveragePooling1D
    from purecnn.layers.signals.pooling import GlobalAveragePooling1D as GlobalAveragePooling1D
    from purecnn.layers.signals.pooling import GlobalMaxPooling1D as GlobalMaxPooling1D
    from purecnn.layers.signals.pooling import MaxPooling1D as MaxPooling1D
    from purecnn.layers.spatial.adaptive_pooling import AdaptiveAveragePooling as AdaptiveAveragePooling
    from purecnn.layers.spatial.adaptive_pooling import AdaptiveMaxPooling as AdaptiveMaxPooling
    from purecnn.layers.spatial.convolution import Convolutional as Convolutional
    from purecnn.layers.spatial.convolution import DepthwiseConvolutional as DepthwiseConvolutional
    from purecnn.layers.spatial.global_pooling import GlobalAveragePooling as GlobalAveragePooling
    from purecnn.layers.spatial.global_pooling import GlobalMaxPooling as GlobalMaxPooling
    from purecnn.layers.spatial.padding import Cropping as Cropping
    from purecnn.layers.spatial.padding import ReflectionPadding as ReflectionPadding
    from purecnn.layers.spatial.padding import ReplicationPadding as ReplicationPadding
    from purecnn.layers.spatial.padding import ZeroPadding as ZeroPadding
    from purecnn.layers.spatial.pooling import AveragePooling as AveragePooling
    from purecnn.layers.spatial.pooling import MaxPooling as MaxPooling
    from purecnn.layers.spatial.resampling import DepthToSpace as DepthToSpace
    from purecnn.layers.spatial.resampling import UpSampling as UpSampling
    from purecnn.layers.spatial.transposed import TransposedConvolutional as TransposedConvolutional
    from purecnn.layers.summaries import Summary as Summary
    from purecnn.layers.summaries import summary as summary
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "activations.basic": "HardSigmoid Identity LogSoftmax Sigmoid Softmax Softsign Tanh",
            "activations.custom": "Activation",
            "activations.gated": "GELU HardSwish Mish SiLU",
            "activations.rectified": "ELU LeakyReLU PReLU ReLU ReLU6 SELU Softplus",
            "base": "Layer",
            "composites.branches": "Branches",
            "composites.residual": "Residual",
            "composites.separable": "SeparableConvolutional",
            "signals.convolution": "Convolutional1D DepthwiseConvolutional1D",
            "signals.padding": "ZeroPadding1D",
            "signals.pooling": "AveragePooling1D GlobalAveragePooling1D GlobalMaxPooling1D MaxPooling1D",
            "spatial.convolution": "Convolutional DepthwiseConvolutional",
            "dense": "Dense",
            "dropout": "Dropout SpatialDropout StochasticDepth",
            "noise": "GaussianNoise",
            "normalization.batch": "BatchNormalization",
            "spatial.adaptive_pooling": "AdaptiveAveragePooling AdaptiveMaxPooling",
            "spatial.global_pooling": "GlobalAveragePooling GlobalMaxPooling",
            "normalization.group": "GroupNormalization LayerNormalization",
            "spatial.padding": "Cropping ReflectionPadding ReplicationPadding ZeroPadding",
            "spatial.pooling": "AveragePooling MaxPooling",
            "spatial.resampling": "DepthToSpace UpSampling",
            "spatial.transposed": "TransposedConvolutional",
            "preprocessing": "Preprocessing",
            "reshape": "ChannelShuffle Flatten Reshape",
            "summaries": "Summary summary",
        },
    )
