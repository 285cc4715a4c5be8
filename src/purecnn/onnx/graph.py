"""`Graph`: an ONNX graph that runs, predicts and becomes a network.

A network that another program made, as ONNX describes it: operators, and values that pass between them.

`Graph.run` computes one operator after the other and lets go of each value after its last use.
`Graph.predict` gives the same answers, on this package's own layers where the graph can be written with them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend import blas
from purecnn.backend.checks import positive
from purecnn.backend.types import Array
from purecnn.errors import PureCNNError, ShapeError
from purecnn.layers.shapes import ShapeLike
from purecnn.messages.signatures import explained
from purecnn.networks.network import Network
from purecnn.onnx.model import Model, Value
from purecnn.onnx.reader import read_model
from purecnn.onnx.runtime import MAX_BYTES, Part, Runtime
from purecnn.onnx.to_network.builder import Layers, as_network
from purecnn.onnx.to_network.parts import PartFinder

#: Shapes of samples whose layers are kept.
KEPT = 4


@explained
def load_onnx(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> Graph:
    """Read an ONNX file as a graph that computes.

    Parameters
    ----------
    path : str or path-like
        The file. Arrays that lie in files of their own are read from its folder.
    max_bytes : int
        How much the arrays that the graph makes may take at a time, those on the way to a node's output too:
        a small file can ask for any size. It bounds the work of a run as well, to going over a thousand times
        as many bytes, minutes for the default; for files of strangers a small number is wise. What a node
        takes is known from the shapes of its inputs, and refused before it runs.

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
        return Graph(model, max_bytes=max_bytes)
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

    def __init__(self, model: Model, *, max_bytes: int = MAX_BYTES) -> None:
        super().__init__(model, max_bytes=max_bytes)
        self._networks: dict[tuple[int, ...], Layers | None] = {}
        self._parts: dict[tuple[tuple[int, ...], ...], Sequence[Part]] = {}
        self._refused: set[int] = set()  # of how many axes samples are that no layers take

    def predict(self, x: npt.ArrayLike, *, batch_size: int | None = None, threads: int | None = None) -> Any:
        """Return the graph's answers.

        Parameters
        ----------
        x : array_like
            A batch for the graph's one input, the samples first, of its dtype. Where the file fixes the size
            of a batch, any multiple of it.
        batch_size : int, optional
            How many samples are computed at a time where the graph is none of layers; all of them if left
            out, since such a graph may look at the whole batch.
        threads : int, optional
            Number of worker threads where the graph is one of layers; as many as `Network.fit` takes if
            left out.

        Returns
        -------
        ndarray, or dict of str to ndarray
            The output, the samples first; of several outputs, each by its name. A list of dicts, one for each
            sample, in place of an array, where the graph gives probabilities by the names of the classes.

        Raises
        ------
        ShapeError, TypeError
            If `x` is of another shape or dtype than the graph's input.

        Notes
        -----
        A graph that `network` can turn into layers runs on them, as `Network.predict` does; of another one
        the parts that are layers, and the nodes between them as `run` has it. The two differ by rounding.
        """
        if len(self.inputs) != 1:
            names = ", ".join(value.name for value in self.inputs)
            raise ShapeError(f"predict wants a graph of one input, this one has {names or 'none'}: see run")
        value, array = self.inputs[0], np.asarray(x)
        if not array.ndim:
            raise ShapeError(f"predict wants a batch, the samples first; got a lone value, {x!r}")
        size = value.batch
        if batch_size is not None and size not in (0, positive("batch_size", batch_size)):
            raise ShapeError(f"batch_size must be {size}, which the graph fixes; got {batch_size}")
        if size and len(array) % size:
            raise ShapeError(
                f"the graph's batches have {size} samples; got {len(array)}, no multiple of that"
            )
        if size and value.shape:
            value = Value(value.name, value.dtype, ("N", *value.shape[1:]))
        array = value.receive(array)
        layers = self._as_layers(array.shape[1:]) if array.size else None
        if layers is not None:
            network, shape = layers.network, layers.output_shape
            with np.errstate(all="ignore"):  # as `run` has it: what overflows is infinite
                found = network.outputs(array.reshape(len(array), -1), threads)
            return found.reshape(len(array), *shape)
        size = size or batch_size or 0
        cuts = range(0, len(array), size) if size and len(array) else [0]
        parts = [array[n : n + size] if size else array for n in cuts]
        compiled = self._parts_for({value.name: array}) if array.size else ()
        answers = [self.computed({value.name: part}, None, compiled, threads) for part in parts]
        joined = {name: together([answer[name] for answer in answers]) for name in answers[0]}
        return joined if len(joined) > 1 else next(iter(joined.values()))

    # As layers --------------------------------------------------------------------------------------------

    def network(self, input_shape: ShapeLike | None = None) -> Network:
        """Return a network of the same layers and parameters, which can be trained, saved and traced.

        Parameters
        ----------
        input_shape : tuple of int, optional
            Shape of one sample, where the file leaves it open.

        Raises
        ------
        FileFormatError
            If the graph is none of this package's layers, in a row or on branches that nest: the sentence
            says which node prevents it. Also if its arrays hold NaN or infinite numbers.
        ShapeError
            If the file leaves the input's shape open and none is given, or it is another.

        Notes
        -----
        Arithmetic with single numbers in front becomes the `Preprocessing`. Activations are known by what
        they compute, whatever operators they are made of. Values that are added, concatenated along the
        channels, multiplied, or whose maximum or mean is taken become `Branches`, the sum of two a
        `Residual`, to any depth up to 20. Where each is concatenated with all before it, as in DenseNet,
        there are `Branches` one behind the other. Branches whose paths cross can't be written so.
        """
        with blas.single_threaded(warns=False):  # for shapes the graph is run on zeros
            return as_network(self, input_shape).network

    def _parts_for(self, inputs: dict[str, Array]) -> Sequence[Part]:
        """Return the parts of the graph that are layers, for inputs of such shapes; found once."""
        shapes = tuple(array.shape[1:] for array in inputs.values())
        if shapes not in self._parts:
            with blas.single_threaded():
                found = PartFinder(self, inputs).parts
            while len(self._parts) >= KEPT:
                self._parts.pop(next(iter(self._parts)), None)
            self._parts[shapes] = found
        return self._parts.get(shapes, ())

    def _as_layers(self, shape: tuple[int, ...]) -> Layers | None:
        """Return the network for samples of a shape, made once; None where there is none."""
        if len(shape) in self._refused:
            return None
        if shape not in self._networks:
            try:
                with blas.single_threaded(warns=False):
                    made = as_network(self, shape, refused=self._refused).sealed()
            except PureCNNError:
                made = None
            while len(self._networks) >= KEPT:
                self._networks.pop(next(iter(self._networks)), None)
            self._networks[shape] = made
        return self._networks.get(shape)


def together(parts: list[Any]) -> Any:
    """Return the answers for all parts of a batch as one."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], list):
        return [item for part in parts for item in part]
    return np.concatenate([np.atleast_1d(part) for part in parts])
