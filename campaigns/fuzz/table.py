"""The table of all that the package reads: good files, how hostile ones are made of them, and the reader.

A format is one entry of `FORMATS`. Everything about a case follows from the format's name and a number.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import purecnn as p
from campaigns.fuzz.containers import gzipped, lying_message, lying_zip, tarred, zipped
from campaigns.fuzz.files import (
    data_files,
    hostile_hdf5,
    model_files,
    onnx_files,
    picture_files,
    run_files,
    torch_files,
)
from campaigns.fuzz.mutations import blind
from purecnn import datasets
from purecnn.formats import npz, protobuf, read_arrays, read_idx, read_safetensors, read_torch
from purecnn.formats.idx import load_folder
from purecnn.onnx import schema
from purecnn.onnx.inventory import inventory

#: Bytes of memory that any file may take, and how many times its size besides.
MEMORY, TIMES = 64 << 20, 40
#: What deflate can grow by.
DEFLATE = 1032


def as_file(data: bytes, path: Path) -> Path:
    """Write a case where its reader finds it."""
    path.write_bytes(data)
    return path


@dataclass(frozen=True)
class Format:
    """A kind of files that the package reads.

    Parameters
    ----------
    seeds : callable
        Returns good files, small ones, the same bytes each time.
    read : callable
        Reads the file at a path, as a user's program would.
    lie : callable, optional
        From a Random and the seeds, a file whose structure is right and whose values lie; three in five cases
        come from it, the others are changed blindly.
    name : str
        What the file is called; names decide what some readers do.
    times : int
        Memory may be 64 MiB and this many times the file's size: 40, or what the packing can grow by.
    most : int
        Bytes of memory, where a documented limit and not the file's size bounds it.
    place : callable
        Writes a case, under the path that it gets, and returns what the reader is given.
    warns : tuple of classes
        Warnings that the reader documents.
    writes : bool
        Whether reading writes files: those may lie beside the one that is read.
    needs : str
        A module without which there is no such reader.
    """

    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    lie: Callable[[Random, list[bytes]], bytes] | None = None
    name: str = "case"
    times: int = TIMES
    most: int = MEMORY
    place: Callable[[bytes, Path], Path] = as_file
    warns: tuple[type[Warning], ...] = ()
    writes: bool = False
    needs: str = ""

    def memory(self, size: int) -> int:
        """Return the bytes that reading a file of this size may take."""
        return self.most + self.times * size

    def is_here(self) -> bool:
        """Return whether the packages are installed that the reader needs."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None


def case(name: str, number: int) -> bytes:
    """Return a hostile file: the same one each time, for a format's name and a number."""
    format, rng = FORMATS[name], Random(f"{name} {number}")
    seeds = good(name)
    if format.lie is not None and rng.random() < 0.6:
        return format.lie(rng, seeds)
    return blind(rng, seeds)


@cache
def good(name: str) -> list[bytes]:
    """Return a format's seeds, made once."""
    return FORMATS[name].seeds()


