"""Keras: its models become networks, its weights those of a network. h5py is the extra `keras`.

`model` reads a saved model, `graph` finds the branches in its config, `functions` what stands there for a
layer, and `builder` makes a network of them, with `held` where paths cross; `layers` translates each layer,
with `images`, `signals`, `activations` and `fixed` for those of one kind; `arrays` finds the arrays in a
file, `layouts` and `axes` turn them, `weights` reads weights alone.

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
