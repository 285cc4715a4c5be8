"""The convolutional layer: small kernels slide over an image, and each answers where it finds its pattern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import flag, pair, positive
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.kernels.geometry import Padding, Window, same_border
from purecnn.layers.base import Layer
from purecnn.layers.initializers import check_scheme
from purecnn.layers.shapes import AXES, SIGNAL_AXES, image_shape, plain, sample_shape
from purecnn.layers.spatial.padding import padding_word


def ambiguous_sizes(kind: str, *given: Any) -> str:
    """Return the sentence on numbers whose places say too little of what they mean.

    Examples
    --------
    >>> ambiguous_sizes("Convolutional", 32, 3, None)
    'Convolutional(32, 3) does not say which number is which: name them, as in \
Convolutional(kernel_size=3, depth=32), and leave input_shape, (channels, height, width), to the network'
    """
    last = max((place for place, value in enumerate(given) if value is not None), default=-1)
    numbers = ", ".join(repr(value) for value in given[: last + 1])
    depth = "" if kind.startswith("Depthwise") else ", depth=32"
    axes = ", ".join(SIGNAL_AXES if kind.endswith("1D") else AXES)
    return (
        f"{kind}({numbers}) does not say which number is which: name them, as in "
        f"{kind}(kernel_size=3{depth}), and leave input_shape, ({axes}), to the network"
    )


def given_sizes(kind: str, input_shape: object, kernel_size: Any, depth: int | None) -> tuple[Any, int]:
    """Return `kernel_size` and `depth`, which a layer of that kind must be given, and by their names.

    Raises
    ------
    TypeError
        If one is missing, or a number stands where the shape does, so that it isn't clear which is which.
    """
    if isinstance(input_shape, int):
        raise TypeError(ambiguous_sizes(kind, input_shape, kernel_size, depth))
    if kernel_size is None or depth is None:
        raise TypeError(f"{kind} needs kernel_size and depth; got kernel_size={kernel_size}, depth={depth}")
    return kernel_size, depth


class Convolution(Layer):
    """What all convolutions share, of images or signals: channels and maps, in groups."""

    declared_shape: Shape | None
    depth: int
    groups: int

    def set_groups(self, groups: int) -> None:
        """Check and keep into how many groups the channels and the maps are cut.

        Raises
        ------
        ValueError
            If the groups do not divide `depth`.
        """
        self.groups = positive("groups", groups)
        if self.depth % self.groups:
            raise ValueError(f"groups must divide depth, {self.depth}, got {self.groups}")

    def check_input(self, samples: str, input_shape: Shape) -> None:
        """Refuse samples, images or signals, of another shape than declared, or channels not in the groups.

        Raises
        ------
        ShapeError
            If they are.
        """
        if self.declared_shape not in (None, input_shape):
            raise ShapeError(f"{self} wants {samples} of shape {self.declared_shape}, got {input_shape}")
        if input_shape[0] % self.groups:
            raise ShapeError(f"{self} wants channels in {self.groups} groups, got {input_shape[0]} channels")


class Convolutional(Convolution):
    """Map images ``(C, H, W, N)`` to feature maps ``(depth, OH, OW, N)`` by cross-correlation.

    ``y[m, p, q] = biases[m] + sum over c, i, j of kernels[m, c, i, j] x[c, p sh + i dh, q sw + j dw]``,
    c over the channels of the map's group.

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
    dilation : int or (int, int)
        How many pixels the cells of the window lie apart: 1 is a window without holes (Yu and Koltun 2016,
        https://arxiv.org/abs/1511.07122).
    groups : int
        Cut channels and maps into so many groups; a map looks at the channels of its own group alone, and
        `kernels` is ``(depth, C / groups, KH, KW)``. One for each channel: `DepthwiseConvolutional`.
    bias : bool
        Whether `biases` are added; without them there are none, as before a normalization, which takes off
        what is the same for a whole map. Keras's ``use_bias``.
    per_position_bias : bool
        One bias for each output position, as in the original program, instead of one for each map.
    initialization : str
        How `kernels` ``(depth, C, KH, KW)`` and `biases` ``(depth,)`` are first drawn: "he", "glorot" or
        "lecun", normal as they stand and uniform as "he_uniform" and so on, "orthogonal", "zeros" or
        "normal"; "auto" is "he" where ReLU or its like follows, else "glorot".
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
        input_shape: Sequence[int] | Mapping[str, int] | None = None,
        kernel_size: int | tuple[int, int] | None = None,
        depth: int | None = None,
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        per_position_bias: bool = False,
        initialization: str = "auto",
        rng: np.random.Generator | int | None = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        super().__init__()
        size, maps = given_sizes("Convolutional", input_shape, kernel_size, depth)
        self.declared_shape = None if input_shape is None else sample_shape(input_shape)
        self.kernel_size = pair("kernel_size", size)
        self.depth = positive("depth", maps)
        self.stride = pair("stride", stride)
        self.padding: str | tuple[int, int]
        if isinstance(padding, str):
            self.padding = padding_word(padding, "an integer, a pair of them")
        else:
            self.padding = pair("padding", padding, least=0)
        self.dilation = pair("dilation", dilation)
        self.set_groups(groups)
        self.bias = flag("bias", bias)
        self.per_position_bias = flag("per_position_bias", per_position_bias)
        if self.per_position_bias and not self.bias:
            raise ValueError(
                "per_position_bias=True wants bias=True, got bias=False: a layer without biases has none to "
                "give to each position"
            )
        self.initialization = check_scheme(initialization)
        if self.declared_shape is not None:
            self.bind(self.declared_shape)
        self.draw_now(rng, dtype)

    @property
    def reach(self) -> tuple[int, int]:
        """Height and width that the window covers, holes included."""
        return Window(self.kernel_size, dilation=self.dilation).reach

    @property
    def window(self) -> Window:
        """How the window lies on the images that this layer is bound to."""
        return Window(self.kernel_size, self.stride, self.border, self.dilation, self.groups)

    def borders(self, input_shape: Shape) -> Padding:
        """Return the zeros (above, below), (left, right) of an image of `input_shape`."""
        if isinstance(self.padding, str):
            rows, columns = map(same_border, input_shape[1:], self.reach, self.stride)
            return rows, columns
        vertical, horizontal = self.padding
        return (vertical, vertical), (horizontal, horizontal)

    @property
    def border(self) -> Padding:
        """The zeros (above, below), (left, right) of the image that this layer is bound to."""
        return self.borders(self.input_shape or (0, 0, 0))

    def infer(self, input_shape: Shape) -> Shape:
        """Return ``(depth, OH, OW)``."""
        self.check_input("images", image_shape(self, input_shape))
        border = self.borders(input_shape)
        window = Window(self.kernel_size, self.stride, border, self.dilation, self.groups)
        rows, columns = window.positions(input_shape)
        if rows < 1 or columns < 1:
            raise ShapeError(
                f"{self} has a window of {self.reach}, larger than the image of {input_shape[1:]} "
                f"with a border of {border}"
            )
        return self.depth, rows, columns

    def parameter_shapes(self) -> dict[str, Shape]:
        """Return the shapes of `kernels` and, where there are any, `biases`."""
        channels = self.input_shape[0] if self.input_shape else 0
        shapes: dict[str, Shape] = {"kernels": (self.depth, channels // self.groups, *self.kernel_size)}
        if self.bias:
            output_shape = self.output_shape or (self.depth,)
            shapes["biases"] = output_shape if self.per_position_bias else (self.depth,)
        return shapes

    def forward(self, input: Array) -> Array:
        """Return the feature maps, shape ``(depth, OH, OW, N)``."""
        self.input = self.receive(input)
        kernels, biases = self.parameters["kernels"], self.parameters.get("biases")
        output = self.kernel_set.conv2d_forward(self.input, kernels, biases, self.window, self.workspace)
        # The kernel's backward pass writes over it; what a lone call returned is its caller's.
        return output if self.execution.run_by_engine else output.copy()

    def backward(self, output_gradient: Array) -> Array | None:
        """Write the gradients of `kernels` and `biases`; return that of the images."""
        return self.kernel_set.conv2d_backward(
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
            "dilation": self.dilation,
            "groups": self.groups,
            "bias": self.bias,
            "per_position_bias": self.per_position_bias,
            "initialization": self.initialization,
        }

    def multiply_adds(self) -> int:
        """Return one window's products times the output positions."""
        if self.input_shape is None or self.output_shape is None:
            return 0
        window = self.input_shape[0] // self.groups * int(np.prod(self.kernel_size))
        return int(np.prod(self.output_shape)) * window


class Depthwise(Convolution):
    """What a convolution needs to have one group for each channel: groups and maps follow the input."""

    depth_multiplier: int

    def bind(self, input_shape: Shape) -> Shape:
        """Fix the shape of one sample, and so how many groups and maps there are."""
        before = self.groups, self.depth
        self.groups, self.depth = input_shape[0], input_shape[0] * self.depth_multiplier
        try:
            return super().bind(input_shape)
        except ShapeError:
            self.groups, self.depth = before
            raise

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        left_out = ("depth", "groups", "per_position_bias")
        return {
            "depth_multiplier": self.depth_multiplier,
            **{name: value for name, value in super().configuration().items() if name not in left_out},
        }


class DepthwiseConvolutional(Depthwise, Convolutional):
    """Map each channel of ``(C, H, W, N)`` by itself: a convolution of as many groups as there are channels.

    Before a convolution of 1 x 1, which mixes the channels, it makes a depthwise separable convolution
    (Howard et al. 2017, https://arxiv.org/abs/1704.04861).

    Parameters
    ----------
    input_shape : tuple of int, optional
        ``(C, H, W)`` of one image; taken from the network when left out.
    kernel_size : int or (int, int)
        Height and width of the window.
    depth_multiplier : int
        How many maps each channel gives; they are neighbours, as in Keras and PyTorch.
    stride, padding, dilation, bias, initialization, rng, dtype
        As in `Convolutional`; `kernels` is ``(C depth_multiplier, 1, KH, KW)``.

    Examples
    --------
    >>> layer = DepthwiseConvolutional((3, 28, 28), 3, padding="same", rng=0)
    >>> layer.forward(np.zeros((3, 28, 28, 2))).shape
    (3, 28, 28, 2)
    """

    def __init__(
        self,
        input_shape: Sequence[int] | None = None,
        kernel_size: int | tuple[int, int] | None = None,
        *,
        depth_multiplier: int = 1,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        bias: bool = True,
        initialization: str = "auto",
        rng: np.random.Generator | int | None = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        if isinstance(input_shape, int):
            raise TypeError(ambiguous_sizes("DepthwiseConvolutional", input_shape, kernel_size))
        if kernel_size is None:
            raise TypeError("DepthwiseConvolutional needs kernel_size; got none")
        self.depth_multiplier = positive("depth_multiplier", depth_multiplier)
        super().__init__(
            input_shape,
            kernel_size,
            depth=self.depth_multiplier,
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=bias,
            initialization=initialization,
            rng=rng,
            dtype=dtype,
        )
