"""Train from fixed seeds and hash all that comes of it: where no number may change, no hash does.

    python -m campaigns.same_bits --write FILE      before a change
    python -m campaigns.same_bits --compare FILE    after it, on the same machine

Every kind of layer, optimizer and loss is in one of the trainings; batch normalization, residuals, dropout,
augmentation, weights, penalties, frozen layers and single samples are. Each runs on 1, 2 and 4 workers,
forked where they can be, and on 2 that are started afresh, some as MPI jobs of 2 and 4 ranks, and some are
interrupted and resumed. Bits belong to a processor, a NumPy and a BLAS: a file of another machine is refused.
Only what the root package exports is used, so that the code below it may move.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import purecnn as p
from purecnn.backend.sharding import shard_count

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = 300


def digest(*values: Any) -> str:
    """Return one hash of arrays and numbers."""
    total = hashlib.sha256()
    for value in values:
        array = np.ascontiguousarray(value)
        total.update(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
    return total.hexdigest()[:24]


def images(channels: int = 1, size: int = 12) -> np.ndarray:
    """Return images of bytes."""
    return np.random.default_rng(0).integers(0, 256, (SAMPLES, channels, size, size)).astype(np.uint8)


LABELS = np.random.default_rng(1).integers(0, 4, SAMPLES)


def network(*front: Any, seed: int = 5, dtype: Any = np.float32, channels: int = 1, end: Any = None) -> Any:
    """Return a network of some layers and a last dense one behind them."""
    last = [p.Flatten(), p.Dense(output_size=4), p.Softmax()] if end is None else end
    return p.Network([*front, *last], input_shape=(channels, 12, 12), seed=seed, dtype=dtype)


def convolution(depth: int = 4, **options: Any) -> Any:
    """Return a 3 x 3 convolution."""
    return p.Convolutional(kernel_size=3, depth=depth, **options)


def normalized() -> list[Any]:
    """Return layers with statistics of the whole batch, also inside of another."""
    return [
        convolution(),
        p.BatchNormalization(),
        p.ReLU(),
        p.Residual([convolution(padding=1), p.BatchNormalization(), p.SpatialDropout(0.1)]),
        p.MaxPooling(2),
        p.Dropout(0.25),
    ]


def frozen() -> Any:
    """Return a network whose first layer is not trained."""
    made = network(convolution(), p.ReLU(), convolution(), p.MaxPooling(2))
    made[0].trainable = False
    return made


def trainings() -> Iterator[tuple[str, Callable[[], Any], dict[str, Any]]]:
    """Yield the name of each training, what makes its network, and what `fit` is told."""
    activations = (
        p.ELU, p.GELU, p.HardSigmoid, p.HardSwish, p.Identity, p.LeakyReLU, p.Mish, p.PReLU, p.ReLU, p.ReLU6,
        p.SELU, p.SiLU, p.Sigmoid, p.Softplus, p.Softsign, p.Tanh,
    )  # fmt: skip
    for activation in activations:
        yield (
            activation.__name__,
            lambda kind=activation: network(convolution(), kind(), p.AveragePooling(2)),
            {"learning_rate": 0.003},
        )
    shapes: dict[str, Callable[[], list[Any]]] = {
        "same padding": lambda: [convolution(padding="same"), p.ReLU(), p.MaxPooling(2)],
        "stride": lambda: [convolution(stride=2), p.ReLU()],
        "dilation": lambda: [convolution(dilation=2), p.ReLU()],
        "wide kernel": lambda: [
            p.Convolutional(kernel_size=5, depth=8),
            p.ReLU(),
            p.MaxPooling(2),
            convolution(16),
        ],
        "groups": lambda: [convolution(8), p.ReLU(), convolution(8, groups=2)],
        "depthwise": lambda: [convolution(8), p.ReLU(), p.DepthwiseConvolutional(kernel_size=3)],
        "zero padding": lambda: [p.ZeroPadding(2), convolution(), p.ReLU()],
        "overlapping pooling": lambda: [convolution(), p.MaxPooling(3, stride=2), p.ReLU()],
        "global pooling": lambda: [convolution(8), p.ReLU(), p.GlobalAveragePooling()],
        "reshape": lambda: [convolution(4), p.Reshape((4, 10, 10), (2, 20, 10)), convolution(4), p.ReLU()],
        "normalized": normalized,
        "spatial dropout": lambda: [convolution(8), p.ReLU(), p.SpatialDropout(0.3)],
    }
    for name, layers in shapes.items():
        yield name, lambda layers=layers: network(*layers()), {}
    optimizers = {
        "SGD": lambda: p.SGD(0.05),
        "momentum": lambda: p.SGD(0.02, momentum=0.9),
        "Nesterov": lambda: p.SGD(0.02, momentum=0.9, nesterov=True),
        "RMSprop": lambda: p.RMSprop(0.001),
        "Adagrad": lambda: p.Adagrad(0.01),
        "AdamW, clipped": lambda: p.AdamW(0.01, weight_decay=0.01, clip_norm=1.0, decay_biases=False),
        "Adam, clipped hard": lambda: p.Adam(clip_norm=0.1),
    }
    plain = [convolution, lambda: p.ReLU(), lambda: p.MaxPooling(2), lambda: p.Dropout(0.25)]
    for name, optimizer in optimizers.items():
        yield name, lambda: network(*(layer() for layer in plain)), {"optimizer": optimizer}
    weights = np.random.default_rng(2).uniform(0, 2, SAMPLES)
    weights[:40] = 0
    options: dict[str, dict[str, Any]] = {
        "short last batch": {"batch_size": 256},
        "one shard": {"batch_size": 20},
        "large batch": {"batch_size": 300, "shuffle": False},
        "penalties": {"l1": 1e-4, "l2": 1e-3},
        "sample weights": {"sample_weight": weights, "shuffle": False},
        "class weights": {"class_weight": "balanced"},
        "validation split": {"validation_split": 0.2, "metrics": ["f1", "recall"]},
        "augmentation": {"augmentation": p.Augmentation(rotate=10, shift=1, scale=0.1, erase=2)},
    }
    for name, given in options.items():
        yield name, lambda: network(*(layer() for layer in plain)), given
    yield "normalized, short last batch", lambda: network(*normalized()), {"batch_size": 256}
    yield (
        "normalized, augmented",
        lambda: network(*normalized()),
        {"batch_size": 200, "augmentation": p.Augmentation(rotate=10, shift=1)},
    )
    yield "float64", lambda: network(*normalized(), dtype=np.float64), {}
    yield "frozen", frozen, {}
    yield (
        "single samples",
        lambda: network(convolution(2), p.ReLU(), p.MaxPooling(2)),
        {"batch_size": 1, "epochs": 1, "optimizer": lambda: p.SGD(0.01), "loss": "mse", "one_hot": True},
    )
    yield (
        "scores",
        lambda: network(convolution(), p.ReLU(), end=[p.Flatten(), p.Dense(output_size=4)]),
        {"loss": "softmax_cross_entropy"},
    )
    for loss in ("mse", "mean_absolute_error", "huber", "log_cosh"):
        yield (
            loss,
            lambda: network(convolution(), p.ReLU(), end=[p.Flatten(), p.Dense(output_size=4)]),
            {"loss": loss, "one_hot": True},
        )


def outcome(made: Any, options: dict[str, Any], threads: int, **more: Any) -> dict[str, Any]:
    """Train, and return the hashes of what comes of it."""
    given = {"epochs": 2, "batch_size": 128, "threads": threads, **options, **more}
    y = np.eye(4, dtype=np.float32)[LABELS] if given.pop("one_hot", False) else LABELS
    if callable(given.get("optimizer")):
        given["optimizer"] = given["optimizer"]()
    x = images()
    given.setdefault("shards", shard_count(given["batch_size"]))  # the same on every machine, at any ranks
    history = made.fit(x, y, **given)
    parts = [part for layer in made for part in (layer, *layer.parts())]
    buffers = [part.buffers[name] for part in parts for name in sorted(part.buffers)]
    state = made.optimizer.state
    return {
        "parameters": digest(made.parameters),
        "buffers": digest(*buffers),
        "optimizer": digest(*(state[name] for name in sorted(state))),
        "loss": [float(value).hex() for value in history.loss],
        "validation loss": [float(value).hex() for value in history.validation_loss],
        "outputs": digest(made.predict(x[:50])),
    }


class Interruption(BaseException):
    """What a kill is within a process."""


class Interrupt(p.Callback):
    """End a run at its third step."""

    last = True

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Count."""
        if self.fit.epoch * self.fit.steps + step == 3:
            raise Interruption


