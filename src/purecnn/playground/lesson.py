"""A lesson: a small network that is built and trained on the page.

A small network that somebody builds on a page and trains before their eyes, a few steps at a time.

What a page may ask for is a table with bounds, so that nothing it sends takes more than a moment or a few
megabytes. All that is shown comes from `fit`, `predict` and `trace`.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from purecnn.backend import blas
from purecnn.backend.checks import is_integer, is_number
from purecnn.backend.types import Array, Shape
from purecnn.callbacks.base import Callback
from purecnn.errors import DivergedError
from purecnn.inspection.traces import LayerTrace, trace
from purecnn.layers.activations.basic import Sigmoid, Softmax, Tanh
from purecnn.layers.activations.gated import GELU, SiLU
from purecnn.layers.activations.rectified import LeakyReLU, ReLU
from purecnn.layers.base import Layer
from purecnn.layers.dense import Dense
from purecnn.layers.dropout import Dropout
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.preprocessing import Preprocessing
from purecnn.layers.reshape import Flatten
from purecnn.layers.spatial.convolution import Convolutional
from purecnn.layers.spatial.pooling import AveragePooling, MaxPooling
from purecnn.networks.network import Network
from purecnn.optimizers import adaptive, sgd
from purecnn.optimizers.base import Optimizer
from purecnn.playground.formulas import FORMULAS, JOINT
from purecnn.playground.reader import DIGITS, encoded, finite, named, walk
from purecnn.playground.samples import DATA, NOISES, samples

#: The layers that may be asked for: what makes them, and their arguments with the least and the most of each.
LAYERS: dict[str, tuple[Callable[..., Layer], dict[str, tuple[float, float]]]] = {
    "Convolutional": (Convolutional, {"kernel_size": (1, 7), "depth": (1, 16)}),
    "MaxPooling": (MaxPooling, {"pool_size": (2, 4)}),
    "AveragePooling": (AveragePooling, {"pool_size": (2, 4)}),
    "Dense": (Dense, {"output_size": (1, 64)}),
    "ReLU": (ReLU, {}),
    "LeakyReLU": (LeakyReLU, {}),
    "Tanh": (Tanh, {}),
    "Sigmoid": (Sigmoid, {}),
    "GELU": (GELU, {}),
    "SiLU": (SiLU, {}),
    "BatchNormalization": (BatchNormalization, {}),
    "Dropout": (Dropout, {"rate": (0.0, 0.9)}),
}
OPTIMIZERS: dict[str, Callable[[float], Optimizer]] = {
    "SGD": sgd.SGD,
    "SGD with momentum": lambda rate: sgd.SGD(rate, momentum=0.9),
    "RMSprop": adaptive.RMSprop,
    "Adagrad": adaptive.Adagrad,
    "Adam": adaptive.Adam,
    "AdamW": adaptive.AdamW,
}
#: Layers and parameters of a network that may be asked for.
MOST_LAYERS, MOST_PARAMETERS = 12, 100_000
#: What a sample may cost, in multiply-adds, and how many numbers its layers may give: 60,000 take 40 MiB.
MOST_WORK, MOST_VALUES = 2_000_000, 60_000
#: What each number that a layer gives costs beside its multiply-adds; GELU's error function is a long sum.
VALUE_COST, VALUE_COSTS = 20, {"GELU": 300}
#: What the steps between two looks at the clock may cost, in multiply-adds: a tenth of a second.
MOST_WORK_AT_ONCE = 150_000_000
#: Seconds that one request may train: then it answers, however many steps are left.
MOST_SECONDS = 0.15
#: Steps that are asked of `fit` at a time: in a browser four of points take half as long as sixteen.
CHUNK = 16
#: Who asks for at most so many steps looks at each answer, and gets a test of the network with it.
WATCHED = 10
#: Penalties of the weights may be so large.
MOST_PENALTY = 1.0
#: Test samples whose answers are told.
WATCHED_TESTS = 12
#: Units of a network of points whose own answers over the plane are told, on so many places along each side.
MOST_UNITS, UNIT_SIDE = 64, 23
#: Of a run's time tests take at most this share: 500 digits take as long as seven steps of 32.
TEST_SHARE = 0.1


def number(name: str, value: Any, least: float, most: float, *, whole: bool = True) -> Any:
    """Return a number that a page sent, if it is one within its bounds."""
    right = is_integer(value) if whole else is_number(value)
    if not right or not least <= value <= most:
        raise ValueError(
            f"{name} must be {'an integer' if whole else 'a number'} from {least:g} to {most:g}, "
            f"got {value!r:.40}"
        )
    return value


def among(name: str, value: Any, known: Any) -> str:
    """Return a word that a page sent, if it is a known one."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r:.40}")
    return value