#: Every format by its name.
FORMATS = {
    "idx": Format(data_files.idx_seeds, read_idx, data_files.lying_idx),
    "idx-gzip": Format(
        lambda: [*map(gzipped, data_files.idx_seeds())], read_idx, data_files.lying_packed_idx, times=DEFLATE
    ),
    "idx-folder": Format(
        data_files.idx_seeds, load_folder, data_files.lying_idx, place=data_files.idx_folder
    ),
    "npz": Format(
        lambda: [zipped(data_files.npz_members())],
        npz.read_npz,
        data_files.lying_npz,
        name="a.npz",
        times=DEFLATE,
        warns=(UserWarning,),
    ),
    "arrays": Format(
        lambda: [zipped(data_files.npz_members()), data_files.npz_members()[0][1]],
        read_arrays,
        data_files.lying_npz,
        name="a.npz",
        times=DEFLATE,
        warns=(UserWarning,),
    ),
    "safetensors": Format(model_files.safetensors_seeds, read_safetensors, model_files.lying_safetensors),
    "model": Format(model_files.model_seeds, model_files.asked, model_files.lying_model),
    "checkpoint": Format(
        model_files.checkpoint_seeds,
        model_files.resumed,
        model_files.lying_model,
        warns=(p.errors.CheckpointWarning, RuntimeWarning),
    ),
    "state-dict": Format(
        model_files.state_dict_seeds,
        lambda path: p.load_state_dict(model_files.small_network(), path),
        model_files.lying_safetensors,
    ),
    "torch": Format(torch_files.torch_seeds, read_torch, torch_files.lying_torch, name="a.pt"),
    "zip": Format(
        lambda: [zipped(data_files.archive_members())],
        data_files.unpacked,
        lambda rng, _: lying_zip(rng, data_files.archive_members()),
        name="a.zip",
        times=DEFLATE,
        writes=True,
    ),
    "tar-gzip": Format(
        lambda: [gzipped(tarred(data_files.archive_members()))],
        data_files.unpacked,
        data_files.lying_packed_tar,
        name="a.tar.gz",
        times=DEFLATE,
        writes=True,
    ),
    "cifar-10": Format(
        data_files.cifar_seeds, lambda path: datasets.load("cifar-10", path), place=data_files.cifar_folder
    ),
    "picture": Format(
        picture_files.picture_seeds,
        picture_files.read_any,
        picture_files.lying_picture,
        most=2 << 30,
        needs="PIL",
    ),
    "predict": Format(
        picture_files.picture_seeds,
        picture_files.answered,
        picture_files.lying_or_narrow,
        most=2 << 30,
        needs="PIL",
    ),
    "folder": Format(
        picture_files.folder_seeds,
        picture_files.read_folder,
        picture_files.lying_folder,
        place=picture_files.grown,
        warns=(UserWarning,),
        needs="PIL",
    ),
    "record": Format(
        run_files.record_seeds,
        run_files.reproduced,
        run_files.lying_json,
        place=run_files.record_folder,
    ),
    "report": Format(
        run_files.record_seeds,
        run_files.reported,
        run_files.lying_json,
        place=run_files.record_folder,
        needs="plotly",
    ),
    "log": Format(run_files.log_seeds, run_files.read_log, run_files.lying_log),
    "request": Format(
        run_files.request_seeds, run_files.answered, run_files.lying_requests, needs="starlette"
    ),
    "keras": Format(
        model_files.fixtures(
            *("nested.keras", "pooled2.keras", "branches2.keras", "attention.keras", "merged.keras"),
            *("moved.keras", "prepared.keras", "slopes.keras", "steps.keras", "functions2.keras"),
        ),
        p.load_keras,
        model_files.lying_keras,
        name="a.keras",
        needs="h5py",
    ),
    "keras-json": Format(
        model_files.fixtures("towers.json"),
        model_files.with_weights,
        model_files.lying_config,
        name="a.json",
        needs="h5py",
    ),
    "keras-h5": Format(
        lambda: hostile_hdf5.of_both_kinds(model_files.fixtures("functional.h5")()),
        p.load_keras,
        hostile_hdf5.lying_model,
        name="a.h5",
        needs="h5py",
    ),
    "keras-weights": Format(
        lambda: hostile_hdf5.of_both_kinds(model_files.fixtures("nested.weights.h5")()),
        lambda path: p.load_keras_weights(model_files.keras_network(), path),
        hostile_hdf5.lying_weights,
        name="a.weights.h5",
        needs="h5py",
    ),
    "protobuf": Format(
        onnx_files.onnx_seeds,
        lambda path: protobuf.decode(path.read_bytes(), schema.SCHEMA, "ModelProto"),
        lambda rng, seeds: lying_message(rng, rng.choice(seeds)),
    ),
    "page-model": Format(
        run_files.before_page(model_files.model_seeds),
        run_files.opened,
        model_files.lying_model,
        needs="starlette",
    ),
    "page-onnx": Format(
        run_files.before_page(onnx_files.onnx_seeds),
        run_files.opened,
        onnx_files.lying_graph,
        needs="starlette",
    ),
    "inventory": Format(onnx_files.onnx_seeds, inventory, onnx_files.lying_graph, name="a.onnx"),
    "onnx": Format(onnx_files.onnx_seeds, onnx_files.read_graph, onnx_files.lying_graph, name="a.onnx"),
}
