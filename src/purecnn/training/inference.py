"""Inference: which steps run where nothing is trained, and how many samples at a time.

A convolution takes the normalization, the sum and the activation behind it in, and writes its calls of
NumPy's down once. Like all fusing it is invisible: layers, files and training know nothing of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array, Shape
from purecnn.kernels import cpu
from purecnn.kernels.calls import Call, run
from purecnn.kernels.geometry import along_batch, bordered
from purecnn.kernels.rows import rectified
from purecnn.layers.activations.elementwise import sigmoid
from purecnn.layers.activations.gated import SiLU
from purecnn.layers.activations.rectified import ReLU, ReLU6
from purecnn.layers.base import Layer
from purecnn.layers.composites.merges import Sum
from purecnn.layers.composites.steps import Cross, Ending
from purecnn.layers.dense import Dense
from purecnn.layers.footprint import footprint
from purecnn.layers.noise import TrainingNoise
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.registry import is_own
from purecnn.layers.spatial.convolution import Convolutional, DepthwiseConvolutional
from purecnn.layers.spatial.pooling import MaxPooling
from purecnn.training.fusion import fits, pool_first, unfused

#: Samples that inference runs at a time at most.
CHUNK = 256
#: Into how many pieces a set is cut, more where these would be wider than that: enough for the cores of most
#: machines, whose number must not matter, since a set's answers shall have the same bits on any of them.
PIECES = 8
#: Work of a piece that is worth a thread's start and its wait for the interpreter's lock, in multiply-adds.
#: And fewer samples make runs too short: a ResNet-20 took 2.3 ms an image at 8, 2.2 at 16, 2.0 at 32.
HANDOVER, NARROW = 1 << 25, 16
#: What one number in memory costs, in multiply-adds.
NUMBER = 8
#: On a device, which works on many at once.
DEVICE_CHUNK = 1024
#: Bytes that a chunk on its way may take; of large samples fewer are run at a time.
CHUNK_BYTES = 2**30
#: What a layer calls its matrix.
MATRIX = {Convolutional: "kernels", DepthwiseConvolutional: "kernels", Dense: "weights"}


def piece(samples: int, work: int, most: int = CHUNK) -> int:
    """Return how many samples to run at a time, of so many that take so much work each.

    Examples
    --------
    >>> piece(32, 500_000), piece(1000, 500_000), piece(60_000, 500_000)
    (32, 128, 256)
    >>> piece(32, 40_000_000), piece(257, 40_000_000), piece(32, 40_000_000, most=5), piece(16, 40_000_000)
    (16, 33, 5, 8)
    """
    least = max(NARROW, -(-HANDOVER // max(work, 1)))
    pieces = max(1, min(PIECES, samples // least), -(-samples // most))
    if pieces == 1 and samples >= NARROW and samples * work >= 2 * HANDOVER:
        pieces = 2  # short runs cost a tenth; the second core gives more
    size = -(-samples // pieces)
    # Whole lines of the cache, where a short last piece, filled from before, wastes little by it.
    return min(most, -(-size // 8) * 8) if size >= 4 * NARROW else size


class Folded:
    """The matrix and the biases of a layer, with the normalization behind it folded in.

    ``gamma (W x + b - mean) / s + beta`` with ``s = sqrt(variance + epsilon)`` is ``W' x + b'``, where
    ``W' = gamma / s W`` and ``b' = gamma / s (b - mean) + beta``: computed in float64, rounded once.

    Attributes
    ----------
    arrays : (ndarray, ndarray or None)
        W' and b', which is None where there are neither biases nor a normalization. Another pair once they
        change, so that whoever computes with the old one may go on.
    """

    arrays: tuple[Array, Array | None]

    def __init__(self, layer: Layer, normalization: BatchNormalization | None = None) -> None:
        self.layer, self.normalization = layer, normalization

    def parameters(self) -> list[Array]:
        """Return the network's arrays that decide, as they are now."""
        found = list(self.layer.parameters.values())
        return found + list(self.normalization.parameters.values()) if self.normalization else found

    def fold(self) -> None:
        """Compute `arrays` anew."""
        parameters = self.layer.parameters
        matrix, biases = parameters[MATRIX[type(self.layer)]], parameters.get("biases")
        if self.normalization is not None:
            mean, variance = self.normalization.running()
            learnt = self.normalization.parameters
            scale = learnt.get("gamma", 1.0) / np.sqrt(variance + self.normalization.epsilon)
            beta, kind = learnt.get("beta", 0.0) + np.zeros_like(scale), matrix.dtype
            if biases is None:
                biases = np.zeros((len(matrix), *[1] * (matrix.ndim == 2)), kind)
            axes = biases.ndim
            matrix = (matrix * along_batch(scale, matrix.ndim)).astype(kind)
            scale, mean, beta = (along_batch(values, axes) for values in (scale, mean, beta))
            biases = (scale * (biases - mean) + beta).astype(kind)
        self.arrays = matrix, biases


