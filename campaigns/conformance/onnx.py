"""ONNX's own conformance cases: how many purecnn passes of those whose operators it knows, and why no more.

Command: python -m campaigns.conformance.onnx, with --write to put the table into docs/onnx.md. It needs the
extra `test`, whose package onnx makes or ships the cases.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from purecnn.onnx import Graph
from purecnn.onnx.model import full_name
from purecnn.onnx.operators.registry import OPERATORS
from purecnn.onnx.reader import as_model
from purecnn.onnx.schema import DTYPES

SETS = ("node", "simple", "pytorch-converted", "pytorch-operator")
DOCUMENT = Path(__file__).parents[2] / "docs" / "onnx.md"
BEGIN, END = "<!-- conformance: begin -->\n", "<!-- conformance: end -->\n"
UNKNOWN = "an operator is not known"
FOREIGN = "its elements are of a kind that NumPy lacks (bfloat16, float8, int4 and the like)"
NO_TENSOR = "a value is a sequence or an optional one, no array"
RANDOM = "it draws random numbers: dropout in training"
TRAINING = {
    f"test_training_dropout{more}" for more in ("", "_mask", "_default", "_default_mask")
}  # that with a ratio of zero draws none


@dataclass
class Case:
    """One of the standard's cases: a model, and what comes out for what goes in."""

    name: str
    kind: str
    data: bytes
    operators: set[str]
    types: set[int]
    samples: list[tuple[Iterable[Any], Iterable[Any]]]
    within: dict[str, float]

    def reason(self) -> str:
        """Why it is left out; "" if it is to pass."""
        if not self.operators <= OPERATORS.keys():
            return UNKNOWN
        if -1 in self.types:
            return NO_TENSOR
        if self.types - DTYPES.keys():
            return FOREIGN
        return RANDOM if self.name in TRAINING else ""


def cases() -> Iterator[Case]:
    """All cases of the sets."""
    with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the generators divide by zero and cast what does not fit
        from onnx.backend.test.loader import load_model_tests

        loaded = [(kind, case) for kind in SETS for case in load_model_tests(kind=kind)]
    for kind, case in loaded:
        if case.model is None:
            folder = Path(case.model_dir)
            data = (folder / "model.onnx").read_bytes()
            model = onnx.load_model_from_string(data)
            samples = [
                (stored(place, "input"), stored(place, "output"))
                for place in sorted(folder.glob("test_data_set_*"))
            ]
        else:
            model, samples = case.model, list(case.data_sets)
            data = model.SerializeToString()
        nodes = [node for graph in graphs(model.graph) for node in graph.node]
        used = {full_name(node.domain, node.op_type) for node in nodes}
        within = {"rtol": case.rtol, "atol": case.atol}
        yield Case(case.name, kind, data, used, set(kinds(model)), samples, within)


def stored(folder: Path, what: str) -> list[onnx.TensorProto]:
    """The tensors that a case keeps in files, in order."""
    found = []
    for path in sorted(folder.glob(f"{what}_*.pb"), key=lambda path: int(path.stem.split("_")[1])):
        found.append(onnx.TensorProto.FromString(path.read_bytes()))
    return found


def kinds(model: onnx.ModelProto) -> Iterator[int]:
    """The kinds of elements that a model names; -1 for what is no array."""
    for graph in graphs(model.graph):
        for value in (*graph.input, *graph.output):
            kind = value.type.WhichOneof("value")
            if kind is not None:  # within a node, values may have no type
                yield value.type.tensor_type.elem_type if kind == "tensor_type" else -1
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.name in ("to", "dtype"):
                    yield attribute.i
                if attribute.HasField("t"):
                    yield attribute.t.data_type


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph, and those within its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs(attribute.g)


def named(values: Iterable[Any], tensors: Iterable[Any]) -> dict[str, np.ndarray]:
    """A case's arrays by the names of the graph's values."""
    return {
        value.name: numpy_helper.to_array(one) if isinstance(one, onnx.TensorProto) else np.asarray(one)
        for value, one in zip(values, tensors, strict=False)
    }


def check(case: Case) -> None:
    """Raise if purecnn's outputs are not the case's, within the tolerances of the standard's own runner."""
    graph = Graph(as_model(case.data))
    for given, wanted in case.samples:
        found = graph.run(named(graph.model.inputs, given))
        for name, array in named(graph.outputs, wanted).items():
            if (found[name].dtype, found[name].shape) != (array.dtype, array.shape):
                raise AssertionError(
                    f"{name} is {found[name].dtype} {found[name].shape}, wanted {array.dtype} {array.shape}"
                )
            if array.dtype.kind == "f":
                np.testing.assert_allclose(found[name], array, **case.within)
            else:
                np.testing.assert_array_equal(found[name], array)


@dataclass
class Outcome:
    """How many cases there are, by set and by reason, and those that failed."""

    counts: dict[str, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in SETS})
    used: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    def add(self, case: Case) -> None:
        """Check a case, or count why it is left out."""
        reason = case.reason()
        if reason == UNKNOWN:
            self.unknown.update(case.operators - OPERATORS.keys())
        if not reason:
            try:
                check(case)
                self.used.update(case.operators)
                reason = "passed"
            except Exception as error:  # whatever it is, the case failed
                reason = "failed"
                self.failed.append(f"{case.kind} {case.name}: {type(error).__name__}: {str(error)[:200]}")
        self.counts[case.kind][reason] += 1

    def table(self) -> str:
        """The outcome as Markdown."""
        reasons = ("passed", "failed", UNKNOWN, FOREIGN, NO_TENSOR, RANDOM)
        whole = sum(self.counts.values(), Counter())
        ours = whole["passed"] + whole["failed"]
        lines = [
            f"**{whole['passed']} of {ours}** cases pass, of {whole.total()} in onnx {onnx.__version__}:",
            "",
            f"| outcome | {' | '.join(SETS)} | all |",
            f"|---|{'---|' * (len(SETS) + 1)}",
        ]
        for reason in reasons:
            counts = [str(self.counts[kind][reason]) for kind in SETS]
            title = reason if reason in ("passed", "failed") else f"left out: {reason}"
            lines.append(f"| {title} | {' | '.join(counts)} | {whole[reason]} |")
        lines += [
            "",
            "Operators known, and how many of the cases that pass use each: " + listed(self.used, OPERATORS),
        ]
        lines += [
            "",
            "Operators not known, and how many cases use each: " + listed(self.unknown, self.unknown),
        ]
        return "\n".join(lines) + "\n"


def listed(counts: Counter[str], names: Iterable[str]) -> str:
    """Names in their order, each with its count."""
    return ", ".join(f"`{name}` {counts[name]}" for name in sorted(names)) + "."


def outcome() -> Outcome:
    """Every case, checked or left out."""
    found = Outcome()
    for case in cases():
        found.add(case)
    return found


def documented() -> str:
    """The table that docs/onnx.md has."""
    return DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/onnx.md")
    arguments = parser.parse_args()
    found = outcome()
    print("\n".join(found.failed))
    print(found.table())
    if arguments.write:
        before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
        DOCUMENT.write_text(f"{before}{BEGIN}{found.table()}{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 1 if found.failed else 0


if __name__ == "__main__":
    sys.exit(main())
