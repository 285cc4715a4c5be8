"""Functions in a Keras graph: ``x + 3`` or ``ops.relu(x)`` of a program, as the layer that does the same.

Keras 3 keeps such a function as an object of ``keras.src.ops``, Keras 2 as a ``TFOpLambda`` that names one of
TensorFlow; numbers that it is given stand beside the values that it takes.
"""

from __future__ import annotations

from typing import Any, NoReturn

from purecnn.backend.checks import is_integer, is_number
from purecnn.errors import FileFormatError
from purecnn.interop.matching import short

#: Functions of two values, by Keras's names and TensorFlow's, and the class of Keras that merges so.
BINARY = {
    "add": "Add",
    "addv2": "Add",
    "subtract": "Subtract",
    "multiply": "Multiply",
    "maximum": "Maximum",
    "minimum": "Minimum",
}
#: Functions of one value that are activations, and what Keras calls these.
UNARY = {
    **{name: name for name in ("relu", "relu6", "sigmoid", "tanh", "silu", "softplus", "selu", "elu")},
    **{name: name for name in ("softmax", "log_softmax", "softsign", "hard_sigmoid", "hard_silu", "mish")},
    "logsoftmax": "log_softmax",
    "hardsigmoid": "hard_sigmoid",
    "hardsilu": "hard_silu",
    "swish": "silu",
}
#: Arguments of functions that say what is so anyway.
SILENT = frozenset({"name", "dtype", "features", "trainable"})


def is_function(layer: dict[str, Any]) -> bool:
    """Return whether a layer of a config is a function of Keras's or TensorFlow's.

    An ``.h5`` file of Keras 3 does not say the module; but every layer has a dtype, and no function has.
    """
    module, config, nodes = layer.get("module"), layer.get("config"), layer.get("inbound_nodes")
    if isinstance(module, str):
        return module.startswith(("keras.src.ops.", "keras.ops")) or layer.get("class_name") == "TFOpLambda"
    return layer.get("class_name") == "TFOpLambda" or (
        isinstance(config, dict)
        and not {"dtype", "trainable", "layers"} & config.keys()
        and isinstance(nodes, list)
        and bool(nodes)
        and all(isinstance(node, dict) for node in nodes)
    )


