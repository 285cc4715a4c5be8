"""The reader of drawings.

What is drawn on a pad becomes what the network was made for, and all that passes through it is told.

Everything is taken from `trace`: nothing here computes a layer by itself.
"""

from __future__ import annotations

import base64
import inspect
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from purecnn.backend import blas
from purecnn.backend.types import Array
from purecnn.datasets.sources import SOURCES
from purecnn.errors import ShapeError
from purecnn.inspection.traces import LayerTrace, Trace, trace
from purecnn.layers.activations.basic import LogSoftmax, Softmax
from purecnn.layers.activations.elementwise import ElementWise
from purecnn.layers.base import Layer
from purecnn.layers.ranges import ends_in_probabilities
from purecnn.metrics.inputs import answers, as_scores, listed
from purecnn.networks.network import Network
from purecnn.networks.pictures import image_shape, prepared
from purecnn.playground.familiarity import Familiarity
from purecnn.playground.inside import cell_told, graph, rule

#: Arguments of layers that a page shows as their shapes.
SHAPES = {"input_shape", "output_shape", "input_size", "output_size", "depth", "initialization"}
#: The classes of the sets whose pictures a page has words for.
DIGITS, CLOTHING = SOURCES["mnist"].classes, SOURCES["fashion-mnist"].classes
#: A value that is ink on a pad; what is fainter is the edge of a stroke.
LEAST_INK = 32
#: A digit is believed from this probability on.
SURE = 0.7
#: Bytes of the layers' inputs and outputs that are kept from one question to the next: readers may be many.
MOST_KEPT = 1 << 21
#: Numbers of a layer's output that are told exactly; larger ones in 256 steps, which a picture needs no more.
MOST_EXACT = 256


def encoded(array: Array) -> dict[str, Any]:
    """Return an array for a page to draw: its shape and range, and each value as a byte within the range.

    Examples
    --------
    >>> encoded(np.array([-1.0, 0.0, 1.0]))["values"] == [-1.0, 0.0, 1.0]
    True
    """
    values = array.astype(np.float64)
    real = values[np.isfinite(values)]
    low, high = (float(real.min()), float(real.max())) if real.size else (0.0, 0.0)
    told: dict[str, Any] = {"shape": list(array.shape), "low": low, "high": high}
    if array.size <= MOST_EXACT:
        return {**told, "values": finite(values.reshape(-1).tolist())}
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    # halves, so that the range of the largest numbers is one too
    shares = (values / 2 - low / 2) / ((high / 2 - low / 2) or 1.0)
    return {**told, "bytes": base64.b64encode(np.rint(shares * 255).astype(np.uint8).tobytes()).decode()}


def finite(told: Any) -> Any:
    """Return what JSON can hold: None in place of each NaN and infinity, at any depth.

    Examples
    --------
    >>> finite({"loss": float("nan"), "outputs": [1.0, float("inf")]})
    {'loss': None, 'outputs': [1.0, None]}
    """
    if isinstance(told, float):
        return told if math.isfinite(told) else None
    if isinstance(told, dict):
        return {name: finite(value) for name, value in told.items()}
    return [finite(value) for value in told] if isinstance(told, list) else told


def decoded(text: Any, size: int | None = None, name: str = "pixels") -> Array:
    """Return the bytes that a page sent, `size` of them, or as many as there are.

    Raises
    ------
    ValueError
        If they are no base64, or another number.
    """
    if not isinstance(text, str):
        raise ValueError(f"{name} must be text in base64, got {type(text).__name__}")
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError(f"{name} must be text in base64, got other characters") from None
    if size is not None and len(raw) != size:
        raise ValueError(f"{name} must be {size} bytes, got {len(raw)}")
    return np.frombuffer(raw, np.uint8)


def walk(layers: Iterable[LayerTrace]) -> Iterable[LayerTrace]:
    """Yield each layer, those inside of one before it."""
    for layer in layers:
        yield from walk(layer.inside)
        yield layer


