"""Group and layer normalization found in a graph, of the arithmetic that it is made of."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

from purecnn.backend.types import Array, Shape
from purecnn.onnx.operators.registry import OperatorCall

#: What the node is called that stands for all of its arithmetic: no name of ONNX's.
FOUND = "Normalization"


class Matcher:
    """The nodes before a value, by what they compute.

    Parameters
    ----------
    made : dict of str to OperatorCall
        By each value the node that makes it.
    constants : dict of str to ndarray
        The file's arrays.
    shapes : dict of str to tuple of int
        Of every value, of some samples.
    """

    def __init__(
        self, made: Mapping[str, OperatorCall], constants: Mapping[str, Array], shapes: Mapping[str, Shape]
    ) -> None:
        self.made, self.constants, self.shapes = made, constants, shapes

    def inputs(self, value: str, *operators: str) -> tuple[str, ...]:
        """Return the inputs of the node that makes a value, if it is one of some operators; else none."""
        call = self.made.get(value)
        known = call is not None and not call.node.domain and call.node.operator in operators
        return call.node.inputs if call is not None and known else ()

    def with_array(self, value: str, operator: str) -> tuple[str, str] | None:
        """Return the value and the array that some operator puts together, in any order."""
        inputs = self.inputs(value, operator)
        arrays = [name for name in inputs if name in self.constants]
        rest = [name for name in inputs if name not in self.constants]
        return (rest[0], arrays[0]) if len(arrays) == len(rest) == 1 else None

    def axes(self, mean: str) -> tuple[str, tuple[int, ...]] | None:
        """Return of which value, along which axes, a mean is taken that keeps them."""
        inputs = self.inputs(mean, "ReduceMean")
        if not inputs or not self.made[mean].integer("keepdims", 1):
            return None
        given = self.made[mean].integers("axes", [])
        if len(inputs) > 1:
            if inputs[1] not in self.constants:
                return None
            given = self.constants[inputs[1]].tolist()
        rank = len(self.shapes.get(inputs[0], ()))
        return inputs[0], tuple(sorted(axis % rank for axis in given if rank))

    def standardized(self, value: str) -> tuple[str, tuple[int, ...], float] | None:
        """Return x, axes and epsilon of ``(x - mean) / sqrt(variance + epsilon)``, None if it is none.

        Of three axes, samples, groups and what is in these, PyTorch's exporters write it as one operator.
        """
        x, *arrays = self.inputs(value, "InstanceNormalization") or ("",)
        scales, shifts = (self.constants.get(name) for name in arrays) if len(arrays) == 2 else (None, None)
        if scales is not None and shifts is not None and len(self.shapes[x]) == 3:
            bare = bool((scales == 1).all() and not shifts.any())
            return (x, (2,), self.made[value].number("epsilon", 1e-5)) if bare else None
        centred, *divisors = self.inputs(value, "Div") or ("",)
        x, *means = self.inputs(centred, "Sub") or ("",)
        roots = self.inputs(divisors[0], "Sqrt") if divisors else ()
        sum = self.with_array(roots[0], "Add") if roots else None
        taken, spread = (self.axes(means[0]) if means else None), (self.axes(sum[0]) if sum else None)
        if sum is None or taken is None or spread is None or self.constants[sum[1]].size != 1:
            return None
        squared = self.inputs(spread[0], "Mul") == (centred, centred)
        power = self.with_array(spread[0], "Pow")
        if power is not None and power[0] == centred and self.constants[power[1]].size == 1:
            squared = float(self.constants[power[1]].reshape(())) == 2
        if not squared or taken != (x, spread[1]):
            return None
        return x, taken[1], float(self.constants[sum[1]].reshape(()))

    def of_products(self, value: str) -> tuple[str, list[str], tuple[int, ...], float] | None:
        """Return x, gamma and beta, axes and epsilon of ``x m + (beta - mean m)``, None if it is none.

        ``m = gamma / sqrt(variance + epsilon)``: so TensorFlow's graphs have it.
        """
        ends = self.inputs(value, "Add")
        for product, rest in (ends, ends[::-1]) if len(ends) == 2 else ():
            factors, shifted = self.inputs(product, "Mul"), self.with_array(rest, "Add")
            inner, beta = shifted or ("", "")
            for x, factor in (factors, factors[::-1]) if len(factors) == 2 and shifted else ():
                means = [self.inputs(name, "Neg")[:1] for name in self.inputs(inner, "Mul") if name != factor]
                mean = means[0][0] if len(means) == 1 and means[0] else ""
                scaled = self.with_array(factor, "Mul")
                root = self.inputs(scaled[0], "Reciprocal") if scaled else ()
                sum = (
                    self.with_array(self.inputs(root[0], "Sqrt")[0], "Add")
                    if root and self.inputs(root[0], "Sqrt")
                    else None
                )
                if not sum or not scaled or self.constants[sum[1]].size != 1:
                    continue
                taken, spread = self.axes(mean), self.axes(sum[0])
                centred = self.inputs(spread[0], "Mul") if spread else ()
                if (
                    taken
                    and spread
                    and taken == (x, spread[1])
                    and centred
                    and centred[0] == centred[-1]
                    and self.inputs(centred[0], "Sub") == (x, mean)
                ):
                    epsilon = float(self.constants[sum[1]].reshape(()))
                    return x, [scaled[1], beta], taken[1], epsilon
        return None

    def normalization(self, call: OperatorCall) -> tuple[OperatorCall, str] | None:
        """Return a node that stands for a whole normalization that ends in `call`, and what it is given.

        Its inputs are what it is given, and gamma and beta where there are any; its attributes `axes`,
        `groups` (0 where axes are not cut into groups) and `epsilon`.
        """
        if (products := self.of_products(call.node.outputs[0])) is not None:
            x, arrays, axes, epsilon = products
            held = {"axes": [*axes], "groups": 0, "epsilon": epsilon}
            whole = copy.copy(call)
            whole.node = replace(call.node, operator=FOUND, inputs=(x, *arrays), attributes=held)
            return whole, x
        value, arrays = call.node.outputs[0], []
        if (shifted := self.with_array(value, "Add")) and (scaled := self.with_array(shifted[0], "Mul")):
            value, arrays = scaled[0], [scaled[1], shifted[1]]
        inner = self.inputs(value, "Reshape")
        found = self.standardized(inner[0] if inner else value)
        if found is None:
            return None
        x, axes, epsilon = found
        groups = 0
        if inner:
            outer = self.inputs(x, "Reshape")
            shape = self.shapes[x]
            if not outer or axes != (2,) or self.shapes[value] != self.shapes.get(outer[0]):
                return None
            x, groups = outer[0], shape[1]
        held = {"axes": [*axes], "groups": groups, "epsilon": epsilon}
        whole = copy.copy(call)
        whole.node = replace(call.node, operator=FOUND, inputs=(x, *arrays), attributes=held)
        return whole, x
