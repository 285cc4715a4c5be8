"""Trainings of every kind, run by the tests in one process and in MPI jobs: all must end in the same bits.

mpiexec -n 4 python -m mpi4py -m tests.ranks_program [THREADS]
"""

import json
import sys

import numpy as np

from purecnn import (
    SGD,
    Adam,
    Augmentation,
    BatchNormalization,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    MaxPooling,
    Network,
    ReLU,
    Residual,
    Softmax,
    WeightAverage,
)
from purecnn.backend.digests import digest
from purecnn.datasets import Subset
from purecnn.training.host import LONG

#: Samples: the last batch has seven of them, in two shards behind batches of 128, in four behind 256, and in
#: seven behind 512, whose others have eight.
SAMPLES = 519


def convolutional(normalize=False, seed=5, dtype=np.float32, width=8, frozen=False):
    """Return a small network, with a layer that needs the whole batch if `normalize`."""
    network = Network(
        [
            Convolutional(kernel_size=3, depth=4),
            *([BatchNormalization()] if normalize else []),
            ReLU(),
            MaxPooling(2),
            Dropout(0.25),
            *(
                [Residual([Convolutional(kernel_size=3, depth=4, padding=1), BatchNormalization()])]
                if normalize
                else []
            ),
            Flatten(),
            Dense(output_size=width),
            ReLU(),
            Dense(output_size=4),
            Softmax(),
        ],
        input_shape=(1, 12, 12),
        seed=seed,
        dtype=dtype,
    )
    network[0].trainable = not frozen
    return network


def slow():
    """Return one whose layers learn at rates of their own."""
    network = convolutional()
    network[0].learning_rate_factor = 0.1
    return network


def data():
    """Return images of bytes and labels."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (SAMPLES, 12, 12)).astype(np.uint8), rng.integers(0, 4, SAMPLES)


class Listed(Subset):
    """A data set outside of memory, which notes how many samples it was asked for."""

    asked = 0

    def batch(self, rows):
        self.asked += len(rows)
        return super().batch(rows)


def trainings():
    """Return each training's network and what `fit` gets."""
    x, y = data()
    weights = np.random.default_rng(1).uniform(0, 2, SAMPLES)
    weights[:200] = 0
    augmentation = Augmentation(rotate=10, shift=1)
    normalized = {"normalize": True}
    return {
        "plain": (convolutional(), {"batch_size": 128, "epochs": 2}),
        "short last batch": (convolutional(), {"batch_size": 256}),
        "seven shards": (convolutional(), {"batch_size": 512, "shuffle": False}),
        "one shard": (convolutional(), {"batch_size": 20}),
        "one shard, normalized": (convolutional(**normalized), {"batch_size": 20}),
        "normalized": (convolutional(**normalized), {"batch_size": 128}),
        "normalized, short last batch": (convolutional(**normalized), {"batch_size": 256}),
        "augmented": (convolutional(), {"batch_size": 256, "augmentation": augmentation}),
        "normalized, augmented": (
            convolutional(**normalized),
            {"batch_size": 200, "augmentation": augmentation, "epochs": 2},
        ),
        "descent": (convolutional(), {"batch_size": 256, "optimizer": SGD(0.05)}),
        "clipped": (convolutional(), {"batch_size": 256, "optimizer": Adam(clip_norm=0.1)}),
        "penalties": (convolutional(), {"batch_size": 256, "l1": 1e-4, "l2": 1e-3}),
        "weights": (convolutional(), {"batch_size": 128, "sample_weight": weights, "shuffle": False}),
        "several batches a step": (
            convolutional(**normalized),
            {"batch_size": 64, "accumulate": 3, "optimizer": Adam(clip_norm=0.1), "l2": 1e-3},
        ),
        "averaged": (
            convolutional(**normalized),
            {"batch_size": 256, "epochs": 2, "callbacks": [WeightAverage("equal")]},
        ),
        "slow": (slow(), {"batch_size": 256, "optimizer": Adam(clip_norm=0.1)}),
        "frozen": (convolutional(frozen=True), {"batch_size": 256}),
        "float64": (convolutional(dtype=np.float64), {"batch_size": 256}),
        "measured": (
            convolutional(**normalized),
            {"batch_size": 256, "validation_split": 0.2, "metrics": ["f1", "recall"], "epochs": 2},
        ),
        "long": (convolutional(width=LONG // 80), {"batch_size": 256, "optimizer": SGD(0.01, momentum=0.9)}),
        "a data set": (
            convolutional(),
            {"batch_size": 256, "x": Listed(x, np.arange(SAMPLES), y), "y": None, "epochs": 2},
        ),
    }


def outcome(name, network, options, threads, ranks=None):
    """Train, and return digests of all that comes of it."""
    x, y = data()
    arguments = {"x": x, "y": y, "epochs": 1, "threads": threads, "shards": 4, **options}
    history = network.fit(**arguments, ranks=ranks)
    buffers = [buffer for layer in network for buffer in layer.buffers.values()]
    measured = {key: value for key, value in vars(history).items() if key != "seconds"}
    return {
        "parameters": digest(network.parameters),
        "buffers": digest(*buffers),
        "history": measured,
        "counts": [network.epochs, network.updates],
    }


def run(threads, ranks=None):
    """Return what comes of all trainings."""
    found = {}
    for name, (network, options) in trainings().items():
        found[name] = outcome(name, network, options, threads, ranks)
        if ranks is not None and isinstance(options.get("x"), Listed):
            found["asked"] = options["x"].asked
    return found


if __name__ == "__main__":
    from purecnn import Ranks

    together = Ranks()
    everywhere = together.gather(run(int(sys.argv[1]), together))
    if together.is_first:
        print(json.dumps(everywhere))
