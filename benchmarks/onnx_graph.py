"""Predicts with ONNX files beside onnxruntime, on the same cores, turn by turn.

Command: python -m benchmarks.onnx_graph. It needs the extra `test`. Ratios are those of onnxruntime's time to
ours, medians of several rounds; the last column is `Graph.run`, where no layers are made of the graph.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.machine import describe
from benchmarks.harness.rows import heading, short
from purecnn import (
    BatchNormalization,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling,
    MaxPooling,
    Network,
    ReLU,
    Residual,
    Softmax,
    export_onnx,
    load_onnx,
)
from purecnn.backend.cores import processors
from purecnn.networks import lenet

BATCHES = (1, 256)


def convnet() -> Network:
    """The simple network for MNIST of Keras's examples."""
    layers = [
        *(Convolutional(kernel_size=3, depth=32), ReLU(), MaxPooling(2)),
        *(Convolutional(kernel_size=3, depth=64), ReLU(), MaxPooling(2)),
        *(Flatten(), Dropout(0.5), Dense(output_size=10), Softmax()),
    ]
    return Network(layers, input_shape=(1, 28, 28))


def block(depth: int, stride: int = 1) -> list[Any]:
    """Two convolutions with a shortcut, as in a ResNet for CIFAR-10."""
    ways = [
        *(Convolutional(kernel_size=3, depth=depth, stride=stride, padding=1), BatchNormalization(), ReLU()),
        *(Convolutional(kernel_size=3, depth=depth, padding=1), BatchNormalization()),
    ]
    cross = [Convolutional(kernel_size=1, depth=depth, stride=stride)] if stride > 1 else None
    return [Residual(ways, cross), ReLU()]


def residual() -> Network:
    """A ResNet of 8 layers for 32 x 32 images in color."""
    layers = [
        *(Convolutional(kernel_size=3, depth=16, padding=1), BatchNormalization(), ReLU()),
        *(*block(16), *block(32, 2), *block(64, 2)),
        *(GlobalAveragePooling(), Dense(output_size=10), Softmax()),
    ]
    return Network(layers, input_shape=(3, 32, 32))


def seconds(work: Callable[[], Any], least: float) -> float:
    """One call's time, the mean of as many as take `least` seconds."""
    count, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < least:
        work()
        count += 1
    return spent / count


def answer(session: Any, x: np.ndarray) -> np.ndarray:
    """onnxruntime's."""
    return session.run(None, {"input": x})[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="turns of each (default: 7)")
    parser.add_argument("--seconds", type=float, default=0.3, help="of a turn (default: 0.3)")
    arguments = parser.parse_args()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(processors())
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # or it takes our cores, asleep
    print(heading({**describe(), "command": " ".join(sys.argv[1:])}, "benchmarks.onnx_graph"), end="\n\n")
    print("| network | batch | purecnn | onnxruntime | ratio (range) | operator by operator |")
    print("|---|---|---|---|---|---|")
    for name, network in (("LeNet", lenet()), ("Keras's convnet", convnet()), ("ResNet-8", residual())):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.onnx")
            export_onnx(network, path, input="scaled")
            graph = load_onnx(path)
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for batch in BATCHES:
            x = np.random.default_rng(0).random((batch, *(network.input_shape or ())), np.float32)
            works = partial(graph.predict, x), partial(answer, session, x), partial(graph.run, {"input": x})
            wanted = works[1]()
            for found in (works[0](), works[2]()["output"]):
                np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
            turns = [[seconds(work, arguments.seconds) for work in works] for _ in range(arguments.rounds)]
            ours, theirs, _ = (statistics.median(times) for times in zip(*turns, strict=True))
            ratios = [b / a for a, b, _ in turns]
            plain = statistics.median(b / c for _, b, c in turns)
            ratio = f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
            rates = f"{short(batch / ours)} images/s | {short(batch / theirs)} images/s"
            print(f"| {name} | {batch} | {rates} | {ratio} | {plain:.2f}x |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
