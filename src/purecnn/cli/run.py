"""The command that runs a model on pictures and arrays, and prints or writes what it answers."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from purecnn.backend.files import write_whole
from purecnn.backend.types import Array
from purecnn.cli.inspect import sizes
from purecnn.cli.models import PIXELS, Framing, Model, open_model, read_labels
from purecnn.cli.options import not_empty
from purecnn.cli.predictions import pictures_in
from purecnn.cli.terminal import echo
from purecnn.errors import FileFormatError
from purecnn.formats.npz import read_arrays
from purecnn.layers.preprocessing import PREPARATIONS
from purecnn.runs.model_path import model_file

Refuse = Callable[[str, Exception], None]
#: What the names of arrays' files end in.
ARRAYS = (".npy", ".npz")
#: Pictures that are looked at together.
PICTURES = 16
#: Samples of an array whose answers are printed.
PRINTED = 20


@dataclass(frozen=True)
class Job:
    """What goes in together, and what its samples are called."""

    arrays: dict[str, Array]
    names: Sequence[str] = ()


@click.command()
@click.argument("model")
@click.argument("inputs", nargs=-1, required=True, metavar="[NAME=]INPUT...")
@click.option("--labels", metavar="FILE", callback=not_empty, help="Names of what comes out, a line each.")
@click.option("--top", type=click.IntRange(1), default=5, help="How many answers to print of each sample.")
@click.option(
    "--pixels",
    type=click.Choice(PIXELS),
    help="What a picture's values become in front of an ONNX file: 0 to 255 as they are, 0 to 1, -1 to 1, "
    "or by ImageNet's means, as torchvision's models want it.  [default: as the file says, else unit]",
)
@click.option(
    "--prepare",
    type=click.Choice(PREPARATIONS[1:]),
    help="How to prepare a picture, as for predict.  [default: as the model says, else crop]",
)
@click.option(
    "--size", metavar="H,W", help="Size of pictures, where the file leaves it open.  [default: their own]"
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    help="How many samples go into an ONNX file at a time.  [default: 16 pictures, all samples of an array]",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(1),
    help="Bytes that all arrays on the way through may take, since a file can ask for any.  [default: "
    "2 GiB in an ONNX file, 1 GiB for a sample in a network]",
)
@click.option("--threads", type=int, help="Number of worker threads.  [default: the physical cores]")
@click.option(
    "--output",
    metavar="FILE",
    callback=not_empty,
    help="Write the outputs to a file, .npz, or .npy where there is one.  [default: they are printed]",
)
@click.pass_context
def run(
    context: click.Context,
    model: str,
    inputs: tuple[str, ...],
    labels: str | None,
    top: int,
    pixels: str | None,
    prepare: str | None,
    size: str | None,
    batch_size: int | None,
    max_bytes: int | None,
    threads: int | None,
    output: str | None,
) -> None:
    """Run a model on pictures or arrays.

    INPUT is a picture, a folder of pictures, or an array, .npy or .npz, the samples first. A model of several
    inputs is given each by its name, NAME=INPUT, or an .npz file that holds all of them.

    MODEL is an ONNX file, a network of this package or of Keras, or the folder of a run. Of probabilities and
    other scores the highest are printed, a line each.
    """
    suffix = Path(output).suffix.lower() if output else ""
    if output and suffix not in ARRAYS:
        raise ValueError(f"the file to write must end in .npz or .npy, got {output}")
    opened = open_model(model_file(model), max_bytes)
    names = read_labels(labels) if labels else opened.labels
    sides = sizes("--size", size)
    if sides is not None and len(sides) != 2:
        raise ValueError(f"--size must be height and width, such as 224,224, got {size}")
    noted: set[str] = set()

    def note(words: str) -> None:
        if words not in noted:
            noted.add(words)
            echo(f"{opened.path}: {words}", err=True)

    failed = []

    def refuse(name: str, error: Exception) -> None:
        words = f"{name}: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
        echo(f"Error: {words}", err=True)
        failed.append(name)

    framing = Framing(prepare, pixels, None if sides is None else (sides[0], sides[1]), note)
    kept: dict[str, list[Any]] = {}
    for job in jobs(opened, inputs, framing, batch_size or PICTURES, refuse):
        found = opened.answer(job.arrays, threads, None if job.names else batch_size)
        check_labels(found, names, labels)
        for name, values in found.items():
            kept.setdefault(name, []).append(values)
        if not output:
            for line in lines(found, job.names, names, top):
                echo(line)
    if output and kept:
        write_outputs(output, kept)
    if failed:
        context.exit(2)


# What goes in -------------------------------------------------------------------------------------------


def jobs(model: Model, inputs: Sequence[str], framing: Framing, most: int, refuse: Refuse) -> Iterator[Job]:
    """Yield what goes into a model together."""
    named: dict[str, str] = {}
    files: list[str] = []
    for text in inputs:
        name, sign, file = text.partition("=")
        if not sign or Path(text).exists():
            files.append(text)
        elif name not in model.inputs or name in named:
            known = ", ".join(model.inputs)
            raise ValueError(f"{text}: the model's inputs are {known}, each of them once as NAME=INPUT")
        else:
            named[name] = file
    if len(model.inputs) == 1:
        yield from of_one_input(model, [*named.values(), *files], framing, most, refuse)
    elif len(files) == 1 and not named and Path(files[0]).suffix.lower() == ".npz":
        held = read_arrays(files[0])
        if missing := [name for name in model.inputs if name not in held]:
            raise FileFormatError(f"{files[0]}: holds {', '.join(held)}, wanted an array {missing[0]!r}, too")
        yield Job({name: held[name] for name in model.inputs})
    else:
        missing = [name for name in model.inputs if name not in named]
        if missing or files:
            known = ", ".join(model.inputs)
            odd = f"{files[0]} has no name" if files else f"{missing[0]} is missing"
            raise ValueError(f"the model's inputs are {known}, each given as NAME=INPUT; {odd}")
        arrays = {}
        for name, file in named.items():
            is_array = Path(file).suffix.lower() in ARRAYS
            arrays[name] = array_of(file, name) if is_array else model.picture(name, file, framing)
        yield Job(arrays)


def of_one_input(
    model: Model, files: Sequence[str], framing: Framing, most: int, refuse: Refuse
) -> Iterator[Job]:
    """Yield arrays as they are, and pictures of one size together, up to so many."""
    (name,) = model.inputs
    batch: list[tuple[str, Array]] = []
    for file in pictures_in(files):
        is_array = Path(file).suffix.lower() in ARRAYS
        try:
            array = array_of(file, name) if is_array else model.picture(name, file, framing)
        except (FileFormatError, OSError) as error:
            refuse(file, error)
            continue
        if batch and (is_array or array.shape != batch[0][1].shape or len(batch) == most):
            yield together(name, batch)
            batch = []
        if is_array:
            yield Job({name: array})
        else:
            batch.append((file, array))
    if batch:
        yield together(name, batch)


def together(name: str, batch: Sequence[tuple[str, Array]]) -> Job:
    """Return pictures as one batch."""
    return Job({name: np.concatenate([array for _, array in batch])}, [file for file, _ in batch])


def array_of(file: str, name: str) -> Array:
    """Return the array of a file: the one in it, or that of an input's name."""
    held = read_arrays(file)
    if len(held) == 1:
        return next(iter(held.values()))
    if name not in held:
        raise FileFormatError(f"{file}: holds {', '.join(held) or 'no array'}, wanted one array or {name!r}")
    return held[name]