def resumed(make: Callable[[], Any], options: dict[str, Any]) -> dict[str, Any]:
    """Interrupt a run on 2 threads, and go on from its checkpoint on 1."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "checkpoint.safetensors")
        with contextlib.suppress(Interruption):
            outcome(make(), options, 2, callbacks=[p.Checkpoint(path, every=1), Interrupt()])
        return outcome(make(), options, 1, resume=path)


def original() -> dict[str, Any]:
    """Return the hashes of the original program's XOR."""
    layers = [p.Dense(2, 3), p.Tanh(), p.Dense(3, 1), p.Tanh()]
    x = np.reshape([[0, 0], [0, 1], [1, 0], [1, 1]], (4, 2, 1))
    y = np.reshape([[0], [1], [1], [0]], (4, 1, 1))
    errors = p.train(
        layers, p.losses.mse, p.losses.mse_prime, x, y, epochs=50, learning_rate=0.1, verbose=False
    )
    outputs = [p.predict(layers, one) for one in x]
    return {"errors": digest(np.array(errors)), "outputs": digest(*outputs)}


RANKED = ("short last batch", "normalized, augmented", "AdamW, clipped", "penalties", "sample weights")
RESUMED = ("normalized, augmented", "AdamW, clipped", "momentum", "validation split", "frozen", "float64")


