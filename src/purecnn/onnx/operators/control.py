"""ONNX operators: control flow.

What computes one of two graphs, as a value says.

https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.onnx.operators.registry import OperatorCall, operator

#: The graphs of an `If`, for a condition that holds and for one that does not.
BRANCHES = ("then_branch", "else_branch")


@operator("If")
def choose(call: OperatorCall, condition: Array) -> Any:
    """What one of two graphs gives: the first where the condition holds."""
    return call.bodies[BRANCHES[not holds(condition)]].answers(call.outside, call.budget)


def holds(condition: Array) -> bool:
    """Return whether a condition holds."""
    if condition.dtype != np.bool_ or condition.size != 1:
        raise ShapeError(
            f"the condition is {condition.dtype} of shape {condition.shape}, wanted one value of bool"
        )
    return bool(condition.reshape(())[()])
