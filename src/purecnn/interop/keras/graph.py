"""The graph of a Keras config: layers in a row, with branches that part and meet; models in models opened up.

A ``Sequential`` model says the order; a functional one says of each layer which others it takes as inputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from purecnn.errors import FileFormatError
from purecnn.interop.keras.config import MAX_DEPTH, Config
from purecnn.interop.keras.functions import as_layer, inputs, is_function, use
from purecnn.interop.matching import short
from purecnn.layers.composites.nesting import Nesting, Segment
from purecnn.layers.serialization import MAX_LAYERS

#: Classes that are made of layers.
MODELS = ("Sequential", "Functional", "Model")
#: Classes that merge several inputs, and how.
MERGING = {
    "Add": "add",
    "Average": "mean",
    "Concatenate": "concatenate",
    "Maximum": "maximum",
    "Minimum": "minimum",
    "Multiply": "multiply",
    "Subtract": "subtract",
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
    owners : tuple of str
        The names of the models that it lies in, but for the whole one.
    """

    kind: str
    name: str
    config: Config
    path: tuple[str, ...]
    owners: tuple[str, ...] = ()

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
        How: one of those in `MERGING`.
    paths : list of list
        The steps of each path, in the order of the layer's inputs.
    """

    entry: Entry
    merge: str
    paths: list[list[Step]]


@dataclass(frozen=True)
class Strand:
    """One of the values between which paths cross.

    Attributes
    ----------
    value, sources : str, list of str
        The value and those that it is made of.
    steps : list
        Of the one that it is made of, or the layer that merges several, without paths.
    """

    value: str
    sources: list[str]
    steps: list[Step]


@dataclass(frozen=True)
class Woven:
    """Paths that cross: values made one after the other, the last of them the only one that is wanted behind.

    Attributes
    ----------
    start : str
        The value at which they part.
    strands : list of Strand
        The others, in order.
    """

    start: str
    strands: list[Strand]


Step = Entry | Joint | Woven


def called(name: Any, kind: Any) -> str:
    """Return what a message calls a layer."""
    return f"layer {short(repr(name))}, {short(kind)},"


def every(steps: list[Step]) -> Iterator[Entry]:
    """Yield all layers, those on paths too."""
    for step in steps:
        if isinstance(step, Woven):
            for strand in step.strands:
                yield from every(strand.steps)
            continue
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

    def steps(
        self, model: dict[str, Any], path: tuple[str, ...] = (), owners: tuple[str, ...] = ()
    ) -> list[Step]:
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
            steps = [self.opened(layer, group, owners) for layer, group in zip(listed, groups, strict=True)]
            return [step for some in steps for step in some]
        graph = Functional(listed, outputs(config), self, groups, owners)
        return [step for part in graph.way(graph.last, BEGINNING) for step in part]

    def opened(
        self, layer: dict[str, Any], path: tuple[str, ...], owners: tuple[str, ...] = ()
    ) -> list[Step]:
        """Return the steps of one layer: its own, or those of the model that it is."""
        if layer["class_name"] in MODELS:
            return self.steps(layer, path, (*owners, entry(layer, path).name))
        self.count += 1
        if self.count > MAX_LAYERS:
            raise FileFormatError(f"its model has more than {MAX_LAYERS} layers, wanted at most as many")
        return [entry(layer, path, owners)]


def entry(layer: dict[str, Any], path: tuple[str, ...], owners: tuple[str, ...] = ()) -> Entry:
    """Return a layer of a config."""
    kind, config = layer["class_name"], layer["config"]
    name = config.get("name", layer.get("name", "")) if isinstance(config, dict) else ""
    if layer.get("registered_name") not in (None, kind) or not isinstance(config, dict):
        kind = str(layer.get("registered_name", kind))
    return Entry(kind, str(name), config if isinstance(config, dict) else {}, path, owners)


def snake_case(name: str) -> str:
    """Return what Keras calls a group of a class: ``conv2d``, ``p_re_lu``."""
    name = re.sub(r"\W+", "", name[:200])
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


class Functional(Nesting):
    """The layers of a functional model by their names, and the ways through them.

    Its values are uses of layers: a layer that stands in two places of the graph has two.

    Parameters
    ----------
    listed : list of dict
        The layers of its config.
    ends : list of str
        The uses that give its outputs; none where the config does not say.
    opened : Opened
        What opens the models inside.
    groups : list of tuple of str
        For each layer where Keras 3 keeps its arrays.
    owners : tuple of str
        The names of the models that this one lies in, itself the last.

    Attributes
    ----------
    last : str
        The use that gives the output.
    """

    weaves = True
    joins_ends = False

    def __init__(
        self,
        listed: list[dict[str, Any]],
        ends: list[str],
        opened: Opened,
        groups: list[tuple[str, ...]],
        owners: tuple[str, ...] = (),
    ) -> None:
        self.opened, self.owners = opened, owners
        self.steps: dict[str, list[Step]] = {}
        if (names := len({str(layer.get("name")) for layer in listed})) < len(listed):
            raise FileFormatError(f"its model has {len(listed)} layers of {names} names")
        #: Of each use the layer and where its arrays are.
        self.uses: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {}
        sources: dict[str, list[str]] = {}
        for layer, group in zip(listed, groups, strict=True):
            for number, (one, made) in enumerate(self.used(layer)):
                value = use(str(layer.get("name")), number)
                if value in self.uses or len(self.uses) >= MAX_LAYERS:
                    raise FileFormatError(
                        f"{called(value, layer['class_name'])} has a name for each of its uses that is not "
                        f"its own, or is one use of more than {MAX_LAYERS}"
                    )
                self.uses[value], sources[value] = (one, group), made or [BEGINNING]
        again = self.renamed(listed, [*ends, *(source for made in sources.values() for source in made)])
        sources = {value: [again.get(source, source) for source in made] for value, made in sources.items()}
        ends = [again.get(end, end) for end in ends]
        for value, made in sources.items():
            for source in made:
                if source not in self.uses and source != BEGINNING:
                    self.refuse(value, f"it takes the layer {short(repr(source))}, which the model lacks")
        starts = [value for value, made in sources.items() if BEGINNING in made]
        taken = {source for made in sources.values() for source in made}
        found = list(dict.fromkeys(ends)) or [value for value in self.uses if value not in taken]
        if len(starts) != 1 or len(found) != 1 or found[0] not in self.uses:
            raise FileFormatError(
                f"its model has {len(starts)} inputs and {len(found)} outputs, wanted a network of one each"
            )
        self.last = found[0]
        self.check_order(sources)
        merges = {
            value: MERGING[layer["class_name"]]
            for value, (layer, _) in self.uses.items()
            if layer["class_name"] in MERGING and layer.get("registered_name") in (None, layer["class_name"])
        }
        super().__init__(BEGINNING, self.last, sources, merges)
        for value in self.uses:
            if value not in self.users:
                self.refuse(value, "it leads to no output, wanted layers that all do")

    def renamed(self, listed: list[dict[str, Any]], taken: list[str]) -> dict[str, str]:
        """Return the uses of models that a config counts from 1, having one before all uses, and from 0."""
        found: dict[str, str] = {}
        wanted = set(taken)
        for layer in listed:
            name, count = str(layer.get("name")), len(layer.get("inbound_nodes", []))
            if layer["class_name"] in MODELS and use(name, count) in wanted:
                found |= {use(name, number + 1): use(name, number) for number in range(count)}
        return found

    def used(self, layer: dict[str, Any]) -> list[tuple[dict[str, Any], list[str]]]:
        """Return for each use of a layer what it is there, and the values that it takes."""
        nodes = layer.get("inbound_nodes", [])
        if not isinstance(nodes, list):
            raise FileFormatError(
                f"{called(layer.get('name'), layer['class_name'])} has inbound_nodes {nodes!r:.60}, wanted a "
                f"list"
            )
        if is_function(layer):
            return [as_layer(layer, node) for node in nodes]
        return [(layer, inputs(node)) for node in nodes] or [(layer, [])]

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
        return called(value, self.uses[value][0]["class_name"]) if value else "the input"

    def step(self, value: str) -> list[Step]:
        """Return the layers that a layer is: many where it is a model."""
        if value not in self.steps:  # asked again where paths turn out to cross
            self.steps[value] = self.opened.opened(*self.uses[value], self.owners)
        return self.steps[value]

    def woven(self, start: str, segments: list[Segment]) -> list[Step]:
        """Return the step of paths that cross."""
        strands = []
        for segment in segments:
            steps = [step for some in segment.steps for step in some]
            if not segment.steps:
                steps = [Joint(entry(*self.uses[segment.value], self.owners), self.merges[segment.value], [])]
            strands.append(Strand(segment.value, segment.sources, steps))
        return [Woven(start, strands)]

    def meeting(self, value: str, ends: list[str], paths: list[list[Any]]) -> list[Step]:
        """Return a layer that merges paths."""
        flat = [[step for part in path for step in part] for path in paths]
        return [Joint(entry(*self.uses[value], self.owners), self.merges[value], flat)]


def outputs(config: Any) -> list[str]:
    """Return the uses that give a functional model's outputs, as far as its config says."""
    return inputs(config.get("output_layers")) if isinstance(config, dict) else []