def layer(asked: Any) -> Layer:
    """Return a layer as a page asks for it: its kind and its arguments."""
    if not isinstance(asked, Mapping):
        raise ValueError(f"a layer must be an object with its kind, got {asked!r:.40}")
    make, bounds = LAYERS[among("kind", asked.get("kind"), LAYERS)]
    if unknown := set(asked) - {"kind", *bounds}:
        raise ValueError(
            f"{asked['kind']} takes {', '.join(bounds) or 'nothing'}, got {sorted(unknown)[0]!r:.40}"
        )
    return make(
        **{
            name: number(name, asked.get(name), *limits, whole=isinstance(limits[0], int))
            for name, limits in bounds.items()
        }
    )


def cost(layer: Layer) -> int:
    """Return what a bound layer's forward pass of one sample costs, in multiply-adds.

    Examples
    --------
    >>> relu = ReLU()
    >>> _ = relu.bind((10,))
    >>> cost(relu)
    200
    """
    values = math.prod(layer.output_shape or ())
    return layer.multiply_adds() + values * VALUE_COSTS.get(type(layer).__name__, VALUE_COST)


def build(asked: Any, shape: Shape, outputs: int, seed: int) -> Network:
    """Return the network of the layers that a page asks for, with a last dense layer and its activation."""
    if not isinstance(asked, list) or len(asked) > MOST_LAYERS:
        raise ValueError(f"layers must be a list of at most {MOST_LAYERS}, got {asked!r:.40}")
    layers: list[Layer] = []
    current, work, size, values = shape, 0, 0, 0
    wanted = [*map(layer, asked), Dense(output_size=outputs), Softmax() if outputs > 1 else Sigmoid()]
    for place, one in enumerate(wanted, 1):
        if isinstance(one, Convolutional | MaxPooling | AveragePooling) and len(current) != 3:
            kind = type(one).__name__
            raise ValueError(
                f"layer {place}, {kind}, wants maps of rows and columns, got {current[0]} numbers"
            )
        for made in ([Flatten()] if isinstance(one, Dense) and len(current) == 3 else []) + [one]:
            current = made.bind(current)
            work += cost(made)
            values += math.prod(current)
            size += sum(math.prod(each) for each in made.parameter_shapes().values())
            layers.append(made)
    if work > MOST_WORK or size > MOST_PARAMETERS or values > MOST_VALUES:
        raise ValueError(
            f"the network costs {work:,} multiply-adds a sample, gives {values:,} numbers and has {size:,} "
            f"parameters; at most {MOST_WORK:,}, {MOST_VALUES:,} and {MOST_PARAMETERS:,} are wanted here"
        )
    raw = Preprocessing(kind="numbers")
    if outputs > 1:
        raw = Preprocessing(1 / 255, 0.0, "bytes", DIGITS, "character")
    return Network(layers, input_shape=shape, seed=seed, task="classification", preprocessing=raw)


def plane(side: int) -> Array:
    """Return the places of a grid over the square, ``(side * side, 2)``, from its upper left corner on."""
    along = np.linspace(-1.1, 1.1, side)
    return np.stack(np.meshgrid(along, along[::-1]), axis=-1).reshape(-1, 2)


class Losses(Callback):
    """Keeps each step's loss."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Keep it."""
        self.found.append(loss)


