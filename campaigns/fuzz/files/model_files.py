"""Files of models, their weights and their runs: this package's own, PyTorch's, Keras's and ONNX's."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import purecnn as p
from campaigns.fuzz.containers import closed, lying_zip, opened, spoiled, zipped
from campaigns.fuzz.fence import remove
from campaigns.fuzz.mutations import TEXTS, as_json, blind, twisted
from purecnn.formats import write_safetensors

#: Bytes that a sample may take on its way through the network of a hostile file.
ROOM = 1 << 21
WEIGHTS = Path(__file__).resolve().parents[3] / "tests" / "fixtures" / "weights"


def written(write: Callable[[Path], object], name: str = "file") -> bytes:
    """Return the file that a function writes."""
    folder = Path(tempfile.mkdtemp())
    write(folder / name)
    data = (folder / name).read_bytes()
    remove(folder)
    return data


# safetensors, models, checkpoints, state dicts ----------------------------------------------------------


def small_network() -> p.Network:
    """Return a network of many kinds of layers, for images of 1 x 6 x 6."""
    inner = [p.Convolutional(kernel_size=3, depth=2, padding=1), p.BatchNormalization()]
    layers = [
        p.Convolutional(kernel_size=3, depth=2, padding="same"),
        p.BatchNormalization(),
        p.PReLU(per_channel=True),
        p.Residual([*inner, p.Residual([p.ReLU()])]),
        p.ZeroPadding(1),
        p.DepthwiseConvolutional(kernel_size=2),
        p.MaxPooling(2),
        p.Dropout(0.1),
        p.Reshape((2, 3, 3), (18,)),
        p.Dense(output_size=3),
        p.Softmax(),
    ]
    return p.Network(
        layers, input_shape=(1, 6, 6), preprocessing=p.Preprocessing(1 / 255, 0, "bytes", ("a", "b", "c"))
    )


def images_and_labels() -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(0).integers(0, 256, (12, 1, 6, 6), np.uint8), np.arange(12) % 3


def fitted(network: p.Network, path: Path, epochs: int, resume: bool) -> None:
    x, y = images_and_labels()
    optimizer = p.Adam(0.01)
    keep = [] if resume else [p.Checkpoint(path, every=2)]
    network.fit(
        x,
        y,
        epochs=epochs,
        batch_size=6,
        threads=1,
        optimizer=optimizer,
        metrics=["accuracy"],
        callbacks=[p.LearningRate(optimizer, p.optimizers.schedules.Cosine(0.01)), *keep],
        resume=path if resume else None,
    )


def model_seeds() -> list[bytes]:
    plain = p.Network(
        [p.Flatten(), p.Dense(output_size=2), p.Tanh()], input_shape=(1, 2, 2), dtype=np.float64
    )
    return [written(partial(p.save, network)) for network in (small_network(), plain)]


def state_dict_seeds() -> list[bytes]:
    return [written(lambda path: p.save_state_dict(small_network(), path))]


def safetensors_seeds() -> list[bytes]:
    kinds = {str(np.dtype(kind)): np.ones((2, 3), kind) for kind in ("f8", "f4", "f2", "i8", "u4", "i1", "?")}
    return [
        written(partial(write_safetensors, tensors=kinds, metadata={"a": "b"}, sealed=sealed))
        for sealed in (False, True)
    ]


def checkpoint_seeds() -> list[bytes]:
    return [written(lambda path: fitted(small_network(), path, 1, False))]


def lying_safetensors(rng: Random, seeds: list[bytes]) -> bytes:
    header, body = opened(rng.choice(seeds))
    if rng.random() < 0.3:
        return closed(rng, header, spoiled(rng, body), sealed=True)
    return closed(rng, twisted(rng, header), body, sealed=rng.random() < 0.7)


def lying_model(rng: Random, seeds: list[bytes]) -> bytes:
    """Change one of the texts that hold JSON, inside a file that is whole and sealed again."""
    header, body = opened(rng.choice(seeds))
    texts = header["__metadata__"]
    name = rng.choice(
        [*(k for k in texts if k != "file_sha256"), "architecture", "architecture", "checkpoint"]
    )
    if name not in texts or rng.random() < 0.1:
        return lying_safetensors(rng, seeds)
    try:
        texts[name] = as_json(rng, twisted(rng, json.loads(texts[name])))
    except ValueError:
        texts[name] = rng.choice(TEXTS)
    text = json.dumps(header).encode()
    return closed(Plain(), json.loads(text), body, sealed=True)


class Plain(Random):
    """Chooses what leaves a file whole."""

    def random(self) -> float:
        return 0.0

    def randrange(self, *_: Any) -> int:
        return 11


def asked(path: Path) -> None:
    """Load a model and let it answer."""
    network = p.load(path, max_bytes=ROOM)
    shape = network.input_shape or ()
    network.predict(np.ones((1, *shape), np.uint8 if network.preprocessing.kind == "bytes" else np.float32))


def resumed(path: Path) -> None:
    fitted(small_network(), path, 2, True)


# Keras --------------------------------------------------------------------------------------------------


def fixtures(*names: str) -> Callable[[], list[bytes]]:
    return lambda: [(WEIGHTS / name).read_bytes() for name in names]


def lying_keras(rng: Random, seeds: list[bytes]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(rng.choice(seeds))) as archive:
        held = {name: archive.read(name) for name in ("metadata.json", "config.json", "model.weights.h5")}
    what = rng.random()
    if what < 0.6:
        config = json.loads(held["config.json"])
        config = {key: config[key] for key in ("class_name", "config", "registered_name", "module")}
        held["config.json"] = as_json(rng, twisted(rng, config)).encode("utf-8", "surrogatepass")
    elif what < 0.8:
        held["model.weights.h5"] = blind(rng, [held["model.weights.h5"]])
    members = list(held.items())
    return lying_zip(rng, members) if what > 0.7 else zipped(members, zipfile.ZIP_STORED)


def lying_config(rng: Random, seeds: list[bytes]) -> bytes:
    return as_json(rng, twisted(rng, json.loads(rng.choice(seeds)))).encode("utf-8", "surrogatepass")


def with_weights(path: Path) -> p.Network:
    """Read a config beside weights that are whole."""
    return p.load_keras(path, weights=WEIGHTS / "towers.weights.h5", input_shape=(3, 7, 7))


@cache
def keras_network() -> p.Network:
    return p.load_keras(WEIGHTS / "nested.keras")
