"""Subgraphs: the graphs within the nodes of an ONNX graph, and branches put in place of their node.

A graph within a node uses values from outside by their names. They are further inputs of the node, so that
all that looks at what a node needs sees them.
"""

from __future__ import annotations

import copy
from collections.abc import Container
from dataclasses import replace
from typing import Any

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError
from purecnn.onnx.model import Model, Node, Subgraph, Value
from purecnn.onnx.operators.control import BRANCHES
from purecnn.onnx.operators.registry import OperatorCall


def models_within(node: Node, model: Model) -> dict[str, Model]:
    """Return the graphs within a node as models of their own, by the names of their attributes.

    Raises
    ------
    FileFormatError
        If it lacks one, or a branch has inputs or too few outputs.
    """
    graphs = {name: graph for name, graph in node.attributes.items() if isinstance(graph, Subgraph)}
    if node.operator == "If" and not node.domain:
        for name in BRANCHES:
            if name not in graphs:
                raise FileFormatError(f"{node} has no graph {name!r}, wanted one")
            inputs, outputs = len(graphs[name].inputs), len(graphs[name].outputs)
            if inputs or outputs < len(node.outputs):
                raise FileFormatError(
                    f"the graph {name!r} of {node} has {inputs} inputs and {outputs} outputs, wanted none "
                    f"and {len(node.outputs)}"
                )
    if node.operator in ("Loop", "Scan") and not node.domain:
        if "body" not in graphs:
            raise FileFormatError(f"{node} has no graph 'body', wanted one")
        given = len(node.inputs) - len(node.captured)
        # An iteration's number and the condition come first, of which the condition comes back.
        loops = node.operator == "Loop"
        old = not loops and model.operator_set < 9  # whose first input is no input of the graph
        inputs = max(given, 2) if loops else given - old
        outputs = len(node.outputs) + loops
        counts = len(graphs["body"].inputs), len(graphs["body"].outputs)
        scanned = 1 if loops else node.attributes.get("num_scan_inputs")
        if not isinstance(scanned, int) or not 1 <= scanned <= inputs:
            raise FileFormatError(f"num_scan_inputs of {node} is {scanned!r}, wanted from 1 to {inputs}")
        carried = inputs - scanned
        if counts[0] != inputs or counts[1] < max(outputs, carried):
            raise FileFormatError(
                f"the graph 'body' of {node} has {counts[0]} inputs and {counts[1]} outputs, wanted {inputs} "
                f"and {max(outputs, carried)}"
            )
    return {
        name: replace(
            model,
            nodes=graph.nodes,
            arrays=graph.arrays,
            inputs=(*graph.inputs, *(Value(used, None, None) for used in graph.captured())),
            outputs=graph.outputs,
            metadata={},
        )
        for name, graph in graphs.items()
    }


def inlined(
    call: OperatorCall, body: Any, taken: Container[str]
) -> tuple[list[OperatorCall], dict[str, Array]]:
    """Return the calls and the constants of a branch, to be put in place of the node that it lies in.

    Parameters
    ----------
    call : OperatorCall
        The node.
    body : Runtime
        The branch.
    taken : container of str
        Names of values outside, which those of the branch's own must differ from.
    """
    node = call.node
    outside = node.inputs[len(node.inputs) - len(node.captured) :]
    names = {"": "", **dict(zip(node.captured, outside, strict=True))}
    made = [name for each in body.calls for name in each.node.outputs if name]
    own, front = [*made, *body.constants], f"{''.join(node.outputs[:1])}/"
    while any(front + name in taken for name in own):
        front += "/"
    names.update({name: front + name for name in own})
    copies: list[OperatorCall] = []
    for value, output in zip(body.outputs, node.outputs, strict=False):
        if value.name in made and names[value.name] == front + value.name:
            names[value.name] = output or names[value.name]
        elif output:  # a value from outside, a constant, or one that is given twice
            passed = Node(node.place, "Identity", "", node.name, (names[value.name],), (output,), {})
            copies.append(OperatorCall(passed, call.version, call.max_bytes))
    calls = []
    for each in body.calls:
        moved = copy.copy(each)
        moved.node = replace(
            each.node,
            inputs=tuple(names[name] for name in each.node.inputs),
            outputs=tuple(names[name] for name in each.node.outputs),
        )
        calls.append(moved)
    return [*calls, *copies], {names[name]: array for name, array in body.constants.items()}
