"""Gradient checking by finite differences.

A derivative is easily written wrong, and training only becomes a little worse: this is how to find out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from purecnn.backend.checks import positive, within
from purecnn.backend.random import DROPOUT, PARAMETERS, as_seed, stream
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.inspection.gradient_report import GradientReport, GradientRow
from purecnn.layers.base import Layer, check_style
from purecnn.layers.shapes import ShapeLike, sample_shape
from purecnn.losses.base import Loss, LossFunction, LossPrime
from purecnn.losses.pairs import check_pair
from purecnn.losses.registry import LOSSES, as_loss
from purecnn.messages.signatures import explained
from purecnn.networks.functional import host_copy
from purecnn.networks.network import Network

#: The whole Jacobian is compared where it has at most so many elements, and columns, for each of which the
#: target runs up to 12 times; elsewhere projections of it are.
FULL, COLUMNS = 2000, 120
#: Steps of the differences, in epsilons: a wide one for small slopes, narrow ones where there are kinks.
STEPS = (1000.0, 30.0, 1.0, 0.03)


Pair = tuple[LossFunction, LossPrime]


class _Subject:
    """Layers, then perhaps a loss, as one function of named arrays that may be changed in place."""

    def __init__(self, layers: list[Layer], x: Array, seed: int, entry: str = "input") -> None:
        self.layers, self.x, self.seed, self.entry = layers, x, seed, entry
        self.loss: Pair | None = None
        self.target = x
        self.places = {entry: x}
        for number, layer in enumerate(layers):
            for name, parameter in layer.parameters.items():
                self.places[self.title(number, name)] = parameter

    def title(self, number: int, name: str) -> str:
        """Return what a parameter is called in the report."""
        return name if len(self.layers) == 1 else f"{number} {type(self.layers[number]).__name__} {name}"

    def judge(self, loss: Pair, rng: np.random.Generator) -> None:
        """Put a loss behind the layers."""
        self.target = _spread_out(rng, self.evaluate().shape, 0.05, 0.95)
        self.loss = loss

    def outputs(self) -> Array:
        """Run the layers, each drawing what it drew before."""
        y = self.x
        for number, layer in enumerate(self.layers):
            layer.random = stream(self.seed, DROPOUT + number) if layer.draws else None
            y = layer.forward(y)
            if y.dtype != np.float64:
                raise TypeError(
                    f"{layer} must compute in its input's dtype, float64; its output is {y.dtype}"
                )
        return y

    def evaluate(self) -> Array:
        """Return the outputs, or the loss as an array of one."""
        y = self.outputs()
        return y if self.loss is None else np.array([self.loss[0](self.target, y)])

    def differentiate(self, output_gradient: Array) -> dict[str, Array]:
        """Return the derivatives as the layers have them, by the names in `places`."""
        g, y = output_gradient, self.outputs()
        if self.loss is not None:
            g = output_gradient[0] * self.loss[1](self.target, y)
        found = {}
        for number, layer in reversed(list(enumerate(self.layers))):
            back = layer.backward(g)
            if back is None:
                raise ValueError(f"{layer} must return an input gradient while `propagate` is on, got None")
            g = back
            for name in layer.parameters:
                if name not in layer.gradients:
                    raise ValueError(f"{layer} must write gradients[{name!r}] in backward, got none")
                found[self.title(number, name)] = layer.gradients[name].copy()
        found[self.entry] = g.copy()
        for name, place in self.places.items():
            if found[name].shape != place.shape:
                raise ShapeError(
                    f"the derivative by {name} must have its shape, {place.shape}; got {found[name].shape}"
                )
        return found

    def jacobians(self, names: Sequence[str]) -> dict[str, Array]:
        """Return the derivatives of every output by each of some places, as the layers have them."""
        y = self.evaluate().copy()
        found = {name: np.empty((y.size, self.places[name].size)) for name in names}
        for number in range(y.size if names else 0):
            unit = np.zeros(y.size)
            unit[number] = 1
            row = self.differentiate(unit.reshape(y.shape))
            for name in names:
                found[name][number] = row[name].ravel()
        return found

    def slope(self, name: str, direction: Array, step: float) -> Array:
        """Return the outputs' derivative along `direction`, by differences of the fourth order.

        ``(8 (y(h) - y(-h)) - (y(2h) - y(-2h))) / 12 h``
        """
        place = self.places[name]
        before = place.copy()
        sides = []
        for factor in (1, -1, 2, -2):
            np.add(before, factor * step * direction, out=place)
            sides.append(self.evaluate().copy())
        place[...] = before
        up, down, far_up, far_down = sides
        slope: Array = (8 * (up - down) - (far_up - far_down)) / (12 * step)
        return slope


def _spread_out(rng: np.random.Generator, shape: Shape, low: float, high: float) -> Array:
    """Return evenly spaced numbers in random order: no two tie, and none is at zero, where kinks are."""
    size = int(np.prod(shape))
    values = low + (high - low) * (rng.permutation(size) + 0.2637) / size
    return values.reshape(shape)


def _weights(rng: np.random.Generator, shape: Shape) -> Array:
    """Return random numbers of both signs, none near zero: no element goes unseen."""
    return rng.choice((-1.0, 1.0), shape) * rng.uniform(0.5, 1.5, shape)


def _relative(a: Array, n: Array, scale: Any) -> Array:
    """Return ``|a - n| / max(|a|, |n|, scale)``; 0 where all are zero, infinite where one is no number."""
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.abs(a - n) / np.maximum(np.maximum(np.abs(a), np.abs(n)), scale)
    return np.where(a == n, 0.0, np.where(np.isnan(error), np.inf, error))


def _best(error_at: Callable[[float], Array], epsilon: float, tolerance: float) -> float:
    """Return the largest of the errors, each at the step that suits it best."""
    best: Array | None = None
    for factor in STEPS:
        error = error_at(factor * epsilon)
        best = error if best is None else np.minimum(best, error)
        if best.max() <= tolerance:
            break
    return float(np.max(best)) if best is not None else np.inf


def _whole(subject: _Subject, name: str, analytic: Array, epsilon: float, tolerance: float) -> GradientRow:
    """Compare every element of the Jacobian with `analytic`, as the layers have it."""
    y, place = subject.evaluate().copy(), subject.places[name]
    scale = max(1e-3 * np.abs(analytic).max(), 1e-6 * np.abs(y).max())

    def error_at(step: float) -> Array:
        numeric = np.empty_like(analytic)
        for number in range(place.size):
            unit = np.zeros(place.size)
            unit[number] = 1
            numeric[:, number] = subject.slope(name, unit.reshape(place.shape), step).ravel()
        return _relative(analytic, numeric, scale)

    return GradientRow(name, _best(error_at, epsilon, tolerance), f"Jacobian, {y.size} x {place.size}")


def _projected(
    subject: _Subject, name: str, rng: np.random.Generator, epsilon: float, tolerance: float, projections: int
) -> GradientRow:
    """Compare slopes along random directions, of random sums of the outputs."""
    y, place = subject.evaluate().copy(), subject.places[name]

    def project() -> float:
        output, direction = _weights(rng, y.shape), _weights(rng, place.shape)
        terms = subject.differentiate(output)[name] * direction
        # The terms' norm is what their sum is like when they do not happen to cancel.
        scale = max(np.linalg.norm(terms), 1e-6 * np.linalg.norm(output * y))

        def error_at(step: float) -> Array:
            return _relative(terms.sum(), np.sum(output * subject.slope(name, direction, step)), scale)

        return _best(error_at, epsilon, tolerance)

    worst = max(project() for _ in range(projections))
    return GradientRow(name, worst, f"{projections} projections of {y.size} x {place.size}")


def _as_layers(target: Sequence[Layer], input_shape: Shape, seed: int) -> list[Layer]:
    """Return copies of the layers in float64, bound and drawn, with parameters at no special value."""
    layers, shape = [copy.deepcopy(layer) for layer in target], input_shape
    for number, layer in enumerate(layers):
        shape = layer.bind(shape)
        layer.begin()
        rng = stream(seed, PARAMETERS, number)
        if layer.parameter_shapes() and not layer.parameters:
            layer.draw(rng, np.float64, "glorot")
        for name, given in layer.parameters.items():
            size = float(np.sqrt(np.mean(np.square(given, dtype=np.float64)))) or 1.0
            # A bias of 0 or a scale of 1 would hide that a derivative forgets it.
            layer.parameters[name] = given + 0.1 * size * rng.standard_normal(given.shape)
            layer.gradients[name] = np.full(given.shape, np.nan)
        layer.buffers = {name: buffer.astype(np.float64) for name, buffer in layer.buffers.items()}
        layer.training = layer.propagate = True
    return layers


@explained
def check_gradients(
    target: Layer | Sequence[Layer] | str | Loss | LossFunction | Pair,
    input_shape: ShapeLike | None = None,
    *,
    batch: int = 3,
    loss: str | Loss | LossFunction | Pair | None = None,
    seed: int = 0,
    epsilon: float = 1e-6,
    tolerance: float = 1e-6,
    projections: int = 3,
) -> GradientReport:
    """Compare the derivatives that layers and losses compute with finite differences, in float64.

    For outputs y, a random direction d and a random weighting r of the outputs, the derivative
    ``a = sum of g d``, with ``g = backward(r)``, is held to
    ``n = sum of r (8 (y(h d) - y(-h d)) - (y(2 h d) - y(-2 h d))) / 12 h``, where ``y(s)`` is the output
    with s added to the input, or to the parameter. The relative error is
    ``|a - n| / max(|a|, |n|, scale)``, the scale being the norm of ``g d`` (an accidental cancellation is
    no error) or a millionth of the output's. Where a Jacobian has at most 2000 elements and 120 columns,
    all are compared, with a thousandth of the largest as the scale. The best of four steps h counts: a
    kink between two evaluations spoils a wide one, rounding a narrow one, and a wrong derivative agrees
    at none.

    Parameters
    ----------
    target : Layer, Network, list of Layer, or a loss
        Copied, cast to float64 and left untouched; parameters it lacks are drawn, and all are moved by
        about a tenth, away from special values such as 0. A loss is a name from `losses.LOSSES`, a
        `Loss`, a function of this package, or a pair (function, derivative) with predictions between
        0 and 1; where it has a joint form, that is checked too.
    input_shape : tuple of int, optional
        Shape of one sample; needed where the target does not know it. Of a loss, ``(4,)`` if left out.
    batch : int
        Number of samples.
    loss : str, Loss, callable or pair, optional
        Put behind the layers and joined with the last of them as in `Network.fit`: then the derivatives
        checked are the loss's. Otherwise they are those of the outputs.
    seed : int
        Of inputs, directions, missing parameters and of what layers draw, the same at each evaluation.
    epsilon : float
        Step of the differences; steps 1000, 30 and 0.03 times as wide are tried too.
    tolerance : float
        The largest relative error that counts as right.
    projections : int
        Random directions for each gradient.

    Returns
    -------
    GradientReport
        ``report.ok``, ``report.worst``, ``report.rows``; printed, a table. ``report.raise_if_wrong()``
        raises where a gradient is wrong.

    Raises
    ------
    TypeError
        If `target` is none of these, or a layer does not compute in its parameters' dtype.
    ValueError
        If the input's shape is not known, or a backward pass leaves a gradient out.
    ShapeError
        If a gradient has another shape than what it is the derivative by.

    Examples
    --------
    >>> from purecnn import Dense, Tanh
    >>> report = check_gradients([Dense(3, 2), Tanh()], loss="mse")
    >>> report.ok
    True
    >>> [row.name for row in report.rows]
    ['input', '0 Dense weights', '0 Dense biases']
    """
    target = host_copy(target) if isinstance(target, Network) else target
    batch, projections = positive("batch", batch), positive("projections", projections)
    epsilon = within("epsilon", epsilon, 0, open_low=True)
    tolerance = within("tolerance", tolerance, 0, open_low=True)
    seed = as_seed(seed)
    rng = np.random.default_rng(seed)
    if isinstance(target, Layer) or (
        isinstance(target, Sequence)
        and not isinstance(target, str)
        and all(isinstance(f, Layer) for f in target)
    ):
        parts: Sequence[Layer] = [target] if isinstance(target, Layer) else target  # type: ignore[assignment]
        for part in (inner for layer in parts for inner in (layer, *layer.parts())):
            check_style(part)
        subjects = [_of_layers(target, parts, input_shape, batch, loss, seed, rng)]
    elif loss is None:
        subjects = _of_loss(target, sample_shape(4 if input_shape is None else input_shape), batch, seed, rng)
    else:
        raise TypeError(
            f"loss stands behind layers; target must be a Layer or a list of them, got {target!r}"
        )
    rows = []
    for subject in subjects:
        outputs = subject.evaluate().size
        small = [
            name
            for name, place in subject.places.items()
            if outputs * place.size <= FULL and place.size <= COLUMNS
        ]
        jacobians = subject.jacobians(small)
        for name in subject.places:
            if name in jacobians:
                rows.append(_whole(subject, name, jacobians[name], epsilon, tolerance))
            else:
                rows.append(_projected(subject, name, rng, epsilon, tolerance, projections))
    return GradientReport(tuple(rows), tolerance)


def _of_layers(
    target: Any,
    parts: Sequence[Layer],
    input_shape: ShapeLike | None,
    batch: int,
    loss: Any,
    seed: int,
    rng: np.random.Generator,
) -> _Subject:
    """Return layers, and the loss behind them, as one function."""
    if not parts:
        raise ValueError("target must hold at least one layer, got none")
    known = getattr(target, "input_shape", None) or parts[0].input_shape
    if input_shape is None and known is None:
        raise ValueError(f"give the shape of one sample as input_shape: {target!r} does not know it")
    shape = sample_shape(known if input_shape is None else input_shape)  # type: ignore[arg-type]
    layers = _as_layers(parts, shape, seed)
    pair: Pair | None = None
    if loss is not None:
        judged = _as_loss(loss)
        check_pair(judged, layers)
        pair = judged.function, judged.prime
        if judged.joint and judged.joins(layers[-1]):
            layers, pair = layers[:-1], _split(judged.joint)
    subject = _Subject(layers, _spread_out(rng, (*shape, batch), -2, 2), seed)
    if pair is not None:
        subject.judge(pair, rng)
    return subject


def _of_loss(target: Any, shape: Shape, batch: int, seed: int, rng: np.random.Generator) -> list[_Subject]:
    """Return a loss, and its joint form where it has one, as functions of the prediction."""
    loss = _as_loss(target)
    # Any loss takes numbers between 0 and 1; those of this package that take others are given them.
    takes_all = loss in LOSSES.values() and loss.predictions != "probabilities"
    low, high = (-2.0, 2.0) if takes_all else (0.1, 0.9)
    forms = [("y_pred", (loss.function, loss.prime), low, high)]
    if loss.joint:
        forms.append(("logits, jointly", _split(loss.joint), -2.0, 2.0))
    subjects = []
    for entry, pair, low, high in forms:
        subject = _Subject([], _spread_out(rng, (*shape, batch), low, high), seed, entry)
        subject.judge(pair, rng)
        subjects.append(subject)
    return subjects


def _split(joint: Callable[[Array, Array], tuple[float, Array]]) -> Pair:
    """Return a loss and its derivative from the function that gives both."""
    return lambda y_true, z: joint(y_true, z)[0], lambda y_true, z: joint(y_true, z)[1]


def _as_loss(loss: Any) -> Loss:
    """Return a loss from its name, its function, or its function and derivative."""
    if (
        isinstance(loss, Sequence)
        and not isinstance(loss, str)
        and len(loss) == 2
        and all(map(callable, loss))
    ):
        return as_loss(*loss)
    if not (isinstance(loss, str | Loss) or callable(loss)):
        raise TypeError(
            f"give a Layer, a list of layers, a loss or its name, or (loss, derivative); got {loss!r}"
        )
    return as_loss(loss)
