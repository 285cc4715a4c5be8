"""What Pyodide runs in the tests: each part of the package, told as one line of JSON.

What one part alone needs, it imports itself: Python compiles every module anew here, for a second start too.
"""

from __future__ import annotations

import hashlib
import json
import pkgutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import import_module
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

import purecnn as p
from purecnn import losses
from purecnn.backend import blas, cores, processes
from purecnn.backend.environment import machine
from purecnn.backend.memory import aligned_zeros
from purecnn.datasets import mnist
from purecnn.optimizers.registry import OPTIMIZERS

PARTS: dict[str, Callable[[], Any]] = {}


def part(function: Callable[[], Any]) -> Callable[[], Any]:
    """Enter a part by its name."""
    PARTS[function.__name__] = function
    return function


class Terminal(StringIO):
    """A terminal, on which a fit shows how far it is."""

    def isatty(self) -> bool:
        """Return that it is one."""
        return True


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return digits, ``(count, 1, 28, 28)``, and their labels."""
    (images, labels), _ = mnist.load_data()
    return images[:count, np.newaxis], labels[:count]


def network(seed: int = 0) -> p.Network:
    """Return a small network of digits."""
    return p.Network(
        [
            p.Convolutional(kernel_size=5, depth=4),
            p.ReLU(),
            p.MaxPooling(2),
            p.Convolutional(kernel_size=3, depth=6),
            p.BatchNormalization(),
            p.ReLU(),
            p.MaxPooling(2),
            p.Flatten(),
            p.Dropout(0.1),
            p.Dense(output_size=10),
            p.Softmax(),
        ],
        input_shape=(1, 28, 28),
        seed=seed,
    )


def digest(array: np.ndarray) -> str:
    """Return a hash of an array's bits."""
    return hashlib.sha256(array.tobytes()).hexdigest()


@part
def imports() -> dict[str, str]:
    """Import every module; return what those lack that can't be imported."""
    lacking = {}
    for found in pkgutil.walk_packages(p.__path__, "purecnn."):
        if found.name.endswith("__main__"):
            continue
        try:
            import_module(found.name)
        except ImportError as error:
            lacking[found.name] = str(error.name)
    return lacking


@part
def every_layer() -> list[str]:
    """Hold the derivatives of every kind of layer to finite differences."""
    from helpers.every_layer import EVERY

    first = {type(layer).__name__: (layer, shape) for layer, shape in reversed(EVERY.values())}
    for layer, shape in first.values():
        p.check_gradients(layer, shape, batch=2, projections=1).raise_if_wrong()
    return sorted(first)


@part
def kernels() -> list[str]:
    """Hold convolutions of every algorithm to finite differences, as they are trained: 9 samples are wide."""
    names = []
    for name, (layer, shape) in {
        "tiles along the rows": (p.Convolutional(kernel_size=3, depth=8), (8, 5, 6)),
        "tiles along both axes": (p.Convolutional(kernel_size=3, depth=32), (32, 6, 6)),
        "pointwise": (p.Convolutional(kernel_size=1, depth=32), (32, 2, 2)),
        "groups": (p.Convolutional(kernel_size=3, depth=4, groups=2, dilation=2), (4, 6, 6)),
    }.items():
        p.check_gradients([layer, p.MaxPooling(2)], shape, batch=9, projections=1).raise_if_wrong()
        names.append(name)
    return names


@part
def every_loss() -> list[str]:
    """Hold the derivatives of every loss to finite differences."""
    for name in losses.LOSSES:
        p.check_gradients(name, (5,), batch=2, projections=1).raise_if_wrong()
    return sorted(losses.LOSSES)


@part
def every_optimizer() -> dict[str, bool]:
    """Have every optimizer lower a loss."""
    x = np.random.default_rng(0).standard_normal((64, 3))
    y = x @ np.array([[1.0], [-2.0], [0.5]])
    falls = {}
    for name in OPTIMIZERS:
        fitted = p.Network([p.Dense(3, 8), p.Tanh(), p.Dense(8, 1)], seed=0)
        found = fitted.fit(x, y, epochs=3, batch_size=16, optimizer=name, loss="mse").loss
        falls[name] = bool(found[-1] < found[0])
    return falls


@part
def workers() -> dict[str, Any]:
    """Tell how many workers there are, of which kind, and whether asking for two changes a bit."""
    x, y = digits(64)
    trained = [network(), network()]
    for one, threads in zip(trained, (None, 2), strict=True):
        one.fit(x, y, epochs=1, batch_size=32, threads=threads, shards=2)
    return {
        "number": cores.workers().number,
        "kind": processes.worker_kind(),
        "blas is kept to one thread": blas.can_be_told(),
        "same bits": digest(trained[0].parameters) == digest(trained[1].parameters),
        "blas": machine()["blas"],
    }