def as_layer(layer: dict[str, Any], node: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the layer that does what a function does in one place, and the values that it takes.

    Parameters
    ----------
    layer : dict
        Of the config.
    node : dict or list
        Its place in the graph: what it is given.

    Raises
    ------
    FileFormatError
        If no layer here does so.
    """
    kind, config = str(layer["class_name"]), layer["config"]
    config = config if isinstance(config, dict) else {}
    name = kind
    if kind == "TFOpLambda":
        name = str(config.get("function", ""))
    last = name.rpartition(".")[2].replace("__", "").lower()
    given, more = operands(node)
    more |= {key: value for key, value in config.items() if kind != "TFOpLambda"}
    more = {key: value for key, value in more.items() if key not in SILENT and value is not None}
    values = [one for one in given if isinstance(one, str)]
    called = {"name": layer.get("name")}

    def become(kind: str, **more: Any) -> tuple[dict[str, Any], list[str]]:
        return {**called, "class_name": kind, "config": called | more}, values

    if last in BINARY and len(given) == len(values) == 2 and not more:
        return become(BINARY[last])
    if len(given) == 2 and len(values) == 1 and not more:
        first = isinstance(given[0], str)
        number = numbers(given[1 if first else 0])
        if number is not None:
            if last in ("add", "addv2"):
                return become("Rescaling", scale=1.0, offset=number)
            if last == "multiply":
                return become("Rescaling", scale=number, offset=0.0)
            if last == "subtract":
                sign = 1.0 if first else -1.0
                return become("Rescaling", scale=sign, offset=times(number, -sign))
            if (
                last in ("truediv", "divide", "true_divide", "truedivide")
                and first
                and isinstance(number, float)
                and number
            ):
                return become("Rescaling", scale=times(1.0, 1 / number), offset=0.0)
    if last in UNARY and len(given) == len(values) == 1 and more.pop("axis", -1) == -1 and not more:
        return become("Activation", activation=UNARY[last])
    if last == "gelu" and len(given) == len(values) == 1 and set(more) <= {"approximate"}:
        return become("Activation", activation="gelu_tanh" if more.get("approximate", True) else "gelu")
    if last in ("concatenate", "concat") and len(given) == len(values) and set(more) == {"axis"}:
        return become("Concatenate", **more)
    if last == "depth_to_space" and len(given) == len(values) == 1:
        size, form = more.get("block_size"), more.get("data_format", "NHWC")
        if is_integer(size) and form == "NHWC" and set(more) <= {"block_size", "data_format"}:
            return become("DepthToSpace", block_size=size)
    refuse(layer, name)


def refuse(layer: dict[str, Any], name: str) -> NoReturn:
    """Say that no layer does what a function does."""
    raise FileFormatError(
        f"layer {short(repr(layer.get('name')))}, the function {short(name)}, has no counterpart here with "
        f"what it is given, wanted one of {', '.join(sorted({*BINARY, *UNARY}))} of values, or a sum, a "
        f"product or a difference with a number"
    )


def constant(value: Any) -> Any:
    """Return a constant of Keras 3's, an array as the list that it keeps in an object."""
    config = value.get("config") if isinstance(value, dict) else None
    return config.get("value") if isinstance(config, dict) else value


def numbers(value: Any) -> float | list[float] | None:
    """Return a number, or the numbers of a list with one for each channel; None where it is neither."""
    if is_number(value):
        return float(value)
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if isinstance(value, list) and value and all(map(is_number, value)):
        return [float(one) for one in value]
    return None


def times(value: float | list[float], factor: float) -> Any:
    """Return a number, or each of a list, times another."""
    return [one * factor for one in value] if isinstance(value, list) else value * factor


def operands(node: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return what a function is given: uses of layers as texts and constants, in order; and what is named."""
    if isinstance(node, dict):  # Keras 3
        args = node.get("args")
        named = node.get("kwargs")
        found: list[Any] = []
        for one in args if isinstance(args, list) else []:
            values = inputs(one) if isinstance(one, dict | list) else []
            found += values or [constant(one)]
        return found, dict(named) if isinstance(named, dict) else {}
    # Keras 2: of each value [name, node, tensor, {further arguments}]
    found, more = [], {}
    nodes = node if isinstance(node, list) else []
    for one in [nodes] if nodes and isinstance(nodes[0], str) else nodes:
        if not isinstance(one, list) or len(one) < 3:
            return [], {}
        found.append(one[2] if one[0] == "_CONSTANT_VALUE" else use(str(one[0]), one[1]))
        named = one[3] if len(one) > 3 and isinstance(one[3], dict) else {}
        for key, value in named.items():
            if key in ("y", "b"):
                refers = isinstance(value, list) and len(value) == 3 and isinstance(value[0], str)
                found.append(use(value[0], value[1]) if refers else value)
            else:
                more[key] = value
    return found, more


def use(name: str, number: Any) -> str:
    """Return what the graph calls one use of a layer, counted from 0.

    Examples
    --------
    >>> use("conv", 0), use("conv", 1)
    ('conv', 'conv, use 2')
    """
    return f"{name}, use {number + 1}" if is_integer(number) and number > 0 else name


def inputs(node: Any) -> list[str]:
    """Return the uses of layers that one node of a functional config takes its inputs from, in order."""
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
                found.append(use(str(history[0]), history[1] if len(history) > 1 else 0))
            else:
                waiting += reversed(item.values())
        elif isinstance(item, list) and item and isinstance(item[0], str):
            found.append(use(item[0], item[1] if len(item) > 1 else 0))  # Keras 2: [name, node, tensor, ...]
        elif isinstance(item, list):
            waiting += reversed(item)
    raise FileFormatError("its model has a layer with thousands of inputs, wanted branches")
