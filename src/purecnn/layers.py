"""Every layer by its class's name, so that a file can say which ones it wants and need bring no code."""

from __future__ import annotations

from purecnn.activation import Activation
from purecnn.activations import HardSigmoid, Identity, ReLU, Sigmoid, Softmax, Softsign, Tanh
from purecnn.convolutional import Convolutional, DepthwiseConvolutional
from purecnn.dense import Dense
from purecnn.dropout import Dropout, SpatialDropout
from purecnn.gates import GELU, HardSwish, Mish, SiLU
from purecnn.layer import Layer
from purecnn.normalization import BatchNormalization
from purecnn.padding import ZeroPadding
from purecnn.pooling import AveragePooling, GlobalAveragePooling, MaxPooling
from purecnn.prelu import PReLU
from purecnn.rectifiers import ELU, SELU, LeakyReLU, ReLU6, Softplus
from purecnn.reshape import Flatten, Reshape
from purecnn.residual import Residual

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
