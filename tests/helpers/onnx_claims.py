"""What an ONNX operator takes in memory, held to what it claims before it computes."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from onnx import helper

from purecnn import ShapeError
from purecnn.formats import decode
from purecnn.onnx.cost import Budget
from purecnn.onnx.operators.registry import OperatorCall
from purecnn.onnx.reader import as_node
from purecnn.onnx.schema import SCHEMA


def hold_to_claims(
    name: str, arrays: list[Any], outputs: list[str], attributes: dict[str, Any], version: int = 21
) -> None:
    """Run an operator, named with its domain where that is not ONNX, and once more with no room for it."""
    domain, _, operator = name.rpartition(".")
    inputs = [f"i{n}" for n in range(len(arrays))]
    proto = helper.make_node(operator, inputs, outputs, domain=domain, **attributes)
    node = as_node(decode(proto.SerializeToString(), SCHEMA, "NodeProto"), 0, None)
    call, budget = OperatorCall(node, version, 2**30), Budget.of(2**30)
    with np.errstate(all="ignore"):
        call(arrays)  # what is made once and kept is not the node's
        tracemalloc.start()
        try:
            found = call(arrays, budget)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak <= budget.largest + 2**17, (peak, budget.largest)
    assert budget.largest <= 24 * sum(array.nbytes for array in (*arrays, *found)) + 2**17
    # and a run that has no room for it ends before
    small = Budget(2**17, 2**40)
    if budget.largest > 2**18:
        tracemalloc.start()
        try:
            with np.errstate(all="ignore"), pytest.raises(ShapeError, match="max_bytes allows 131072"):
                call(arrays, small)
            assert tracemalloc.get_traced_memory()[1] < 2**18
        finally:
            tracemalloc.stop()
