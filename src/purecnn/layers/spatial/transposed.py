"""The transposed convolution: each pixel adds its kernels to the output, which is larger than the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import flag, pair, positive
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.kernels.geometry import Padding, Pair, Window
from purecnn.layers import initializers
from purecnn.layers.initializers import check_scheme
from purecnn.layers.shapes import image_shape, plain, sample_shape
from purecnn.layers.spatial.convolution import Convolution, given_sizes
from purecnn.layers.spatial.padding import padding_word, sides


class TransposedConvolutional(Convolution):
    """Map images ``(C, H, W, N)`` to larger ones ``(depth, OH, OW, N)``: a convolution's way back.

    ``y[m, p sh + i dh - top, q sw + j dw - left]`` is the sum over c, p, q, i, j of
    ``kernels[c, m, i, j] x[c, p, q]``, plus ``biases[m]``, with
    ``OH = (H - 1) sh + (KH - 1) dh + 1 - top - bottom + output_padding``.

    Parameters
    ----------
    input_shape : tuple of int, optional
        ``(C, H, W)`` of one image; taken from the network when left out.
    kernel_size : int or (int, int)
        Height and width of what each pixel adds to.
    depth : int
        How many feature maps come out.
    stride : int or (int, int)
        How far apart in the output neighbouring pixels add: about the factor by which the image grows.
    padding : int, (int, int), ((int, int), (int, int)) or "same"
        Rows and columns that are cut off the output: vertical and horizontal, or ``((top, bottom), (left,
        right))``; a convolution with that padding goes the other way. "same": as many as leave
        ``H stride`` rows, the odd one at the bottom and at the right, as in Keras.
    output_padding : int or (int, int)
        Rows at the bottom and columns at the right that are added to the output, smaller than the stride or
        the dilation: of the sizes from which a convolution comes to this image, the first or a later one.
    dilation : int or (int, int)
        How many pixels the cells of the kernel lie apart.
    groups : int
        Cut channels and maps into so many groups; a pixel adds to the maps of its own group alone.
    bias : bool
        Whether `biases` are added; without them there are none.
    initialization : {"auto", "he", "glorot", "normal"}
        How `kernels` ``(C, depth / groups, KH, KW)`` and `biases` ``(depth,)`` are first drawn: as those of a
        convolution from C channels to `depth` maps.
    rng : numpy.random.Generator or int, optional
        Draw the parameters now, from this (`input_shape` must be given); otherwise the network does.
    dtype : dtype
        Of parameters drawn now: float32 or float64.

    Raises
    ------
    ShapeError
        If samples are no images, their channels don't fit, or nothing of the output is left.

    Notes
    -----
    Backward, for each cell (i, j) of the kernel and the outputs that pixels added to there: ``dx +=
    kernels[:, :, i, j] @ met``, ``dkernels[:, :, i, j] = x @ met.T``, ``dbiases = sum of g``. Zeiler et al.
    2010, https://doi.org/10.1109/CVPR.2010.5539957; Dumoulin and Visin 2016, https://arxiv.org/abs/1603.07285.

    PyTorch's ``ConvTranspose2d`` has the same layout of `kernels`, no "same" and no lopsided padding. Keras's
    ``Conv2DTranspose`` has "valid" in place of 0, and then an output of at least ``H stride`` rows: with a
    kernel smaller than the stride that is an `output_padding` here. Its kernels are
    ``(KH, KW, depth, C)``.

    Examples
    --------
    >>> layer = TransposedConvolutional((8, 7, 7), 4, 5, stride=2, padding=1, rng=0)
    >>> layer.forward(np.zeros((8, 7, 7, 2))).shape
    (5, 14, 14, 2)
    """

    sample_axes = 3
    output_is_free = True

    def __init__(
        self,
        input_shape: Sequence[int] | Mapping[str, int] | None = None,
        kernel_size: int | tuple[int, int] | None = None,
        depth: int | None = None,
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | Padding | str = 0,
        output_padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        initialization: str = "auto",
        rng: np.random.Generator | int | None = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        super().__init__()
        size, maps = given_sizes("TransposedConvolutional", input_shape, kernel_size, depth)
        self.declared_shape = None if input_shape is None else sample_shape(input_shape)
        self.kernel_size = pair("kernel_size", size)
        self.depth = positive("depth", maps)
        self.stride = pair("stride", stride)
        self.dilation = pair("dilation", dilation)
        self.output_padding = pair("output_padding", output_padding, least=0)
        self.padding: str | Padding
        if isinstance(padding, str):
            self.padding = padding_word(padding, "an integer, a pair of them, two pairs")
            if any(self.output_padding):
                raise ValueError(
                    f'output_padding must be 0 where padding is "same", which decides the size, got '
                    f"{self.output_padding}"
                )
        else:
            self.padding = sides("padding", padding)
        most = tuple(map(max, self.stride, self.dilation))
        if any(more >= limit for more, limit in zip(self.output_padding, most, strict=True)):
            raise ValueError(
                f"output_padding must be smaller than the stride, {self.stride}, or the dilation, "
                f"{self.dilation}, got {self.output_padding}"
            )
        self.set_groups(groups)
        self.bias = flag("bias", bias)
        self.initialization = check_scheme(initialization)
        if self.declared_shape is not None:
            self.bind(self.declared_shape)
        self.draw_now(rng, dtype)

    @property
    def reach(self) -> tuple[int, int]:
        """Height and width that the kernel covers, holes included."""
        return Window(self.kernel_size, dilation=self.dilation).reach

    @property
    def border(self) -> Padding:
        """The rows (above, below) and columns (left, right) that are cut off."""
        if not isinstance(self.padding, str):
            return self.padding
        vertical, horizontal = (
            max(reach - step, 0) for reach, step in zip(self.reach, self.stride, strict=True)
        )
        return (vertical // 2, vertical - vertical // 2), (horizontal // 2, horizontal - horizontal // 2)

    @property
    def extra(self) -> Pair:
        """The rows below and the columns at the right that no kernel need reach."""
        if self.padding != "same":
            return self.output_padding
        rows, columns = (max(step - reach, 0) for reach, step in zip(self.reach, self.stride, strict=True))
        return rows, columns

    @property
    def window(self) -> Window:
        """How the window of the convolution that goes the other way lies on the output."""
        return Window(self.kernel_size, self.stride, self.border, self.dilation, self.groups)

    def infer(self, input_shape: Shape) -> Shape:
        """Return ``(depth, OH, OW)``."""
        self.check_input("images", image_shape(self, input_shape))
        rows, columns = (
            (size - 1) * step + reach - sum(cut) + more
            for size, step, reach, cut, more in zip(
                input_shape[1:], self.stride, self.reach, self.border, self.extra, strict=True
            )
        )
        if rows < 1 or columns < 1:
            raise ShapeError(
                f"{self} leaves {rows} rows and {columns} columns of an image of {input_shape[1:]}, "
                f"wanted at least 1: a smaller padding"
            )
        return self.depth, rows, columns

    def parameter_shapes(self) -> dict[str, Shape]:
        """Return the shapes of `kernels` and, where there are any, `biases`."""
        channels = self.input_shape[0] if self.input_shape else 0
        shapes: dict[str, Shape] = {"kernels": (channels, self.depth // self.groups, *self.kernel_size)}
        return {**shapes, "biases": (self.depth,)} if self.bias else shapes

    def draw(self, rng: np.random.Generator, dtype: npt.DTypeLike, gain: str) -> None:
        """Draw the kernels as those of a convolution that has as many inputs and outputs."""
        channels, maps = (self.input_shape or (0,))[0] // self.groups, self.depth // self.groups
        for name, shape in self.parameter_shapes().items():
            fans = (self.depth, channels, *self.kernel_size) if name == "kernels" else shape
            drawn = initializers.draw(name, fans, self.initialization, gain, rng, dtype)
            if name == "kernels":
                drawn = drawn.reshape(self.groups, maps, channels, *self.kernel_size).swapaxes(1, 2)
            self.parameters[name] = np.ascontiguousarray(drawn.reshape(shape))
            self.gradients[name] = np.zeros(shape, dtype)

    def forward(self, input: Array) -> Array:
        """Return the feature maps, shape ``(depth, OH, OW, N)``."""
        self.input = self.receive(input)
        _, rows, columns = self.output_shape or (0, 0, 0)
        kernels, biases = self.parameters["kernels"], self.parameters.get("biases")
        output = self.kernel_set.transposed_conv2d_forward(
            self.input, kernels, biases, self.window, (rows, columns), self.workspace
        )
        # The kernel's backward pass writes over it; what a lone call returned is its caller's.
        return output if self.execution.run_by_engine else output.copy()

    def backward(self, output_gradient: Array) -> Array | None:
        """Write the gradients of `kernels` and `biases`; return that of the images."""
        return self.kernel_set.transposed_conv2d_backward(
            self.receive_gradient(output_gradient),
            self.input,
            self.parameters["kernels"],
            self.gradients["kernels"],
            self.gradients.get("biases"),
            self.window,
            self.workspace,
            self.propagate,
        )

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "input_shape": self.declared_shape and plain(self.declared_shape),
            "kernel_size": self.kernel_size,
            "depth": self.depth,
            "stride": self.stride,
            "padding": self.padding,
            "output_padding": self.output_padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "bias": self.bias,
            "initialization": self.initialization,
        }

    def multiply_adds(self) -> int:
        """Return the pixels times what each adds to."""
        if self.input_shape is None:
            return 0
        adds = self.depth // self.groups * int(np.prod(self.kernel_size))
        return int(np.prod(self.input_shape)) * adds
