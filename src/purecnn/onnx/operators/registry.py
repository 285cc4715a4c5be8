"""The registry of ONNX operators by name and version.

ONNX's operators by name and version, and what each is told of its place in a graph.

An operator is a function of an `OperatorCall` and of arrays, as its inputs are in ONNX: samples first. In
memory the batch may lie last, which NumPy's functions keep and the images' kernels want.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.onnx.arrays import TEXT
from purecnn.onnx.cost import Budget
from purecnn.onnx.model import Maps, Node, full_name

Operator = Callable[..., Any]


#: As many inputs does a sentence show.
SHOWN = 8


#: For each operator the versions of its function, each with the first operator set that has it. The name of
#: one that is not ONNX's own begins with its domain: "ai.onnx.ml.Scaler".
OPERATORS: dict[str, list[tuple[int, Operator]]] = {}


#: Operators that take texts: they move values, compare or convert them, or ask for a shape alone.
TAKE_TEXT = frozenset(
    {
        *("Cast", "CastLike", "Compress", "Concat", "Constant", "Equal", "Expand", "Flatten", "Gather"),
        *("GatherElements", "GatherND", "Identity", "Reshape", "Shape", "Size", "Slice", "Split", "Squeeze"),
        *("If", "Loop", "Tile", "Transpose", "Unique", "Unsqueeze", "Where"),
        *("ai.onnx.ml.ArrayFeatureExtractor", "ai.onnx.ml.CategoryMapper", "ai.onnx.ml.LabelEncoder"),
        "ai.onnx.ml.OneHotEncoder",
    }
)


def operator(*names: str, since: int = 1, domain: str = "") -> Callable[[Operator], Operator]:
    """Make a function known as an operator, from one operator set of its domain on."""

    def register(function: Operator) -> Operator:
        for name in (full_name(domain, name) for name in names):
            OPERATORS.setdefault(name, []).append((since, function))
            OPERATORS[name].sort(key=lambda pair: pair[0])
        return function

    return register


def numeric(input: Any) -> bool:
    """Return whether a value is an array of numbers."""
    return isinstance(input, np.ndarray | np.generic) and input.dtype.kind in "biuf"


class OperatorCall:
    """An operator at its place in a graph.

    Parameters
    ----------
    node : Node
        What the graph says of it.
    version : int
        The operator set that the graph wants, of the operator's domain.
    max_bytes : int
        Bytes that it may take at a time, where it runs by itself.

    Attributes
    ----------
    budget : Budget
        What it may take, of the run that it is part of. An operator claims from it before it computes.
    bodies : dict of str to Runtime
        The graphs within the node, by the names of their attributes.
    outside : dict of str to ndarray
        The values from outside that these graphs use, by the names that they have there.

    Raises
    ------
    FileFormatError
        If there is no such operator in that version, or it has another number of inputs.
    """

    def __init__(self, node: Node, version: int, max_bytes: int) -> None:
        self.node, self.version, self.max_bytes = node, version, max_bytes
        self.budget = Budget.of(max_bytes)
        name = full_name(node.domain, node.operator)
        found = OPERATORS.get(name, [])
        self.takes_text = name in TAKE_TEXT
        functions = [function for since, function in found if since <= version]
        if not functions:
            known = f" in operator set {version}{f' of {node.domain}' * bool(node.domain)}" if found else ""
            raise FileFormatError(f"{node} is an operator that is not known here{known}")
        self.function = functions[-1]
        kinds = list(inspect.signature(self.function).parameters.values())[1:]
        least = sum(kind.default is kind.empty and kind.kind is not kind.VAR_POSITIONAL for kind in kinds)
        most = math.inf if any(kind.kind is kind.VAR_POSITIONAL for kind in kinds) else len(kinds)
        given = len(node.inputs) - len(node.captured)
        self.bodies: dict[str, Any] = {}
        self.outside: dict[str, Any] = {}
        if not least <= given <= most or "" in node.inputs[:least]:
            wanted = f"{least}" if least == most else f"{least} to {most}" if most < math.inf else f"{least}"
            raise FileFormatError(f"{node} has {given} inputs, wanted {wanted}, named")

    def __call__(self, inputs: Sequence[Array | None], budget: Budget | None = None) -> tuple[Any, ...]:
        """Return the outputs, arrays all but those of a classifier's probabilities by name.

        Parameters
        ----------
        inputs : sequence of ndarray or None
            None where one is left out.
        budget : Budget, optional
            What the run may take; one of `max_bytes` if left out.

        Raises
        ------
        FileFormatError, ShapeError
            If the inputs are none that the operator can take, or it would take more than the budget has; the
            sentence names the node.
        """
        call = copy.copy(self)  # since several threads may run a graph
        call.budget = budget or Budget.of(self.max_bytes)
        try:
            call.budget.begin(len(inputs) + len(self.node.outputs))
            for input in inputs:
                if input is not None and not numeric(input):
                    self.check_text(input)
            own = len(inputs) - len(self.node.captured)
            call.outside = dict(zip(self.node.captured, inputs[own:], strict=True))
            found = self.function(call, *inputs[:own])
        except ShapeError as error:
            raise ShapeError(f"{self.node}: {error}") from None
        except FileFormatError as error:
            raise FileFormatError(f"{self.node}: {error}") from None
        except (ValueError, TypeError, IndexError, ArithmeticError, AttributeError, MemoryError) as error:
            shapes = [f"{i.dtype} {i.shape}" if i is not None else "none" for i in inputs[:SHOWN]]
            shapes += ["..."] * (len(inputs) > SHOWN)
            raise ShapeError(
                f"{self.node} can't be computed of inputs {', '.join(shapes) or 'none'}: {error!s:.500}"
            ) from error
        outputs = tuple(found) if isinstance(found, tuple | list) else (found,)
        if len(self.node.outputs) > len(outputs):
            raise FileFormatError(
                f"{self.node} has {len(self.node.outputs)} outputs, wanted at most {len(outputs)}"
            )
        return tuple(output if isinstance(output, Maps) else np.asarray(output) for output in outputs)

    def check_text(self, input: Any) -> None:
        """Check that the operator takes an input which is no array of numbers."""
        if isinstance(input, Maps) or input.dtype != TEXT:
            kind = "a sequence of maps" if isinstance(input, Maps) else input.dtype
            raise FileFormatError(f"an input is {kind}, wanted an array of numbers")
        if not self.takes_text:
            raise FileFormatError("an input is text, wanted numbers")

    @property
    def outputs(self) -> int:
        """How many outputs the graph wants."""
        return max((place for place, name in enumerate(self.node.outputs, 1) if name), default=0)

    # Attributes -------------------------------------------------------------------------------------------

    def attribute(self, name: str, kind: type | tuple[type, ...], default: Any) -> Any:
        """Return an attribute of that kind; a default of `...` says that it must be there."""
        value = self.node.attributes.get(name, default)
        if value is ...:
            raise FileFormatError(f"the attribute {name!r} is missing")
        if value is not default and not isinstance(value, kind):
            raise FileFormatError(f"the attribute {name!r} is {value!r}, wanted another type")
        return value

    def integer(self, name: str, default: Any = ...) -> Any:
        """Return an attribute that is an integer."""
        return self.attribute(name, int, default)

    def number(self, name: str, default: Any = ...) -> Any:
        """Return an attribute that is a float."""
        return self.attribute(name, float, default)

    def text(self, name: str, default: Any = ...) -> Any:
        """Return an attribute that is a text."""
        return self.attribute(name, str, default)

    def integers(self, name: str, default: Any = ...) -> Any:
        """Return an attribute that is a list of integers."""
        value = self.attribute(name, list, default)
        if isinstance(value, list) and not all(isinstance(item, int) for item in value):
            raise FileFormatError(f"the attribute {name!r} is {value!r}, wanted integers")
        return value

    def choice(self, name: str, default: str, *known: str) -> str:
        """Return an attribute that is one of some texts."""
        value: str = self.text(name, default)
        if value not in known:
            raise FileFormatError(f"the attribute {name!r} is {value!r}, wanted one of {', '.join(known)}")
        return value

    # Checks -----------------------------------------------------------------------------------------------

    def claim(
        self,
        shape: Sequence[int],
        dtype: npt.DTypeLike,
        copies: int = 1,
        passes: int | None = None,
        slow: int = 0,
    ) -> tuple[int, ...]:
        """Return a shape as integers, if so many arrays of it may be made: see `Budget.claim`."""
        return self.budget.claim(shape, dtype, copies, passes, slow)

    def like(self, x: Array, copies: int = 1, passes: int | None = None, slow: int = 0) -> None:
        """Claim arrays like an input."""
        self.budget.claim(x.shape, x.dtype, copies, passes, slow)

    def axis(self, value: int, axes: int, name: str = "axis") -> int:
        """Return an axis counted from the front, which may be given from the back."""
        if not -axes <= value < axes:
            raise ShapeError(f"{name} is {value}, wanted from {-axes} to {axes - 1}")
        return value % axes

    def axes(self, values: Sequence[int], axes: int) -> tuple[int, ...]:
        """Return axes counted from the front, none of them twice."""
        found = tuple(self.axis(int(value), axes, "an axis") for value in values)
        if len(set(found)) != len(found):
            raise ShapeError(f"axes are {found}, wanted each once")
        return found

    def alike(self, *inputs: Array) -> None:
        """Check that inputs have one dtype."""
        kinds = sorted({str(input.dtype) for input in inputs})
        if len(kinds) > 1:
            raise FileFormatError(f"its inputs are {' and '.join(kinds)}, wanted one dtype")

    def same(self, *inputs: Array, copies: int = 1, passes: int | None = None, slow: int = 0) -> None:
        """Check that inputs have one dtype, and claim arrays of the shape that they have together."""
        self.alike(*inputs)
        self.together(*inputs, copies=copies, passes=passes, slow=slow)

    def together(
        self, *inputs: Array, copies: int = 1, passes: int | None = None, slow: int = 0
    ) -> tuple[int, ...]:
        """Return the shape that inputs have when they are broadcast, and claim arrays of it."""
        shapes = list(dict.fromkeys(input.shape for input in inputs))
        try:
            shape = np.broadcast_shapes(*shapes)
        except ValueError:
            shown = [*map(str, shapes[:SHOWN]), *["..."] * (len(shapes) > SHOWN)]
            raise ShapeError(f"shapes {' and '.join(shown)} can't be broadcast") from None
        widest = max((input.dtype for input in inputs), key=lambda kind: kind.itemsize)
        passes = len(inputs) + copies if passes is None else passes
        return self.claim(shape, widest, copies, passes, slow)


def integers(values: Array | None, what: str = "an input") -> list[int] | None:
    """Return an input that says sizes or axes as a list; None where it is left out."""
    if values is None:
        return None
    if values.dtype.kind not in "iu" or values.ndim > 1:
        raise ShapeError(f"{what} is {values.dtype} of shape {values.shape}, wanted a list of integers")
    return [int(value) for value in values.reshape(-1)]


def wanted(call: OperatorCall, name: str, input: Array | None, default: Any = ...) -> Any:
    """Return integers that are an input, or were an attribute in older operator sets."""
    given = integers(input, name)
    if given is None:
        given = call.integers(name, default)
    return given


def floating(*inputs: Array) -> None:
    """Check that inputs are floats."""
    for input in inputs:
        if input.dtype.kind != "f":
            raise FileFormatError(f"an input is {input.dtype}, wanted floats")
