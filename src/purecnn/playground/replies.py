"""Replies to the page's questions: the name of a function and a body of JSON give a status and JSON.

Whoever carries them: connections of the server, or messages of a worker within a browser.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from purecnn.datasets import mnist
from purecnn.datasets.colour import GREY
from purecnn.errors import FileFormatError, PureCNNError
from purecnn.formats.pictures import read_picture
from purecnn.networks.network import Network
from purecnn.networks.pictures import prepared
from purecnn.playground.familiarity import Familiarity
from purecnn.playground.figures import table
from purecnn.playground.lesson import LAYERS, OPTIMIZERS
from purecnn.playground.reader import DIGITS, Reader, decoded
from purecnn.playground.samples import DATA, NOISES
from purecnn.playground.sessions import LessonError, Lessons

#: Pixels on a side of what a page sends as a drawing.
MOST_SIDE = 200
#: Pixels on a side of a picture that the page's browser has read.
MOST_PIXELS = 1024
#: Numbers that say where a cell is: its map, row and column, or less.
MOST_AXES = 3

Function = Callable[[Mapping[str, Any]], Any]


def knows_digits(network: Network) -> bool:
    """Return whether a network was made for digits as MNIST prepared them: it says so."""
    return (
        network.input_shape in ((1, 28, 28), (784,))
        and network.preprocessing.preparation == "character"
        and network.preprocessing.classes == DIGITS
    )


def side_of(asked: Mapping[str, Any], name: str, least: int = 1, most: int = MOST_PIXELS) -> int:
    """Return how many pixels a side has, if it may have so many."""
    side = asked.get(name)
    if isinstance(side, bool) or not isinstance(side, int) or not least <= side <= most:
        raise ValueError(f"{name} must be an integer from {least} to {most}, got {side!r:.40}")
    return side


class Replies:
    """What a page may ask about a network, and about the trainings that it begins.

    Parameters
    ----------
    network : Network
        Bound to its input's shape.
    name : str
        What the page calls the network.
    least : float, optional
        The least similarity of a familiar picture, where it is known already; see `Familiarity`.
    lessons : Lessons, optional
        Where the trainings are kept; bounded as the server's if left out.

    Examples
    --------
    >>> from purecnn import Dense
    >>> replies = Replies(Network([Dense(1)], input_shape=(2,)), "two numbers")
    >>> replies("draw", b'{"values": [0, 300]}')
    (422, '{"error": "values must be integers from 0 to 255"}')
    """

    def __init__(
        self,
        network: Network,
        name: str = "digits",
        least: float | None = None,
        lessons: Lessons | None = None,
    ) -> None:
        (images, _), (self.test_images, _) = mnist.load_data()
        self.network, self.name, self.digits = network, name, knows_digits(network)
        self.reader = Reader(network, Familiarity(images, least) if self.digits else None)
        self.lessons = lessons = lessons or Lessons()
        self.functions: dict[str, Function] = {
            "network": self.describe,
            "draw": self.draw,
            "picture": self.picture,
            "example": self.example,
            "cell": self.cell,
            "figure": table.reply,
            "lessons/begin": lessons.begin,
            "lessons/advance": lambda asked: lessons.advance(asked.get("lesson"), asked.get("steps")),
            "lessons/backward": lambda asked: lessons.backward(asked.get("lesson"), asked.get("sample")),
            "lessons/end": self.end,
        }

    def __call__(self, path: str, body: bytes | str) -> tuple[int, str]:
        """Return the status and the JSON that answer a question.

        200 comes with an answer, and with one sentence: 400 if the body is no JSON object, 404 if there is no
        such function or training, 422 if what it asks for can't be.
        """

        def reply(told: Any, status: int = 200) -> tuple[int, str]:
            # allow_nan: what is no JSON must not leave here unseen
            return status, json.dumps(told, allow_nan=False)

        if path not in self.functions:
            return reply({"error": f"a question is one of {', '.join(self.functions)}, got {path:.40}"}, 404)
        try:
            asked = json.loads(body or b"{}")
        except (ValueError, RecursionError):
            return reply({"error": "the body must be JSON"}, 400)
        if not isinstance(asked, dict):
            return reply({"error": f"the body must be an object, got {type(asked).__name__}"}, 400)
        try:
            return reply(self.functions[path](asked))
        except LessonError as error:
            return reply({"error": str(error)}, 404)
        except (PureCNNError, ValueError, TypeError) as error:
            return reply({"error": str(error)}, 422)

    def describe(self, _asked: Mapping[str, Any]) -> Any:
        """Return what a page shows of the network, and what it may choose for a training."""
        return {
            "name": self.name,
            "examples": len(self.test_images) if self.digits else 0,
            **self.reader.describe(),
            "choices": {
                "data": list(DATA),
                "noises": list(NOISES),
                "optimizers": list(OPTIMIZERS),
                "layers": {kind: bounds for kind, (_, bounds) in LAYERS.items()},
            },
        }

    def sample(self, asked: Mapping[str, Any]) -> Any:
        """Return the raw sample that a page holds."""
        return decoded(asked.get("sample"), int(np.prod(self.reader.shape)))

    def draw(self, asked: Mapping[str, Any]) -> Any:
        """Return the answer to a drawing, or to numbers."""
        reader = self.reader
        if reader.image is None:
            values = asked.get("values")
            if not isinstance(values, list) or len(values) != reader.shape[0]:
                raise ValueError(f"values must be a list of {reader.shape[0]} numbers from 0 to 255")
            if not all(isinstance(v, int) and 0 <= v <= 255 for v in values):
                raise ValueError("values must be integers from 0 to 255")
            return {"blank": False, **reader.look(np.array(values, np.uint8))}
        side = side_of(asked, "side", 8, MOST_SIDE)
        pixels = decoded(asked.get("pixels"), side * side).reshape(side, side)
        return self.looked(lambda: reader.prepare(pixels))

    def picture(self, asked: Mapping[str, Any]) -> Any:
        """Return the answer to a picture: a file, or the pixels that the page's browser made of it."""
        coloured = self.reader.image is not None and self.reader.image[0] == 3
        if "pixels" in asked:
            height, width = (side_of(asked, name) for name in ("height", "width"))
            pixels = decoded(asked["pixels"], height * width * 3).reshape(height, width, 3)
            if not coloured:
                pixels = np.rint(pixels @ GREY).astype(np.uint8)
        else:
            pixels = read_picture(decoded(asked.get("file"), name="file").tobytes(), 3 if coloured else 1)
        return self.looked(lambda: prepared(self.network, pixels))

    def looked(self, prepare: Callable[[], Any]) -> Any:
        """Return the answer to what is prepared, or why there is none: of a dot, say."""
        try:
            raw = prepare()
        except FileFormatError as error:
            return {"blank": True, "why": str(error)}
        return {"blank": True, "why": ""} if raw is None else {"blank": False, **self.reader.look(raw)}

    def example(self, asked: Mapping[str, Any]) -> Any:
        """Return the answer to a test digit, for who has no pointer to draw with."""
        number, count = asked.get("number"), len(self.test_images)
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < count:
            raise ValueError(f"number must be an integer from 0 to {count - 1}, got {number!r:.40}")
        if not self.digits:
            raise ValueError("examples are of MNIST's digits, which this network does not take")
        return {"blank": False, **self.reader.look(self.test_images[number].reshape(self.reader.shape))}

    def cell(self, asked: Mapping[str, Any]) -> Any:
        """Return what one cell of a layer was made of."""
        place, layer = asked.get("place"), asked.get("layer")
        if (
            not isinstance(place, list)
            or not 1 <= len(place) <= MOST_AXES
            or not all(type(number) is int for number in place)
            or type(layer) is not int
        ):
            raise ValueError(
                f"a layer, an integer, and a place, a list of one to {MOST_AXES} integers, are wanted, got "
                f"{place!r:.40}"
            )
        return self.reader.cell(self.sample(asked), layer, place)

    def end(self, asked: Mapping[str, Any]) -> Any:
        """End a training."""
        self.lessons.end(asked.get("lesson"))
        return {}
