"""The graph of a Keras config: layers in a row, with branches that part and meet; models in models opened up.

A ``Sequential`` model says the order; a functional one says of each layer which others it takes as inputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from purecnn.errors import FileFormatError
from purecnn.interop.keras.config import Config
from purecnn.interop.keras.weights import MAX_DEPTH
from purecnn.interop.matching import short
from purecnn.layers.composites.nesting import Nesting
from purecnn.layers.serialization import MAX_LAYERS

#: Classes that are made of layers.
MODELS = ("Sequential", "Functional", "Model")
#: Classes that merge several inputs, and how.
MERGING = {
    "Add": "add",
    "Average": "mean",
    "Concatenate": "concatenate",
    "Maximum": "maximum",
    "Multiply": "multiply",
}
#: Where the one input of a model comes from.
BEGINNING = ""


@dataclass(frozen=True)
class Entry:
    """One layer of a config, those that are models opened up.

    Attributes
    ----------
    kind, name : str
        Its class and its name.
    config : dict
        Its arguments.
    path : tuple of str
        Where Keras 3 keeps its arrays: the names of the groups, below ``layers`` each.
    """

    kind: str
    name: str
    config: Config
    path: tuple[str, ...]

    @property
    def label(self) -> str:
        """What a message calls it."""
        return called(self.name, self.kind)


@dataclass(frozen=True)
class Joint:
    """A layer that merges what several paths from one value give.

    Attributes
    ----------
    entry : Entry
        The layer.
    merge : str
        How: a name of `MERGES`.
    paths : list of list
        The steps of each path, in the order of the layer's inputs.
    """

    entry: Entry
    merge: str
    paths: list[list[Step]]


Step = Entry | Joint


def called(name: Any, kind: Any) -> str:
    """Return what a message calls a layer."""
    return f"layer {short(repr(name))}, {short(kind)},"


def every(steps: list[Step]) -> Iterator[Entry]:
    """Yield all layers, those on paths too."""
    for step in steps:
        if isinstance(step, Joint):
            for path in step.paths:
                yield from every(path)
        yield step.entry if isinstance(step, Joint) else step


class Opened:
    """Models of a config opened up.

    Attributes
    ----------
    count : int
        How many layers there were in them so far.
    """

    def __init__(self) -> None:
        self.count = 0

    def steps(self, model: dict[str, Any], path: tuple[str, ...] = ()) -> list[Step]:
        """Return a model's layers from input to output, in place of each model inside its layers."""
        kind, config = model.get("class_name"), model.get("config")
        if kind not in MODELS:
            raise FileFormatError(f"its model is a {kind!r:.60}, wanted one of {', '.join(MODELS)}")
        listed = config.get("layers") if isinstance(config, dict) else config  # a list in the oldest files
        if not isinstance(listed, list) or not 0 < len(listed) <= MAX_LAYERS or len(path) > MAX_DEPTH:
            raise FileFormatError(
                f"its model has layers {listed!r:.60}, wanted a list of 1 to {MAX_LAYERS} layers"
            )
        used: dict[str, int] = {}
        groups = []
        for layer in listed:
            if not isinstance(layer, dict) or not isinstance(layer.get("class_name"), str):
                raise FileFormatError(
                    f"its model has the layer {layer!r:.100}, wanted an object with a class_name"
                )
            if not isinstance(layer.get("config"), dict | list):
                raise FileFormatError(
                    f"its layer {layer['class_name']!r:.60} has no config, wanted an object"
                )
            snake = snake_case(layer["class_name"])
            used[snake] = used.get(snake, -1) + 1
            groups.append((*path, f"{snake}_{used[snake]}" if used[snake] else snake))
        if kind == "Sequential":
            return [step for place, layer in enumerate(listed) for step in self.opened(layer, groups[place])]
        graph = Functional(listed, outputs(config), self, groups)
        return [step for part in graph.way(graph.last, BEGINNING) for step in part]

    def opened(self, layer: dict[str, Any], path: tuple[str, ...]) -> list[Step]:
        """Return the steps of one layer: its own, or those of the model that it is."""
        if layer["class_name"] in MODELS:
            return self.steps(layer, path)
        self.count += 1
        if self.count > MAX_LAYERS:
            raise FileFormatError(f"its model has more than {MAX_LAYERS} layers, wanted at most as many")
        return [entry(layer, path)]


def entry(layer: dict[str, Any], path: tuple[str, ...]) -> Entry:
    """Return a layer of a config."""
    kind, config = layer["class_name"], layer["config"]
    name = config.get("name", layer.get("name", "")) if isinstance(config, dict) else ""
    if layer.get("registered_name") not in (None, kind) or not isinstance(config, dict):
        kind = str(layer.get("registered_name", kind))
    return Entry(kind, str(name), config if isinstance(config, dict) else {}, path)


