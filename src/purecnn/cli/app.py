"""The command group: commands, and errors as sentences.

The commands in one group, and their errors as sentences; what one does with a trained network and data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table

from purecnn.backend.files import write_whole
from purecnn.backend.threads import is_limit
from purecnn.cli.inspect import inspect
from purecnn.cli.learning_rate import find_learning_rate
from purecnn.cli.model import chosen, convert, export, playground, show
from purecnn.cli.options import (
    check_options_of_pictures,
    data_option_of,
    device_option,
    not_empty,
    noted,
    skip_option,
)
from purecnn.cli.predictions import (
    FORMATS,
    as_csv,
    as_json,
    in_a_line,
    in_full,
    name_of,
    pictures_in,
    predictions,
)
from purecnn.cli.report import report
from purecnn.cli.reproduce import reproduce
from purecnn.cli.run import run
from purecnn.cli.site import site
from purecnn.cli.terminal import Terminal, echo, warnings_as_sentences
from purecnn.cli.train import train
from purecnn.datasets import catalog
from purecnn.datasets.data_path import for_task, read_data
from purecnn.errors import PureCNNError
from purecnn.escapes import visible
from purecnn.inspection.answers import Answers, find
from purecnn.layers.preprocessing import PREPARATIONS
from purecnn.messages import calls, near_names
from purecnn.metrics.inputs import tally
from purecnn.metrics.registry import METRICS, USUAL, formatted, in_words, written
from purecnn.networks.files import load
from purecnn.runs.model_path import is_model, run_of
from purecnn.version import __version__


class Refusal(click.ClickException):
    """An error that a user can mend: one sentence, and 2 as the exit status."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(visible(message))


class Commands(click.Group):
    """Commands whose errors are sentences, not tracebacks."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Read what was typed in front of a command's name."""
        with usage_errors(), refusals():
            return super().make_context(*arguments, **options)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command that was typed, or say what it is called here."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            meant = near_names.hint(name, self.list_commands(ctx), calls.COMMANDS)
            ctx.fail(f"No such command {name!r}" + (f": {meant}" if meant else "."))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; turn what it raises into a sentence and an exit status."""
        with usage_errors():
            return self.run(ctx)

    def run(self, ctx: click.Context) -> Any:
        """Run a command whose own errors become sentences."""
        try:
            with refusals(), warnings_as_sentences():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            echo("Interrupted.", err=True)
            ctx.exit(130)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what a command raises into a sentence."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of our output has gone: click ends quietly
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Refusal(f"{where}{error.strerror}" if error.strerror else str(error)) from error
    except MemoryError as error:
        raise Refusal(f"this takes more memory than there is: {error}") from error
    except (PureCNNError, TypeError, ValueError) as error:
        raise Refusal("; ".join([str(error), *getattr(error, "__notes__", [])])) from error
    except RuntimeError as error:
        if not is_limit(error):
            raise
        raise Refusal("no more threads can be started: the limit on processes is reached") from error


@contextmanager
def usage_errors() -> Iterator[None]:
    """Make visible what click quotes: a shell may have taken it from a folder's names."""
    try:
        yield
    except getattr(click.exceptions, "NoArgsIsHelpError", ()):
        raise  # no error, but the help
    except click.NoSuchOption as error:
        raise click.UsageError(visible(no_such_option(error)), error.ctx) from None
    except click.UsageError as error:
        raise click.UsageError(visible(error.format_message()), error.ctx) from None


#: Options by which other programs are given a model.
OF_A_MODEL = ("model", "m", "weights", "checkpoint", "run")


