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
    state : ndarray, shape (batch, hidden)
        The hidden state before the first step.
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


#: From a direction and what an operator has besides: after each step the hidden state, and the cell or None.
Steps = Callable[[Direction, Any], Iterator[tuple[Array, Array | None]]]


@dataclass
class Recurrent:
    """The inputs of a recurrent operator, checked and claimed.

    Parameters
    ----------
    call : OperatorCall
        The operator at its place.
    gates : int
        How many gates it has.
    curves : tuple of str
        Its activations by default.
    """

    call: OperatorCall
    gates: int
    curves: tuple[str, ...]

    def run(
        self,
        x: Array,
        w: Array,
        r: Array,
        b: Array | None,
        lengths: Array | None,
        h: Array | None,
        c: Array | None,
        peepholes: Array | None,
        steps: Steps,
    ) -> tuple[Array, Array, Array]:
        """Return all hidden states, the last ones, and the last cells."""
        call = self.call
        given = [one for one in (x, w, r, b, h, c, peepholes) if one is not None]
        floating(*given)
        call.alike(*given)
        wayward = call.choice("direction", "forward", "forward", "reverse", "bidirectional")
        ways = 2 if wayward == "bidirectional" else 1
        turned = bool(call.integer("layout", 0))
        if x.ndim != 3:
            raise ShapeError(f"the input has shape {x.shape}, wanted three axes: steps, batch, inputs")
        x = x.swapaxes(0, 1) if turned else x
        (count, batch, size), hidden, gates = x.shape, r.shape[-1] if r.ndim else 0, self.gates
        state_shape = (batch, ways, hidden) if turned else (ways, batch, hidden)
        for name, one, shape in (
            ("W", w, (ways, gates * hidden, size)),
            ("R", r, (ways, gates * hidden, hidden)),
            ("B", b, (ways, 2 * gates * hidden)),
            ("initial_h", h, state_shape),
            ("initial_c", c, state_shape),
            ("P", peepholes, (ways, 3 * hidden)),
        ):
            if one is not None and one.shape != shape:
                raise ShapeError(f"{name} has shape {one.shape}, wanted {shape}: {gates} gates of {hidden}")
        if (asked := call.integer("hidden_size", hidden)) != hidden:
            raise ShapeError(f"hidden_size is {asked}, R has {hidden}")
        ends = self.lengths(lengths, count, batch)
        kind = np.dtype(np.float64 if x.dtype == np.float64 else np.float32)
        self.claim(x, kind, ways, hidden)
        functions = self.functions(ways)
        states = np.zeros((count, ways, batch, hidden), kind)
        cells = np.zeros((ways, batch, hidden), kind)
        last = np.zeros((ways, batch, hidden), kind)
        for way in range(ways):
            back = wayward == "reverse" or way == 1
            first_h, first_c = (
                np.zeros((batch, hidden), kind) if one is None else (one[:, way] if turned else one[way])
                for one in (h, c)
            )
            biases = np.zeros((2, gates * hidden), kind) if b is None else b[way].reshape(2, -1)
            one_way = Direction(
                (by_time(x, ends) if back else x).astype(kind, copy=False),
                np.ascontiguousarray(w[way].T, kind),
                np.ascontiguousarray(r[way].T, kind),
                (biases[0].astype(kind), biases[1].astype(kind)),
                first_h.astype(kind),
                ends,
                functions[way],
                call.number("clip", None),
            )
            more = (first_c.astype(kind), None if peepholes is None else peepholes[way].reshape(3, -1))
            last[way], cells[way] = first_h, first_c
            for step, (new, cell) in enumerate(steps(one_way, more)):
                states[step, way] = new if ends is None else np.where((step < ends)[:, None], new, 0)
                last[way] = new
                if cell is not None:
                    cells[way] = cell
            if back:
                states[:, way] = by_time(states[:, way], ends)
        if turned:
            states = states.transpose(2, 0, 1, 3)
            last, cells = last.swapaxes(0, 1), cells.swapaxes(0, 1)
        own = x.dtype
        return states.astype(own, copy=False), last.astype(own, copy=False), cells.astype(own, copy=False)

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

    def steps(one: Direction, more: Any) -> Iterator[tuple[Array, None]]:
        h, products = one.state, one.products(one.biases[0] + one.biases[1])
        for step, product in enumerate(products):
            h = one.kept(step, one.functions[0](one.hold(product + h @ one.recurrent)), h)
            yield h, None

    return Recurrent(call, 1, ("Tanh",)).run(x, w, r, b, lengths, h, None, None, steps)[:2]


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

    def steps(one: Direction, more: Any) -> Iterator[tuple[Array, None]]:
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

    return Recurrent(call, 3, ("Sigmoid", "Tanh")).run(x, w, r, b, lengths, h, None, None, steps)[:2]


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
    coupled = bool(call.integer("input_forget", 0))

    def steps(one: Direction, more: Any) -> Iterator[tuple[Array, Array]]:
        h, (c, peeps), size = one.state, more, one.state.shape[1]
        f, g, out = one.functions
        for step, product in enumerate(one.products(one.biases[0] + one.biases[1])):
            gates = one.hold(h @ one.recurrent + product) if peeps is None else h @ one.recurrent + product
            if peeps is None:  # all gates at once
                gates[:, : 3 * size] = f(gates[:, : 3 * size])
            i, o, forget, new = (gates[:, place * size : (place + 1) * size] for place in range(4))
            if peeps is not None:
                i, forget, new = (
                    f(one.hold(i + peeps[0] * c)),
                    f(one.hold(forget + peeps[2] * c)),
                    one.hold(new),
                )
            cell = (1 - i if coupled else forget) * c + i * g(new)
            if peeps is not None:  # the gate of the output alone sees the new cell
                o = f(one.hold(o + peeps[1] * cell))
            hidden = o * out(cell)  # the cell is not held, as in onnxruntime and OpenVINO
            h, c = one.kept(step, hidden, h), one.kept(step, cell, c)
            yield h, c

    curves = ("Sigmoid", "Tanh", "Tanh")
    return Recurrent(call, 4, curves).run(x, w, r, b, lengths, h, c, peepholes, steps)
