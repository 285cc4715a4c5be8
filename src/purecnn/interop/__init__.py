"""Interoperation: weights and models of Keras and PyTorch, and estimators for scikit-learn.

`keras`, `torch` and `sklearn` are packages of their own; `matching` finds the layer that each array of
a file of weights belongs to.

Imports `backend` to `networks`, and `formats`. Begin with `matching`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.interop import keras as keras
    from purecnn.interop import sklearn as sklearn
    from purecnn.interop import torch as torch
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "": "keras sklearn torch",
        },
    )
