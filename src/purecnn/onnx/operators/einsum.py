"""ONNX operators: Einsum and Det.

Sums of products by an equation, each of two inputs a stack of matrix products, and determinants.

Formulas are those of https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import math
import string
from collections import Counter
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.onnx.operators.reduction import matrix_product
from purecnn.onnx.operators.registry import OperatorCall, floating, operator

#: An axis by its letter, or by its place from the back among those that "..." stands for.
Label = str | int


def parse(equation: str, operands: list[Array]) -> tuple[list[list[Label]], list[Label]]:
    """Return the axes of each input, and of the output."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    texts = left.split(",")
    if len(texts) != len(operands):
        raise FileFormatError(f"its equation {equation!r} is of {len(texts)} inputs, wanted {len(operands)}")
    terms = [labels(equation, text, x.ndim) for text, x in zip(texts, operands, strict=True)]
    dots = sorted({label for term in terms for label in term if isinstance(label, int)})
    if arrow:
        before, ellipsis, behind = right.partition("...")
        output: list[Label] = [*before, *(dots if ellipsis else []), *behind]
    else:
        counts = Counter(label for term in terms for label in term)
        output = [*dots, *sorted(one for one, count in counts.items() if isinstance(one, str) and count == 1)]
    known = {label for term in terms for label in term}
    if len(set(output)) != len(output) or not known.issuperset(output):
        raise FileFormatError(
            f"its equation {equation!r} has an output with axes twice, or that no input has"
        )
    return terms, output


def labels(equation: str, text: str, axes: int) -> list[Label]:
    """Return the axes of one input."""
    before, ellipsis, behind = text.partition("...")
    letters = before + behind
    if not set(letters) <= set(string.ascii_letters):
        raise FileFormatError(
            f"its equation {equation!r} has {text!r}, wanted letters, with '...' once at most"
        )
    rest = axes - len(letters)
    if rest < 0 or (rest and not ellipsis):
        raise ShapeError(f"its equation {equation!r} has {text!r} for an input of {axes} axes")
    return [*before, *range(-rest, 0), *behind]


@operator("Einsum", since=12)
def einsum(call: OperatorCall, *inputs: Array) -> Array:
    """The sum of products that an equation says, one input after the other."""
    if not inputs or any(x is None for x in inputs):
        raise FileFormatError("has no inputs, wanted at least one, named")
    call.alike(*inputs)
    terms, output = parse(call.text("equation"), list(inputs))
    sizes: dict[Label, int] = {}
    for term, x in zip(terms, inputs, strict=True):
        for label, size in zip(term, x.shape, strict=True):
            if size != 1 and sizes.get(label, 1) not in (1, size):
                raise ShapeError(f"axis {label!r} has {sizes[label]} places and {size}, wanted as many")
            sizes[label] = size if sizes.get(label, 1) == 1 else sizes[label]
    rest = [
        single(
            call, x, term, sizes, {*output, *(one for other in terms if other is not term for one in other)}
        )
        for term, x in zip(terms, inputs, strict=True)
    ]
    found, axes = rest[0]
    for place, (x, term) in enumerate(rest[1:], 2):
        needed = {*output, *(label for _, later in rest[place:] for label in later)}
        found, axes = product(call, found, axes, x, term, needed)
    along = tuple(place for place, label in enumerate(axes) if label not in output)
    if along:
        found, axes = summed(call, found, along), [label for label in axes if label in output]
    return found.transpose([axes.index(label) for label in output])


def single(
    call: OperatorCall, x: Array, term: list[Label], sizes: dict[Label, int], needed: set[Label]
) -> tuple[Array, list[Label]]:
    """Return an input without axes twice, without those that it lacks, and summed along those of it alone."""
    lacking = [place for place, label in enumerate(term) if x.shape[place] == 1 and sizes[label] != 1]
    if lacking:
        x = x.squeeze(tuple(lacking))
        term = [label for place, label in enumerate(term) if place not in lacking]
    axes: list[Label] = []
    for label in term:
        if label not in axes:
            axes.append(label)
            continue
        first = axes.index(label)
        x = np.moveaxis(np.diagonal(x, 0, first, len(axes)), -1, first)
    along = tuple(place for place, label in enumerate(axes) if label not in needed)
    if along:
        x, axes = summed(call, x, along), [label for label in axes if label in needed]
    return x, axes


def summed(call: OperatorCall, x: Array, along: tuple[int, ...]) -> Array:
    """Return the sum along some axes."""
    call.like(x, copies=0, passes=1)
    call.claim([size for place, size in enumerate(x.shape) if place not in along], x.dtype, copies=2)
    found: Array = x.sum(axis=along, dtype=x.dtype)
    return found


def product(
    call: OperatorCall, a: Array, first: list[Label], b: Array, second: list[Label], needed: set[Label]
) -> tuple[Array, list[Label]]:
    """Return the product of two inputs, summed along the axes of both that nothing else needs."""
    stack = [label for label in first if label in second and label in needed]
    met = [label for label in first if label in second and label not in needed]
    rows = [label for label in first if label not in second]
    columns = [label for label in second if label not in first]

    def arranged(x: Array, axes: list[Label], *groups: list[Label]) -> tuple[Array, list[tuple[int, ...]]]:
        turned = x.transpose([axes.index(label) for group in groups for label in group])
        shapes = [tuple(x.shape[axes.index(label)] for label in group) for group in groups]
        call.like(x)
        return turned.reshape([math.prod(shape) for shape in shapes]), shapes

    left, (kept, high, _) = arranged(a, first, stack, rows, met)
    right, (_, _, wide) = arranged(b, second, stack, met, columns)
    found: Any = matrix_product(call, left, right)
    return found.reshape((*kept, *high, *wide)), [*stack, *rows, *columns]


@operator("Det", since=11)
def determinant(call: OperatorCall, x: Array) -> Array:
    """The determinant of each square matrix."""
    floating(x)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"shape is {x.shape}, wanted square matrices")
    kind = np.dtype(np.float32) if x.dtype == np.float16 else x.dtype
    call.claim(x.shape, kind, copies=3)
    call.claim(x.shape[:-2], kind, copies=2)
    call.budget.multiply(x.size * x.shape[-1], kind, math.prod(x.shape[:-2]))
    return np.asarray(np.linalg.det(x.astype(kind, copy=False))).astype(x.dtype)