def no_such_option(error: click.NoSuchOption) -> str:
    """Return the sentence about an option that a command does not have, and what was probably meant."""
    typed, context = error.option_name, error.ctx
    sentence = f"No such option: {typed}"
    if context is None:
        return sentence
    known: list[str] = []
    for one in context.command.get_params(context):
        if isinstance(one, click.Option):
            known += one.opts
        elif typed.lstrip("-") in OF_A_MODEL and "MODEL" in f"{one.name} {one.metavar}".upper():
            return (
                f"{sentence}; the model is named first, without an option: purecnn {context.info_name} MODEL"
            )
    meant = near_names.option(typed, known)
    return f"{sentence}; did you mean {meant}?" if meant else sentence


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__, message="%(prog)s %(version)s")
def purecnn() -> None:
    """Train a convolutional neural network with NumPy alone, and use it."""


@purecnn.command()
@click.argument("model", required=False)
@data_option_of("the data of the run, else mnist")
@skip_option
@click.option("--threads", type=int, help="Number of worker threads.  [default: the physical cores]")
@device_option
def evaluate(
    model: str | None, data: str | None, skip_damaged: bool, threads: int | None, device: str
) -> None:
    """Test a trained network on the test set.

    MODEL is a file or the folder of a run. If left out, it is what train saves for the same data, such as
    runs/mnist-lenet-0; for MNIST, where there is none, the network of digits that is part of this package.
    """
    path = chosen(model, data)
    network = load(path).to(device)
    shape = network.input_shape or ()
    run = run_of(path) if data is None else None
    data = data or (run.data if run else "mnist")
    on_error = "skip" if skip_damaged or (run and run.skip_damaged) else "raise"
    sets = read_data(data, shape=shape if len(shape) == 3 else None, on_error=on_error)
    check_options_of_pictures(data, None, skip_damaged)
    if network.task is not None or sets.test[1].dtype.kind == "b":
        sets, _ = for_task(data, sets, network.task)
    x, y = noted(sets).test
    known = network.preprocessing.classes
    if known and sets.classes and known != sets.classes:
        raise ValueError(
            f"{path} knows the classes {', '.join(known)}; {data} has {', '.join(sets.classes)}: "
            f"name data of the same classes with --data"
        )
    found = find(network, x, y, threads=threads)
    Terminal().print(
        {"classification": of_classes, "multilabel": of_labels, "regression": of_values}[found.task](found)
    )
    measured = ", ".join(in_words(*pair) for pair in found.measured().items())
    loss = network.evaluate(x, y, threads=threads)["loss"]
    echo(f"{measured} on {len(x):,} images, loss {loss:.4{'g' if found.task == 'regression' else 'f'}}")


def right_aligned(*names: str) -> Table:
    """Return a table with these columns, numbers in all but the first."""
    table = Table(*names)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def of_classes(found: Answers) -> Table:
    """Return a row for each class: how many of its samples are right, and what it is mistaken for."""
    table = right_aligned("class", "images", "right", "accuracy")
    table.add_column("most often mistaken for")
    y, said = found.truth, found.said

    def shown(label: int) -> str:
        return visible(name_of(found.network, label))

    for label in np.unique(y):
        here = said[y == label]
        right, wrong = int(np.sum(here == label)), here[here != label]
        mistaken = tally(wrong).argmax() if len(wrong) else -1
        table.add_row(
            shown(int(label)),
            f"{len(here):,}",
            f"{right:,}",
            f"{100 * right / len(here):.2f} %",
            f"{shown(int(mistaken))} ({np.sum(wrong == mistaken)})" if len(wrong) else "",
        )
    return table


def of_labels(found: Answers) -> Table:
    """Return a row for each label: how many samples have it, and how well it is found."""
    kinds = ("accuracy", "precision", "recall", "f1")
    table = right_aligned("label", "images", *map(written, kinds))
    columns = [METRICS["multilabel"][f"{kind}_per_label"](found.truth, found.outputs) for kind in kinds]
    for name, support, *values in zip(found.names, found.truth.sum(axis=0), *columns, strict=True):
        shown = (formatted(*pair) for pair in zip(kinds, values, strict=True))
        table.add_row(visible(str(name)), f"{int(support):,}", *shown)
    return table


