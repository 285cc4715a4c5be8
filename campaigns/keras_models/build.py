"""Build the architectures with Keras, with random weights, and write their files and their answers.

Command: python -m campaigns.keras_models.build FOLDER --keras 3, with keras and tensorflow (tf_keras for 2)
installed; `compare` runs it. Of each it writes FOLDER/<name>-<keras>.npz, input and output, and the files
that `WAYS` names.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from campaigns.keras_models import applications, examples

#: How the files of each generation are named behind `<name>-<keras>`; the last is the layers alone.
WAYS = dict.fromkeys((3, 2), (".keras", ".h5", ".weights.h5", ".json"))
#: The architectures, by name.
ARCHITECTURES = {
    name: make
    for module in (examples, applications)
    for name, make in vars(module).items()
    if callable(make) and getattr(make, "__module__", "") == module.__name__ and name != "resnet_layer"
}
#: Those that one generation can't write: a class that it has not, or a function of TensorFlow.
ONLY = {"super_resolution": 2, "super_resolution_class": 3}
SAMPLES = 3
#: How much larger weights are where a network makes values small.
GAINS = {"efficientnet_b0": 2.0}


def fill(model: Any, rng: np.random.Generator, gain: float) -> None:
    """Draw weights that let values pass through deep networks in a size that numbers have."""
    for weight in model.weights:
        name, shape = weight.name.split("/")[-1].split(":")[0], tuple(weight.shape)
        if "seed" in name or "count" in name or "int" in str(weight.dtype):
            continue
        drawn = rng.normal(size=shape)
        if "variance" in name:
            drawn = rng.uniform(0.5, 1.5, shape)
        elif "gamma" in name:
            drawn = 0.9 + 0.2 * drawn
        elif "kernel" in name:
            depthwise = len(shape) > 2 and shape[-1] <= 2 and shape[-2] > 2
            drawn *= gain * np.sqrt(2 / max(1, np.prod(shape[: -2 if depthwise else -1])))
        else:  # beta, bias, alpha, mean
            drawn *= 0.03
        weight.assign(drawn.astype(np.float32))
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):  # what a Normalization computes of its arrays
            layer.finalize_state()


def answer(name: str, model: Any, x: Any) -> Any:
    """Return a model's outputs; compiled where TensorFlow has no other way on a processor."""
    if not name.startswith("first_"):
        return model(x, training=False)
    tensorflow = importlib.import_module("tensorflow")
    return tensorflow.function(lambda given: model(given, training=False), jit_compile=True)(x)


def write(name: str, keras: Any, generation: int, folder: Path) -> None:
    """Write one architecture's files and its answers."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(sum(map(ord, name)))
    model = ARCHITECTURES[name](keras)
    fill(model, rng, GAINS.get(name, 1.0))
    shape = [size or 24 for size in model.input_shape[1:]]
    scaled = "rescaling" in " ".join(layer.name for layer in model.layers)
    x = rng.random((SAMPLES, *shape)) * 255 if scaled else rng.normal(size=(SAMPLES, *shape))
    x = (x * np.linspace(1, 0.3, SAMPLES).reshape(-1, *[1] * len(shape))).astype(np.float32)
    y = np.asarray(answer(name, model, x))
    spread = float(np.max(np.std(y, axis=0)) / np.abs(y).max())
    if not np.isfinite(y).all() or spread < 1e-3:
        raise ValueError(f"its answers tell nothing, their spread is {spread:g}")
    front = folder / f"{name}-{generation}"
    np.savez(f"{front}.npz", input=x, output=y)
    for way in WAYS[generation]:
        path = f"{front}{way}"
        try:
            if way == ".json":
                Path(path).write_text(model.to_json(), encoding="utf-8")
            elif way == ".weights.h5":
                model.save_weights(path)
            else:
                model.save(path)
        except Exception as error:
            Path(path).unlink(missing_ok=True)
            print(f"{name}{way} of Keras {generation}: {type(error).__name__}: {error!s:.300}")


def main() -> None:
    """Write those asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keras", type=int, choices=(2, 3), default=3)
    parser.add_argument("names", nargs="*")
    args = parser.parse_intermixed_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if args.keras == 2:
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
    keras = importlib.import_module("tf_keras" if args.keras == 2 else "keras")
    args.folder.mkdir(parents=True, exist_ok=True)
    for name in args.names or ARCHITECTURES:
        if ONLY.get(name, args.keras) != args.keras:
            continue
        try:
            write(name, keras, args.keras, args.folder)
            print(f"{name} of Keras {args.keras}", flush=True)
        except Exception as error:
            print(f"{name} of Keras {args.keras}: {type(error).__name__}: {error!s:.500}", file=sys.stderr)


if __name__ == "__main__":
    main()
