"""ONNX graphs: good ones with something changed, and ones put together of any operators."""

from __future__ import annotations

import inspect
from contextlib import suppress
from functools import cache
from random import Random
from typing import Any

import numpy as np

import purecnn as p
from campaigns.fuzz.containers import lying_message
from campaigns.fuzz.files.model_files import small_network, written
from campaigns.fuzz.mutations import FLOATS, INTEGERS, TEXTS
from purecnn.formats import encode
from purecnn.formats.protobuf import Message
from purecnn.onnx import graph as graph_module  # noqa: F401 - which makes all of them known
from purecnn.onnx.exporter.layers import ATTRIBUTE_TYPES, ELEMENT_TYPES, Nodes, described
from purecnn.onnx.operators.registry import OPERATORS
from purecnn.onnx.schema import SCHEMA

#: Bytes that the arrays of a hostile graph may take.
ROOM = 1 << 20
#: Values of an input that a graph is given: no graph is asked to work on more.
MOST_VALUES = 100_000


def read_graph(path: Any) -> None:
    """Load a graph, let it answer, and turn it into a network, as far as it goes."""
    graph = p.load_onnx(path, max_bytes=ROOM)
    given = {value.name: sample(value) for value in graph.inputs}
    if any(array is None for array in given.values()):
        return
    if len(given) == 1:
        graph.predict(next(iter(given.values())), threads=1)
    graph.run(given)
    with suppress(p.PureCNNError):  # few graphs are chains of layers
        graph.network()


def sample(value: Any) -> Any:
    """Return what a graph's input may be; None where it would be too large."""
    shape = [2 if not isinstance(size, int) else size for size in value.shape or (2, 1, 6, 6)]
    if np.prod([float(size) for size in shape]) > MOST_VALUES:
        return None
    found = np.random.default_rng(0).integers(0, 2, shape)
    return found.astype(str) if value.dtype == np.object_ else found.astype(value.dtype or np.float32)


@cache
def onnx_seeds() -> list[bytes]:
    """Return a chain of layers, graphs that branch, nest, read sequences, and detect boxes."""
    networks = [small_network(), nested_network()]
    made = [written(lambda path, network=network: p.export_onnx(network, path)) for network in networks]
    more = [model(nodes, "output", version=20) for nodes in (reading(), detecting())]
    return [made[0], model(branching(), "output"), made[1], *more]


def nested_network() -> p.Network:
    """Return a network of branches within each other and one behind the other, by all merges."""
    maps = p.Convolutional(kernel_size=1, depth=2)
    inner = p.Branches([p.Tanh()], [p.GlobalAveragePooling(), p.Sigmoid()], merge="multiply")
    layers = [maps, p.Residual([p.Branches([inner], [p.SiLU()], [], merge="mean")])]
    for merge in ("concatenate", "concatenate", "maximum"):
        layers.append(p.Branches([], [p.Softsign(), p.BatchNormalization()], merge=merge))
    return p.Network([*layers, p.Flatten(), p.Dense(output_size=2)], input_shape=(1, 4, 3))


