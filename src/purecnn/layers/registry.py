"""The registry of layers by class name.

Every layer by its class's name, so that a file can say which ones it wants and need bring no code.
"""

from __future__ import annotations

from purecnn import layers
from purecnn.layers.activations.custom import Activation
from purecnn.layers.base import Layer

#: What a model file may name: all layers in the border of this package. A new layer is added there.
LAYERS: dict[str, type[Layer]] = {
    name: kind
    for name, kind in ((name, getattr(layers, name)) for name in dir(layers))
    if isinstance(kind, type) and issubclass(kind, Layer) and kind not in (Layer, Activation)
}


def is_own(part: object) -> bool:
    """Return whether `part` is of this package, and so safe to run in a process of its own.

    What users write may print, count or keep things, and so runs in threads, where they can see it.
    """
    kind = part if callable(part) and not isinstance(part, Layer) else type(part)
    return kind.__module__.startswith("purecnn.") and kind is not Activation
