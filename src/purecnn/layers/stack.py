"""A stack of layers whose parameters are views of one flat vector; frozen layers.

So a step or a file is one array. A layer whose `trainable` is off is left alone, also inside of others.
"""

from __future__ import annotations

import copy
import math
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt

from purecnn.backend.arrays import CPU, Device, module_of, to_device, to_host
from purecnn.backend.checks import as_array, is_number
from purecnn.backend.devices import as_device, explained
from purecnn.backend.random import PARAMETERS, as_seed, stream
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.layers.base import Layer, check_style
from purecnn.layers.shapes import ShapeLike, as_dtype, check_channels, sample_shape


def leaves(layer: Layer, factor: float = 1.0) -> Iterator[tuple[int, float]]:
    """Yield how many parameters a layer, or each one inside it, has, and the factor of their learning rate.

    The factor is 0 where training does not change them.

    Raises
    ------
    ValueError, TypeError
        If a factor is no number above 0.
    """
    own, inside = layer.learning_rate_factor, layer.inside()
    if not is_number(own) or not own > 0:
        raise ValueError(
            f"learning_rate_factor of {layer} must be a finite number above 0, got {own!r:.100}; "
            f"trainable = False freezes a layer"
        )
    factor *= own * layer.trainable
    if not inside:
        yield sum(parameter.size for parameter in layer.parameters.values()), factor
    for part in inside.values():
        yield from leaves(part, factor)


def rated_spans(layers: Iterable[Layer]) -> list[tuple[int, int, float]]:
    """Return the stretches of the flat vector that training changes at one rate: first, last and factor.

    Examples
    --------
    >>> from purecnn import Dense
    >>> layers = [Dense(2, 3, rng=0), Dense(3, 1, rng=0), Dense(1, 1, rng=0)]
    >>> layers[0].learning_rate_factor = 0.1
    >>> rated_spans(layers)
    [(0, 9, 0.1), (9, 15, 1.0)]
    """
    found: list[tuple[int, int, float]] = []
    stop = 0
    for size, factor in (leaf for layer in layers for leaf in leaves(layer)):
        start, stop = stop, stop + size
        if not factor or not size:
            continue
        if found and found[-1][1:] == (start, factor):
            start = found.pop()[0]
        found.append((start, stop, factor))
    return found


def trained_spans(layers: Iterable[Layer]) -> list[tuple[int, int]]:
    """Return where the flat vector holds parameters that training changes: first and last of each stretch.

    Examples
    --------
    >>> from purecnn import Dense
    >>> layers = [Dense(2, 3, rng=0), Dense(3, 1, rng=0), Dense(1, 1, rng=0)]
    >>> trained_spans(layers)
    [(0, 15)]
    >>> layers[1].trainable = False
    >>> trained_spans(layers)
    [(0, 9), (13, 15)]
    """
    found: list[tuple[int, int]] = []
    for start, stop, _ in rated_spans(layers):
        if found and found[-1][1] == start:
            start = found.pop()[0]
        found.append((start, stop))
    return found


def check_trainable(network: Iterable[Layer]) -> None:
    """Raise `ValueError` if training would change nothing."""
    if not any(layer.parameters and layer.trainable for layer in network):
        frozen = any(layer.parameters for layer in network)
        raise ValueError(
            f"this network has no parameters to train{': its layers are all frozen' if frozen else ''}"
        )


def as_layers(layers: Any) -> list[Layer]:
    """Return `layers` as a list, if it is one that a network can be made of."""
    if isinstance(layers, Layer) or not isinstance(layers, Iterable):
        raise TypeError(f"a network is made of a list of layers, got {layers!r}")
    found = list(layers)
    if not found:
        raise ValueError("a network needs at least one layer, got none")
    seen: set[int] = set()
    for place, layer in enumerate(found):
        if not isinstance(layer, Layer):
            raise TypeError(f"layer {place} must be a Layer, got {layer!r}")
        if id(layer) in seen:
            raise ValueError(f"layer {place}, {layer}, stands in this network twice")
        check_style(layer, f"layer {place}, ")
        seen.add(id(layer))
    for part in (part for layer in found for part in layer.parts()):
        if id(part) in seen:
            raise ValueError(f"{part} stands in this network twice, once inside of another layer")
        check_style(part)
        seen.add(id(part))
    return found


def owner_of(layer: Layer) -> object:
    """Return the network that a layer is part of: None where it is part of none, or of one that is gone."""
    owner = vars(layer).get("owner")
    return owner and owner()


def network_of(layers: Sequence[Layer]) -> LayerStack | None:
    """Return the network that is made of exactly these layers, None if there is none."""
    owner = owner_of(layers[0])
    same = isinstance(owner, LayerStack) and list(map(id, owner)) == list(map(id, layers))
    return owner if same else None  # type: ignore[return-value]


