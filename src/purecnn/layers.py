"""Every layer by its class's name, so that a file can say which ones it wants and need bring no code."""

from __future__ import annotations

from purecnn.activations import HardSigmoid, Identity, ReLU, Sigmoid, Softmax, Softsign, Tanh
from purecnn.convolutional import Convolutional
from purecnn.dense import Dense
from purecnn.dropout import Dropout
from purecnn.gates import GELU, HardSwish, Mish, SiLU
from purecnn.layer import Layer
from purecnn.pooling import AveragePooling, MaxPooling
from purecnn.prelu import PReLU
from purecnn.rectifiers import ELU, SELU, LeakyReLU, ReLU6, Softplus
from purecnn.reshape import Flatten, Reshape

#: What a model file may name. A new layer is added here.
LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer
    for layer in (
        AveragePooling,
        Convolutional,
        Dense,
        Dropout,
        ELU,
        Flatten,
        GELU,
        HardSigmoid,
        HardSwish,
        Identity,
        LeakyReLU,
        MaxPooling,
        Mish,
        PReLU,
        ReLU,
        ReLU6,
        Reshape,
        SELU,
        Sigmoid,
        SiLU,
        Softmax,
        Softplus,
        Softsign,
        Tanh,
    )
}