class InferenceStep(Layer):
    """A step that has no way back."""

    output_is_free = True

    def backward(self, output_gradient: Array) -> Array | None:
        """Refuse: nothing was kept for it."""
        raise NotImplementedError(f"{type(self).__name__} is for inference, which has no backward pass")


#: The calls of an activation on an array, in its place, with memory of a workspace.
ActivationCalls = Callable[[Workspace, Array], list[Call]]


def silu_calls(workspace: Workspace, out: Array) -> list[Call]:
    """Return the calls that write ``x sigmoid(x)`` over x, in float32 as ``h (1 + tanh(h))``, h = x / 2.

    98,304 values take 35 us so, and by the sigmoid 90. What it is off by is a rounding of x at most, which
    for x below -17 is all of the value: 7e-7 there.
    """
    gate, kind = workspace.like("gate", out), out.dtype.type
    if kind is not np.float32:
        return [partial(sigmoid, out, gate), partial(np.multiply, out, gate, out=out)]
    return [
        partial(np.multiply, out, kind(0.5), out=out),
        partial(np.tanh, out, out=gate),
        partial(np.add, gate, kind(1), out=gate),
        partial(np.multiply, out, gate, out=out),
    ]


#: Activations that a convolution takes in: a MobileNetV2 answers 16 images in 16.7 ms in place of 18.0.
ACTIVATIONS: dict[type[Layer], ActivationCalls] = {
    ReLU: lambda _, out: rectified(out),
    ReLU6: lambda _, out: [partial(np.clip, out, 0, 6, out=out)],
    SiLU: silu_calls,
}


class FusedConvolution(InferenceStep):
    """A convolution with what stands behind it: normalization, max pooling, activation.

    Parameters
    ----------
    folded : Folded
        Of the convolution.
    pool : MaxPooling or None
        One that `fusion.fits` lets in.
    activation : callable or None
        Of `ACTIVATIONS`, for the activation that comes last.
    """

    output_is_free = True

    def __init__(self, folded: Folded, pool: MaxPooling | None, activation: ActivationCalls | None) -> None:
        super().__init__()
        self.folded, self.activation = folded, activation
        self.pool_size = None if pool is None else pool.pool_size
        self.window = folded.layer.window  # type: ignore[attr-defined]
        self.seen: tuple[Any, ...] = (None, None, None)
        self.calls: list[Call] = []

    def addend(self) -> Array | None:
        """Return what is added before the activation."""
        return None

    def forward(self, input: Array) -> Array:
        """Make the calls that were written down when these very arrays were last seen."""
        arrays, addend = self.folded.arrays, self.addend()
        seen = self.seen
        if input is not seen[0] or arrays is not seen[1] or addend is not seen[2]:
            self.seen = input, arrays, addend
            activation = None if self.activation is None else partial(self.activation, self.workspace)
            self.calls, self.output = cpu.conv2d_calls(
                input, *arrays, self.window, self.workspace, self.pool_size, addend, activation
            )
        run(self.calls)
        return self.output


class JoiningConvolution(FusedConvolution, Ending):
    """One that ends a branch, and adds what the other branch of a `Residual` ended in.

    Parameters
    ----------
    folded, activation
        As `FusedConvolution`'s.
    skips : bool
        Whether the other branch has no layers, and its end is what both were given.
    """

    output_is_free = True

    def __init__(self, folded: Folded, activation: ActivationCalls | None, skips: bool) -> None:
        super().__init__(folded, None, activation)
        self.skips = skips

    def addend(self) -> Array:
        """Return the end of the other branch."""
        return self.fork.input if self.skips else self.fork.ends[-1]


class FusedDense(InferenceStep):
    """A dense layer with the normalization and the rectifier behind it."""

    output_is_free = True

    def __init__(self, folded: Folded, rectifies: bool) -> None:
        super().__init__()
        self.folded, self.rectifies = folded, rectifies

    def forward(self, input: Array) -> Array:
        """Return ``W' x + b'``, rectified if asked for."""
        y = cpu.dense_forward(input, *self.folded.arrays, self.workspace)
        return np.maximum(0, y, out=y) if self.rectifies else y


class WinnerlessPooling(InferenceStep):
    """A max pooling that keeps nothing."""

    output_is_free = True

    def __init__(self, pool: MaxPooling) -> None:
        super().__init__()
        self.geometry = pool.pool_size, pool.stride
        self.border = pool.border if pool.is_padded else None

    def forward(self, input: Array) -> Array:
        """Return the largest value of each window."""
        if self.border is not None:
            input = bordered(input, self.border, -math.inf, self.workspace)
        return cpu.max_pool(input, *self.geometry, self.workspace)


class QuickSiLU(InferenceStep):
    """A SiLU that keeps no gate."""

    overwrites = True

    def __init__(self, _: SiLU) -> None:
        super().__init__()

    def forward(self, input: Array) -> Array:
        """Return x sigmoid(x)."""
        y = input
        if not self.in_place:
            y = self.workspace.like("output", input)
            np.copyto(y, input)
        run(silu_calls(self.workspace, y))
        return y


