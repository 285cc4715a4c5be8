"""The command that says what a model's file holds: inputs, outputs, layers or operators, what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from purecnn.backend.types import Array
from purecnn.cli.models import kind_of_file
from purecnn.cli.terminal import echo
from purecnn.errors import PureCNNError
from purecnn.formats.pytorch.files import read_torch
from purecnn.formats.safetensors import read_safetensors
from purecnn.interop.keras.model import load_keras
from purecnn.networks.files import load
from purecnn.networks.network import Network
from purecnn.onnx.graph import Graph, load_onnx
from purecnn.onnx.inventory import Inventory, inventory
from purecnn.runs.model_path import model_file

Rows = Iterator[tuple[str, str]]
#: Characters of a text of a file's that are shown.
SHOWN = 300
#: Names that are listed behind each other.
LISTED = 100


def sizes(option: str, text: str | None) -> tuple[int, ...] | None:
    """Return the whole numbers of an option, which commas separate."""
    if text is None:
        return None
    parts = text.split(",")
    if not all(part.strip().isdecimal() and 0 < int(part) < 2**31 for part in parts):
        raise ValueError(f"{option} must be whole numbers above 0 with commas between them, got {text}")
    return tuple(int(part) for part in parts)


@click.command()
@click.argument("model")
@click.option(
    "--input-shape",
    metavar="C,H,W",
    help="Shape of one sample, where an ONNX file leaves it open, to say whether it becomes a network.",
)
def inspect(model: str, input_shape: str | None) -> None:
    """Say what a file of a model holds, and what of it is not known here.

    Of an ONNX file its inputs and outputs, operators with their counts, sizes, metadata, every operator that
    is missing, and whether it becomes a network that can be trained; of a network of this package or of Keras
    its inputs, outputs, layers and sizes; of weights, .safetensors, .pt or .pth, each tensor. MODEL may be
    the folder of a run, too.
    """
    path, shape = model_file(model), sizes("--input-shape", input_shape)
    kind = kind_of_file(path)
    name = kind.name if kind else ""
    if shape is not None and name != "onnx":
        raise ValueError(f"--input-shape is for ONNX files, and {path} is {kind.words if kind else 'none'}")
    if name == "onnx":
        rows = of_graph(path, shape)
    elif name in ("keras", "hdf5"):
        rows = of_network(load_keras(path), "a model of Keras")
    elif name == "pytorch":
        rows = of_tensors(read_torch(path), "weights that PyTorch saved", {})
    else:
        rows = of_safetensors(path)
    size = path.stat().st_size
    found = [("file", f"{path}, {size:,} bytes"), *rows]
    room = max(len(label) for label, _ in found)
    last = ""
    for label, words in found:
        echo(f"{'' if label == last else label:<{room}}  {words}".rstrip())
        last = label


def short(text: str) -> str:
    """Return a text in one line, or its beginning."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}... ({len(line):,} characters)"


def counted(names: Counter[str]) -> str:
    """Return names and how often they are there, the most frequent first."""
    rows = sorted(names.items(), key=lambda pair: (-pair[1], pair[0]))
    more = [f"and {len(rows) - LISTED:,} others"] if len(rows) > LISTED else []
    return ", ".join([*(f"{short(name)} {count:,}" for name, count in rows[:LISTED]), *more])


# Kinds ------------------------------------------------------------------------------------------------------


