"""`Graph`: an ONNX graph that runs, predicts and becomes a network.

A network that another program made, as ONNX describes it: operators, and values that pass between them.

`Graph.run` computes one operator after the other and lets go of each value after its last use.
`Graph.predict` gives the same answers, on this package's own layers where the graph can be written with them.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend import blas
from purecnn.backend.types import Array
from purecnn.errors import PureCNNError, ShapeError
from purecnn.layers.shapes import ShapeLike
from purecnn.messages.signatures import explained
from purecnn.networks.network import Network
from purecnn.onnx.batches import Batches
from purecnn.onnx.model import Model, Value
from purecnn.onnx.operators.registry import OperatorCall
from purecnn.onnx.reader import read_model
from purecnn.onnx.runtime import MAX_BYTES, Part, Runtime, remember
from purecnn.onnx.shape_inference import specialized
from purecnn.onnx.to_network.builder import Layers, as_network
from purecnn.onnx.to_network.metadata import sample_of
from purecnn.onnx.to_network.parts import PartFinder

#: Shapes of samples whose layers are kept.
KEPT = 4


@explained
def load_onnx(
    path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES, max_work: int | None = None
) -> Graph:
    """Read an ONNX file as a graph that computes.

    Parameters
    ----------
    path : str or path-like
        The file. Arrays that lie in files of their own are read from its folder.
    max_bytes : int
        How much the arrays that the graph makes may take at a time, those on the way to a node's output too:
        a small file can ask for any size. For files of strangers a small number is wise. What a node takes
        is known from the shapes of its inputs, and refused before it runs.
    max_work : int, optional
        How many bytes a run may go over, a value that takes long to compute counted for more; if left out,
        1,024 times `max_bytes`, minutes for the default.

    Returns
    -------
    Graph
        With `predict`, `run` and `network`.

    Raises
    ------
    FileFormatError
        If the file is damaged, is no ONNX model, or has an operator that is not known here; the sentence says
        which, and where in the graph.
    OSError
        If it can't be read.

    Notes
    -----
    https://onnx.ai. Read by NumPy alone; operator sets 1 to 28. What is known: ``docs/onnx.md``.
    """
    model = read_model(path)
    try:
        return Graph(model, max_bytes=max_bytes, max_work=max_work)
    except PureCNNError as error:
        raise type(error)(f"{os.fspath(path)}: {error}") from None


class Graph(Runtime):
    """Operators, and the values that pass between them, samples first.

    Parameters
    ----------
    model : Model
        What an ONNX file holds.
    max_bytes : int
        How much the arrays that the operators make may take at a time.
    max_work : int, optional
        How many bytes a run may go over; 1,024 times `max_bytes` if left out.

    Attributes
    ----------
    inputs, outputs : tuple of Value
        What goes in and comes out: name, dtype and shape; inputs that the file has an array for are left out.
    nodes : list of Node
        The operators in an order in which they can run.
    constants : dict of str to ndarray
        The file's arrays, and what depends on these alone.
    metadata : dict of str to str
        What the program that wrote the file says about it.

    Raises
    ------
    FileFormatError
        If nodes lie in a circle, a value is made twice or by nobody, or an operator is not known.
    """

    def __init__(self, model: Model, *, max_bytes: int = MAX_BYTES, max_work: int | None = None) -> None:
        super().__init__(model, max_bytes=max_bytes, max_work=max_work)
        self._networks: dict[tuple[int, ...], Layers | None] = {}
        self._parts: dict[tuple[tuple[int, ...], ...], Sequence[Part]] = {}
        self._refused: set[int] = set()  # of how many axes samples are that no layers take

    def predict(
        self,
        x: npt.ArrayLike | Mapping[str, npt.ArrayLike],
        *,
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> Any:
        """Return the graph's answers.

        Parameters
        ----------
        x : array_like, or mapping of str to array_like
            A batch for the graph's one input, the samples first, of its dtype. Where the file fixes the size
            of a batch, any multiple of it. Of several inputs a dict with an array for each, by its name.
        batch_size : int, optional
            How many samples are computed at a time where the graph is none of layers; all of them if left
            out, since such a graph may look at the whole batch. Of several inputs those are cut whose first
            axis has the name that the first one's has, and the others given whole with each part.
        threads : int, optional
            Number of worker threads where the graph is one of layers; as many as `Network.fit` takes if
            left out.

        Returns
        -------
        ndarray, or dict of str to ndarray
            The output, the samples first; of several outputs, or where a dict was given, each by its name. A
            list of dicts, one for each sample, in place of an array, where the graph gives probabilities by
            the names of the classes.

        Raises
        ------
        ShapeError, TypeError
            If an input is of another shape or dtype than the graph's, or missing.

        Notes
        -----
        A graph that `network` can turn into layers runs on them, as `Network.predict` does; of another one
        the parts that are layers, and the nodes between them as `run` has it. The two differ by rounding.

        Examples
        --------
        >>> graph.predict({"image": images, "scale": scales})["boxes"]  # doctest: +SKIP
        """
        names = [value.name for value in self.inputs]
        named = isinstance(x, Mapping)
        if not named and len(names) != 1:
            raise ShapeError(
                f"predict wants a dict with an array for each of the graph's inputs, "
                f"{', '.join(names) or 'none'}; got {type(x).__name__}"
            )
        if not named and not np.ndim(x):  # type: ignore[arg-type]
            raise ShapeError(f"predict wants a batch, the samples first; got a lone value, {x!r}")
        given: Mapping[str, Any] = x if isinstance(x, Mapping) else {names[0]: x}
        self.check_given(given)
        batches = Batches(self.model.inputs, given, batch_size)
        answers = self._on_layers(batches.arrays, threads)
        if answers is None:
            parts = batches.parts()
            ours = given.keys() == {*names} and all(array.size for array in batches.arrays.values())
            compiled = self._parts_for(parts[0]) if ours else ()
            made = [
                self.computed(part, None, compiled, threads) if ours else self.run(part) for part in parts
            ]
            answers = {name: together([each[name] for each in made]) for name in made[0]}
        return answers if named or len(answers) > 1 else next(iter(answers.values()))

    def _on_layers(self, arrays: Mapping[str, Array], threads: int | None) -> dict[str, Array] | None:
        """Return the answers of the network that the graph is; None where it is none."""
        if [*arrays] != [value.name for value in self.inputs] or len(arrays) != 1:
            return None
        (array,) = arrays.values()
        layers = self._as_layers(array.shape[1:]) if array.size and array.ndim else None
        if layers is None:
            return None
        return {self.outputs[0].name: layers.answers(array, threads)}

    # As layers --------------------------------------------------------------------------------------------

    def network(self, input_shape: ShapeLike | None = None, *, output: str | None = None) -> Network:
        """Return a network of the same layers and parameters, which can be trained, saved and traced.

        Parameters
        ----------
        input_shape : tuple of int, optional
            Shape of one sample, where the file leaves it open.
        output : str, optional
            Which value the network is to compute, any in the graph by its name: one of several outputs, or
            what goes into the last layers. Left out, the graph's only output.

        Raises
        ------
        FileFormatError
            If the graph is none of this package's layers, in a row or on branches that nest: the sentence
            says which node prevents it. Also if its arrays hold NaN or infinite numbers.
        ShapeError
            If the file leaves the input's shape open and none is given, or it is another. If the graph has no
            value of the name `output`.
        TypeError
            If `output` is no text.

        Notes
        -----
        Arithmetic with single numbers in front becomes the `Preprocessing`. Activations are known by what
        they compute, whatever operators they are made of. Values that are added, taken from another,
        concatenated along the channels, multiplied, or whose maximum or mean is taken become `Branches`, the
        sum of two a `Residual`, to any depth up to 20. Where each is concatenated with all before it, as in
        DenseNet, there are `Branches` one behind the other. Where paths cross, what has no parameters is
        computed again, and other values that are still wanted go on side by side in a vector; `predict` runs
        the graph then, for that takes copies. Axes may lie in any order: where a file turns them, the layers
        between work on those that it means.
        """
        with blas.single_threaded(warns=False):  # for shapes the graph is run on zeros
            graph = self.knowing({}, self.budget())  # weights too that are larger than loading computes
            if output is not None:
                graph = leading_to(graph, output)
            used = {name for call in graph.calls for name in call.node.inputs}
            graph.inputs = tuple(each for each in self.inputs if each.name in used) or self.inputs
            with suppress(PureCNNError, TypeError, ValueError):  # of the shape, which is refused below
                graph = specialized(graph, sample_of(graph, input_shape))
            return as_network(graph, input_shape, crossing=True).network

    def _parts_for(self, inputs: dict[str, Array]) -> Sequence[Part]:
        """Return the parts of the graph that are layers, for inputs of such shapes; found once."""
        shapes = tuple(array.shape[1:] for array in inputs.values())
        if shapes not in self._parts:
            with blas.single_threaded():
                found = PartFinder(self, inputs).parts
            remember(self._parts, shapes, found, KEPT)
        return self._parts.get(shapes, ())

    def _as_layers(self, shape: tuple[int, ...]) -> Layers | None:
        """Return the network for samples of a shape, made once; None where there is none."""
        if len(shape) in self._refused:
            return None
        if shape not in self._networks:
            try:
                with blas.single_threaded(warns=False):
                    made = as_network(specialized(self, shape), shape, refused=self._refused).sealed()
            except PureCNNError:
                made = None
            remember(self._networks, shape, made, KEPT)
        return self._networks.get(shape)


def leading_to(graph: Runtime, name: str) -> Runtime:
    """Return the graph of those nodes alone that a value depends on; it is the only output.

    Raises
    ------
    TypeError
        If the name is no text.
    ShapeError
        If no node makes such a value.
    """
    if not isinstance(name, str):
        raise TypeError(f"output must be the name of a value, got {name!r:.80}")
    if not name or not any(name in call.node.outputs for call in graph.calls):
        raise ShapeError(f"the graph has no value {name!r} that depends on its input")
    made, needed, calls = copy.copy(graph), {name}, list[OperatorCall]()
    for call in reversed(graph.calls):
        if needed & {*call.node.outputs} - {""}:
            calls.append(call)
            needed |= {*call.node.inputs}
    made.calls, made.outputs = calls[::-1], (Value(name, None, None),)
    return made.knowing({}, made.folding())


def together(parts: list[Any]) -> Any:
    """Return the answers for all parts of a batch as one."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], list):
        return [item for part in parts for item in part]
    return np.concatenate([np.atleast_1d(part) for part in parts])
