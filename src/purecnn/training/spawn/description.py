"""The description of a fit: what a process that was started afresh must know to take part, as JSON values.

Its network is what a model's file says, its loss and optimizer are names and numbers, its arrays lie in an
arena. So only what this package brings can be described; a user's own parts work in threads.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import replace
from typing import Any

import numpy as np

from purecnn.backend import blas
from purecnn.backend.spawn.arena import Arena, MappedArena
from purecnn.backend.types import Array
from purecnn.datasets.augmentation import Augmentation
from purecnn.layers.serialization import build, own_layers
from purecnn.losses.base import Loss
from purecnn.losses.registry import LOSSES
from purecnn.losses.smoothing import label_smoothing
from purecnn.optimizers.base import Optimizer
from purecnn.optimizers.registry import OPTIMIZERS
from purecnn.training.runnable import RunnableNetwork
from purecnn.training.settings import FitSettings
from purecnn.training.targets import PixelWeights, Targets

#: Rows of a mapped file that are compared with what its name leads to now.
COMPARED = 256
#: What NumPy may do about overflow in a process that nobody listens to.
SILENT = {"ignore", "raise"}


def check_describable(network: RunnableNetwork, settings: FitSettings) -> None:
    """Refuse what a description has no words for.

    Raises
    ------
    TypeError
        If a part of the fit is not this package's, or is no longer as it was made.
    """
    others = own_layers(network)
    if others:
        raise TypeError(f"wanted layers of this package alone, got {', '.join(others)}")
    describe_loss(settings.loss)
    describe_optimizer(settings.optimizer)
    if type(settings.augmentation) not in (Augmentation, type(None)):
        raise TypeError(f"wanted an Augmentation of this package or none, got {settings.augmentation!r}")
    if heard := {str(how) for how in np.geterr().values()} - SILENT:
        raise TypeError(f"wanted NumPy's errors to be ignored or raised, got {', '.join(sorted(heard))}")


def describe(
    network: RunnableNetwork,
    x: Array,
    y: Targets,
    settings: FitSettings,
    workers: int,
    memory: Arena,
    place: int | None,
) -> dict[str, Any]:
    """Return the description of a fit; samples and targets that lie elsewhere go into the arena.

    Parameters
    ----------
    network : RunnableNetwork
        Its parameters are the arena's first array.
    x : ndarray
        Raw samples, as rows.
    y : Targets
        Their answers.
    settings : FitSettings
        What was asked for.
    workers : int
        How many take part, the caller included.
    memory : Arena
        With all arrays of the trainer, and no others yet.
    place : int or None
        The number of `x` there, where samples are read into it.

    Raises
    ------
    TypeError
        If a part of the fit is not this package's.
    OSError
        If memory is full.
    """
    check_describable(network, settings)
    asked = len(memory.spans)
    buffers = [
        (f"layers.{number}.{name}", memory.put(np.asarray(buffer)))
        for number, layer in enumerate(network)
        for name, buffer in layer.buffers.items()
    ]
    augmentation = settings.augmentation
    return {
        "texts": network.contents().texts(),
        "parameters": [
            (f"layers.{number}.{name}", array.shape)
            for number, views in enumerate(network.views(network.parameters))
            for name, array in views.items()
        ],
        "buffers": buffers,
        "asked": asked,
        "place": place,
        "samples": describe_samples(x, memory) if place is None else {"number": place},
        "targets": memory.put(y.values),
        "weights": put(y.weights, memory),
        "pixels": y.pixels
        and {
            "ignore_label": y.pixels.ignore_label,
            "by_label": put(y.pixels.by_label, memory),
            "by_sample": put(y.pixels.by_sample, memory),
        },
        "loss": describe_loss(settings.loss),
        "optimizer": describe_optimizer(settings.optimizer),
        "numbers": settings.optimizer.numbers(),
        "arithmetic": arithmetic(),
        "augmentation": augmentation and augmentation.configuration(),
        "batch_size": settings.batch_size,
        "accumulate": settings.accumulate,
        "shards": settings.shard_count,
        "workers": workers,
        "l1": settings.l1,
        "l2": settings.l2,
    }


def put(array: Array | None, memory: Arena) -> int | None:
    """Return the number of an array's place in the arena; None where there is none."""
    return None if array is None else memory.put(array)


def arithmetic() -> list[Any]:
    """Return what decides the bits of products and sums: NumPy, BLAS and the kernels that both chose.

    The environment may have changed since this process began, and with it what a new one chooses.
    """
    config: Any = np.show_config(mode="dicts") or {}
    return [np.__version__, blas.configuration(), config.get("SIMD Extensions", {}).get("found", [])]


def describe_loss(loss: Loss) -> tuple[str, float]:
    """Return the name of a loss, and how much its targets are smoothed.

    Examples
    --------
    >>> describe_loss(label_smoothing("softmax_cross_entropy", 0.1))
    ('softmax_cross_entropy', 0.1)
    >>> describe_loss(Loss(max, min))
    Traceback (most recent call last):
    TypeError: wanted a loss of this package, got Loss(function=<built-in function max>, ...
    """
    for name, known in LOSSES.items():
        if loss == known:
            return name, 0.0
        if loss.smoothing and getattr(loss.function, "__wrapped__", None) is known.function:
            again = label_smoothing(known, loss.smoothing)
            plain = replace(loss, function=again.function, prime=again.prime, joint=again.joint)
            if plain == again and code_of(loss.function) is code_of(again.function):
                return name, loss.smoothing
    raise TypeError(f"wanted a loss of this package, got {loss!r}")


