"""Predicts with ONNX files beside onnxruntime, on the same cores, turn by turn.

Command: python -m benchmarks.onnx_graph. It needs the extra `test`. Files are exports of this package's
networks, and those that `make campaign-models` keeps in --folder. Ratios are onnxruntime's time to ours,
medians of several rounds; the last columns are `Graph.run`, operator by operator, and the peaks of memory of
a process of each.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.machine import describe
from benchmarks.harness.memory import peak_memory
from benchmarks.harness.rows import heading, keep, number, put_between, short
from campaigns.models.inputs import tries
from campaigns.models.sources import listed
from purecnn import export_onnx, load_onnx, networks
from purecnn.backend.cores import processors
from purecnn.errors import PureCNNError

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "onnx.md"
#: Batches, and what is wanted of the median of all files and of each of those named.
BARS = {1: (0.5, 0.4), 16: (0.7, 0.6)}
NAMED = {
    "resnet18-script": "ResNet-18",
    "mobilenet_v2-script": "MobileNetV2",
    "squeezenet": "SqueezeNet",
    "efficientnet_b0-script": "EfficientNet-B0",
    "unet-script": "U-Net",
    "crnn-script": "an OCR recogniser",
}
#: onnxruntime's memory times this is what ours may take.
MEMORY = 1.5
#: Networks of this package that are exported, and the images that they take.
OWN = {
    **dict.fromkeys(("lenet", "dense"), (1, 28, 28)),
    **dict.fromkeys(("resnet", "vgg_small", "densenet", "squeezenet", "mobilenet_v2", "unet"), (3, 32, 32)),
}


@dataclass
class Measured:
    """What was measured of one file with one batch."""

    name: str
    batch: int
    ours: float
    theirs: float
    ratios: list[float]
    plain: float
    memory: list[float] = field(default_factory=list)  # MB: ours, onnxruntime's

    def cells(self) -> list[str]:
        """The row of the table."""
        bar = BARS[self.batch][1] if self.name in NAMED else None
        met = "" if bar is None else "yes" if statistics.median(self.ratios) >= bar else "no"
        memory = f"{self.memory[0]:.0f} and {self.memory[1]:.0f} MB" if self.memory else ""
        times = (f"{1000 * seconds:,.2f} ms" for seconds in (self.ours, self.theirs))
        bound = "" if bar is None else f"{bar}x"
        cells = [number(self.ratios, "x"), bound, met, f"{short(self.plain)}x", memory]
        return [NAMED.get(self.name, self.name), str(self.batch), *times, *cells]


def files(folder: Path, scratch: Path) -> Iterator[tuple[str, Path, dict[str, tuple[int, ...]]]]:
    """Yield the name and the path of each file, and the shapes of inputs that are known."""
    for name, shape in OWN.items():
        path = scratch / f"{name}.onnx"
        export_onnx(getattr(networks, name)(shape), path, input="scaled")
        yield name, path, {}
    for requirement, file, stated in listed():
        path = folder / "packages" / requirement.replace("==", "-") / file.replace("/", "-")
        shapes = (text.partition("=") for text in stated)
        known = {name: tuple(map(int, sizes.split("x"))) for name, _, sizes in shapes}
        yield f"{requirement.partition('==')[0]}: {Path(file).stem}", path, known
    for kind in ("torch", "keras"):
        for path in sorted((folder / kind).glob("*.onnx")):
            yield path.stem, path, {}


def session(path: Path) -> Any:
    """Return onnxruntime's, on this process's cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(processors())
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # or it takes our cores, asleep
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def fed(theirs: Any, shapes: Mapping[str, tuple[int, ...]], batch: int) -> dict[str, np.ndarray] | None:
    """Return inputs that a model takes, of a batch of this size; None where there are none."""
    stated = [(value.name, value.shape, value.type) for value in theirs.get_inputs()]
    given = {
        name: (batch, *shapes[name][1:]) if not isinstance((list(shape) or [0])[0], int) else shapes[name]
        for name, shape, _ in stated
        if name in shapes
    }
    try:
        for inputs in itertools.islice(tries(stated, given, batch), 12):
            if all(len(np.atleast_1d(array)) == batch for array in inputs.values()):
                try:
                    theirs.run(None, inputs)
                except Exception:  # onnxruntime's own, of shapes that it does not take
                    continue
                return inputs
    except KeyError:  # a kind of elements that NumPy lacks
        pass
    return None


def seconds(work: Callable[[], Any], least: float) -> float:
    """One call's time, the mean of as many as take `least` seconds."""
    count, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < least:
        work()
        count += 1
    return spent / count


