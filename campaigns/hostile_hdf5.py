"""HDF5 files as h5py can write them and Keras never would."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from campaigns.mutations import TEXTS, as_json, hostile, twisted


def changed(data: bytes, change: Callable[[Any], None]) -> bytes:
    """Return a file with something done to it by h5py."""
    import h5py

    held = io.BytesIO(data)
    with h5py.File(held, "r+") as file:
        change(file)
    return held.getvalue()


def lying_weights(rng: Random, seeds: list[bytes]) -> bytes:
    """Change groups, links, arrays and attributes."""

    def change(file: Any) -> None:
        for _ in range(rng.choice([1, 1, 2, 4])):
            groups, arrays = members(file)
            try:
                rng.choice(CHANGES)(rng, file, groups, arrays)
            except (KeyError, OSError, RuntimeError, TypeError, ValueError):
                continue  # not everything that is hostile can be written

    return changed(rng.choice(seeds), change)


def lying_model(rng: Random, seeds: list[bytes]) -> bytes:
    """Change the config that lies in an attribute, or anything else."""
    if rng.random() < 0.4:
        return lying_weights(rng, seeds)

    def change(file: Any) -> None:
        text = file.attrs["model_config"]
        config = json.loads(text)
        file.attrs["model_config"] = as_json(rng, twisted(rng, config)).replace("\x00", "")[:60_000]

    return changed(rng.choice(seeds), change)


def members(file: Any) -> tuple[list[str], list[str]]:
    """Return the names of a file's groups and of its arrays."""
    import h5py

    groups, arrays = [], []
    file.visititems(lambda name, item: (groups if isinstance(item, h5py.Group) else arrays).append(name))
    return groups or ["/"], arrays or ["/"]


def relink(rng: Random, file: Any, groups: list[str], arrays: list[str]) -> None:
    import h5py

    name, other = rng.choice(groups + arrays), rng.choice(groups + arrays)
    links = [
        h5py.SoftLink(f"/{other}"),
        h5py.SoftLink("/nowhere"),
        h5py.ExternalLink("/nowhere/a.h5", "/"),
        h5py.ExternalLink("case", f"/{name}"),
        file[other],
    ]
    del file[name]
    file[name] = rng.choice(links)


def rearrange(rng: Random, file: Any, groups: list[str], arrays: list[str]) -> None:
    """Put another array in the place of one."""
    import h5py

    name = rng.choice(arrays)
    values = file[name][()]
    shape = rng.choice(
        [values.shape, values.shape[::-1], (*values.shape, 1), (0,), (), (2**20, 2**20), (1,) * 32]
    )
    del file[name]
    what = rng.randrange(9)
    if what == 0:
        file.create_dataset(name, shape, rng.choice(["f4", "f8", "f2", ">f4", "i4", "S3", "c8", "u1"]))
    elif what == 1:
        file.create_dataset(name, data=values, chunks=True, compression="gzip")
    elif what == 2:
        file.create_dataset(name, (4, 4), "f4", maxshape=(None, None), chunks=(2, 2), fillvalue=np.nan)
    elif what == 3:
        file.create_dataset(name, (1 << 20,), "f4", external=[("/nowhere/a", 0, h5py.h5f.UNLIMITED)])
    elif what == 4:
        layout = h5py.VirtualLayout((5,), "f4")
        layout[:] = h5py.VirtualSource("/nowhere/a.h5", "a", (5,))
        file.create_virtual_dataset(name, layout)
    elif what == 5:
        file.create_dataset(name, (3,), h5py.vlen_dtype(np.float32))
    elif what == 6:
        file.create_dataset(name, data=h5py.Empty("f4"))
    elif what == 7:
        file.create_dataset(name, (3,), np.dtype([("a", "f4"), ("b", "f8")]))
    else:
        wrong = rng.choice([np.nan, np.inf, 1e300, -1.0])
        with np.errstate(over="ignore"):
            file.create_dataset(name, data=np.full(values.shape, wrong, rng.choice(["f4", "f8"])))


def describe(rng: Random, file: Any, groups: list[str], arrays: list[str]) -> None:
    """Put another value into an attribute."""
    homes = [file, *(file[name] for name in groups)]
    home = rng.choice([h for h in homes if len(h.attrs)] or homes)
    name = rng.choice([*home.attrs, "layer_names", "weight_names", "layer_names0", "model_config"])
    value = rng.choice(
        [hostile(rng), rng.choice(TEXTS), [rng.choice(TEXTS)] * 3, np.zeros(3), b"\xff", ["a"] * 2000]
    )
    home.attrs[name] = value if not isinstance(value, dict) and value is not None else ""


def remove(rng: Random, file: Any, groups: list[str], arrays: list[str]) -> None:
    del file[rng.choice(groups + arrays)]


def rename(rng: Random, file: Any, groups: list[str], arrays: list[str]) -> None:
    name = rng.choice(groups + arrays)
    front = name.rpartition("/")[0]
    file.move(name, f"{front}/{rng.choice([*TEXTS, 'dense', 'conv2d_1', '0', '7', 'layers'])}")


def deepen(rng: Random, file: Any, groups: list[str], arrays: list[str]) -> None:
    """Put groups into groups, or a group into itself."""
    name = rng.choice(groups)
    if rng.random() < 0.5:
        file[f"{name}/layers"] = file[rng.choice([name, "/"])]
    else:
        file.require_group(name + "/layers/dense" * rng.choice([2, 25, 60]))


CHANGES = (relink, rearrange, rearrange, describe, remove, rename, deepen)
