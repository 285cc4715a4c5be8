"""A few bytes of a file can ask for hours of work: how much each node does, so that a run has an end."""

from __future__ import annotations

import math
from collections.abc import Iterable

from purecnn.operators import Call
from purecnn.scratch import Array

#: Bytes that all nodes of one run may go over, for each byte that the values kept may take.
MAX_TIMES = 1024
#: So many bytes the values kept may always be taken to have: less is no work to speak of.
FREE = 1 << 20
#: What a node costs at least, and each step of a window: as if it went over so many bytes.
NODE, STEP = 1 << 16, 1 << 14
#: Multiply-adds of a product that take as long as going over one byte.
PRODUCTS = 8


def work(call: Call, inputs: Iterable[Array | None], outputs: Iterable[Array]) -> int:
    """Return about how many bytes a node went over: its arrays, for each cell of a window; and its products.

    Parameters
    ----------
    call : Call
        The node.
    inputs, outputs : iterable of ndarray
        What it got and made.
    """
    given = [array for array in inputs if array is not None]
    made = list(outputs)
    found = NODE + sum(array.nbytes for array in (*given, *made))
    operator, shapes = call.node.operator, [array.shape for array in given]
    largest = max((array.nbytes for array in made), default=0)
    if operator in ("MatMul", "Gemm"):
        inner = shapes[0][0 if call.node.attributes.get("transA") and operator == "Gemm" else -1]
        found += products(given[0], sum(array.size for array in made[:1]) * inner)
    elif operator in ("Conv", "ConvTranspose"):
        cells = math.prod(shapes[1][2:])
        size = made[0].size if operator == "Conv" else given[0].size
        found += products(given[0], size * math.prod(shapes[1][1:]))
        found += cells * STEP + cells * largest
    elif operator in ("AveragePool", "LpPool", "MaxPool"):
        cells = math.prod(call.node.attributes.get("kernel_shape", ()))
        found += cells * max(STEP, largest)
    return found


def products(array: Array, count: int) -> int:
    """Return what multiply-adds cost: BLAS does those of floats, others go one by one."""
    return count // PRODUCTS if array.dtype.char in "fd" else 4 * count