def code_of(function: Any) -> Any:
    """Return what a function runs."""
    return getattr(function, "__code__", None)


def build_loss(name: str, smoothing: float) -> Loss:
    """Return the loss that `describe_loss` describes."""
    return label_smoothing(name, smoothing) if smoothing else LOSSES[name]


def describe_optimizer(optimizer: Optimizer) -> tuple[str, dict[str, Any]]:
    """Return the name of an optimizer, and its arguments.

    Examples
    --------
    >>> describe_optimizer(OPTIMIZERS["sgd"](0.1))[0]
    'sgd'
    """
    name = next((name for name, kind in OPTIMIZERS.items() if kind is type(optimizer)), None)
    if name is None:
        raise TypeError(f"wanted an optimizer of this package, got {optimizer!r}")
    return name, optimizer.configuration()


def describe_samples(x: Array, memory: Arena) -> dict[str, Any]:
    """Return where another process finds samples: in a file that is mapped here, or copied into the arena."""
    return mapped_file(x) or {"number": memory.put(x)}


def mapped_file(x: Array) -> dict[str, Any] | None:
    """Return where in a file an array lies, and which file that is; None if it is none that is mapped."""
    root: Any = x
    while isinstance(root, np.ndarray) and not isinstance(root.base, mmap.mmap):
        root = root.base
    if not isinstance(root, np.memmap) or root.mode not in ("r", "r+") or not root.filename:
        return None
    path = os.path.abspath(root.filename)
    found = {
        "path": path,
        "start": x.__array_interface__["data"][0] - root.__array_interface__["data"][0] + root.offset,
        "dtype": x.dtype.str,
        "shape": x.shape,
        "strides": x.strides,
    }
    try:
        found["file"] = facts(path)
        again = map_samples(found)
    except (OSError, ValueError):
        return None
    some = np.linspace(0, len(x) - 1, min(len(x), COMPARED)).astype(np.intp)
    return found if np.array_equal(x[some], again[some]) else None  # the name leads to another file now


def facts(path: str) -> list[int]:
    """Return what tells a file from another one of its name."""
    told = os.stat(path)
    return [told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns]


def map_samples(found: dict[str, Any]) -> Array:
    """Return the samples in a file that `mapped_file` describes.

    Raises
    ------
    ValueError
        If another file has its name.
    """
    path = found["path"]
    if facts(path) != found["file"]:
        raise ValueError(f"{path}: another file than the one that was mapped has its name")
    memory = np.memmap(path, np.uint8, mode="r")
    samples: Array = np.ndarray(
        tuple(found["shape"]), found["dtype"], memory, found["start"], tuple(found["strides"])
    )
    return samples


def build_network(work: dict[str, Any], memory: MappedArena) -> RunnableNetwork:
    """Return the network that a description describes, its parameters the next array of the arena."""
    span = memory.spans[memory.asked]
    home, texts, start = memory.zeros(span.shape, span.dtype), work["texts"], 0
    tensors = {name: memory.array(number) for name, number in work["buffers"]}
    for name, shape in work["parameters"]:
        size = int(np.prod(shape))
        tensors[name] = home[start : start + size].reshape(shape)
        start += size
    contents = build(tensors, texts)
    network = RunnableNetwork(
        contents.layers,
        input_shape=contents.input_shape,
        seed=contents.seed,
        dtype=contents.dtype,
        preprocessing=contents.preprocessing,
    )
    network.attach(home)
    return network


def build_settings(work: dict[str, Any]) -> FitSettings:
    """Return the settings that a description describes.

    Raises
    ------
    ValueError
        If this process would compute otherwise than the one that was described.
    """
    name, arguments = work["optimizer"]
    optimizer = OPTIMIZERS[name](**arguments)
    here = [optimizer.numbers(), arithmetic()]
    if here != [work["numbers"], work["arithmetic"]]:
        raise ValueError(
            f"a worker must compute as its caller, {work['numbers']}, {work['arithmetic']}, got {here}"
        )
    augmentation = work["augmentation"]
    return FitSettings(
        loss=build_loss(*work["loss"]),
        optimizer=optimizer,
        batch_size=work["batch_size"],
        accumulate=work["accumulate"],
        augmentation=augmentation and Augmentation(**augmentation),
        threads=work["workers"],
        shards=work["shards"],
        l1=work["l1"],
        l2=work["l2"],
    )


def build_data(work: dict[str, Any], memory: MappedArena) -> tuple[Array, Targets]:
    """Return the samples and targets that a description describes."""
    samples, pixels = work["samples"], work["pixels"]
    x = map_samples(samples) if "path" in samples else memory.array(samples["number"])

    def held(number: int | None) -> Array | None:
        return None if number is None else memory.array(number)

    if pixels is not None:
        pixels = PixelWeights(pixels["ignore_label"], held(pixels["by_label"]), held(pixels["by_sample"]))
    return x, Targets(memory.array(work["targets"]), held(work["weights"]), pixels)