def named(layer: Layer, name: str) -> dict[str, Any]:
    """Return what a page says of a layer: of its arguments, those that its shapes do not say already."""
    defaults = {k: v.default for k, v in inspect.signature(type(layer)).parameters.items()}
    told = {
        words: value if isinstance(value, int | float | str) else " × ".join(map(str, np.ravel(value)))
        for words, value in layer.configuration().items()
        if words not in SHAPES and words not in layer.holds and not alike(value, defaults.get(words))
    }
    spoken = ", ".join(f"{words.replace('_', ' ')} {value}" for words, value in told.items())
    size = sum(parameter.size for parameter in layer.parameters.values())
    return {"name": name, "kind": type(layer).__name__, "arguments": spoken, "parameters": size}


def alike(value: Any, default: Any) -> bool:
    """Return whether an argument is what it is if left out; a number may stand for a pair of it."""
    return (
        value is None
        or value == default
        or (isinstance(value, tuple | list) and set(np.ravel(value)) == {default})
    )


class Reader:
    """A network that looks at drawings.

    Parameters
    ----------
    network : Network
        Bound to images or to a vector.
    familiarity : Familiarity, optional
        Of the pictures that it learnt from; without one, only its own probabilities are asked.

    Raises
    ------
    ValueError
        If the network has no input shape yet, or takes or gives what no page shows: signals, say, or pictures
        of two channels.
    """

    def __init__(self, network: Network, familiarity: Familiarity | None = None) -> None:
        if network.input_shape is None:
            raise ValueError("this network has no input shape yet: one that was trained or loaded is wanted")
        if network.task == "segmentation":
            raise ValueError("a network with one answer for each picture is wanted, got one for each pixel")
        self.network, self.familiarity = network, familiarity
        self.kept: tuple[tuple[bytes, int], Trace] | None = None
        self.shape = network.input_shape
        #: Channels, height and width of what is drawn; None for a vector that is no square image.
        self.image = image_shape(network)
        #: Whether bytes stand for numbers from -1 to 1: where it learnt from numbers that are no image's.
        self.centred = network.preprocessing.kind == "numbers" and self.image is None
        if self.image[0] not in (1, 3) if self.image else len(self.shape) != 1:
            raise ValueError(
                f"pictures of 1 or 3 channels or a vector of numbers are wanted, got samples of {self.shape}"
            )
        self.outputs = int(np.prod(network.output_shape or ()))
        #: How many answers are told: of a lone output of classes there are two.
        self.answers = max(2, self.outputs) if network.task in ("classification", None) else self.outputs

    def describe(self) -> dict[str, Any]:
        """Return the network as a page shows it."""
        found = self.trace(np.zeros(self.shape, np.uint8))
        answering = self.answering()
        every = list(walk(found))
        layers = [
            {
                **named(one.layer, one.name),
                "rule": rule(one.layer),
                "shape": list(one.output.shape[1:]),
                "kernels": self.kernels(one),
                "names": self.output_names() if one.name in answering else None,
            }
            for one in every
        ]
        return {
            "shape": list(self.shape),
            "image": self.image and list(self.image),
            "span": [-1, 1] if self.centred else [0, 255],  # of what a slider says
            **self.words(),
            "answers": self.meaning(),
            "classes": [self.class_name(label) for label in range(self.answers)],
            "parameters": int(self.network.parameters.size),
            "layers": layers,
            "graph": graph(found.layers, {one.name: number for number, one in enumerate(every)}),
            "given": {"shape": list(found.input.shape[1:]), "words": self.scaling()},
        }

    def meaning(self) -> str:
        """Return what the numbers of an answer are."""
        if self.network.task == "regression":
            return "The values that it gives, in the units that it learnt"
        if self.network.task == "multilabel":
            sigmoid = type(self.network[-1]).__name__ == "Sigmoid"
            each = "probability: it is given from 50 % on" if sigmoid else "score: it is given above 0"
            return f"Each label’s own {each}"
        known = ends_in_probabilities(self.network)
        return "The probability of each class" if known else "The score of each class: the largest is given"

    def scaling(self) -> str:
        """Return what happens to each raw value before the first layer, in words."""
        held = self.network.preprocessing
        scale, shift = held.scale, held.shift
        span = "each value from −1 to 1" if self.centred else "each value from 0 to 255"
        if held.kind == "numbers" and not self.centred:
            scale /= 255
        steps = (
            [] if scale == 1 else ["divided by 255" if abs(255 * scale - 1) < 1e-6 else f"times {scale:.4g}"]
        )
        steps += [] if shift == 0 else [f"{'plus' if shift > 0 else 'minus'} {abs(shift):.4g}"]
        return f"{span}, {', '.join(steps) or 'as it is'}"

    def words(self) -> dict[str, Any]:
        """Return what a page asks for, whether it can be drawn, and what the network sees of it."""
        if self.image is None:
            return {"title": "Set the inputs", "drawable": False, "seen": ""}
        channels, height, width = self.image
        preparation, names = self.network.preprocessing.preparation, self.network.preprocessing.classes
        size = f"{height} × {width} pixels"
        if preparation == "character":
            title = "Draw a digit" if names == DIGITS else "Draw a character"
            box = f"{height * 5 // 7} × {width * 5 // 7} pixels"
            seen = f"fitted into {box} and centred by mass, as MNIST’s digits were"
        elif preparation == "object":
            title = "Draw a piece of clothing" if names == CLOTHING else "Draw an object"
            seen = f"bright on black, fitted into {size}, as Fashion-MNIST’s pictures were"
        elif channels != 1:
            title, seen = "Open a picture", f"{size}, in colour"
        else:
            title, seen = "Draw something", size
        if preparation in ("crop", "stretch"):
            seen += ", cut to these proportions" if preparation == "crop" else ", stretched to these"
        return {"title": title, "drawable": channels == 1, "seen": f"What the network sees: {seen}."}

    def kernels(self, layer: LayerTrace) -> dict[str, Any] | None:
        """Return a convolution's kernels to draw, None of other layers."""
        kernels = layer.parameters.get("kernels")
        return None if kernels is None or kernels.size > 1 << 16 else encoded(kernels)

    def answering(self) -> set[str]:
        """Return the names of the layers each of whose numbers stands for an answer.

        They are the last one that makes scores, and those behind it, which turn each into an answer.
        """
        found: set[str] = set()
        if len(self.network.output_shape or ()) != 1:
            return found
        for place in reversed(range(len(self.network.layers))):
            found.add(str(place))
            if not isinstance(self.network.layers[place], ElementWise | Softmax | LogSoftmax):
                break
        return found

    def output_names(self) -> list[str] | None:
        """Return what each number of the output is: a class by name, or None where it is a value of none."""
        if self.network.task == "regression" and len(self.network.preprocessing.classes) < self.outputs:
            return None
        if self.outputs < self.answers:  # the lone score of two classes
            return [self.class_name(1)]
        return [self.class_name(label) for label in range(self.outputs)]

    def class_name(self, label: int) -> str:
        """Return the name of a class, or its number."""
        names = self.network.preprocessing.classes
        return names[label] if label < len(names) else str(label)

    def trace(self, raw: Array) -> Trace:
        """Return the trace of one raw sample of the network's shape, of bytes.

        The last one is kept: who walks over the cells of a drawing asks for the same again and again.
        """
        key, kept = (raw.tobytes(), self.network.updates), self.kept
        if kept is not None and kept[0] == key:
            return kept[1]
        values = raw.reshape(self.shape)
        if self.network.preprocessing.kind == "numbers":  # it learnt from bytes that were divided before
            values = values.astype(self.network.dtype)
            values = values / 127 - 1 if self.centred else values / 255
        found = trace(self.network, values[np.newaxis])
        if sum(one.input.nbytes + one.output.nbytes for one in walk(found)) <= MOST_KEPT:
            self.kept = key, found  # in one step: others may ask at the same time
        return found

    def prepare(self, drawn: Array) -> Array | None:
        """Return what the network sees of a drawing, prepared as pictures are; None of a blank one.

        Parameters
        ----------
        drawn : ndarray of uint8, shape (height, width)
            Bright on black, `LEAST_INK` or more where there is ink. A network of pictures sees it as it looks
            on a page, dark on white.

        Raises
        ------
        FileFormatError
            If it shows nothing that the network was made for, such as a dot.
        ShapeError
            If the network takes no images.
        """
        if self.image is None:
            raise ShapeError(f"this network takes {self.shape}, which is no image: numbers are wanted")
        if drawn.max(initial=0) < LEAST_INK:
            return None
        on_paper = self.network.preprocessing.preparation in ("crop", "stretch")
        return prepared(self.network, 255 - drawn if on_paper else drawn)

    def look(self, raw: Array) -> dict[str, Any]:
        """Return the answer to a raw sample, and what every layer gave."""
        with blas.single_threaded():  # many may ask at once, each in a thread: more would wait for each other
            found = self.trace(raw)
            answer = self.answer(raw, found[-1].output)
        return {
            **finite(answer),
            "sample": base64.b64encode(raw.tobytes()).decode(),
            "given": encoded(found.input[0]),
            "layers": [encoded(one.output[0]) for one in walk(found)],
        }

    def answer(self, raw: Array, output: Array) -> dict[str, Any]:
        """Return the label, -1 where there is no one; which are given; whether it is sure, if not, why."""
        if self.network.task == "regression":
            values = output[0].reshape(-1).astype(float).tolist()
            name = " ".join(f"{value:.4g}" for value in values)
            return {
                **{"label": -1, "yes": [], "name": name, "sure": True, "why": ""},
                **{"probabilities": None, "outputs": values},
            }
        if self.network.task == "multilabel":
            return self.labels(output[0].reshape(-1))
        label = int(answers(output)[0])
        told: dict[str, Any] = {"label": label, "yes": [label], "name": self.class_name(label)}
        told |= {"sure": True, "why": ""}
        if not ends_in_probabilities(self.network):
            return {**told, "probabilities": None, "outputs": output[0].reshape(-1).astype(float).tolist()}
        shares = as_scores(output.reshape(1, -1))[0]
        share = float(shares[label])
        doubts = []
        if share < SURE:
            doubts.append(f"its probability is {100 * share:.0f} %, and {100 * SURE:.0f} % is wanted")
        if self.familiarity is not None and self.image is not None:
            doubts.append(self.familiarity.doubt(raw.reshape(self.image[1:])))
        why = "; ".join(filter(None, doubts))
        return {**told, "sure": not why, "why": why, "probabilities": shares.astype(float).tolist()}

    def labels(self, output: Array) -> dict[str, Any]:
        """Return the labels that are given, and the probability of each, where the last layer gives it."""
        kind = type(self.network[-1]).__name__
        named_so = [self.class_name(label) for label in range(self.outputs)]
        if kind != "Sigmoid":  # of scores, those above 0 say yes
            told = {"probabilities": None, "outputs": output.astype(float).tolist()}
            given, why = output > 0, ""
        else:
            told = {"probabilities": output.astype(float).tolist()}
            given = output > 0.5
            doubts = [
                f"{name} {100 * share:.0f} %"
                for name, share in zip(named_so, output, strict=True)
                if max(share, 1 - share) < SURE
            ]
            wanted = f"{100 * SURE:.0f} % or at most {100 - 100 * SURE:.0f} % is wanted"
            why = f"it gives {', '.join(doubts)}, {wanted}" if doubts else ""
        yes = np.flatnonzero(given).tolist()
        name = listed(named_so, given)
        return {"label": -1, "yes": yes, "name": name, "sure": not why, "why": why, **told}

    def cell(self, raw: Array, layer: int, place: Sequence[int]) -> dict[str, Any]:
        """Return what one cell was made of, as numbers.

        Parameters
        ----------
        raw : ndarray of uint8
            One sample.
        layer : int
            Which of `describe`'s layers, from 0.
        place : sequence of int
            Of the cell: map, row and column, or one number.

        Raises
        ------
        ValueError
            If there is no such layer or cell.
        """
        found = self.trace(raw)
        every = list(walk(found))
        if isinstance(layer, bool) or not isinstance(layer, int) or not 0 <= layer < len(every):
            raise ValueError(f"layer must be from 0 to {len(every) - 1}, got {layer!r:.40}")
        places = {one.name: number for number, one in enumerate(every)}
        try:
            return dict(finite(cell_told(found, every[layer], place, {**places, "": -1})))
        except (IndexError, TypeError) as error:
            raise ValueError(str(error)) from None