# What comes out -----------------------------------------------------------------------------------------


def check_labels(found: Mapping[str, Any], names: Sequence[str], file: str | None) -> None:
    """Refuse labels of a file that no output has as many numbers as."""
    widths = [
        values.shape[1] for values in found.values() if isinstance(values, np.ndarray) and values.ndim == 2
    ]
    if file and widths and len(names) not in widths:
        raise ValueError(f"{file} has {len(names):,} labels, and the model's answers {widths[0]:,} numbers")


def lines(found: Mapping[str, Any], files: Sequence[str], names: Sequence[str], top: int) -> Iterator[str]:
    """Yield what is printed of a batch's answers."""
    for output, values in found.items():
        is_array = isinstance(values, np.ndarray)
        what = f"{values.dtype} {values.shape}" if is_array else f"{len(values):,} dicts"
        if len(found) > 1 or not files:
            yield f"{output}: {what}"
        if is_array and values.ndim == 0:
            yield f"  {one(values[()], names)}"
            continue
        shown = values[: len(files) or PRINTED]
        for number, row in enumerate(shown):
            yield files[number] if files else f"sample {number}"
            yield from (f"  {line}" for line in of_row(row, names, top))
        if len(values) > len(shown):
            yield f"... {len(values) - len(shown):,} more samples; --output writes them all"