def measured(
    name: str, path: Path, shapes: Mapping[str, tuple[int, ...]], batch: int, arguments: argparse.Namespace
) -> Measured | None:
    """Return what a file with a batch of this size takes; None where one of the two can't run it."""
    try:
        graph, theirs = load_onnx(path), session(path)
    except (PureCNNError, RuntimeError, OSError) as error:
        print(f"{name}: {str(error)[:150]}", file=sys.stderr)
        return None
    inputs = fed(theirs, shapes, batch)
    if inputs is None or len(inputs) != 1:
        return None
    (x,) = inputs.values()
    works = partial(graph.predict, x), partial(theirs.run, None, inputs), partial(graph.run, inputs)
    try:
        first = works[0]()
        works[2]()
    except PureCNNError as error:
        print(f"{name}: {str(error)[:150]}", file=sys.stderr)
        return None
    outputs = dict(zip((each.name for each in theirs.get_outputs()), works[1](), strict=True))
    name_of_one, ours = next(iter(first.items())) if isinstance(first, dict) else (next(iter(outputs)), first)
    wanted = outputs[name_of_one]
    if isinstance(wanted, np.ndarray) and wanted.dtype.kind == "f":
        worst = float(np.abs(ours - wanted).max() / max(np.abs(wanted).max(), 1e-30))
        if worst > 1e-2:  # campaigns.models judges answers; this only sees that the same is timed
            print(f"{name}: answers differ by {worst:.1e} of the largest", file=sys.stderr)
    turns = [[seconds(work, arguments.seconds) for work in works] for _ in range(arguments.rounds)]
    own, other, plain = (statistics.median(times) for times in zip(*turns, strict=True))
    found = Measured(name, batch, own, other, [b / a for a, b, _ in turns], other / plain)
    if arguments.memory:
        found.memory = [peak(who, path, x) for who in ("purecnn", "onnxruntime")]
    return found


def peak(who: str, path: Path, x: np.ndarray) -> float:
    """Return the peak of memory, in MB, of a process that answers three times."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "x.npy"), x)
        command = [sys.executable, "-m", "benchmarks.onnx_graph", "--peak", who, path, Path(folder, "x.npy")]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return float(json.loads(done.stdout))


def answer(who: str, path: Path, place: Path) -> None:
    """Answer three times, and print this process's peak of memory."""
    x = np.load(place)
    if who == "purecnn":
        graph = load_onnx(path)
        work: Callable[[], Any] = partial(graph.predict, x)
    else:
        theirs = session(path)
        work = partial(theirs.run, None, {theirs.get_inputs()[0].name: x})
    for _ in range(3):
        work()
    print(json.dumps(peak_memory()))


def told(found: list[Measured]) -> str:
    """Return the medians beside their bars."""
    words = []
    for batch, (bar, _) in BARS.items():
        ratios = [statistics.median(one.ratios) for one in found if one.batch == batch]
        if ratios:
            middle = statistics.median(ratios)
            verdict = "met" if middle >= bar else "missed"
            words.append(
                f"of {len(ratios)} files at batch {batch} the median is {middle:.2f}x (bar {bar}x: {verdict})"
            )
    shares = [one.memory[0] / one.memory[1] for one in found if one.memory]
    if shares:
        words.append(
            f"memory {statistics.median(shares):.2f} times, at most {max(shares):.2f} (bar {MEMORY})"
        )
    return "; ".join(words)


HEADINGS = "file|batch|purecnn|onnxruntime|ratio (range)|bar|met|operator by operator|peak memory"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default: 5)")
    parser.add_argument("--seconds", type=float, default=0.1, help="of a turn (default: 0.1)")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "build" / "models", help="of the campaign's files"
    )
    parser.add_argument("--only", default="", help="files alone whose name holds this")
    parser.add_argument("--memory", action="store_true", help="peaks of memory as well")
    parser.add_argument("--write", action="store_true", help="put the table into docs/onnx.md")
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        answer(arguments.peak[0], *map(Path, arguments.peak[1:]))
        return 0
    import onnxruntime

    found: list[Measured] = []
    with tempfile.TemporaryDirectory() as scratch:
        try:
            for name, path, shapes in files(arguments.folder, Path(scratch)):
                for batch in BARS if arguments.only in name and path.exists() else ():
                    one = measured(name, path, shapes, batch, arguments)
                    if one is not None:
                        found.append(one)
                        print("| " + " | ".join(one.cells()) + " |", flush=True)
        except KeyboardInterrupt:  # what was measured is kept, and the heading says of how many files it is
            print("ended early", file=sys.stderr)
    about: dict[str, Any] = {**describe(), "command": " ".join(sys.argv[1:])}
    about["versions"]["onnxruntime"] = onnxruntime.__version__
    columns = HEADINGS.split("|")
    chosen = [one for one in found if one.name in {*OWN, *NAMED}]
    lines = [columns, ["---"] * len(columns), *(one.cells() for one in chosen)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    text = f"{heading(about, 'benchmarks.onnx_graph')}: {told(found)}. "
    text += f"Each file is in `benchmarks/results`; here those that are named and this package's.\n\n{table}"
    print(text)
    if arguments.write:
        put_between("<!-- speed: begin -->", "<!-- speed: end -->", text, PAGE)
        keep(about, {**about, "files": [vars(one) for one in found]}, "onnx")
    return 0


if __name__ == "__main__":
    sys.exit(main())