def of_graph(path: Path, shape: tuple[int, ...] | None) -> Rows:
    """Yield what there is to say of an ONNX file."""
    held = inventory(path)
    sets = ", ".join(f"{domain or 'ONNX'} {version}" for domain, version in held.sets.items())
    yield "kind", f"an ONNX model, version {held.version} of the format, operators of {sets}"
    if held.producer:
        yield "made by", short(held.producer)
    for label, values in (("input", held.inputs), ("output", held.outputs)):
        for name, words in values.items():
            yield label, f"{short(name)}: {short(words)}"
    yield "arrays", f"{held.arrays:,}, of {held.numbers:,} numbers and {held.bytes:,} bytes"
    for name in held.outside:
        yield "in file", short(name)
    yield "operators", f"{counted(held.operators)}; {sum(held.operators.values()):,} nodes"
    for key, text in held.metadata.items():
        yield "metadata", f"{short(key)}: {short(text)}"
    for name, reason in held.unknown.items():
        yield "missing", f"{short(name)}, {held.operators[name]:,} nodes: {reason}"
    for kind in held.kinds:
        yield "missing", f"{kind}: elements of a kind that NumPy lacks"
    yield from verdict(path, held, shape)


def verdict(path: Path, held: Inventory, shape: tuple[int, ...] | None) -> Rows:
    """Yield whether an ONNX file can be computed, and whether it becomes a network."""
    try:
        graph = load_onnx(path)
    except PureCNNError as error:
        if not held.unknown:
            yield "missing", without(path, error)
        yield "runs", "no"
        return
    yield "runs", "yes"
    yield "network", as_network(graph, shape)


def as_network(graph: Graph, shape: tuple[int, ...] | None) -> str:
    """Return whether a graph becomes a network, or why not."""
    given = graph.inputs[0].shape if graph.inputs else None
    if shape is None and given is not None and not all(isinstance(size, int) for size in given[1:]):
        return "its input's shape is open: --input-shape C,H,W says for which it becomes one"
    try:
        return f"yes: {layers_of(graph.network(shape))}"
    except PureCNNError as error:
        return f"no: {error}"


def without(path: Path, error: Exception) -> str:
    """Return what an error says, without the file that it begins with."""
    return str(error).removeprefix(f"{path}: ")


def layers_of(network: Network) -> str:
    """Return how many layers of each kind a network has, those inside of others too."""
    every = Counter(type(part).__name__ for layer in network for part in (layer, *layer.parts()))
    return f"{counted(every)}; {sum(every.values()):,} layers"


def of_network(network: Network, words: str) -> Rows:
    """Yield what there is to say of a network."""
    before = network.preprocessing
    yield "kind", words
    raw = "uint8" if before.kind == "bytes" else str(network.dtype)
    for label, kind, shape in (
        ("input", raw, network.input_shape),
        ("output", str(network.dtype), network.output_shape),
    ):
        yield label, f"{kind} ({', '.join(map(str, ('N', *(shape or ()))))})"
    if network.task:
        yield "task", network.task
    if before.classes:
        yield "classes", short(", ".join(before.classes))
    yield (
        "preprocessing",
        f"times {before.scale:.6g}, plus {before.shift:.6g}; pictures: {before.preparation}",
    )
    yield "layers", layers_of(network)
    found = network.parameters
    yield "parameters", f"{found.size:,} numbers and {found.nbytes:,} bytes"
    if network.updates:
        yield "trained", f"{network.epochs:,} epochs, {network.updates:,} updates"


def of_safetensors(path: Path) -> Rows:
    """Yield what there is to say of a model of this package's, or of weights alone."""
    tensors, texts = read_safetensors(path)
    if "architecture" in texts:
        yield from of_network(load(path), "a network of purecnn")
    else:
        yield from of_tensors(tensors, "weights, without the network that they belong to", texts)


def of_tensors(tensors: Mapping[str, Array], words: str, texts: Mapping[str, str]) -> Rows:
    """Yield each tensor of a file of weights."""
    yield "kind", words
    numbers, size = (sum(getattr(a, what) for a in tensors.values()) for what in ("size", "nbytes"))
    yield "arrays", f"{len(tensors):,}, of {numbers:,} numbers and {size:,} bytes"
    for key, text in texts.items():
        yield "metadata", f"{short(key)}: {short(text)}"
    for name, array in tensors.items():
        yield "tensor", f"{short(name)}: {array.dtype} {array.shape}"
