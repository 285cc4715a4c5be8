"""The convolutional layer: small kernels slide over an image, and each answers where it finds its pattern."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn import kernels_cpu
from purecnn.arguments import pair, positive
from purecnn.errors import ShapeError
from purecnn.initialization import check_scheme
from purecnn.kernels import Padding, output_size
from purecnn.layer import Layer, Shape, sample_shape
from purecnn.scratch import Array


class Convolutional(Layer):
    """Map images ``(C, H, W, N)`` to feature maps ``(depth, OH, OW, N)`` by cross-correlation.

    ``y[m, p, q] = biases[m] + sum over c, i, j of kernels[m, c, i, j] x[c, p sh + i, q sw + j]``

    Parameters
    ----------
    input_shape : tuple of int, optional
        ``(C, H, W)`` of one image; taken from the network when left out.
    kernel_size : int or (int, int)
        Height and width of the window.
    depth : int
        How many kernels, and so how many feature maps.
    stride : int or (int, int)
        Step of the window, in pixels.
    padding : int, (int, int) or "same"
        Zeros around the image, above and below, left and right. "same": as many as give
        ``ceil(H / stride)`` rows, the odd one below and at the right, as in Keras (PyTorch allows "same"
        with a stride of one alone).
    per_position_bias : bool
        One bias for each output position, as in the original program, instead of one for each map.
    initialization : {"auto", "he", "glorot", "normal"}
        How `kernels` ``(depth, C, KH, KW)`` and `biases` ``(depth,)`` are first drawn.
    rng : numpy.random.Generator or int, optional
        Draw the parameters now, from this (`input_shape` must be given); otherwise the network does.
    dtype : dtype
        Of parameters drawn now: float32 or float64.

    Notes
    -----
    Backward, for each cell (i, j) of the window and the pixels it met:
    ``dkernels[:, :, i, j] = g @ pixels.T``, ``dpixels += kernels[:, :, i, j].T @ g``, ``dbiases = sum of g``.
    LeCun et al. 1998, http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf.

    Examples
    --------
    >>> layer = Convolutional((1, 28, 28), 3, 5, rng=0)
    >>> layer.forward(np.zeros((1, 28, 28, 2))).shape
    (5, 26, 26, 2)
    """

    sample_axes = 3
    output_is_free = True

    def __init__(
        self,
        input_shape: Sequence[int] | None = None,
        kernel_size: int | tuple[int, int] | None = None,
        depth: int | None = None,
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        per_position_bias: bool = False,
        initialization: str = "auto",
        rng: np.random.Generator | int | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        if kernel_size is None or depth is None:
            raise TypeError(
                f"Convolutional needs kernel_size and depth; got kernel_size={kernel_size}, depth={depth}"
            )
        self.declared_shape = None if input_shape is None else sample_shape(input_shape)
        self.kernel_size = pair("kernel_size", kernel_size)
        self.depth = positive("depth", depth)
        self.stride = pair("stride", stride)
        self.padding: str | tuple[int, int]
        if isinstance(padding, str):
            if padding != "same":
                raise ValueError(f'padding must be an integer, a pair of them or "same", got {padding!r}')
            self.padding = padding
        else:
            self.padding = pair("padding", padding, least=0)
        self.per_position_bias = bool(per_position_bias)
        self.initialization = check_scheme(initialization)
        if self.declared_shape is not None:
            self.bind(self.declared_shape)
        self.draw_now(rng, dtype)

    def borders(self, input_shape: Shape) -> Padding:
        """Return the zeros (above, below), (left, right) of an image of `input_shape`."""
        if isinstance(self.padding, str):
            both = []
            for size, window, step in zip(input_shape[1:], self.kernel_size, self.stride, strict=True):
                total = max((-(-size // step) - 1) * step + window - size, 0)
                both.append((total // 2, total - total // 2))
            return both[0], both[1]
        vertical, horizontal = self.padding
        return (vertical, vertical), (horizontal, horizontal)

    @property
    def border(self) -> Padding:
        """The zeros (above, below), (left, right) of the image that this layer is bound to."""
        return self.borders(self.input_shape or (0, 0, 0))

    def infer(self, input_shape: Shape) -> Shape:
        """Return ``(depth, OH, OW)``."""
        if len(input_shape) != 3:
            raise ShapeError(
                f"{self} wants images of shape (channels, height, width), got samples of {input_shape}"
            )
        if self.declared_shape not in (None, input_shape):
            raise ShapeError(f"{self} wants images of shape {self.declared_shape}, got {input_shape}")
        border = self.borders(input_shape)
        rows, columns = (
            output_size(*sizes)
            for sizes in zip(input_shape[1:], self.kernel_size, self.stride, border, strict=True)
        )
        if rows < 1 or columns < 1:
            raise ShapeError(
                f"{self} has a window of {self.kernel_size}, larger than the image of {input_shape[1:]} "
                f"with a border of {border}"
            )
        return self.depth, rows, columns

    def parameter_shapes(self) -> dict[str, Shape]:
        """Return the shapes of `kernels` and `biases`."""
        channels = self.input_shape[0] if self.input_shape else 0
        output_shape = self.output_shape or (self.depth,)
        return {
            "kernels": (self.depth, channels, *self.kernel_size),
            "biases": output_shape if self.per_position_bias else (self.depth,),
        }

    def forward(self, input: Array) -> Array:
        """Return the feature maps, shape ``(depth, OH, OW, N)``."""
        self.input = self.receive(input)
        output = kernels_cpu.conv2d_forward(
            self.input,
            self.parameters["kernels"],
            self.parameters["biases"],
            self.stride,
            self.border,
            self.scratch,
        )
        # The kernel's backward pass writes over it; what a lone call returned is its caller's.
        return output if self._keeps_scratch else output.copy()

    def backward(self, output_gradient: Array) -> Array | None:
        """Write the gradients of `kernels` and `biases`; return that of the images."""
        return kernels_cpu.conv2d_backward(
            self.receive_gradient(output_gradient),
            self.input,
            self.parameters["kernels"],
            self.gradients["kernels"],
            self.gradients["biases"],
            self.stride,
            self.border,
            self.scratch,
            self.propagate,
        )

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "input_shape": self.declared_shape,
            "kernel_size": self.kernel_size,
            "depth": self.depth,
            "stride": self.stride,
            "padding": self.padding,
            "per_position_bias": self.per_position_bias,
            "initialization": self.initialization,
        }

    def multiply_adds(self) -> int:
        """Return one window's products times the output positions."""
        if self.input_shape is None or self.output_shape is None:
            return 0
        return int(np.prod(self.output_shape)) * self.input_shape[0] * int(np.prod(self.kernel_size))