def run_ranks() -> None:
    """Be one rank of an MPI job: train what ranks are tried with, and print the hashes on the first one."""
    ranks = p.Ranks()
    results = {
        name: outcome(make(), options, 1, ranks=ranks)
        for name, make, options in trainings()
        if name in RANKED
    }
    if ranks.is_first:
        print(json.dumps(results))


def job(size: int) -> dict[str, Any]:
    """Return what an MPI job of so many ranks prints."""
    mpiexec = shutil.which(
        "mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    if mpiexec is None:
        raise SystemExit("there is no mpiexec: install the extra mpi")
    command = [
        mpiexec,
        "-n",
        str(size),
        sys.executable,
        "-m",
        "mpi4py",
        "-m",
        "campaigns.same_bits",
        "--rank",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
    if done.returncode:
        raise SystemExit(done.stderr)
    results: dict[str, Any] = json.loads(done.stdout)
    return results


def collect() -> dict[str, Any]:
    """Return the hashes of all trainings; those on 1, 2 and 4 threads, ranks and resumption must agree."""
    results: dict[str, Any] = {"original": original()}
    for name, make, options in trainings():
        results[name] = outcome(make(), options, 1)
        for threads, kind in ((2, ""), (4, ""), (2, "spawn")):
            os.environ["PURECNN_WORKERS"] = kind
            if outcome(make(), options, threads) != results[name]:
                raise SystemExit(f"{name}: {threads} workers {kind} do not give the bits of one")
        os.environ["PURECNN_WORKERS"] = ""
        if name in RESUMED and resumed(make, options) != results[name]:
            raise SystemExit(f"{name}: a run that was resumed does not end in the bits of one that was not")
        print(".", end="", file=sys.stderr, flush=True)
    for size in (2, 4):
        for name, hashes in job(size).items():
            if hashes != results[name]:
                raise SystemExit(f"{name}: {size} ranks do not give the bits of one process")
    print(file=sys.stderr)
    return results


def machine() -> dict[str, Any]:
    """Return what bits depend on."""
    simd = np.show_config(mode="dicts")["SIMD Extensions"]  # type: ignore[index,call-overload]
    return {
        "numpy": np.__version__,
        "processor": [platform.machine(), *simd.get("found", [])],
        "coretype": os.environ.get("OPENBLAS_CORETYPE", ""),
    }


def main() -> None:
    """Write the hashes, or compare with those of a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", metavar="FILE", type=Path)
    parser.add_argument("--compare", metavar="FILE", type=Path)
    parser.add_argument("--rank", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.rank:
        run_ranks()
        return
    if (given.write is None) == (given.compare is None):
        parser.error("give either --write FILE or --compare FILE")
    before = None
    if given.compare is not None:
        before = json.loads(given.compare.read_text(encoding="utf-8"))
        if before["machine"] != machine():
            raise SystemExit(f"{given.compare}: of another machine, {before['machine']}, this is {machine()}")
    now = {"machine": machine(), "trainings": collect()}
    if before is None:
        given.write.parent.mkdir(parents=True, exist_ok=True)
        given.write.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
        print(f"{given.write}: {len(now['trainings'])} trainings")
        return
    names = {**before["trainings"], **now["trainings"]}
    changed = [name for name in names if before["trainings"].get(name) != now["trainings"].get(name)]
    for name in changed:
        print(f"{name}: was {before['trainings'].get(name)}, is {now['trainings'].get(name)}")
    print(f"{len(names) - len(changed)} of {len(names)} trainings have the same bits")
    raise SystemExit(bool(changed))


if __name__ == "__main__":
    main()