class Plan:
    """The steps of a network's inference, and the arrays that were folded for them.

    Parameters
    ----------
    layers : sequence of Layer
        The network's, bound, on the host.
    input_shape : tuple of int
        Shape of one sample.
    parameters : ndarray
        Its flat vector. Where it can't be written to, the normalizations' statistics do not change either.

    Attributes
    ----------
    steps : list of Layer
        What runs.
    work : int
        What one sample's way through them takes, about, in multiply-adds.
    """

    def __init__(self, layers: Sequence[Layer], input_shape: Shape, parameters: Array) -> None:
        values = footprint(layers, input_shape).values
        self.work = sum(layer.multiply_adds() for layer in layers) + NUMBER * values
        self.steps, self.parameters = inference_steps(layers), parameters
        self.folded = [f for step in self.steps if (f := getattr(step, "folded", None)) is not None]
        found = [f for f in self.folded if type(f.layer) is not Dense or f.normalization is not None]
        self.normalizations = [f.normalization for f in found if f.normalization is not None]
        # Written by hand, by a step or by a file, they are the same arrays as before: only their bits tell.
        self.watched = spans((array for f in found for array in f.parameters()), parameters)
        self.kept: list[Array] = [np.zeros(0, span.dtype) for span in self.watched]
        self.told: tuple[Any, ...] | None = None

    def refresh(self) -> None:
        """Fold anew what changed since the last call; once for all workers, before they begin."""
        if self.told is not None and not self.parameters.flags.writeable:
            return  # a tenth of an answer of a MobileNetV2 to one image
        told = self.statistics()
        if told == self.told and all(map(np.array_equal, self.kept, self.watched)):
            return
        kept = [span.copy() for span in self.watched]
        with np.errstate(all="ignore"):
            for folded in self.folded:
                folded.fold()
        self.told, self.kept = told, kept  # last: another thread that asks meanwhile folds for itself

    def statistics(self) -> tuple[Any, ...]:
        """Return what the normalizations have beside their parameters, to be compared."""
        arrays = [array for layer in self.normalizations for array in layer.buffers.values()]
        try:
            bits = b"".join(arrays)
        except (TypeError, BufferError):  # put in by hand
            bits = b"".join(np.asarray(array, np.float64).tobytes() for array in arrays)
        return bits, [layer.epsilon for layer in self.normalizations]


def spans(arrays: Iterable[Array], home: Array) -> list[Array]:
    """Return the stretches of the flat vector `home` that its views `arrays` cover, as integers.

    Examples
    --------
    >>> home = np.arange(9, dtype=np.float32)
    >>> [len(span) for span in spans([home[:2], home[2:4], home[6:]], home)]
    [4, 3]
    """
    start, size = home.ctypes.data, home.itemsize
    edges: list[list[int]] = []
    places = sorted(((a.ctypes.data - start) // size, a.size) for a in arrays)
    for first, length in places:
        if edges and edges[-1][1] == first:
            edges[-1][1] += length
        else:
            edges.append([first, first + length])
    bits = home.view(f"u{size}")
    return [bits[first:last] for first, last in edges]


#: Layers that take less where nothing is kept for a way back.
QUICK: dict[type[Layer], Callable[[Any], Layer]] = {MaxPooling: WinnerlessPooling, SiLU: QuickSiLU}


def inference_steps(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers to run for `layers` where nothing is trained, in order, some standing for several."""
    steps: list[Layer] = []
    # Noise of this package hands on its input here; what is derived from it may do something else.
    kept = [step for step in unfused(layers) if not (isinstance(step, TrainingNoise) and is_own(step))]
    rest = pool_first(kept)
    while rest:
        layer = rest.pop(0)
        if type(layer) not in MATRIX:
            quick = QUICK.get(type(layer))
            steps.append(quick(layer) if quick else layer)
            continue
        folded = Folded(layer, taken(rest, BatchNormalization))
        if type(layer) is Dense:
            steps.append(FusedDense(folded, taken(rest, ReLU) is not None))
            continue
        if rest and fits(layer, rest[0]):
            pool: Any = rest.pop(0)
            steps.append(FusedConvolution(folded, pool, taken_activation(rest)))
        elif (rest and adds_two(rest[0])) or (rest[1:] and type(rest[0]) is Cross and adds_two(rest[1])):
            skips = taken(rest, Cross) is not None
            taken(rest, Sum)
            steps.append(JoiningConvolution(folded, taken_activation(rest), skips))
        else:
            steps.append(FusedConvolution(folded, None, taken_activation(rest)))
    return steps


def adds_two(step: Layer) -> bool:
    """Return whether a step adds the ends of two branches."""
    return type(step) is Sum and step.count == 2


def taken(rest: list[Layer], kind: type[Any]) -> Any:
    """Return the first layer of `rest`, taken off, where it is of exactly this kind; else None."""
    return rest.pop(0) if rest and type(rest[0]) is kind else None


def taken_activation(rest: list[Layer]) -> ActivationCalls | None:
    """Return the activation of the first layer of `rest`, taken off, where it has one; else None."""
    return ACTIVATIONS[type(rest.pop(0))] if rest and type(rest[0]) in ACTIVATIONS else None