def branching() -> Nodes:
    """Return the nodes of a graph that is no chain, with operators that make much of little."""
    nodes, rng = Nodes(np.float32), np.random.default_rng(0)
    kernels = nodes.tensor("kernels", rng.normal(size=(2, 1, 3, 3)))
    left = nodes.add("Conv", "input", kernels, pads=[1, 1, 1, 1])
    right = nodes.add("ConvTranspose", left, nodes.tensor("turned", rng.normal(size=(2, 2, 2, 2))))
    right = nodes.add("MaxPool", right, kernel_shape=[2, 2])
    both = nodes.add("Concat", left, right, axis=1)
    both = nodes.add("Pad", both, nodes.tensor("pads", [0, 0, 1, 1, 0, 0, 1, 1]))
    both = nodes.add("Tile", both, nodes.tensor("repeats", [1, 1, 2, 1]))
    both = nodes.add("AveragePool", both, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    both = nodes.add("Transpose", both, perm=[0, 2, 3, 1])
    rows = nodes.add("Reshape", both, nodes.tensor("shape", [0, -1]))
    wide = nodes.add("Expand", nodes.tensor("one", [[0.5]]), nodes.tensor("wide", [128, 3]))
    nodes.add("Softmax", nodes.add("MatMul", rows, wide), axis=-1)
    nodes.nodes[-1]["output"] = ["output"]
    return nodes


def reading() -> Nodes:
    """Return the nodes of a graph that reads the columns of an image as a sequence, both ways."""
    nodes, rng = Nodes(np.float32), np.random.default_rng(0)
    steps = nodes.add("Einsum", "input", equation="bchw->wbh")
    for operator, gates, size in (("LSTM", 4, 6), ("GRU", 3, 4), ("RNN", 1, 4)):
        arrays = [rng.normal(size=(2, gates * 2, size)), rng.normal(size=(2, gates * 2, 2))]
        named = [nodes.tensor(f"{operator}.{place}", array) for place, array in enumerate(arrays)]
        found = nodes.add(operator, steps, *named, direction="bidirectional", hidden_size=2, clip=3.0)
        turned = nodes.add("Transpose", found, perm=[0, 2, 1, 3])
        steps = nodes.add("Reshape", turned, nodes.tensor(f"{operator}.shape", [0, 0, -1]))
    turned = nodes.add("ReverseSequence", steps, nodes.tensor("lengths", [3, 1]))
    best = nodes.add("TopK", turned, nodes.tensor("k", [2]), axis=0, largest=0)
    rows = nodes.add("GatherND", best, nodes.tensor("places", [[0, 1], [1, -1]]))
    rows = nodes.add("ScatterND", rows, nodes.tensor("at", [[1]]), nodes.tensor("row", [[0.5] * 4]))
    rows = nodes.add(
        "ScatterElements", rows, nodes.tensor("to", [[0, 1, 1, 0]]), nodes.tensor("new", [[1.0] * 4])
    )
    nodes.add("Trilu", nodes.add("CumSum", rows, nodes.tensor("axis", [1]), exclusive=1), upper=0)
    nodes.nodes[-1]["output"] = ["output"]
    return nodes


def detecting() -> Nodes:
    """Return the nodes of a graph that finds boxes in an image, and takes the pixels that lie there."""
    nodes, rng = Nodes(np.float32), np.random.default_rng(0)
    boxes, scores = (nodes.tensor(name, rng.random((1, *shape))) for name, shape in
                     (("boxes", (9, 4)), ("scores", (2, 9))))  # fmt: skip
    numbers = [nodes.tensor("most", [3]), nodes.tensor("overlap", [0.5]), nodes.tensor("least", [0.1])]
    found = nodes.add("NonMaxSuppression", boxes, scores, *numbers)
    flat = nodes.add("Reshape", nodes.add("NonZero", found), nodes.tensor("row", [-1]))
    ones = nodes.add(
        "OneHot", nodes.add("Unique", flat), nodes.tensor("depth", [4]), nodes.tensor("values", [0.0, 5.0])
    )
    zeros = nodes.add("ConstantOfShape", nodes.add("Shape", ones, end=1))
    parts = nodes.add(
        "RoiAlign", "input", ones, nodes.add("Cast", zeros, to=7), output_height=3, output_width=2
    )
    grid = nodes.tensor("grid", rng.uniform(-1, 1, (2, 4, 4, 2)))
    bent = nodes.add("GridSample", "input", grid, mode="cubic", padding_mode="reflection", align_corners=1)
    moved = [
        nodes.tensor("kernels", rng.normal(size=(2, 1, 2, 2))),
        nodes.tensor("offset", rng.normal(size=(2, 8, 3, 3))),
    ]
    nodes.add("DeformConv", bent, *moved)
    part = nodes.add("CenterCropPad", parts, nodes.tensor("size", [2, 2, 3, 3]))
    nodes.add(
        "Add",
        nodes.add("Resize", part, "", nodes.tensor("scales", [1.0, 1.0, 1.0, 1.0]), mode="linear"),
        nodes.nodes[-2]["output"][0],
    )
    nodes.nodes[-1]["output"] = ["output"]
    return nodes


def model(nodes: Nodes, *outputs: str, input: Message | None = None, version: int = 15) -> bytes:
    """Return the ONNX file of some nodes."""
    graph = {
        "node": nodes.nodes,
        "name": "graph",
        "initializer": list(nodes.tensors.values()),
        "input": [input or described(np.dtype(np.float32), "input", ("N", 1, 6, 6))],
        "output": [{"name": name} for name in outputs],
    }
    message = {"ir_version": 8, "graph": graph, "opset_import": [{"domain": "", "version": version}]}
    return encode(message, SCHEMA, "ModelProto")


def lying_graph(rng: Random, seeds: list[bytes]) -> bytes:
    """Return a good graph in which one field lies, or one of any operators."""
    return lying_message(rng, rng.choice(seeds)) if rng.random() < 0.4 else any_graph(rng)


#: Attributes, and what may be their values in a graph that computes.
WHOLE = (
    "axis",
    "group",
    "keepdims",
    "ceil_mode",
    "count_include_pad",
    "to",
    "block",
    "blocksize",
    "num_groups",
)
WHOLE += (
    "num_outputs",
    "allowzero",
    "exclusive",
    "reverse",
    "size",
    "p",
    "storage_order",
    "block_size",
    "output_dtype",
    "transA",
    "transB",
    "hidden_size",
    "layout",
    "input_forget",
    "linear_before_reset",
    "batch_dims",
    "largest",
    "sorted",
    "upper",
    "center_point_box",
    "align_corners",
    "antialias",
    "sampling_ratio",
    "offset_group",
)
LISTS = (
    "axes",
    "kernel_shape",
    "strides",
    "dilations",
    "pads",
    "perm",
    "output_padding",
    "output_shape",
    "split",
)
LISTS += ("starts", "ends", "shape", "cats_int64s", "classlabels_int64s", "inputdimensions")
NUMBERS = ("alpha", "beta", "epsilon", "bias", "lambd", "gamma", "momentum", "value_float", "min", "max")
FLOAT_LISTS = ("offset", "scale", "coefficients", "intercepts", "imputed_value_floats")
NAMES = {
    "auto_pad": ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"],
    "mode": ["constant", "reflect", "edge", "wrap", "DCR", "CRD", "linear", "cubic", "nearest"],
    "direction": ["LEFT", "RIGHT", "forward", "reverse", "bidirectional"],
    "padding_mode": ["zeros", "border", "reflection"],
    "reduction": ["none", "add", "mul", "max", "min"],
    "equation": ["ij,jk->ik", "...i->...", "ii", "ij,kj", "bchw,bchw->bc", "i,j,k->ijk"],
    "coordinate_transformation_mode": ["align_corners", "tf_crop_and_resize", "asymmetric"],
    "approximate": ["tanh", "none"],
    "norm": ["MAX", "L1", "L2"],
    "post_transform": ["SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"],
}


def any_graph(rng: Random) -> bytes:
    """Return a graph of a few operators, each with inputs and attributes that it may or may not take."""
    nodes = Nodes(np.float32)
    shape = rng.choice([(1, 6, 6), (3, 8), (4,), (2, 3, 4, 5), ()])
    dtype = np.dtype(rng.choice(["f4", "f4", "f4", "f8", "f2", "i8", "i1", "u1", "u1", "?"]))
    known = ["input", "input"]
    for _ in range(rng.choice([1, 1, 2, 3, 6, 30])):
        operator = rng.choice(sorted(OPERATORS))
        count = rng.choice(takes(operator)) if rng.random() < 0.95 else rng.randrange(5)
        inputs = [rng.choice(known[-4:])] if count else []
        while len(inputs) < count:
            inputs.append(value(rng, nodes) if rng.random() < 0.8 else rng.choice([*known, ""]))
        domain, _, own = operator.rpartition(".")
        known.append(nodes.add(own, *inputs))
        nodes.nodes[-1]["domain"] = domain
        nodes.nodes[-1]["attribute"] = attributes(rng)
        if rng.random() < 0.1:
            nodes.nodes[-1]["output"] += [f"{known[-1]}.more", ""][: rng.randrange(3)]
    if rng.random() < 0.05 and len(nodes.nodes) > 1:  # a circle
        nodes.nodes[0]["input"][:1] = [known[-1]]
    rng.shuffle(nodes.nodes)
    output = rng.choice(known[-2:])
    input = described(dtype, "input", ("N" if rng.random() < 0.7 else 2, *shape))
    return model(nodes, output, input=input, version=rng.choice([1, 5, 7, 9, 11, 13, 15, 15, 18, 21, 28]))


@cache
def takes(operator: str) -> list[int]:
    """Return how many inputs an operator may have."""
    kinds = list(inspect.signature(OPERATORS[operator][-1][1]).parameters.values())[1:]
    if any(kind.kind is kind.VAR_POSITIONAL for kind in kinds):
        return [1, 2, 3, 5, 7, 8]
    return list(range(sum(kind.default is kind.empty for kind in kinds), len(kinds) + 1))


def attributes(rng: Random) -> list[Message]:
    """Return some attributes, most of a kind and a size that some operator takes."""
    found = {}
    for name in rng.sample([*WHOLE, *LISTS, *NUMBERS, *FLOAT_LISTS, *NAMES], rng.randrange(9)):
        small = [-2, -1, 0, 1, 1, 2, 2, 3, 4, 6, 7]
        given: dict[str, Any]
        if name in WHOLE:
            given = {"i": rng.choice(small) if rng.random() < 0.8 else whole(rng)}
        elif name in LISTS:
            count = rng.choice([0, 1, 2, 2, 2, 4, 4, 5, 8])
            given = {"ints": [rng.choice(small) if rng.random() < 0.9 else whole(rng) for _ in range(count)]}
        elif name in NUMBERS:
            given = {"f": narrow(rng)}
        elif name in FLOAT_LISTS:
            given = {"floats": [narrow(rng) for _ in range(rng.choice([0, 1, 3, 3, 6, 8]))]}
        else:
            given = {"s": rng.choice(NAMES[name]).encode()}
        if rng.random() < 0.03:
            given = rng.choice([{"s": rng.choice(TEXTS).encode("utf-8", "replace")}, {"i": 1}, {"ints": []}])
        (field,) = given
        found[name] = {"name": name, "type": ATTRIBUTE_TYPES[field], **given}
    return list(found.values())


def narrow(rng: Random) -> float:
    """Return a number that float32 has."""
    return float(np.float32(rng.choice([0.5, 1.0, 2.0, *(n for n in FLOATS if abs(n) < 1e38)])))


def whole(rng: Random) -> int:
    """Return an integer of 64 bits that leads somewhere else."""
    return rng.choice([n for n in INTEGERS if n < 2**63]) * rng.choice([1, 1, -1])


def value(rng: Random, nodes: Nodes) -> str:
    """Keep an array: numbers of some shape, or a list of integers that may say a shape or places."""
    if rng.random() < 0.5:
        shape = [rng.choice([1, 1, 2, 3, 4, 6]) for _ in range(rng.randrange(5))]
        kind = rng.choice(["f4", "f4", "f4", "f4", "f8", "f2", "i8", "i4", "i1", "u1", "u1", "?"])
        values = np.random.default_rng(rng.randrange(100)).normal(size=shape)
        if rng.random() < 0.1:
            values = np.full(shape, rng.choice([np.nan, np.inf, 3e38, 0]))
        with np.errstate(all="ignore"):
            array = np.asarray(values).astype(kind)
    else:
        sizes = [
            rng.choice([-1, 0, 1, 2, 2, 3, 6, 36]) if rng.random() < 0.85 else whole(rng) for _ in range(4)
        ]
        array = np.array(sizes[: rng.choice([0, 1, 1, 2, 3, 4])], np.int64)
        if rng.random() < 0.2 and array.size == 1:
            array = array.reshape(())
    name = f"held.{len(nodes.tensors)}"
    nodes.tensors[name] = {"dims": array.shape, "name": name}
    if rng.random() < 0.05:
        words = [rng.choice(TEXTS).encode("utf-8", "replace") for _ in range(array.size)]
        nodes.tensors[name] |= {"data_type": 8, "string_data": words}
    else:
        nodes.tensors[name] |= {"data_type": ELEMENT_TYPES[array.dtype], "raw_data": array.tobytes()}
    return name
