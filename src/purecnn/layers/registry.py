"""Every layer by its class's name, so that a file can say which ones it wants and need bring no code."""

from __future__ import annotations

from purecnn.layers.activations.basic import HardSigmoid, Identity, Sigmoid, Softmax, Softsign, Tanh
from purecnn.layers.activations.custom import Activation
from purecnn.layers.activations.gated import GELU, HardSwish, Mish, SiLU
from purecnn.layers.activations.rectified import ELU, SELU, LeakyReLU, PReLU, ReLU, ReLU6, Softplus
from purecnn.layers.base import Layer
from purecnn.layers.convolution import Convolutional, DepthwiseConvolutional
from purecnn.layers.dense import Dense
from purecnn.layers.dropout import Dropout, SpatialDropout
from purecnn.layers.normalization import BatchNormalization
from purecnn.layers.padding import ZeroPadding
from purecnn.layers.pooling import AveragePooling, GlobalAveragePooling, MaxPooling
from purecnn.layers.reshape import Flatten, Reshape
from purecnn.layers.residual import Residual

#: What a model file may name. A new layer is added here.
LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer
    for layer in (
        AveragePooling,
        BatchNormalization,
        Convolutional,
        Dense,
        DepthwiseConvolutional,
        Dropout,
        ELU,
        Flatten,
        GELU,
        GlobalAveragePooling,
        HardSigmoid,
        HardSwish,
        Identity,
        LeakyReLU,
        MaxPooling,
        Mish,
        PReLU,
        ReLU,
        Residual,
        ReLU6,
        Reshape,
        SELU,
        Sigmoid,
        SiLU,
        Softmax,
        Softplus,
        Softsign,
        SpatialDropout,
        Tanh,
        ZeroPadding,
    )
}


def is_own(part: object) -> bool:
    """Return whether `part` is of this package, and so safe to run in a process of its own.

    What users write may print, count or keep things, and so runs in threads, where they can see it.
    """
    kind = part if callable(part) and not isinstance(part, Layer) else type(part)
    return kind.__module__.startswith("purecnn.") and kind is not Activation