def is_of_list(network: object) -> bool:
    """Return whether a network stands for a plain list of layers (`functional.as_network`)."""
    return isinstance(network, LayerStack) and vars(network[0]).get("network") is network


def check_free(layers: Iterable[Layer], network: object, seed: int | None) -> None:
    """Refuse layers that are part of another network: they have its parameters, whatever this one's seed.

    Those of a plain list may go on in a network, since their parameters are their own: not by another seed.

    Raises
    ------
    ValueError
        If a layer, or one inside of it, is.
    """
    for place, layer in enumerate(layers):
        for part in (layer, *layer.parts()):
            owner = owner_of(part)
            taken_over = isinstance(owner, LayerStack) and is_of_list(owner) and owner.seed == seed
            if "owner" in vars(part) and owner is not network and not taken_over:
                raise ValueError(
                    f"layer {place}, {part}, is part of another network, with which it would share its "
                    f"parameters: wanted new layers, or copy.deepcopy(layers) to start from what those learnt"
                )


def claim(layers: Iterable[Layer], network: object) -> None:
    """Make layers, and those inside of them, part of a network."""
    owner = weakref.ref(network)
    for layer in layers:
        for part in (layer, *layer.parts()):
            vars(part)["owner"] = owner


class LayerStack(Sequence[Layer]):
    """Layers in order, bound to the shape of a sample, whose parameters are views of one flat vector.

    Parameters
    ----------
    layers : iterable of Layer
        From input to output.
    input_shape : tuple of int, optional
        Shape of one sample; taken from the first layer if left out, where that one knows it.
    seed : int or None
        Decides the first parameters; None takes a new one and keeps it in `seed`.
    dtype : dtype, optional
        float32 or float64; left out, that of parameters that layers already have, else float32.
    """

    def __init__(
        self,
        layers: Iterable[Layer],
        *,
        input_shape: ShapeLike | None = None,
        seed: int | None = 0,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        self.layers = as_layers(layers)
        self.seed = as_seed(seed)
        drawn = [p.dtype for layer in self.layers for p in layer.parameters.values()]
        self.dtype = as_dtype(dtype if dtype is not None else drawn[0] if drawn else np.float32)
        self.input_shape: Shape | None = None
        #: Where the network lies and computes; `Network.to` changes it.
        self.device = CPU
        self._parameters: Array = np.zeros(0, self.dtype)
        self._places: list[tuple[Layer, int, Shape | None, dict[str, Array]]] = []
        if input_shape is None:
            input_shape = self.layers[0].input_shape
        if input_shape is not None:
            self.bind(input_shape)

    def __len__(self) -> int:
        return len(self.layers)

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> list[Layer]: ...
    def __getitem__(self, index: int | slice) -> Layer | list[Layer]:
        return self.layers[index]

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __repr__(self) -> str:
        return f"{type(self).__name__}([{', '.join(map(repr, self.layers))}])"

    def __getstate__(self) -> dict[str, Any]:
        left_out = ("_places", "device")  # copies and files lie on the host
        state = {k: v for k, v in self.__dict__.items() if k not in left_out}
        if not self.device.is_host:
            layers = [brought_home(layer) for layer in self.layers]
            state |= {"layers": layers, "_parameters": to_host(self._parameters)}
        return state

    def __copy__(self) -> Self:
        return copy.deepcopy(self)  # two networks of the same layers would train each other

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _places=[], device=CPU)
        # joblib may give arrays back that are a file's, which can't be written to: this network learns on.
        if not self._parameters.flags.writeable:
            self._parameters = self._parameters.copy()
        for part in (part for layer in self.layers for part in (layer, *layer.parts())):
            part.buffers.update({k: b.copy() for k, b in part.buffers.items() if not b.flags.writeable})
        if self.input_shape is not None:
            self.keep()

    @property
    def parameters(self) -> Array:
        """The flat vector of all parameters; setting it sets their values."""
        return self._parameters

    @parameters.setter
    def parameters(self, values: npt.ArrayLike) -> None:
        array = as_array("parameters", to_host(values))
        if array.shape != self._parameters.shape:
            raise ShapeError(f"parameters must have shape {self._parameters.shape}, got {array.shape}")
        self._parameters[...] = to_device(array.astype(self.dtype, copy=False), self.device.xp)

    def bind(self, input_shape: ShapeLike) -> Shape:
        """Fix the shape of one sample, draw the parameters that are still missing; return the output's shape.

        Raises
        ------
        ShapeError
            If a layer can't take what the layer before it gives, or an image's channels seem to be last.
        """
        self.layers = as_layers(self.layers)
        shape = sample_shape(input_shape)
        check_channels("input_shape", shape)
        self.input_shape = shape
        for place, layer in enumerate(self.layers):
            layer.position = place
            try:
                shape = layer.bind(shape)
            except ShapeError as error:
                self.input_shape = None
                raise ShapeError(f"layer {place}: {error}") from None
            layer.begin()
            if layer.lacks_parameters():
                behind = (f.gain for f in self.layers[place + 1 :] if f.gain or f.parameter_shapes())
                layer.draw(stream(self.seed, PARAMETERS, place), self.dtype, next(behind, "") or "glorot")
        inner = (part for layer in self.layers for part in layer.parts())
        for place, part in enumerate(inner, len(self.layers)):
            part.position = place
        self.keep()
        return shape

    def sync(self) -> None:
        """Take in what was changed by hand since the last use.

        An array put into a layer's `parameters` gives them its values; layers put into `layers`, and those
        that another network or a call of their own bound to another place or shape, are bound anew.
        """
        if self.input_shape is None:
            return
        if len(self._places) != len(self.layers):
            self.bind(self.input_shape)
            return
        changed = False
        # Plain loops, since this is asked after each step: a fifth of the time that `any` takes.
        for layer, (held, place, shape, views) in zip(self.layers, self._places, strict=True):
            if layer is not held or layer.position != place or layer.input_shape != shape:
                self.bind(self.input_shape)
                return
            parameters = layer.parameters
            changed = changed or len(parameters) != len(views)
            for name, view in views.items():
                if parameters.get(name) is not view:
                    changed = True
        if changed:
            self.keep()

    def keep(self) -> None:
        """Make the layers' parameters views of the flat vector, which is made anew where its size changed."""
        held = (layer.checked_parameters().values() for layer in self.layers)
        arrays = [to_host(array).ravel() for arrays in held for array in arrays]
        flat = np.concatenate(arrays) if arrays else np.zeros(0)
        fits = flat.shape == self._parameters.shape
        self.move(self._parameters if fits else self.device.zeros(flat.size, self.dtype), flat)

    def move(self, home: Array, values: Array | None = None) -> None:
        """Keep the parameters in the flat array `home` from now on, with `values` or those they have."""
        values = self._parameters if values is None else values
        home[...] = to_device(values.astype(self.dtype, copy=False), module_of(home))
        self.attach(home)

    def attach(self, home: Array) -> None:
        """Keep the parameters in the flat array `home` from now on, with the values that it has."""
        self._parameters, self._places = home, []
        for layer, views in zip(self.layers, self.views(home), strict=True):
            # The same dict as before: replicas at work, and layers fused with others, look there.
            layer.parameters.clear()
            layer.parameters.update(views)
            layer.gradients = {name: module_of(view).zeros_like(view) for name, view in views.items()}
            for part in (part for part in (layer, *layer.parts()) if not part.inside()):
                part.buffers.update({k: to_device(b, module_of(home)) for k, b in part.buffers.items()})
            self._places.append((layer, layer.position, layer.input_shape, views))

    def to(self, device: str | Device) -> Self:
        """Move to a device, where all computing is done from then on, or back to the "cpu"; return itself.

        Parameters
        ----------
        device : {"cpu", "cuda", "sycl"}
            NumPy; CuPy on an NVIDIA GPU; dpnp on an Intel GPU or whatever else it finds.

        Raises
        ------
        ValueError
            If there is none of that name.
        MissingExtraError, DeviceError
            If it can't be used; the message says what is missing and what to do.
        """
        device = as_device(device)
        if device is self.device:
            return self
        self.sync()
        with explained(self.device), explained(device):
            home = to_device(self._parameters, device.xp)
        self.device = device
        if self.input_shape is None:
            self._parameters = home
        else:
            self.move(home, home)
        return self

    def views(self, flat: Array) -> list[dict[str, Array]]:
        """Return, for each layer, its parameters' places in a flat vector, as arrays by name."""
        found, start = [], 0
        for layer in self.layers:
            views = {}
            for name, shape in layer.parameter_shapes().items():
                size = math.prod(shape)
                views[name] = flat[start : start + size].reshape(shape)
                start += size
            found.append(views)
        return found


def brought_home(layer: Layer) -> Layer:
    """Return a twin of a layer whose arrays lie on the host."""
    twin = layer.replica()
    for part in (part for part in (twin, *twin.parts()) if not part.inside()):
        part.parameters = {name: to_host(array) for name, array in part.parameters.items()}
        part.buffers = {name: to_host(array) for name, array in part.buffers.items()}
        part.gradients = {}
    return twin
