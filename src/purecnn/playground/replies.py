"""Replies to the page's questions: the name of a function and a body of JSON give a status and JSON.

Whoever carries them: connections of the server, or messages of a worker within a browser.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from purecnn.datasets import mnist
from purecnn.datasets.colour import GREY
from purecnn.datasets.folders import fitted
from purecnn.errors import FileFormatError, PureCNNError
from purecnn.formats.pictures import read_picture
from purecnn.networks.files import to_bytes
from purecnn.networks.network import Network
from purecnn.networks.pictures import prepared
from purecnn.playground.chapters import chapters
from purecnn.playground.exchange import opened
from purecnn.playground.familiarity import Familiarity
from purecnn.playground.lesson import LAYERS, OPTIMIZERS
from purecnn.playground.reader import DIGITS, Reader, decoded
from purecnn.playground.samples import DATA, NOISES
from purecnn.playground.sessions import LessonError, Lessons, Networks, Sessions

#: Pixels on a side of what a page sends as a drawing.
MOST_SIDE = 200
#: Pixels on a side of a picture that the page's browser has read.
MOST_PIXELS = 1024
#: Numbers that a page has sliders for, and answers that it has bars for, of a network that it opens.
MOST_SLIDERS, MOST_ANSWERS = 200, 1000
#: Letters of a network's name.
MOST_NAME = 100
#: Pixels on a side of a picture that is shown beside what was made of it.
SHOWN = 112
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


def over(sessions: Sessions[Any], token: Any) -> dict[str, Any]:
    """End a thing that is kept."""
    sessions.end(token)
    return {}


def thumbnail(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    """Return a picture for a page to show beside what was made of it, at most `SHOWN` pixels on a side.

    Parameters
    ----------
    pixels : ndarray of uint8
        Grey values ``(h, w)`` or colours ``(h, w, 3)``.

    Returns
    -------
    dict
        ``size``, height and width of the picture itself; ``shape`` and ``pixels``, in base64, of the small
        one.
    """
    size = pixels.shape[:2]
    height, width = (max(1, round(side * min(1.0, SHOWN / max(size)))) for side in size)
    small = fitted(np.atleast_3d(pixels), height, width, crop=False).transpose(1, 2, 0)
    return {
        "size": list(size),
        "shape": list(small.shape),
        "pixels": base64.b64encode(np.ascontiguousarray(small).tobytes()).decode(),
    }


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
    networks : Networks, optional
        Where the networks are kept that pages opened or trained; likewise. Questions about one of them, in
        place of `network`, have its token as ``network``.
    documents : str, optional
        The address of the built documents, which explain each kind of layer.

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
        networks: Networks | None = None,
        documents: str | None = None,
    ) -> None:
        self.chapters = chapters(documents)
        (images, _), (self.test_images, _) = mnist.load_data()
        self.network, self.name, self.digits = network, name, knows_digits(network)
        self.reader = Reader(network, Familiarity(images, least) if self.digits else None)
        self.lessons, self.networks = lessons or Lessons(), networks or Networks()
        lessons = self.lessons
        self.functions: dict[str, Function] = {
            "network": self.describe,
            "draw": self.draw,
            "picture": self.picture,
            "example": self.example,
            "cell": self.cell,
            "figure": self.figure,
            "networks/open": self.open,
            "networks/keep": self.keep,
            "networks/save": self.save,
            "networks/end": lambda asked: over(self.networks, asked.get("network")),
            "lessons/begin": lessons.begin,
            "lessons/advance": lambda asked: lessons.advance(asked.get("lesson"), asked.get("steps")),
            "lessons/backward": lambda asked: lessons.backward(asked.get("lesson"), asked.get("sample")),
            "lessons/end": lambda asked: over(lessons, asked.get("lesson")),
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

    def reader_of(self, asked: Mapping[str, Any]) -> tuple[str, Reader]:
        """Return the network that a question is about, with its name: the page's own, or one by its token."""
        token = asked.get("network")
        return (self.name, self.reader) if token is None else self.networks.find(token)[0]

    def describe(self, asked: Mapping[str, Any]) -> Any:
        """Return what a page shows of a network, and what it may choose for a training."""
        name, reader = self.reader_of(asked)
        return {
            "name": name,
            "examples": len(self.test_images) if knows_digits(reader.network) else 0,
            **reader.describe(),
            "chapters": self.chapters,
            "choices": {
                "data": list(DATA),
                "noises": list(NOISES),
                "optimizers": list(OPTIMIZERS),
                "layers": {kind: bounds for kind, (_, bounds) in LAYERS.items()},
            },
        }

    def open(self, asked: Mapping[str, Any]) -> Any:
        """Open a network's file, and keep the network for the page: its token, and what is shown of it."""
        name = asked.get("name")
        if not isinstance(name, str) or not 1 <= len(name) <= MOST_NAME:
            raise ValueError(f"name must be a text of 1 to {MOST_NAME} letters, got {name!r:.40}")
        return self.kept(decoded(asked.get("file"), name="file").tobytes(), name)

    def keep(self, asked: Mapping[str, Any]) -> Any:
        """Keep a training's network as it is now, likewise."""
        lesson, lock = self.lessons.find(asked.get("lesson"))
        with lock:
            content, step = to_bytes(lesson.network), lesson.done
        return self.kept(content, f"{lesson.name}, {step:,} steps")

    def kept(self, content: bytes, name: str) -> Any:
        """Return the token of a file's network, and what is shown of it."""
        network = opened(content, name)
        reader = Reader(network, self.reader.familiarity if knows_digits(network) else None)
        if reader.image is None and reader.shape[0] > MOST_SLIDERS:
            raise ValueError(
                f"pictures of 1 or 3 channels or at most {MOST_SLIDERS} numbers are wanted, got "
                f"{reader.shape}"
            )
        if reader.answers > MOST_ANSWERS:
            raise ValueError(f"at most {MOST_ANSWERS} answers are wanted, got {reader.answers}")
        token = self.networks.add((name, reader))
        return {"network": token, **self.describe({"network": token})}

    def save(self, asked: Mapping[str, Any]) -> Any:
        """Return the file of a training's network as it is now, or of the one that a question is about."""
        if "lesson" in asked:
            lesson, lock = self.lessons.find(asked["lesson"])
            with lock:
                content, name = to_bytes(lesson.network), lesson.name
        else:
            name, reader = self.reader_of(asked)
            content = to_bytes(reader.network)
        return {"name": name, "file": base64.b64encode(content).decode()}

    def draw(self, asked: Mapping[str, Any]) -> Any:
        """Return the answer to a drawing, or to numbers."""
        _, reader = self.reader_of(asked)
        if reader.image is None:
            values = asked.get("values")
            if not isinstance(values, list) or len(values) != reader.shape[0]:
                raise ValueError(f"values must be a list of {reader.shape[0]} numbers from 0 to 255")
            if not all(type(v) is int and 0 <= v <= 255 for v in values):
                raise ValueError("values must be integers from 0 to 255")
            return {"blank": False, **reader.look(np.array(values, np.uint8))}
        side = side_of(asked, "side", 8, MOST_SIDE)
        pixels = decoded(asked.get("pixels"), side * side).reshape(side, side)
        return self.looked(reader, lambda: reader.prepare(pixels))

    def picture(self, asked: Mapping[str, Any]) -> Any:
        """Return the answer to a picture: a file, or the pixels that the page's browser made of it."""
        _, reader = self.reader_of(asked)
        coloured = reader.image is not None and reader.image[0] == 3
        if "pixels" in asked:
            height, width = (side_of(asked, name) for name in ("height", "width"))
            pixels = decoded(asked["pixels"], height * width * 3).reshape(height, width, 3)
            if not coloured:
                pixels = np.rint(pixels @ GREY).astype(np.uint8)
        else:
            pixels = read_picture(decoded(asked.get("file"), name="file").tobytes(), 3 if coloured else 1)
        told = self.looked(reader, lambda: prepared(reader.network, pixels))
        return {**told, "raw": thumbnail(pixels)}

    def looked(self, reader: Reader, prepare: Callable[[], Any]) -> Any:
        """Return the answer to what is prepared, or why there is none: of a dot, say."""
        try:
            raw = prepare()
        except FileFormatError as error:
            return {"blank": True, "why": str(error)}
        return {"blank": True, "why": ""} if raw is None else {"blank": False, **reader.look(raw)}

    def example(self, asked: Mapping[str, Any]) -> Any:
        """Return the answer to a test digit, for who has no pointer to draw with."""
        _, reader = self.reader_of(asked)
        number, count = asked.get("number"), len(self.test_images)
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < count:
            raise ValueError(f"number must be an integer from 0 to {count - 1}, got {number!r:.40}")
        if not knows_digits(reader.network):
            raise ValueError("examples are of MNIST's digits, which this network does not take")
        return {"blank": False, **reader.look(self.test_images[number].reshape(reader.shape))}

    def cell(self, asked: Mapping[str, Any]) -> Any:
        """Return what one cell of a layer was made of."""
        _, reader = self.reader_of(asked)
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
        return reader.cell(decoded(asked.get("sample"), int(np.prod(reader.shape))), layer, place)

    def figure(self, asked: Mapping[str, Any]) -> Any:
        """Return one of the course's live figures."""
        from purecnn.playground.figures.table import reply  # here, since the playground shows none

        return reply(asked)
