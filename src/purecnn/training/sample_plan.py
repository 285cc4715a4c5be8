"""Plans of a lone sample's step: all calls of the way there and back, listed once for a network.

On one sample, computing takes less than asking each layer what to compute, and on which arrays. The engine's
arrays are the same in each step, so that is asked once, and a step is a walk along two lists of calls. What
they compute, and its bits, are those of the layers' own passes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.kernels import cpu
from purecnn.kernels.calls import Call, run
from purecnn.kernels.products import matmul
from purecnn.layers.activations.basic import Sigmoid, Tanh
from purecnn.layers.activations.elementwise import ElementWise, sigmoid
from purecnn.layers.base import Layer
from purecnn.layers.dense import Dense
from purecnn.layers.registry import is_own
from purecnn.layers.reshape import Flatten, Reshape
from purecnn.layers.signals.steps import ToImages, ToSignals, Turning
from purecnn.layers.spatial.convolution import Convolutional

#: Values of a dense layer's step that are computed at a time: so many stay in the cache beside the weights
#: that they are taken from.
CACHED = 1 << 17


class LayerPlan(ABC):
    """A layer's calls on a lone sample.

    Parameters
    ----------
    layer : Layer
        A replica of the engine's.
    x : ndarray
        Where its input lies in each step, the batch of one last.
    is_free : bool
        Whether nobody reads that input on the way back, so that dx may lie in its place.

    Attributes
    ----------
    forward : sequence of callable
        They write the output.
    output, dx : ndarray
        Where the output lies, and the loss's derivative by the input, None if nobody asks: each may be known
        only once the calls have run.
    """

    forward: Sequence[Call] = ()
    output: Array
    dx: Array | None

    @abstractmethod
    def __init__(self, layer: Any, x: Array, is_free: bool) -> None:
        """List the calls of the way there."""

    @abstractmethod
    def backward(self, g: Array) -> list[Call]:
        """Return the calls of the way back from the loss's derivative in `g`, which write `dx`.

        A layer that is trained takes its step on that way: the derivative carries the rate.
        """


class DensePlan(LayerPlan):
    """``y = W x + b``; ``dx = W.T g`` before the step ``W -= g x.T``, ``b -= g`` is taken; b may be none."""

    def __init__(self, layer: Dense, x: Array, is_free: bool) -> None:
        self.layer, self.x, self.dx = layer, x, None
        self.weights, self.biases = layer.parameters["weights"], layer.parameters.get("biases")
        self.output = y = layer.workspace.array("output", (len(self.weights), 1), x.dtype)
        calls: list[Call] = [partial(matmul, self.weights, x, y)]
        self.forward = calls if self.biases is None else [*calls, partial(np.add, y, self.biases, y)]

    def backward(self, g: Array) -> list[Call]:
        """Take the step some rows at a time: 85 us in place of 150 (100 x 3380)."""
        calls: list[Call] = []
        x, weights, workspace = self.x, self.weights, self.layer.workspace
        if self.layer.propagate:
            self.dx = workspace.array("input_gradient", x.shape, x.dtype)
            calls.append(partial(matmul, weights.T, g, self.dx))
        if not self.layer.trainable:
            return calls
        rows = max(1, CACHED // len(x))
        products = workspace.array("product", (min(rows, len(g)), len(x)), x.dtype)
        for first in range(0, len(g), rows):
            part, slope = weights[first : first + rows], g[first : first + rows]
            product, row = products[: len(part)], x.T
            if len(part) == 1:  # as vectors: a product of axes takes four times as long on few numbers
                part, slope, product, row = (array.reshape(-1) for array in (part, slope, product, row))
            calls += [partial(np.multiply, slope, row, product), partial(np.subtract, part, product, part)]
        return calls if self.biases is None else [*calls, partial(np.subtract, self.biases, g, self.biases)]


class ActivationPlan(LayerPlan):
    """What `TanhPlan` and `SigmoidPlan` share: arrays for y and dx, and a one.

    That is an array of their dtype, which takes NumPy half as long as a number.
    """

    def __init__(self, layer: ElementWise, x: Array, is_free: bool) -> None:
        self.output = layer.buffer("output", x)
        self.slope = self.dx = x if is_free else layer.buffer("input_gradient", x)
        self.one = np.ones((), x.dtype)


class TanhPlan(ActivationPlan):
    """``y = tanh x``; ``dx = g (1 - y^2)``."""

    def __init__(self, layer: Tanh, x: Array, is_free: bool) -> None:
        super().__init__(layer, x, is_free)
        self.forward = [partial(np.tanh, x, self.output)]

    def backward(self, g: Array) -> list[Call]:
        """``dx = y y``, ``dx = 1 - dx``, ``dx = dx g``."""
        y, dx = self.output, self.slope
        square, rest = partial(np.multiply, y, y, dx), partial(np.subtract, self.one, dx, dx)
        return [square, rest, partial(np.multiply, dx, g, dx)]


class SigmoidPlan(ActivationPlan):
    """``y = 1 / (1 + exp(-x))``; ``dx = g y (1 - y)``."""

    def __init__(self, layer: Sigmoid, x: Array, is_free: bool) -> None:
        super().__init__(layer, x, is_free)
        self.forward = [partial(sigmoid, x, self.output)]

    def backward(self, g: Array) -> list[Call]:
        """``dx = 1 - y``, ``dx = dx y``, ``dx = dx g``."""
        y, dx = self.output, self.slope
        rest, slope = partial(np.subtract, self.one, y, dx), partial(np.multiply, dx, y, dx)
        return [rest, slope, partial(np.multiply, dx, g, dx)]


class ReshapePlan(LayerPlan):
    """The same values under other axes: a view of them, or a copy where they lie in another order."""

    def __init__(self, layer: Flatten | Reshape | Turning, x: Array, is_free: bool) -> None:
        shape = (*(layer.output_shape or ()), 1)
        self.x, self.output = x, x.reshape(shape)
        if not np.may_share_memory(self.output, x):
            self.forward = [partial(np.copyto, self.output.reshape(x.shape), x)]

    def backward(self, g: Array) -> list[Call]:
        """Return a call where the gradient is no view either."""
        self.dx = g.reshape(self.x.shape)
        if np.may_share_memory(self.dx, g):
            return []
        return [partial(np.copyto, self.dx.reshape(g.shape), g)]


class ConvolutionPlan(LayerPlan):
    """The two passes of the kernels on arrays that they lay out, then ``p -= dp``."""

    def __init__(self, layer: Convolutional, x: Array, is_free: bool) -> None:
        self.layer, self.work = layer, cpu.in_rows(x, layer.depth, layer.window, layer.workspace)
        self.output, parameters = self.work.images, layer.parameters
        self.forward = [partial(self.work.forward, parameters["kernels"], parameters.get("biases"))]

    def backward(self, g: Array) -> list[Call]:
        """Return the calls."""
        p, dp, propagate = self.layer.parameters, self.layer.gradients, self.layer.propagate
        self.dx = self.work.dx if propagate else None
        calls: list[Call] = [
            partial(self.work.backward, g, p["kernels"], dp["kernels"], dp.get("biases"), propagate)
        ]
        if self.layer.trainable:
            calls += [partial(np.subtract, p[name], dp[name], p[name]) for name in p]
        return calls


class OtherPlan(LayerPlan):
    """Any other layer: its own two passes, then ``p -= dp``."""

    def __init__(self, layer: Layer, x: Array, is_free: bool) -> None:
        self.layer, self.x = layer, x
        self.forward = [self.run]
        self.known = False

    def run(self) -> None:
        """Run the layer's forward pass; put what it returns where that of the first sample lies."""
        y = self.layer.forward(self.x)
        if not self.known:
            self.output, self.known = self.kept(y), True
        elif y is not self.output:
            np.copyto(self.output, y)

    def backward(self, g: Array) -> list[Call]:
        """Return one call."""
        self.dx = None
        return [partial(self.run_back, g)]

    def run_back(self, g: Array) -> None:
        """Run the layer's backward pass, and take its step."""
        dx = self.layer.backward(g)
        if self.dx is None:
            self.dx = None if dx is None else self.kept(dx)
        elif dx is not None and dx is not self.dx:
            np.copyto(self.dx, dx)
        if self.layer.trainable:
            for name, parameter in self.layer.parameters.items():
                parameter -= self.layer.gradients[name]

    def kept(self, found: Array) -> Array:
        """Return an array for what a pass returns in each step: this one, if it is working memory of ours."""
        return found if is_own(self.layer) and found.flags.writeable else np.array(found, order="K")


