"""The standard's own cases: all whose operators are known pass, and the document says how many they are.

The shapes that are inferred of nodes are held to what the same nodes make.
"""

from __future__ import annotations

import onnx
import pytest

from campaigns.conformance import onnx as onnx_conformance
from campaigns.conformance.onnx import FOREIGN, NO_TENSOR, RANDOM
from purecnn import PureCNNError
from purecnn.onnx import Graph
from purecnn.onnx.cost import Budget
from purecnn.onnx.reader import as_model
from purecnn.onnx.shape_inference import RULES, inferred


def answered(case):
    graph = Graph(as_model(case.data))
    return graph.run(onnx_conformance.named(graph.model.inputs, case.samples[0][0]))


def compare_shapes(case, met):
    """Infer the shapes of all that a case's nodes make, put the operators whose were into `met`."""

    def compared(call, values, budget):
        made = graph.compute(call, values, budget)
        given = [values[name] if name else None for name in call.node.inputs]
        found = inferred(call, given, Budget.of(2**30))
        if found is not None:
            (array,) = made.values()
            assert (found.shape, found.dtype) == (array.shape, array.dtype), str(call.node)
            met.add(call.node.operator)
        return made

    graph = Graph(as_model(case.data))
    values = {**graph.constants, **onnx_conformance.named(graph.model.inputs, case.samples[0][0])}
    for _ in graph.walk(values, Budget.of(2**30), compute=compared):
        pass


def test_all_cases_of_the_operators_that_are_known_pass_as_the_document_says():
    outcome, met = onnx_conformance.Outcome(), set()
    for case in onnx_conformance.cases():
        outcome.add(case)
        if not case.reason():
            compare_shapes(case, met)
        if case.reason() in (FOREIGN, NO_TENSOR, RANDOM):  # refused in a sentence, not answered wrongly
            with pytest.raises(PureCNNError, match=r"elements of type|is no tensor|in training"):
                answered(case)
    assert not outcome.failed
    left_out = onnx_conformance.DOCUMENT.read_text(encoding="utf-8").partition(
        "### Operators that are left out"
    )[2]
    for name in outcome.unknown:  # each with its reason
        assert f"`{name.rpartition('.')[2]}`" in left_out.partition("###")[0], name
    assert sum(counts["passed"] for counts in outcome.counts.values()) >= 1427 or onnx.__version__ != "1.23.2"
    assert met >= RULES.keys() - {"GlobalLpPool"}  # of which the standard has no case
    if f"in onnx {onnx.__version__}:" in onnx_conformance.documented():
        assert onnx_conformance.documented() == outcome.table()
    else:  # another version of the standard has other cases; all must pass nevertheless
        assert sum(counts["passed"] for counts in outcome.counts.values()) > 1000