def of_row(row: Any, names: Sequence[str], top: int) -> Iterator[str]:
    """Yield what is printed of one sample: the highest numbers of a row, or what else there is to say."""
    if isinstance(row, dict):
        pairs = [(str(name), float(value)) for name, value in row.items()]
    elif np.ndim(row) == 0 or np.shape(row) == (1,):
        yield one(np.asarray(row).reshape(-1)[0], names)
        return
    elif np.ndim(row) == 1 and row.dtype.kind in "biuf":
        fits = len(names) == len(row)
        pairs = [(names[k] if fits else str(k), float(value)) for k, value in enumerate(row)]
    elif row.dtype.kind in "biuf" and row.size:
        yield f"{row.shape} from {row.min():.6g} to {row.max():.6g}"
        return
    else:
        yield f"{row.dtype} {row.shape}"
        return
    total = sum(value for _, value in pairs)
    shares = abs(total - 1) < 1e-3 and all(value >= 0 for _, value in pairs)
    best = sorted(pairs, key=lambda pair: -pair[1] if pair[1] == pair[1] else np.inf)[:top]
    room = max(len(name) for name, _ in best)
    for name, value in best:
        yield f"{name:<{room}}  {f'{100 * value:6.2f} %' if shares else f'{value:.6g}'}"


def one(value: Any, names: Sequence[str]) -> str:
    """Return a lone number, or the name of a class by its number."""
    if isinstance(value, int | np.integer) and 0 <= value < len(names):
        return names[int(value)]
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)


def write_outputs(path: str, kept: Mapping[str, list[Any]]) -> None:
    """Write all outputs to one file, all of it or nothing."""
    try:
        arrays = {name: np.concatenate([plain(v) for v in values]) for name, values in kept.items()}
    except ValueError as error:
        raise ValueError(
            f"answers of different shapes are no one array, run each INPUT apart: {error}"
        ) from None
    held = io.BytesIO()
    if Path(path).suffix.lower() == ".npy":
        if len(arrays) > 1:
            raise ValueError(
                f"the model has the outputs {', '.join(arrays)}: the file must end in .npz, got {path}"
            )
        np.save(held, next(iter(arrays.values())))
    else:
        with zipfile.ZipFile(held, "w") as archive:  # savez takes no array that is called file
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.save(member, array)
    write_whole(path, [held.getvalue()])
    told = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in arrays.items())
    echo(f"{path}: {told}")


def plain(values: Any) -> Array:
    """Return an output as an array without objects: text as text, dicts as their numbers by key."""
    if isinstance(values, list):
        return np.array([[row[key] for key in values[0]] for row in values])
    found = np.atleast_1d(values)
    return found.astype(str) if found.dtype.kind == "O" else found
