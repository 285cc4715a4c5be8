"""ONNX export: the file.

A trained network must run where purecnn does not: one ONNX file, raw values in, answers out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import choice
from purecnn.backend.files import write_whole
from purecnn.formats.protobuf import Message, encode
from purecnn.layers.base import Layer
from purecnn.layers.file_checks import check_classes, check_finite
from purecnn.layers.serialization import written
from purecnn.layers.shapes import as_dtype
from purecnn.messages.signatures import explained
from purecnn.networks.functional import host_copy
from purecnn.networks.network import Network
from purecnn.onnx.exporter import activations, images, signals  # noqa: F401 - which add rules
from purecnn.onnx.exporter.layers import ELEMENT_TYPES, Nodes, described
from purecnn.onnx.schema import SCHEMA
from purecnn.version import __version__

#: Of 2021, so that the runtimes of today read it: operator set 15 came in version 8 of the format. Before 14
#: a batch normalization did not say that it is in inference, and onnx's own evaluator takes it for training.
OPSET, IR_VERSION = 15, 8
#: What may go into an exported network.
INPUTS = ("raw", "floats", "scaled")
#: Bytes that one protocol buffer must stay below.
MAX_BYTES = 2**31


@explained
def export_onnx(
    network: Network | Sequence[Layer],
    path: str | os.PathLike[str],
    *,
    input: str = "raw",
    dtype: npt.DTypeLike | None = None,
) -> None:
    """Write a network as an ONNX file, all of it or nothing; an older file of that name is replaced.

    The graph has one input, "input" ``(N, *input_shape)``, and one output, "output" ``(N, outputs)``: what
    `Network.predict` takes and returns for a batch, N being of any size. It is the network in inference:
    batch normalization by its running statistics, no dropout. The same network gives the same bytes.

    Parameters
    ----------
    network : Network or list of Layer
        Bound to an input shape: trained, used, or declared with one.
    path : str or path-like
        The file, by custom ending in ``.onnx``.
    input : {"raw", "floats", "scaled"}
        What goes in. "raw": what `predict` takes, uint8 where the network knows bytes, else floats; the
        preprocessing is part of the graph. "floats": the same values as floats, a byte as 0.0 to 255.0.
        "scaled": floats that the preprocessing has been applied to; the graph has none.
    dtype : dtype, optional
        Of the numbers in the file: float32 or float64; the network's if left out. onnxruntime computes
        convolutions, average pooling and the exact GELU in float32 alone.

    Raises
    ------
    TypeError
        If a layer is no layer of this package, such as an `Activation` of your own functions, and has no rule
        by ``@become.register`` (`purecnn.onnx.exporter.layers`).
    ValueError
        If the network has no input shape yet, holds a parameter that is NaN or infinite, or takes more than
        a protocol buffer's 2 GiB.
    OSError
        If the file can't be written.

    Notes
    -----
    Operator set 15, version 8 of the format, https://onnx.ai/onnx/repo-docs/IR.html. The metadata
    (``metadata_props``) are texts: ``purecnn`` (the version), and as JSON ``classes``, ``preprocessing``,
    ``input_shape``, ``task``, ``epochs``, ``updates`` and ``seed``.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from purecnn import Dense, Tanh
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_onnx([Dense(2, 3), Tanh()], pathlib.Path(folder, "model.onnx"))
    ...     len(pathlib.Path(folder, "model.onnx").read_bytes()) > 100
    True
    """
    network = host_copy(network)
    kind = network.dtype if dtype is None else as_dtype(dtype)
    data = encode(describe(network, input, kind), SCHEMA, "ModelProto")
    if len(data) >= MAX_BYTES:
        raise ValueError(f"an ONNX file must stay below {MAX_BYTES} bytes, this one would have {len(data)}")
    write_whole(path, [data])


def describe(network: Network, input: str, dtype: np.dtype[Any]) -> Message:
    """Return a network as a message ModelProto."""
    input = choice("input", input, INPUTS)
    if network.input_shape is None:
        raise ValueError(
            "this network has no input shape yet, so it has no parameters to export: "
            "a network that was trained, used or given an input_shape is wanted"
        )
    network.sync()
    check_classes(network.preprocessing.classes, network.output_shape)
    for place, layer in enumerate(network):
        for name, array in (layer.parameters | layer.buffers).items():
            with np.errstate(over="ignore"):  # what is too large for float32 is infinite, and refused
                check_finite(f"layers.{place}.{name}", array.astype(dtype))
    nodes = Nodes(dtype)
    given = np.dtype(np.uint8) if input == "raw" and network.preprocessing.kind == "bytes" else dtype
    value = "input" if input == "scaled" else _preprocessing(network, nodes, given)
    value = nodes.run({f"layers.{place}": layer for place, layer in enumerate(network)}, value)
    if value == "input":
        nodes.add("Identity", value)
    last, nodes.nodes[-1]["output"] = nodes.nodes[-1]["output"][0], ["output"]
    outputs = network.output_shape or ()
    texts = {
        "classes": written(network.preprocessing.classes),
        "epochs": written(network.epochs),
        "input": input,
        "input_shape": written(network.input_shape),
        "preprocessing": written(network.preprocessing.configuration()),
        "purecnn": __version__,
        "seed": written(network.seed),
        "task": written(network.task),
        "updates": written(network.updates),
    }
    return {
        "ir_version": IR_VERSION,
        "producer_name": "purecnn",
        "producer_version": __version__,
        "graph": {
            "node": nodes.nodes,
            "name": "network",
            "initializer": list(nodes.tensors.values()),
            "input": [described(given, "input", ("N", *network.input_shape))],
            "output": [described(dtype, "output", ("N", *outputs))],
            "value_info": [value for value in nodes.values if value["name"] != last],
        },
        "opset_import": [{"domain": "", "version": OPSET}],
        "metadata_props": [{"key": key, "value": value} for key, value in texts.items()],
    }


def _preprocessing(network: Network, nodes: Nodes, given: np.dtype[Any]) -> str:
    """Add ``value * scale + shift``, what changes nothing left out; return the first layer's input."""
    value, nodes.prefix = "input", "preprocessing"
    if given != nodes.dtype:
        value = nodes.add("Cast", value, to=ELEMENT_TYPES[nodes.dtype])
    if network.preprocessing.scale != 1:
        value = nodes.add("Mul", value, nodes.tensor("scale", network.preprocessing.scale))
    if network.preprocessing.shift != 0:
        value = nodes.add("Add", value, nodes.tensor("shift", network.preprocessing.shift))
    nodes.prefix = ""
    return value
