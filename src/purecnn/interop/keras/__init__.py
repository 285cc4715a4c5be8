"""Keras: its models become networks, its weights those of a network. h5py is the extra `keras`.

`model` reads a saved model, `graph` finds the branches in its config and `builder` makes a network of them;
`layers` translates each layer, with `images` and `signals` for those of one kind; `layouts` turns the arrays,
`weights` reads weights alone.

Imports what `purecnn.interop` does. Begin with `model`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.interop.keras.model import load_keras as load_keras
    from purecnn.interop.keras.weights import load_keras_weights as load_keras_weights
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "model": "load_keras",
            "weights": "load_keras_weights",
        },
    )
