"""What every layer of signals shares: a layer of images of one row, which computes.

A signal ``(C, L)`` is an image ``(C, 1, L)``: the same numbers in the same order, so that one is a view of
the other. A layer of signals therefore has a layer of images, and no arithmetic of its own. In the engine
that layer stands in its place, between steps that know nothing of signals (`steps`), so whatever is fused or
planned for images is for signals too.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, MutableMapping
from dataclasses import replace
from typing import Any

from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.layers.base import Layer
from purecnn.layers.shapes import signal_shape


def with_row(x: Array) -> Array:
    """(C, L, N) -> (C, 1, L, N), a view."""
    return x[:, None]


def without_row(x: Array) -> Array:
    """(C, 1, L, N) -> (C, L, N), a view; (C, N) as it is."""
    return x[:, 0] if x.ndim == 4 else x


class AsImages(MutableMapping[str, Array]):
    """The parameters of a layer of signals as its layer of images has them: views, kernels with a row.

    Parameters
    ----------
    held : dict of str to ndarray
        Those of the layer of signals, ``kernels`` ``(M, C, K)``; the dict is looked into each time.

    Examples
    --------
    >>> import numpy as np
    >>> held = {"kernels": np.zeros((4, 2, 3)), "biases": np.zeros(4)}
    >>> {name: array.shape for name, array in AsImages(held).items()}
    {'kernels': (4, 2, 1, 3), 'biases': (4,)}
    """

    def __init__(self, held: dict[str, Array]) -> None:
        self.held = held

    def __getitem__(self, name: str) -> Array:
        array = self.held[name]
        return array[:, :, None] if array.ndim == 3 else array

    def __setitem__(self, name: str, array: Array) -> None:
        self.held[name] = array[:, :, 0] if array.ndim == 4 else array

    def __delitem__(self, name: str) -> None:
        del self.held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)


class SignalLayer(Layer):
    """A layer of signals ``(C, L, N)``: a layer of images of one row, ``(C, 1, L, N)``.

    Attributes
    ----------
    image_layer : Layer
        That layer of images. Its parameters are views of this one's.
    """

    sample_axes = 2
    image_layer: Layer

    @abstractmethod
    def make_image_layer(self) -> Layer:
        """Return a layer of images that does the same along their rows."""

    def hold_image_layer(self, trainable: bool = True) -> None:
        """Make the layer of images, for the shape that this one is bound to: a constructor ends so."""
        self.image_layer = self.make_image_layer()
        self.image_layer.trainable = trainable
        self.image_layer.parameters = AsImages(self.parameters)  # type: ignore[assignment]
        self.gradients = self._gradients
        if self.input_shape is not None:
            self.image_layer.bind(self.as_image(self.input_shape))

    def as_image(self, input_shape: Shape) -> Shape:
        """Return the shape of an image of one row; `ShapeError` where there is no signal."""
        channels, length = signal_shape(self, input_shape)
        return channels, 1, length

    def infer(self, input_shape: Shape) -> Shape:
        """Return the shape of one output sample: without the row."""
        channels, *image = self.make_image_layer().bind(self.as_image(input_shape))
        return channels, *image[1:]

    def bind(self, input_shape: Shape) -> Shape:
        """Fix the shape of one signal, and that of one image of the layer that computes."""
        output_shape = super().bind(input_shape)
        self.image_layer.bind(self.as_image(input_shape))
        return output_shape

    @property
    def gradients(self) -> dict[str, Array]:
        """The loss's derivative by each parameter; set, the layer of images writes there."""
        return self._gradients

    @gradients.setter
    def gradients(self, gradients: dict[str, Array]) -> None:
        self._gradients = gradients
        if "image_layer" in vars(self):
            self.image_layer.gradients = AsImages(gradients)  # type: ignore[assignment]

    @property
    def trainable(self) -> bool:
        """Whether training changes the parameters."""
        return self.image_layer.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.image_layer.trainable = value

    def steps(self) -> list[Layer]:
        """Return the layer of images, which the engine runs."""
        return [self.image_layer]

    def forward(self, input: Array) -> Array:
        """Return the output, the layer of images run on images of one row."""
        x, layer = self.receive(input), self.image_layer
        layer.execution = replace(self.execution, run_by_engine=True)
        layer.training = self.training
        # In a call of its own what is returned is its caller's, and the way back may write over this.
        output = without_row(layer.forward(with_row(x)))
        return output if self.execution.run_by_engine else output.copy()

    def backward(self, output_gradient: Array) -> Array | None:
        """Write the gradients of the parameters; return that of the signals."""
        g, layer = self.receive_gradient(output_gradient), self.image_layer
        layer.execution.propagate = self.propagate
        found = layer.backward(with_row(g) if g.ndim == 3 else g)
        return None if found is None else without_row(found)

    def multiply_adds(self) -> int:
        """Return those of the layer of images."""
        return self.image_layer.multiply_adds()

    def __getstate__(self) -> dict[str, Any]:
        state = {k: v for k, v in super().__getstate__().items() if k != "image_layer"}
        return {**state, "was_trainable": self.trainable}

    def __setstate__(self, state: dict[str, Any]) -> None:
        trainable = state.pop("was_trainable")
        super().__setstate__(state)
        self.hold_image_layer(trainable)


def too_short(layer: object, window: int, input_shape: Shape, border: str = "") -> ShapeError:
    """Return the error of a window that no signal of `input_shape` has room for."""
    channels, length = input_shape
    turned = f"; channels come first, (channels, length), got {input_shape}" if channels > length else ""
    return ShapeError(
        f"{layer} has a window of {window}, larger than the signal of length {length}{border}{turned}"
    )