class Lesson:
    """A network in training, as a page asked for it.

    Parameters
    ----------
    asked : mapping
        ``data``, ``layers``, ``optimizer``, ``learning_rate`` and ``batch_size``; and ``noise`` of the data,
        the ``share`` of the training samples that is learnt from, ``seed``, and the penalties ``l1`` and
        ``l2``, which may be left out.

    Raises
    ------
    ValueError
        If any of them is none that may be asked for.

    Examples
    --------
    >>> lesson = Lesson({"data": "xor", "layers": [{"kind": "Dense", "output_size": 8}, {"kind": "Tanh"}],
    ...     "optimizer": "Adam", "learning_rate": 0.02, "batch_size": 32, "seed": 0})
    >>> lesson.advance(3)["step"]
    3
    """

    def __init__(self, asked: Mapping[str, Any]) -> None:
        noise = asked.get("noise", 0)
        if not is_number(noise) or noise not in NOISES:
            raise ValueError(f"noise must be one of {', '.join(map(str, NOISES))}, got {noise!r:.40}")
        self.name = among("data", asked.get("data"), DATA)
        self.samples = samples(self.name, noise)
        self.count = round(number("share", asked.get("share", 1), 0.01, 1, whole=False) * len(self.samples.x))
        seed = number("seed", asked.get("seed", 0), 0, 2**31)
        outputs = 1 if self.samples.classes == 2 else self.samples.classes
        self.network = build(asked.get("layers"), self.samples.x.shape[1:], outputs, seed)
        self.batch_size = min(number("batch_size", asked.get("batch_size"), 1, 128), self.count)
        self.l1, self.l2 = (
            float(number(name, asked.get(name, 0), 0, MOST_PENALTY, whole=False)) for name in ("l1", "l2")
        )
        rate = float(number("learning_rate", asked.get("learning_rate"), 1e-5, 10, whole=False))
        self.optimizer = OPTIMIZERS[among("optimizer", asked.get("optimizer"), OPTIMIZERS)](rate)
        self.seed, self.done, self.diverged = seed, 0, ""
        self.tested: dict[str, Any] = {}
        self.test_seconds = self.seconds_since = 0.0  # of the last test, and of training since
        step = 3 * self.batch_size * sum(cost(layer) for layer in self.network)  # forward and back
        self.chunk = max(1, min(CHUNK, MOST_WORK_AT_ONCE // step))
        self.batch = np.arange(min(32, self.count))

    def places(self, step: int) -> Array:
        """Return the numbers of the samples of a step: each epoch has an order of its own."""
        count = self.count
        first = step * self.batch_size
        epoch, begin = divmod(first, count)
        order = np.random.default_rng([self.seed, epoch]).permutation(count)
        if begin + self.batch_size <= count:
            return np.asarray(order[begin : begin + self.batch_size])
        following = np.random.default_rng([self.seed, epoch + 1]).permutation(count)
        return np.concatenate([order[begin:], following[: begin + self.batch_size - count]])

    def advance(self, steps: Any) -> dict[str, Any]:
        """Do some steps, or as many as there is time for, and return what came of it.

        The test's numbers are of now where at most `WATCHED` steps are asked for, none to see where a run
        was paused; else they may be those of the step that ``test_step`` says.
        """
        wanted, begin = number("steps", steps, 0, 1000), time.monotonic()
        end, losses = begin + MOST_SECONDS, Losses()
        while (
            len(losses.found) < wanted and not self.diverged and (not losses.found or time.monotonic() < end)
        ):
            count = min(self.chunk, wanted - len(losses.found))
            chosen = np.concatenate([self.places(self.done + step) for step in range(count)])
            before = len(losses.found)
            try:
                self.network.fit(
                    self.samples.x[chosen],
                    self.samples.y[chosen],
                    batch_size=self.batch_size,
                    optimizer=self.optimizer,
                    shuffle=False,
                    threads=1,
                    callbacks=[losses],
                    l1=self.l1,
                    l2=self.l2,
                )
            except DivergedError as error:
                self.diverged = str(error)
            self.done += len(losses.found) - before
            self.batch = chosen[-self.batch_size :][:32]
        self.seconds_since += time.monotonic() - begin
        is_due = TEST_SHARE * (self.seconds_since + self.test_seconds) >= self.test_seconds
        if wanted <= WATCHED or is_due or self.diverged:
            self.test()
        return self.state(losses.found)

    def test(self) -> None:
        """Measure the network on the samples that it does not learn from."""
        begin = time.monotonic()
        with np.errstate(all="ignore"):
            found = self.network.evaluate(self.samples.x_test, self.samples.y_test, threads=1)
        self.tested = {
            "test_loss": found["loss"],
            "test_accuracy": found["accuracy"],
            "test_step": self.done,
        }
        self.test_seconds, self.seconds_since = time.monotonic() - begin, 0.0

    def state(self, losses: list[float]) -> dict[str, Any]:
        """Return how far the network is, and what it looks like."""
        here = self.samples
        told: dict[str, Any] = {
            "step": self.done,
            "epoch": self.done * self.batch_size / self.count,
            "losses": losses,
            "diverged": self.diverged,
            "parameters": int(self.network.parameters.size),
            "outputs": here.classes,
            **self.tested,
        }
        with np.errstate(all="ignore"):
            traced = trace(self.network, here.x[self.batch], here.y[self.batch])
        told["layers"] = [self.layer(one) for one in traced]
        if here.classes == 2:
            told |= {"surface": self.surface(), "units": self.units()}
        else:
            told["guesses"] = self.guesses()
        self.network.release()
        return dict(finite(told))

    def layer(self, one: LayerTrace) -> dict[str, Any]:
        """Return a layer's parameters and their derivatives over the last batch: pictures, lengths."""
        told: dict[str, Any] = {**named(one.layer, one.name), "shape": list(one.output.shape[1:])}
        for name, array in one.parameters.items():
            gradient = one.gradients[name]
            with np.errstate(over="ignore", invalid="ignore"):
                told.setdefault("norms", {})[name] = [
                    float(np.linalg.norm(values.astype(np.float64))) for values in (array, gradient)
                ]
            if name in ("kernels", "weights") and array.size <= 1 << 14 and np.isfinite(gradient).all():
                told |= {"picture": encoded(array), "gradient": encoded(gradient)}
        return told

    def about(self) -> dict[str, Any]:
        """Return what stays as it is: how many samples there are, and those that are shown."""
        here, shown = self.samples, slice(min(300, self.count))
        told: dict[str, Any] = {"samples": self.count, "tests": len(here.x_test)}
        if here.classes == 2:
            return told | {
                "points": np.round(here.x[shown], 3).tolist(),
                "labels": here.y[shown].tolist(),
                "test_points": np.round(here.x_test[:100], 3).tolist(),
                "test_labels": here.y_test[:100].tolist(),
            }
        return told | {
            "test_pictures": encoded(here.x_test[:WATCHED_TESTS, 0]),
            "test_labels": here.y_test[:WATCHED_TESTS].tolist(),
        }

    def surface(self) -> dict[str, Any]:
        """Return the answers over the square."""
        answers = np.clip(np.nan_to_num(self.network.predict(plane(45), threads=1)[:, 0], nan=0.5), 0, 1)
        bounded = np.concatenate([answers, [0.0, 1.0]])  # so that the colours always mean the same
        return {**encoded(bounded), "shape": [45, 45]}

    def units(self) -> list[dict[str, Any]]:
        """Return what each neuron of the first layers gives over the square, behind its activation."""
        with blas.single_threaded(), np.errstate(all="ignore"):
            found = list(trace(self.network, plane(UNIT_SIDE)))
        dense = [place for place, one in enumerate(found) if isinstance(one.layer, Dense)]
        told, count = [], 0
        for first, following in itertools.pairwise(dense):
            last, size = found[following - 1], found[first].output.shape[1]
            count += size
            if count > MOST_UNITS:
                break
            planes = last.output.T.reshape(size, UNIT_SIDE, UNIT_SIDE)
            kinds = [type(one.layer).__name__ for one in found[first:following]]
            told.append({"name": found[first].name, "kinds": kinds, "planes": encoded(planes)})
        return told

    def guesses(self) -> list[list[Any]]:
        """Return what is answered to the first test samples: the label, and its probability."""
        with np.errstate(all="ignore"):
            shares = self.network.predict(self.samples.x_test[:WATCHED_TESTS], threads=1)
        return [[int(each.argmax()), float(each.max())] for each in shares]

    def backward(self, sample: Any) -> dict[str, Any]:
        """Return the chain rule for one sample: the loss first, then each layer, the last one first."""
        place = number("sample", sample, 0, self.count - 1)
        x, y = self.samples.x[place : place + 1], self.samples.y[place : place + 1]
        found = trace(self.network, x, y)
        self.network.release()
        layers = list(walk(found))[::-1]
        return {
            "sample": place,
            "step": self.done,
            "label": int(y[0]),
            "loss": finite(found.loss),
            "input": encoded(x[0]),
            "answer": finite(found.output[0].reshape(-1).astype(float).tolist()),
            "layers": [
                {
                    **named(one.layer, one.name),
                    "formula": JOINT if number == 0 else FORMULAS.get(type(one.layer).__name__, ""),
                    "input": encoded(one.input[0]),
                    "output": encoded(one.output[0]),
                    "output_gradient": None
                    if one.output_gradient is None
                    else encoded(one.output_gradient[0]),
                    "input_gradient": None if one.input_gradient is None else encoded(one.input_gradient[0]),
                    "gradients": {
                        name: encoded(array) for name, array in one.gradients.items() if array.size <= 1 << 14
                    },
                }
                for number, one in enumerate(layers)
            ],
        }