#: What is planned in a way of its own: layers of these very classes.
PLANS: dict[type[Layer], type[LayerPlan]] = {
    Convolutional: ConvolutionPlan,
    Dense: DensePlan,
    Flatten: ReshapePlan,
    Reshape: ReshapePlan,
    Sigmoid: SigmoidPlan,
    Tanh: TanhPlan,
    ToImages: ReshapePlan,
    ToSignals: ReshapePlan,
}


def plan_for(layer: Layer, x: Array, is_free: bool) -> LayerPlan:
    """Return the plan of one layer."""
    kind = PLANS.get(type(layer), OtherPlan)
    if isinstance(layer, Convolutional) and not layer.window.is_dense:
        kind = OtherPlan
    return kind(layer, x, is_free)


class SamplePlan:
    """All calls of a network on a lone sample, listed while the first one passes.

    Parameters
    ----------
    layers : sequence of Layer
        Replicas, each with its gradients.
    first : int
        The first that is trained: nothing goes back beyond it.
    input : ndarray
        Where samples are put in; the first one is there.

    Attributes
    ----------
    forward, backward : list of callable
        What is called on the way there, and on the way back: nothing there before `go_back` was called.
    output, slope : ndarray
        Where the output lies, and where the loss's derivative by it, times the rate, is to be put.
    """

    def __init__(self, layers: Sequence[Layer], first: int, input: Array) -> None:
        self.plans: list[LayerPlan] = []
        self.first = first
        self.forward: list[Call] = []
        self.backward: list[Call] = []
        x, is_free = input, False
        for layer in layers:
            plan = plan_for(layer, x, is_free)
            run(plan.forward)
            self.plans.append(plan)
            self.forward += plan.forward
            x, is_free = plan.output, layer.output_is_free
        self.output = x
        self.slope = np.empty(x.shape, x.dtype)

    def go_back(self) -> None:
        """Go back through all layers, for the first time too."""
        if self.backward:
            run(self.backward)
            return
        found: list[Call] = []
        g: Any = self.slope
        for plan in reversed(self.plans[self.first :]):
            calls = plan.backward(g)
            run(calls)
            found += calls
            g = plan.dx
        self.backward = found