@part
def training() -> dict[str, Any]:
    """Train on digits with what a fit may have; save, load, checkpoint and hand it on in every format."""
    x, y = digits(320)
    fitted, folder, terminal = network(), Path(tempfile.mkdtemp()), Terminal()
    callbacks = [
        p.Checkpoint(folder / "run.safetensors"),
        p.CSVLog(folder / "run.csv"),
        p.EarlyStopping(patience=9),
        p.ReduceOnPlateau(),
    ]
    with redirect_stdout(terminal):
        history = fitted.fit(
            x[:256],
            y[:256],
            epochs=3,
            batch_size=32,
            optimizer=p.Adam(0.01),
            validation_data=(x[256:], y[256:]),
            metrics=["accuracy", "f1"],
            augmentation=p.Augmentation(shift=1),
            l2=1e-4,
            verbose=True,
            callbacks=callbacks,
        )
    answers = fitted.predict(x[256:])
    p.save(fitted, folder / "model.safetensors")
    p.save_state_dict(fitted, folder / "torch.safetensors")
    p.export_onnx(fitted, folder / "model.onnx")
    graph = p.load_onnx(folder / "model.onnx")
    other = network(seed=1)
    p.load_state_dict(other, folder / "torch.safetensors")
    return {
        "losses": history.loss,
        "last line": terminal.getvalue().splitlines()[-1][:9],
        "accuracy": fitted.evaluate(x[:256], y[:256])["accuracy"],
        "files": sorted(path.name for path in folder.iterdir()),
        "loaded": digest(p.load(folder / "model.safetensors").predict(x[256:])) == digest(answers),
        "onnx": float(np.abs(graph.predict(x[256:]) - answers).max()),
        "onnx as layers": float(np.abs(graph.network().predict(x[256:]) - answers).max()),
        "state dict": digest(other.parameters) == digest(fitted.parameters),
        "trace": float(np.abs(p.trace(fitted, x[256:])[-1].output - answers).max()),
    }


@part
def resumed() -> bool:
    """Go on from a checkpoint to the bits of a run that was never interrupted; data are read by the batch."""
    x, y = digits(64)
    data, path = p.datasets.Subset(x, range(64), labels=y), Path(tempfile.mkdtemp(), "run.safetensors")
    whole, begun, again = network(), network(), network()
    how = {"batch_size": 32, "optimizer": "adam"}
    whole.fit(data, epochs=2, **how)
    begun.fit(data, epochs=1, callbacks=p.Checkpoint(path), **how)
    again.fit(data, epochs=2, resume=path, **how)
    return digest(again.parameters) == digest(whole.parameters)


@part
def playground() -> dict[str, Any]:
    """Teach a lesson and look at a digit, as the page does."""
    from purecnn.playground.reader import Reader
    from purecnn.playground.sessions import Lessons

    lessons = Lessons()
    plan = {"data": "digits", "layers": [], "optimizer": "Adam", "learning_rate": 0.01, "batch_size": 32}
    told = lessons.begin(plan)
    told = lessons.advance(told["lesson"], 2)
    model = files("purecnn.runs") / "digits.safetensors"
    reader = Reader(p.load(Path(str(model))))
    image, label = (found[0] for found in digits(1))
    return {"steps": told["step"], "reads": reader.look(image)["label"], "is": int(label)}


@part
def large_arrays() -> float:
    """Return how many times the bytes of large arrays the memory grows by."""
    memory = import_module("pyodide_js")._module
    before, kept = memory.HEAPU8.length, [aligned_zeros(1 << 18, np.float32) for _ in range(60)]
    return float((memory.HEAPU8.length - before) / sum(array.nbytes for array in kept))


@part
def bits() -> str:
    """Return a hash of a short run, which another start must find again."""
    x, y = digits(96)
    fitted = network()
    fitted.fit(x, y, epochs=1, batch_size=32, optimizer="adam", augmentation=p.Augmentation(shift=1))
    return digest(np.concatenate([fitted.parameters, fitted.predict(x).ravel()]))


def told(name: str) -> dict[str, Any]:
    """Return what a part found, or how it failed."""
    try:
        return {"found": PARTS[name]()}
    except BaseException:
        return {"failed": traceback.format_exc()}


print(json.dumps({name: told(name) for name in sys.argv[1:] or PARTS}))
