"""Parts of a graph that are layers, where the whole graph is none of this package's networks.

The convolutions of a detector, or of a reader of text, run as networks, the nodes between them one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from purecnn.backend.types import Array
from purecnn.errors import PureCNNError
from purecnn.layers.composites.dominators import Dominators
from purecnn.onnx.cost import Budget
from purecnn.onnx.model import Value
from purecnn.onnx.runtime import Part, Runtime
from purecnn.onnx.shape_inference import Kind, infer_shapes, kinds_of
from purecnn.onnx.to_network.builder import Layers, as_network
from purecnn.onnx.to_network.finder import SAMPLES

#: Operators whose work is worth a network's: the others are as fast by themselves.
WORTHY = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
#: How many nodes are looked at and tried, for each node of the graph.
LOOKS, TRIALS = 64, 64
#: What leads out of the graph: no value has this name.
OUT = ""
#: A value, and how many calls lie before it.
End = tuple[str, int]


@dataclass(frozen=True)
class LayerPart(Part):
    """Nodes between two values, and the network that computes one of the other.

    Attributes
    ----------
    shape : tuple of int
        That of what goes in, its samples 0 where the graph leaves their number open.
    layers : Layers
        The network.
    """

    shape: tuple[int, ...]
    layers: Layers

    def takes(self, array: Array) -> bool:
        """Return whether it is made for an array of this shape."""
        count, *sample = self.shape
        return array.shape[1:] == tuple(sample) and len(array) > 0 and count in (0, len(array))

    def compute(self, array: Array, budget: Budget, threads: int | None) -> Array:
        """Return the value that comes out, claimed from what a run may take."""
        budget.begin(2)
        budget.claim((len(array), *self.layers.output_shape), self.layers.network.dtype)
        return self.layers.answers(array, threads)


class Ways:
    """Which values of a graph are made of which, and through which all ways out of it lead.

    Parameters
    ----------
    graph : Runtime
        The graph.

    Attributes
    ----------
    makers : dict of str to int
        The call that makes each value, by its place.
    sources : list of list of str
        The values of each call that are no constants.
    users : dict of str to list of int
        The calls that want each value, by their places.
    behind : Dominators
        Above each value, the next one that all ways from it out of the graph lead through.
    """

    def __init__(self, graph: Runtime) -> None:
        self.outputs = [[name for name in call.node.outputs if name] for call in graph.calls]
        self.makers = {name: place for place, names in enumerate(self.outputs) for name in names}
        known = {*self.makers, *(value.name for value in graph.inputs)}
        self.sources = [[name for name in call.node.inputs if name in known] for call in graph.calls]
        self.users: dict[str, list[int]] = {name: [] for name in known}
        for place, names in enumerate(self.sources):
            for name in names:
                self.users[name].append(place)
        self.wanted = {value.name for value in graph.outputs}
        self.behind = Dominators(OUT)
        for names in [*reversed(self.outputs), [value.name for value in graph.inputs]]:
            for name in names:
                ahead = [n for user in self.users[name] for n in self.outputs[user] if n in self.behind.above]
                ahead += [OUT] * (name in self.wanted)
                if ahead:
                    self.behind.hang(name, ahead)

    def ends(self, source: str, start: str, taken: set[int], most: int) -> tuple[list[int], list[End]]:
        """Return the values that all ways from `start` lead through and that depend on `source` alone.

        Parameters
        ----------
        source, start : str
            A value, and it or another that is made of it alone.
        taken : set of int
            Calls that may not be among those between.
        most : int
            How many calls are looked at.

        Returns
        -------
        places : list of int
            The calls between `source` and the last of these values.
        ends : list of (str, int)
            Each value, the nearest first, and how many of the calls lie before it.
        """
        places: list[int] = []
        ends: list[End] = []
        between: set[int] = set()
        wanted: dict[str, int] = {}  # of what is made between, how often elsewhere
        value = start if start != source and start in self.behind.above else self.behind.above.get(start, OUT)
        while value != OUT and len(places) < most:
            waiting, new = [value], []
            while waiting:
                maker = self.makers.get(waiting.pop())
                if maker is None or maker in taken:
                    return places, ends
                if maker not in between:
                    between.add(maker)
                    new.append(maker)
                    waiting += [name for name in self.sources[maker] if name != source]
            for place in new:
                for name in self.outputs[place]:
                    wanted[name] = len(self.users[name]) + (name in self.wanted)
            for place in new:
                for name in self.sources[place]:
                    wanted[name] = wanted.get(name, 0) - 1
            wanted = {name: count for name, count in wanted.items() if count and name != source}
            places += new
            if wanted.keys() <= {value}:
                ends.append((value, len(places)))
            value = self.behind.above.get(value, OUT)
        return places, ends


class PartFinder:
    """Finds the parts of a graph that are layers.

    Parameters
    ----------
    graph : Runtime
        The graph.
    inputs : mapping of str to ndarray
        Arrays like those it will be given, of which the shapes count.

    Attributes
    ----------
    parts : list of LayerPart
        Those found, none within another.
    """

    def __init__(self, graph: Runtime, inputs: Mapping[str, Array]) -> None:
        self.graph = graph
        self.parts: list[LayerPart] = []
        self.taken: set[int] = set()
        self.places = {call.node.place: place for place, call in enumerate(graph.calls)}
        self.looks, self.trials = LOOKS * len(graph.calls), TRIALS * len(graph.calls)
        self.fixed = any(value.batch for value in graph.inputs)
        sources = [worth(graph, place) for place in range(len(graph.calls))]
        if not any(sources):
            return
        self.kinds, self.ways = self.kinds_seen(inputs), Ways(graph)
        for place, source in enumerate(sources):
            if source in self.kinds and place not in self.taken:
                self.find(source, place)

    def kinds_seen(self, inputs: Mapping[str, Array]) -> dict[str, Kind]:
        """Return the shapes and dtypes of the values, as far as they can be known without the inputs."""
        given = {
            name: (array.shape if self.fixed or not array.ndim else (SAMPLES, *array.shape[1:]), array.dtype)
            for name, array in inputs.items()
        }
        found: dict[str, Kind] = {}
        with suppress(PureCNNError):  # zeros may be nothing that a node can take
            for made in infer_shapes(self.graph, given, self.graph.budget()):
                found.update(kinds_of(made))
        return found

    def find(self, source: str, place: int) -> None:
        """Find the longest part that begins with a value, or with the call at a place, which wants it."""
        count, *sample = self.kinds[source][0] or (0,)
        if not sample or not count:
            return
        for start in (source, self.graph.calls[place].node.outputs[0]):
            places, ends = self.ways.ends(source, start, self.taken, max(self.looks, 0))
            self.looks -= len(places)
            ends = [(end, number) for end, number in ends if place in places[:number] and end in self.kinds]
            while ends:
                value, number = ends[-1]
                self.trials -= number
                if self.trials < 0:
                    return
                try:
                    layers = self.layers(source, value, places[:number])
                except PureCNNError as error:
                    barred = self.places.get(getattr(error, "place", -1))
                    before = places.index(barred) if barred in places[:number] else ends[len(ends) // 2][1]
                    ends = [(end, count) for end, count in ends[:-1] if count <= before]
                    continue
                own = frozenset(places[:number])
                first = min(own.intersection(self.ways.users[source]))  # weights may be made before it is
                shape = (count if self.fixed else 0, *sample)
                self.parts.append(LayerPart(source, value, own, first, shape, layers))
                self.taken |= own
                return

    def layers(self, source: str, value: str, places: Sequence[int]) -> Layers:
        """Return the calls at some places as layers.

        Raises
        ------
        PureCNNError
            If they are none.
        """
        graph, ((count, *sample), kind) = self.graph, self.kinds[source]
        nodes = tuple(graph.calls[place].node for place in sorted(places))
        model = replace(
            graph.model,
            nodes=nodes,
            arrays={n: graph.constants[n] for node in nodes for n in node.inputs if n in graph.constants},
            inputs=(Value(source, kind, (count if self.fixed else "N", *sample)),),
            outputs=(Value(value, self.kinds[value][1], None),),
            metadata={},
        )
        return as_network(Runtime(model, max_bytes=graph.max_bytes), tuple(sample), self.kinds).sealed()


def worth(graph: Runtime, place: int) -> str:
    """Return the value that a call multiplies by constants, "" where it does nothing like that."""
    node = graph.calls[place].node
    if node.domain or node.operator not in WORTHY or node.inputs[1] not in graph.constants:
        return ""
    return "" if node.inputs[0] in graph.constants else node.inputs[0]