def of_values(found: Answers) -> Table:
    """Return a row for each output: how far it is from the true values."""
    kinds = USUAL["regression"]
    table = right_aligned("output", *map(written, kinds))
    for place, name in enumerate(found.names):
        pair = found.truth[:, place], found.outputs[:, place]
        shown = (formatted(kind, METRICS["regression"][kind](*pair)) for kind in kinds)
        table.add_row(visible(str(name)), *shown)
    return table


@purecnn.command()
@click.argument("names", nargs=-1, required=True, metavar="[MODEL] IMAGE...")
@click.option(
    "--prepare",
    type=click.Choice(PREPARATIONS[1:]),
    help="How to prepare an IMAGE: a character is inverted if need be, fitted and centred by mass, as MNIST's"
    " were; an object likewise, in the middle, as Fashion-MNIST's; or cut, or stretched, to the network's "
    "proportions and scaled, as in a folder.  [default: as when the network was trained]",
)
@click.option(
    "--output",
    metavar="FILE",
    callback=not_empty,
    help="Write the answers to a file, which ends in .csv or .json.  [default: they are printed]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Format of the answers.  [default: by the ending of --output, else text]",
)
@click.pass_context
def predict(
    context: click.Context, names: tuple[str, ...], prepare: str | None, output: str | None, form: str | None
) -> None:
    """Say what pictures show: their classes, labels or values.

    IMAGE is a file, or a folder whose pictures are all looked at. Each is prepared as those were that the
    network learnt from. One that can't be read is named, and the others are answered. A lone one is answered
    with every output, more of them with a line each.

    MODEL is a file that ends in .safetensors, or the folder of a run. If left out, it is runs/mnist-lenet-0,
    as train saves it, or, where there is none, the network of digits that is part of this package.
    """
    named = is_model(names[0])
    if named and len(names) == 1:
        raise click.UsageError(f"Missing argument 'IMAGE...' behind the model {names[0]}.", context)
    suffix = Path(output).suffix.lower() if output else ""
    if output and form == "text":
        raise ValueError("--output writes csv or json, got --format text")
    if output and (suffix not in (".csv", ".json") or form not in (None, suffix[1:])):
        wanted = " or ".join(f".{one}" for one in ([form] if form else FORMATS[1:]))
        raise ValueError(f"the file to write must end in {wanted}, got {output}")
    form = form or suffix[1:] or FORMATS[0]
    path = chosen(names[0] if named else None)
    network, files = load(path), pictures_in(names[named:])
    if prepare is None and network.preprocessing.preparation == "unknown":
        echo(
            f"{path}: arrays do not tell how their pictures were prepared: each IMAGE is cut and scaled; "
            f"--prepare names another way",
            err=True,
        )
    damaged = []

    def refuse(name: str, error: Exception) -> None:
        words = f"{name}: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
        echo(f"Error: {visible(words)}", err=True)
        damaged.append(name)

    answers = predictions(network, files, prepare, refuse)
    if form == "text":
        write = in_full if len(files) == 1 else in_a_line
        for one in answers:
            echo(write(network, one))
    else:
        every = list(answers)
        text = (as_csv if form == "csv" else as_json)(network, every)
        if output:
            write_whole(output, [text.encode(errors="backslashreplace")])
            echo(f"{visible(output)}: {len(every):,} of {len(files):,} pictures")
        else:
            echo(text, nl=False)
    if damaged:
        context.exit(Refusal.exit_code)


@purecnn.command()
@click.argument("name", type=click.Choice([name for name in catalog.NAMES if name != "mnist"]))
@click.option(
    "--folder", callback=not_empty, help="Folder to keep it in.  [default: a folder of its own in the cache]"
)
def download(name: str, folder: str | None) -> None:
    """Fetch a data set over the network.

    The only command that uses the network. What is there already is not fetched again.
    """
    echo(f"{name}: {catalog.fetch(name, folder)}")


for command in (
    convert,
    export,
    find_learning_rate,
    inspect,
    playground,
    report,
    reproduce,
    run,
    show,
    site,
    train,
):
    purecnn.add_command(command)
