"""The standard's own cases: all whose operators are known pass, and the document says how many they are."""

from __future__ import annotations

import onnx
import pytest

from campaigns.conformance import onnx as onnx_conformance
from campaigns.conformance.onnx import FOREIGN, NO_TENSOR, RANDOM
from purecnn import PureCNNError
from purecnn.onnx import Graph
from purecnn.onnx.reader import as_model


def answered(case):
    graph = Graph(as_model(case.data))
    return graph.run(onnx_conformance.named(graph.model.inputs, case.samples[0][0]))


def test_all_cases_of_the_operators_that_are_known_pass_as_the_document_says():
    outcome = onnx_conformance.Outcome()
    for case in onnx_conformance.cases():
        outcome.add(case)
        if case.reason() in (FOREIGN, NO_TENSOR, RANDOM):  # refused in a sentence, not answered wrongly
            with pytest.raises(PureCNNError, match=r"elements of type|is no tensor|in training"):
                answered(case)
    assert not outcome.failed
    assert sum(counts["passed"] for counts in outcome.counts.values()) >= 1248 or onnx.__version__ != "1.23.2"
    if f"in onnx {onnx.__version__}:" in onnx_conformance.documented():
        assert onnx_conformance.documented() == outcome.table()
    else:  # another version of the standard has other cases; all must pass nevertheless
        assert sum(counts["passed"] for counts in outcome.counts.values()) > 1000
