"""What every layer is: a function with parameters that can be walked forward and backward.

Axis letters, here and everywhere: C channels, H height, W width, N batch. Inside a network the batch is the
last axis: images are ``(C, H, W, N)``, vectors ``(features, N)``, and a lone sample is a batch of one.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from purecnn.backend.arrays import module_of
from purecnn.backend.memory import Workspace
from purecnn.backend.random import Drawn, as_seed
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.layers import initializers
from purecnn.layers.execution import ExecutionContext, for_engine, held
from purecnn.layers.shapes import as_dtype
from purecnn.messages.signatures import explain_constructor, explained

Rule = TypeVar("Rule")

#: An array of float64 can have no more numbers, whatever the memory.
MOST_NUMBERS = 1e18


def check_style(layer: Layer, front: str = "") -> None:
    """Refuse a layer written as the original program's are: without the base's constructor, or with a rate.

    Raises
    ------
    TypeError
        If it is one; it says what is written otherwise here.
    """
    kind = type(layer)
    if kind.__module__.startswith("purecnn."):
        return
    from inspect import signature  # here, since layers of one's own alone are looked at

    faults = []
    if "execution" not in vars(layer):
        faults.append("__init__ begins with super().__init__()")
    for name, argument in (("forward", "input"), ("backward", "output_gradient")):
        given = signature(getattr(layer, name)).parameters.values()
        if len([p for p in given if p.default is p.empty and p.kind < p.VAR_POSITIONAL]) > 1:
            step = ", writes self.gradients, and leaves the step to the optimizer"
            faults.append(f"{name} takes {argument} alone{step if name == 'backward' else ''}")
    if faults:
        raise TypeError(
            f"{front}{kind.__name__} is written as in the original program; here {', and '.join(faults)}: "
            f"see docs/guides/customizing.md"
        )


def rule_for(rules: Mapping[Any, Rule], layer: Layer) -> Rule | None:
    """Return the rule for what a layer computes, None if there is none.

    It is that of the class whose `forward` the layer has, or of one above it that has none of its own: what
    is true of a class need not be so of a class derived from it with another `forward`.
    """
    for kind in type(layer).__mro__:
        forward: Any = getattr(kind, "forward", None)
        abstract = forward is None or getattr(forward, "__isabstractmethod__", False)
        if kind in rules and (abstract or forward is type(layer).forward):
            return rules[kind]
    return None


class Layer(ABC):
    """One step of a network.

    A layer knows its shapes, its parameters and what its backward pass needs; it knows neither the learning
    rate nor the loss. Whoever writes one defines `forward` and `backward`, and, where it has them, the
    shapes of its output (`infer`) and of its parameters (`parameter_shapes`).

    Attributes
    ----------
    input_shape, output_shape : tuple of int or None
        Shape of one sample, without the batch; None until the layer is bound.
    parameters : dict of str to ndarray
        What training changes. Inside a network these are views of its one flat vector: write into them.
    gradients : dict of str to ndarray
        The loss's derivative by each parameter, written by `backward`.
    buffers : dict of str to ndarray
        What is saved with the model and not trained.
    position : int
        Place in the network, which keys the layer's random draws.
    training : bool
        Whether the layer runs in training: `Dropout` asks.
    execution : ExecutionContext
        What it computes with: `xp`, `kernel_set`, `workspace`, `random`, `in_place` and `propagate` are its.
    trainable : bool
        Whether training changes the parameters; set it to False to freeze the layer, before `fit`. Its
        `backward` runs only where a layer before it is trained.
    learning_rate_factor : float
        What the optimizer's learning rate is multiplied by for these parameters, above 0; set it before
        `fit`. Inside of a layer made of others the factors of both multiply.
    """

    #: How many axes a sample must have: 3 for an image, 2 for a signal, 1 for a vector, None for any.
    sample_axes: int | None = None
    #: Whether the layer draws random numbers in training, from its `random`.
    draws = False
    #: Whether `backward` can do without the output, so that the next layer may work in its place.
    output_is_free = False
    #: Whether the layer can work in its input's place, where the layer before it leaves that free.
    overwrites = False
    #: Whether `max(f(a), f(b)) == f(max(a, b))`, so that a maximum may be taken before the layer.
    non_decreasing = False
    #: Arguments of the constructor that are lists of layers.
    holds: tuple[str, ...] = ()
    #: How `draw` scales: "auto" takes the gain of the activation that follows.
    initialization = "auto"
    #: Whether training changes the parameters.
    trainable = True
    #: What the learning rate is multiplied by for the parameters.
    learning_rate_factor = 1.0
    #: Scale that it wants for the parameters in front of it, "he" or "glorot"; "" leaves it to the next one.
    gain = ""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        explain_constructor(cls)
        # What a class promises of its passes need not be true of other ones.
        if {"forward", "backward"} & vars(cls).keys():
            for promise in ("non_decreasing", "output_is_free", "overwrites"):
                if promise not in vars(cls):
                    setattr(cls, promise, False)

    @explained
    def __init__(self) -> None:
        self.input_shape: Shape | None = None
        self.output_shape: Shape | None = None
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}
        self.buffers: dict[str, Array] = {}
        self.position = 0
        self.training = False
        self.execution = ExecutionContext()
        self._taken: tuple[int, np.dtype[Any]] | None = None

    # What a layer's author writes -------------------------------------------------------------------------

    @abstractmethod
    def forward(self, input: Array) -> Array:
        """Return the output for `input`, whose last axis is the batch."""

    @abstractmethod
    def backward(self, output_gradient: Array) -> Array | None:
        """Write `gradients` and return the loss's derivative by the input, None if `propagate` is off."""

    def infer(self, input_shape: Shape) -> Shape:
        """Return the shape of one output sample for one input sample of `input_shape`."""
        return input_shape

    def parameter_shapes(self) -> dict[str, Shape]:
        """Return the shape of each parameter, in the order in which they are drawn and stored."""
        return {}

    def buffer_shapes(self) -> dict[str, Shape]:
        """Return the shape of each buffer."""
        return {name: buffer.shape for name, buffer in self.buffers.items()}

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments, as plain numbers, strings and lists, to save and to print."""
        return {}

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Self:
        """Return a layer made of what `configuration` gave."""
        return cls(**configuration)

    def multiply_adds(self) -> int:
        """Return how many multiplications with an addition one sample's forward pass takes."""
        return 0

    # What it computes with --------------------------------------------------------------------------------

    if TYPE_CHECKING:
        xp: Any
        kernel_set: Any
        workspace: Workspace
        random: Drawn | None
        in_place: bool
        propagate: bool
    else:
        xp, kernel_set, workspace = held("xp"), held("kernel_set"), held("workspace")
        random, in_place, propagate = held("random"), held("in_place"), held("propagate")

    # What every layer has ---------------------------------------------------------------------------------

    def bind(self, input_shape: Shape) -> Shape:
        """Fix the shape of one input sample and return that of one output sample.

        Raises
        ------
        ShapeError
            If the layer was declared, or bound and given parameters, for another shape, or its outputs or
            parameters are more numbers than an array can have.
        """
        before = (self.input_shape, self.output_shape)
        self.output_shape = self.infer(input_shape)
        self.input_shape = input_shape
        shapes = self.parameter_shapes()
        for name, parameter in self.parameters.items():
            if name in shapes and np.shape(parameter) != shapes[name]:
                self.input_shape, self.output_shape = before
                raise ShapeError(
                    f"{self} was given {name} of shape {np.shape(parameter)} for an input of {before[0]}; "
                    f"an input of {input_shape} wants {shapes[name]}"
                )
        for what, shape in {"outputs": self.output_shape, **shapes}.items():
            if math.prod(shape) > MOST_NUMBERS:
                self.input_shape, self.output_shape = before
                raise ShapeError(
                    f"{self} would have {what} of shape {shape} for an input of {input_shape}, wanted "
                    f"at most {MOST_NUMBERS:g} numbers"
                )
        return self.output_shape

    def begin(self) -> None:
        """Make the buffers that are still missing; called by the network, once the layer is bound."""
        for layer in self.inside().values():
            layer.begin()

    def inside(self) -> dict[str, Layer]:
        """Return the layers that this one is made of, by name; a plain layer is made of none."""
        return {}

    def parts(self) -> list[Layer]:
        """Return the layers that this one is made of, at any depth."""
        return [part for layer in self.inside().values() for part in (layer, *layer.parts())]

    def steps(self) -> list[Layer]:
        """Return what the engine runs for this layer, in order."""
        return [self]

    def lacks_parameters(self) -> bool:
        """Return whether parameters are still to be drawn."""
        inside = self.inside().values()
        if inside:
            return any(layer.lacks_parameters() for layer in inside)
        return bool(self.parameter_shapes()) and not self.parameters

    def draw(self, rng: np.random.Generator, dtype: npt.DTypeLike, gain: str) -> None:
        """Draw every parameter anew: weights by `initializers`, biases zero."""
        for name, shape in self.parameter_shapes().items():
            self.parameters[name] = initializers.draw(name, shape, self.initialization, gain, rng, dtype)
            self.gradients[name] = np.zeros(shape, dtype)

    def checked_parameters(self) -> dict[str, Array]:
        """Return the parameters in their order, each an array of the shape that it must have.

        Raises
        ------
        ShapeError
            If one put in by hand has another shape.
        TypeError
            If one holds no real numbers.
        ValueError
            If one is missing, or is none of this layer's.
        """
        shapes, held = self.parameter_shapes(), self.parameters
        if held.keys() != shapes.keys():
            raise ValueError(
                f"{self} wants the parameters {', '.join(shapes) or 'of no name'}, "
                f"got {', '.join(held) or 'none'}"
            )
        found = {name: module_of(held[name]).asarray(held[name]) for name in shapes}
        for name, array in found.items():
            if array.dtype.kind not in "fiu":
                raise TypeError(f"{name} of {self} must hold real numbers, got dtype {array.dtype}")
            if array.shape != shapes[name]:
                raise ShapeError(f"{name} of {self} must have shape {shapes[name]}, got {array.shape}")
        return found

    def draw_now(self, rng: np.random.Generator | int | None, dtype: npt.DTypeLike | None) -> None:
        """Draw at construction if an `rng` was given: the activation that follows is not known yet."""
        if rng is None:
            if dtype is not None:
                raise ValueError(
                    f"dtype is that of parameters drawn now, from rng, got {dtype!r} without rng: "
                    f"Network(layers, dtype=...) decides it for all layers"
                )
            return
        if self.input_shape is None:
            raise ValueError(f"{self} can only be drawn now, from rng, if its input shape is given too")
        if not isinstance(rng, np.random.Generator):
            rng = np.random.default_rng(as_seed(rng))
        self.draw(rng, as_dtype(np.float32 if dtype is None else dtype), "glorot")

    def replica(self, xp: Any = np) -> Self:
        """Return a worker's twin: the same parameter arrays, its own gradients, run by the engine."""
        twin = object.__new__(type(self))
        twin.__setstate__(self.__getstate__())
        twin.gradients = dict(self.gradients)
        twin.execution = for_engine(xp)
        return twin

    def receive(self, input: Array) -> Array:
        """Check and cast an input: the first line of every `forward`.

        Raises
        ------
        ShapeError
            If `input` is not a batch, on the last axis, of the samples this layer was bound to.
        """
        if self.execution.run_by_engine:
            return input
        self.workspace = Workspace()  # what the last call returned is its caller's
        array = np.asarray(input)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{self} wants an array of real numbers, got dtype {array.dtype}")
        if not self.parameters and array.ndim and array.shape[:-1] != self.input_shape:
            self.bind(array.shape[:-1])
        if array.shape[:-1] != self.input_shape or not array.shape[-1]:
            wanted = ", ".join(map(str, (*(self.input_shape or ("?",)), "N")))
            raise ShapeError(f"{self} wants an array of shape ({wanted}), the batch last; got {array.shape}")
        if missing := [name for name in self.parameter_shapes() if name not in self.parameters]:
            raise ValueError(f"{self} has no {missing[0]} yet: give it rng=..., or put it into a network")
        self.parameters.update(self.checked_parameters())  # a list put in by hand becomes an array
        kind = next((p.dtype for p in self.parameters.values()), array.dtype)
        kind = kind if kind in (np.float32, np.float64) else np.dtype(np.float32)
        self._taken = array.shape[-1], kind
        return array.astype(kind, copy=False)

    def receive_gradient(self, output_gradient: Array) -> Array:
        """Check and cast the loss's derivative by the output: the first line of every `backward`.

        Raises
        ------
        ValueError
            If no forward pass came before.
        ShapeError
            If `output_gradient` has another shape than that pass's output.
        """
        if self.execution.run_by_engine:
            return output_gradient
        if self._taken is None:
            raise ValueError(f"{self} wants a forward pass before its backward pass, got none")
        samples, kind = self._taken
        array, wanted = np.asarray(output_gradient), (*(self.output_shape or ()), samples)
        if array.shape != wanted or array.dtype.kind not in "fiu":
            raise ShapeError(
                f"{self} wants an output gradient of shape {wanted}, like its last output; "
                f"got {array.dtype} of shape {array.shape}"
            )
        for name, parameter in self.parameters.items():
            if name not in self.gradients:  # a parameter put in by hand
                self.gradients[name] = np.zeros(parameter.shape, kind)
        return array.astype(kind, copy=False)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Say of what is missing in a layer of one's own why it may be."""
            kind = type(self)
            words = f"{kind.__name__!r} object has no attribute {name!r}"
            if not name.startswith("__") and not kind.__module__.startswith("purecnn."):
                if "execution" not in vars(self):
                    words += ": its __init__ must begin with super().__init__()"
                else:
                    words += (
                        ": workers, copies and files carry no arrays that are plain attributes; wanted "
                        "parameters (parameter_shapes) or buffers"
                    )
            raise AttributeError(words)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.configuration().items())})"

    def __getstate__(self) -> dict[str, Any]:
        # Copies and files carry the layer, not what its last call left behind.
        return {k: v for k, v in self.__dict__.items() if k not in OWN and not isinstance(v, np.ndarray)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, execution=ExecutionContext(), _taken=None)

    def __copy__(self) -> Self:
        return copy.deepcopy(self)


#: What belongs to one layer object alone, and no copy takes along.
OWN = {"execution", "network", "owner", "_taken"}
