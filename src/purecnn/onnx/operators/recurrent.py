"""ONNX operators: RNN, GRU and LSTM.

Recurrent networks: what each step of a sequence makes of the input there and of the state that the step
before left. The products with the inputs of all steps are one; then the steps follow each other.

Formulas are those of https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.kernels.cost import EXPONENTIAL, STEP
from purecnn.onnx.operators.registry import OperatorCall, floating, operator
from purecnn.onnx.operators.selection import by_time

Function = Callable[[Array], Array]


class Curve(NamedTuple):
    """An activation by its name: the function of values, alpha and beta, and what these are by default."""

    function: Callable[[Array, float, float], Any]
    alpha: float | None = None
    beta: float | None = None


#: By names in small letters, as exporters differ in them.
CURVES = {
    "affine": Curve(lambda x, alpha, beta: alpha * x + beta, 1.0, 0.0),
    "elu": Curve(lambda x, alpha, beta: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x), 1.0),
    "hardsigmoid": Curve(lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1), 0.2, 0.5),
    "leakyrelu": Curve(lambda x, alpha, beta: np.where(x < 0, alpha * x, x), 0.01),
    "relu": Curve(lambda x, alpha, beta: np.maximum(x, 0)),
    "scaledtanh": Curve(lambda x, alpha, beta: alpha * np.tanh(beta * x), 1.0, 1.0),
    "sigmoid": Curve(lambda x, alpha, beta: 1 / (1 + np.exp(-x))),
    "softplus": Curve(lambda x, alpha, beta: np.logaddexp(x, x.dtype.type(0))),
    "softsign": Curve(lambda x, alpha, beta: x / (1 + np.abs(x))),
    "tanh": Curve(lambda x, alpha, beta: np.tanh(x)),
    "thresholdedrelu": Curve(lambda x, alpha, beta: np.where(x < alpha, x.dtype.type(0), x), 1.0),
}


class Arrays(NamedTuple):
    """The inputs of a recurrent operator in their order, None where one is left out."""

    x: Array
    w: Array
    r: Array
    b: Array | None
    lengths: Array | None
    h: Array | None
    c: Array | None = None
    peepholes: Array | None = None


@dataclass
class Direction:
    """What one direction computes with: one of two where the sequence is gone over both ways.

    Attributes
    ----------
    x : ndarray, shape (steps, batch, inputs)
        The input, turned round in time for the way back.
    inputs, recurrent : ndarray, shape (inputs or hidden, gates * hidden)
        The matrices that the input and the state are multiplied by.
    biases : (ndarray, ndarray)
        Of both products, (gates * hidden,).
    state, cell : ndarray, shape (batch, hidden)
        The hidden state and the cell before the first step.
    peepholes : ndarray or None
        What a cell is multiplied by for the gates of input, output and forgetting, (3, hidden).
    lengths : ndarray or None
        Of each sequence of the batch; None where all are of all steps.
    functions : list of callable
        The activations.
    clip : float or None
        What goes into an activation is held to within this.
    """

    x: Array
    inputs: Array
    recurrent: Array
    biases: tuple[Array, Array]
    state: Array
    cell: Array
    peepholes: Array | None
    lengths: Array | None
    functions: list[Function]
    clip: float | None

    def hold(self, values: Array) -> Array:
        """Return what goes into an activation, held within the clip."""
        return values if self.clip is None else np.clip(values, -self.clip, self.clip)

    def products(self, bias: Array) -> Array:
        """Return the products with the inputs of all steps and a bias, (steps, batch, gates * hidden)."""
        steps, batch, size = self.x.shape
        found: Array = self.x.reshape(steps * batch, size) @ self.inputs
        found += bias
        return found.reshape(steps, batch, len(bias))

    def kept(self, step: int, new: Array, old: Array) -> Array:
        """Return a state after a step: the old one where the sequence has ended."""
        if self.lengths is None:
            return new
        return np.where((step < self.lengths)[:, None], new, old)


#: From a direction, after each step: the hidden state, and the cell or None.
Steps = Callable[[Direction], Iterator[tuple[Array, Array | None]]]


@dataclass
class Recurrent:
    """A recurrent operator at its place.

    Parameters
    ----------
    call : OperatorCall
        The place.
    gates : int
        How many gates it has.
    curves : tuple of str
        Its activations by default.
    """

    call: OperatorCall
    gates: int
    curves: tuple[str, ...]

    def run(self, given: Arrays, steps: Steps) -> tuple[Array, Array, Array]:
        """Return all hidden states, the last ones, and the last cells."""
        call = self.call
        wayward = call.choice("direction", "forward", "forward", "reverse", "bidirectional")
        ways, turned = 1 + (wayward == "bidirectional"), bool(call.integer("layout", 0))
        if given.x.ndim != 3:
            raise ShapeError(f"the input has shape {given.x.shape}, wanted three axes: steps, batch, inputs")
        if turned:
            h, c = (one if one is None or one.ndim < 2 else one.swapaxes(0, 1) for one in (given.h, given.c))
            given = given._replace(x=given.x.swapaxes(0, 1), h=h, c=c)
        hidden = self.check(given, ways)
        count, batch, _ = given.x.shape
        ends = self.lengths(given.lengths, count, batch)
        own, kind = given.x.dtype, np.dtype(np.float64 if given.x.dtype == np.float64 else np.float32)
        self.claim(given.x, kind, ways, hidden)
        found = np.zeros((count, ways, batch, hidden), kind)
        last, cells = np.zeros((2, ways, batch, hidden), kind)
        for way, functions in enumerate(self.functions(ways)):
            back = wayward == "reverse" or way == 1
            one = self.direction(given, way, back, ends, kind, functions)
            last[way], cells[way] = one.state, one.cell
            for step, (new, cell) in enumerate(steps(one)):
                found[step, way] = new if ends is None else np.where((step < ends)[:, None], new, 0)
                last[way] = new
                if cell is not None:
                    cells[way] = cell
            if back:
                found[:, way] = by_time(found[:, way], ends)
        if turned:
            found, last, cells = found.transpose(2, 0, 1, 3), last.swapaxes(0, 1), cells.swapaxes(0, 1)
        return found.astype(own, copy=False), last.astype(own, copy=False), cells.astype(own, copy=False)

    def check(self, given: Arrays, ways: int) -> int:
        """Check that the inputs go together; return how large the hidden state is."""
        numbers = [one for one in given._replace(lengths=None) if one is not None]
        floating(*numbers)
        self.call.alike(*numbers)
        gates, hidden = self.gates, given.r.shape[-1] if given.r.ndim else 0
        batch, size = given.x.shape[1:]
        for name, one, shape in (
            ("W", given.w, (ways, gates * hidden, size)),
            ("R", given.r, (ways, gates * hidden, hidden)),
            ("B", given.b, (ways, 2 * gates * hidden)),
            ("initial_h", given.h, (ways, batch, hidden)),
            ("initial_c", given.c, (ways, batch, hidden)),
            ("P", given.peepholes, (ways, 3 * hidden)),
        ):
            if one is not None and one.shape != shape:
                raise ShapeError(f"{name} has shape {one.shape}, wanted {shape}: {gates} gates of {hidden}")
        if (asked := self.call.integer("hidden_size", hidden)) != hidden:
            raise ShapeError(f"hidden_size is {asked}, R has {hidden}")
        return int(hidden)

    def direction(
        self,
        given: Arrays,
        way: int,
        back: bool,
        ends: Array | None,
        kind: np.dtype[Any],
        functions: list[Function],
    ) -> Direction:
        """Return what one direction computes with."""
        width, hidden = given.r.shape[1:]
        biases = np.zeros((2, width), kind) if given.b is None else given.b[way].reshape(2, width)
        state, cell = (
            np.zeros((given.x.shape[1], hidden), kind) if one is None else one[way].astype(kind)
            for one in (given.h, given.c)
        )
        return Direction(
            (by_time(given.x, ends) if back else given.x).astype(kind, copy=False),
            np.ascontiguousarray(given.w[way].T, kind),
            np.ascontiguousarray(given.r[way].T, kind),
            (biases[0].astype(kind), biases[1].astype(kind)),
            state,
            cell,
            None if given.peepholes is None else given.peepholes[way].reshape(3, hidden).astype(kind),
            ends,
            functions,
            self.call.number("clip", None),
        )

    def lengths(self, given: Array | None, steps: int, batch: int) -> Array | None:
        """Return how long each sequence is; None where all are of all steps."""
        if given is None:
            return None
        if given.shape != (batch,) or given.dtype.kind not in "iu":
            raise ShapeError(
                f"sequence_lens is {given.dtype} of shape {given.shape}, wanted {batch} integers"
            )
        if batch and not 0 <= int(given.min()) <= int(given.max()) <= steps:
            raise ShapeError(
                f"sequence_lens reach from {given.min()} to {given.max()}, wanted 0 to {steps} steps"
            )
        return None if (given == steps).all() else given.astype(np.int64)

    def claim(self, x: Array, kind: np.dtype[Any], ways: int, hidden: int) -> None:
        """Claim what all steps make, and their products."""
        call, (steps, batch, size), width = self.call, x.shape, self.gates * hidden
        call.claim((steps, ways, batch, hidden), kind, copies=4)
        call.claim(x.shape, kind, copies=3)
        call.claim((steps, batch), np.int64, copies=4)
        call.claim((steps, batch, width), kind, copies=2, passes=6 * ways, slow=ways * EXPONENTIAL)
        call.claim((batch, width), kind, copies=12, passes=0)
        call.claim((size + hidden + 4, width), kind, copies=2, passes=4 * ways)
        call.claim((ways, batch, hidden), kind, copies=8)
        call.budget.multiply(steps * batch * (size + hidden) * width * ways, kind, 2 * steps * ways)
        call.budget.spend(4 * STEP * steps * ways)

    def functions(self, ways: int) -> list[list[Function]]:
        """Return the activations of each direction, with their numbers."""
        call, each = self.call, len(self.curves)
        names = call.attribute("activations", list, list(self.curves) * ways)
        if len(names) != each * ways:
            if each == 1 and ways == 1 and len(names) == 2:  # the standard's own default for the RNN
                names = names[:1]
            else:
                raise FileFormatError(f"activations are {names}, wanted {each * ways} names")
        rest = {
            name: iter(call.attribute(f"activation_{name}", list, None) or []) for name in ("alpha", "beta")
        }
        found = []
        for name in names:
            if str(name).lower() not in CURVES:
                raise FileFormatError(f"an activation is {name!r}, wanted one of {', '.join(CURVES)}")
            curve = CURVES[str(name).lower()]
            numbers = [
                0.0 if default is None else float(next(rest[of], default))
                for of, default in (("alpha", curve.alpha), ("beta", curve.beta))
            ]
            found.append(bound(curve, *numbers))
        return [found[way * each : (way + 1) * each] for way in range(ways)]


def bound(curve: Curve, alpha: float, beta: float) -> Function:
    """Return an activation as a function of values alone."""
    return lambda x: curve.function(x, alpha, beta)


@operator("RNN")
def simple_recurrent(
    call: OperatorCall,
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    lengths: Array | None = None,
    h: Array | None = None,
) -> tuple[Array, Array]:
    """H = f(x W + h R + b), step after step."""

    def steps(one: Direction) -> Iterator[tuple[Array, None]]:
        h, products = one.state, one.products(one.biases[0] + one.biases[1])
        for step, product in enumerate(products):
            h = one.kept(step, one.functions[0](one.hold(product + h @ one.recurrent)), h)
            yield h, None

    return Recurrent(call, 1, ("Tanh",)).run(Arrays(x, w, r, b, lengths, h), steps)[:2]


@operator("GRU")
def gated_recurrent_unit(
    call: OperatorCall,
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    lengths: Array | None = None,
    h: Array | None = None,
) -> tuple[Array, Array]:
    """H = (1 - z) n + z h: an update gate z, a reset gate r, and what is new, n."""
    before = bool(call.integer("linear_before_reset", 0))

    def steps(one: Direction) -> Iterator[tuple[Array, None]]:
        h, size = one.state, one.state.shape[1]
        own, theirs = one.biases
        f, g = one.functions
        own = own + np.concatenate(
            [theirs[: 2 * size], 0 * theirs[2 * size :] if before else theirs[2 * size :]]
        )
        gates, new = (np.ascontiguousarray(part) for part in np.split(one.recurrent, [2 * size], 1))
        for step, product in enumerate(one.products(own)):
            both = f(one.hold(product[:, : 2 * size] + h @ gates))
            z, reset = both[:, :size], both[:, size:]
            added = reset * (h @ new + theirs[2 * size :]) if before else (reset * h) @ new
            n = g(one.hold(product[:, 2 * size :] + added))
            h = one.kept(step, n + z * (h - n), h)
            yield h, None

    return Recurrent(call, 3, ("Sigmoid", "Tanh")).run(Arrays(x, w, r, b, lengths, h), steps)[:2]


@operator("LSTM")
def long_short_term_memory(
    call: OperatorCall,
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    lengths: Array | None = None,
    h: Array | None = None,
    c: Array | None = None,
    peepholes: Array | None = None,
) -> tuple[Array, Array, Array]:
    """C = f c + i n, h = o g(c): gates of input, output and forgetting, and a cell c that is kept."""
    return memory(call, Arrays(x, w, r, b, lengths, h, c, peepholes))


def memory(
    call: OperatorCall, given: Arrays, rounded: Function = lambda values: values
) -> tuple[Array, Array, Array]:
    """Return what an LSTM makes, its states `rounded` before they are multiplied."""
    coupled = bool(call.integer("input_forget", 0))

    def steps(one: Direction) -> Iterator[tuple[Array, Array]]:
        h, c, peeps, size = one.state, one.cell, one.peepholes, one.state.shape[1]
        f, g, out = one.functions
        for step, product in enumerate(one.products(one.biases[0] + one.biases[1])):
            gates = rounded(h) @ one.recurrent + product
            if peeps is not None:
                gates[:, :size] += peeps[0] * c
                gates[:, 2 * size : 3 * size] += peeps[2] * c
            passed = f(one.hold(gates[:, : 3 * size]))  # cut by slices: `np.split` takes longer than all else
            i, o, forget = passed[:, :size], passed[:, size : 2 * size], passed[:, 2 * size :]
            cell = (1 - i if coupled else forget) * c + i * g(one.hold(gates[:, 3 * size :]))
            if peeps is not None:  # the gate of the output alone sees the new cell
                o = f(one.hold(gates[:, size : 2 * size] + peeps[1] * cell))
            hidden = o * out(cell)  # the cell is not held, as in onnxruntime and OpenVINO
            h, c = one.kept(step, hidden, h), one.kept(step, cell, c)
            yield h, c

    return Recurrent(call, 4, ("Sigmoid", "Tanh", "Tanh")).run(given, steps)
