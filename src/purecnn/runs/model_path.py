"""Model paths: a file, or the folder of a run.

A trained model as it is named at a command line: a file, or the folder of a run that it lies in.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from purecnn.datasets.catalog import NAMES
from purecnn.datasets.folders import SUFFIXES
from purecnn.errors import FileFormatError
from purecnn.runs.folder import CHECKPOINT, MODEL
from purecnn.runs.recipes import RECIPES
from purecnn.runs.record import RECORD
from purecnn.runs.run import Run

#: Trained by ``purecnn train --recipe tiny``: what answers where no other model was named or trained.
DIGITS = Path(__file__).parent / "digits.safetensors"
#: What the names of models end in, ours and those of other programs, which `load` tells apart.
MODEL_SUFFIXES = (".safetensors", ".onnx", ".keras", ".h5", ".hdf5", ".pt", ".pth", ".npz", ".pkl")


def model_file(source: str | os.PathLike[str]) -> Path:
    """Return the file of a model: itself, or the one in the folder of a run.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: there is no such file or folder; `purecnn train` makes a model and says where"
        )
    if not path.is_dir():
        return path
    if (path / MODEL).exists():
        return path / MODEL
    if (path / CHECKPOINT).exists():
        raise FileNotFoundError(
            f"{path}: this run has no model yet: `purecnn train --resume {path}` goes on with it; its "
            f"{CHECKPOINT} is one of a training that is not complete"
        )
    raise FileNotFoundError(f"{path}: holds no {MODEL}; a model's file or the folder of a run is wanted")


def run_folder(source: str | os.PathLike[str]) -> Path:
    """Return the folder of a run: itself, or that of a file in it."""
    path = Path(source)
    return path.parent if path.is_file() else path


def run_of(model: Path) -> Run | None:
    """Return the run that a model's file came of, where its record lies beside it and can be read."""
    if model.name not in (MODEL, CHECKPOINT) or not (model.parent / RECORD).is_file():
        return None
    try:
        return Run.recorded(model.parent)
    except FileFormatError:
        return None


def is_model(source: str) -> bool:
    """Return whether a name, in front of those of pictures, is that of a model.

    A model's file is known by its ending, a run's folder by what lies in it. What is not there is taken for a
    model, unless its name ends as that of a picture.

    Examples
    --------
    >>> is_model("digits.safetensors"), is_model("seven.png"), is_model("no such folder")
    (True, False, True)
    """
    path = Path(source)
    if path.is_dir():
        return any((path / name).exists() for name in (MODEL, CHECKPOINT, RECORD))
    suffix = path.suffix.lower()
    return suffix in MODEL_SUFFIXES or (suffix not in SUFFIXES and not path.exists())


def default_folder(name: str, data: str, seed: int) -> Path:
    """Return where a run is saved if nothing else is said: after its data, its network and its seed.

    Examples
    --------
    >>> default_folder("lenet", "fashion-mnist", 0).name, default_folder("fast", "my/cats & dogs.npz", 1).name
    ('fashion-mnist-lenet-0', 'cats-dogs-fast-1')
    """
    words = data if data in NAMES else os.path.basename(os.path.abspath(data)).removesuffix(".npz")
    slug = re.sub(r"[^\w.]+", "-", words).strip("-.") or "data"
    return Path("runs", f"{slug}-{name}-{seed}")


def usual_model(data: str | None = None) -> Path:
    """Return the model where none is named: that of ``purecnn train`` on the same data.

    For MNIST, where nothing was trained yet, the network of digits that is part of the package.

    Raises
    ------
    FileNotFoundError
        For other data, if nothing was trained on them.
    """
    data = data or RECIPES["lenet"].data
    path = default_folder("lenet", data, 0) / MODEL
    if path.exists():
        return path
    if data == RECIPES["lenet"].data:
        return DIGITS
    raise FileNotFoundError(
        f"{path}: there is no such file; `purecnn train --data {data}` makes it, or name the model first"
    )