def snake_case(name: str) -> str:
    """Return what Keras calls a group of a class: ``conv2d``, ``p_re_lu``."""
    name = re.sub(r"\W+", "", name[:200])
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


class Functional(Nesting):
    """The layers of a functional model by their names, and the ways through them.

    Parameters
    ----------
    listed : list of dict
        The layers of its config.
    ends : list of str
        The names of those that give its outputs; none where the config does not say.
    opened : Opened
        What opens the models inside.
    groups : list of tuple of str
        For each layer where Keras 3 keeps its arrays.

    Attributes
    ----------
    last : str
        The layer that gives the output.
    """

    def __init__(
        self,
        listed: list[dict[str, Any]],
        ends: list[str],
        opened: Opened,
        groups: list[tuple[str, ...]],
    ) -> None:
        self.layers = {str(layer.get("name")): layer for layer in listed}
        self.opened, self.groups = opened, dict(zip(self.layers, groups, strict=False))
        if len(self.layers) < len(listed):
            raise FileFormatError(f"its model has {len(listed)} layers of {len(self.layers)} names")
        sources = {}
        for name, layer in self.layers.items():
            nodes = layer.get("inbound_nodes", [])
            if not isinstance(nodes, list) or len(nodes) > 1:
                self.refuse(name, "it is used more than once, wanted a layer for each use")
            sources[name] = [source for node in nodes for source in inputs(node)] or [BEGINNING]
            for source in sources[name]:
                if source not in self.layers and source != BEGINNING:
                    self.refuse(name, f"it takes the layer {short(repr(source))}, which the model lacks")
        starts = [name for name, made in sources.items() if BEGINNING in made]
        taken = {source for made in sources.values() for source in made}
        found = list(dict.fromkeys(ends)) or [name for name in self.layers if name not in taken]
        if len(starts) != 1 or len(found) != 1 or found[0] not in self.layers:
            raise FileFormatError(
                f"its model has {len(starts)} inputs and {len(found)} outputs, wanted a network of one each"
            )
        self.last = found[0]
        self.check_order(sources)
        merges = {
            name: MERGING[layer["class_name"]]
            for name, layer in self.layers.items()
            if layer["class_name"] in MERGING and layer.get("registered_name") in (None, layer["class_name"])
        }
        super().__init__(BEGINNING, self.last, sources, merges)
        for name in self.layers:
            if name not in self.users:
                self.refuse(name, "it leads to no output, wanted layers that all do")

    def check_order(self, sources: dict[str, list[str]]) -> None:
        """Refuse layers that wait for each other in a circle."""
        waiting = {name: len(made) for name, made in sources.items()}
        users: dict[str, list[str]] = {}
        for name, made in sources.items():
            for source in made:
                users.setdefault(source, []).append(name)
        ready, done = [BEGINNING], 0
        while ready:
            for user in users.get(ready.pop(), ()):
                waiting[user] -= 1
                if not waiting[user]:
                    done += 1
                    ready.append(user)
        if done < len(sources):
            self.refuse(
                next(name for name, count in waiting.items() if count), "it waits for itself in a circle"
            )

    def refuse(self, value: str, why: str) -> NoReturn:
        """Say which layer prevents it."""
        raise FileFormatError(f"{self.called(value)} can't be built here: {why}")

    def called(self, value: str) -> str:
        """Return what a message calls a layer."""
        return called(value, self.layers[value]["class_name"]) if value else "the input"

    def step(self, value: str) -> list[Step]:
        """Return the layers that a layer is: many where it is a model."""
        return self.opened.opened(self.layers[value], self.groups[value])

    def meeting(self, value: str, ends: list[str], paths: list[list[Any]]) -> list[Step]:
        """Return a layer that merges paths."""
        flat = [[step for part in path for step in part] for path in paths]
        return [Joint(entry(self.layers[value], self.groups[value]), self.merges[value], flat)]


def outputs(config: Any) -> list[str]:
    """Return the names of the layers that give a functional model's outputs, as far as its config says."""
    return inputs(config.get("output_layers")) if isinstance(config, dict) else []


def inputs(node: Any) -> list[str]:
    """Return the names of the layers that one node of a functional config takes its inputs from, in order."""
    found: list[str] = []
    waiting = [node]
    for _ in range(10_000):
        if not waiting:
            return found
        item = waiting.pop()
        if isinstance(item, dict):
            history = (
                item.get("config", {}).get("keras_history") if isinstance(item.get("config"), dict) else None
            )
            if isinstance(history, list) and history:
                found.append(str(history[0]))
            else:
                waiting += reversed(item.values())
        elif isinstance(item, list) and item and isinstance(item[0], str):
            found.append(item[0])  # as Keras 2 has it: [name, node, tensor, arguments]
        elif isinstance(item, list):
            waiting += reversed(item)
    raise FileFormatError("its model has a layer with thousands of inputs, wanted branches")
