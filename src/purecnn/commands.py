"""The commands in one group, and their errors as sentences; what one does with a trained network and data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import numpy as np
from rich.table import Table

import purecnn as package
from purecnn import datasets
from purecnn.conversion import convert
from purecnn.data_path import for_task, read_data
from purecnn.errors import FileFormatError, PureCNNError
from purecnn.escapes import visible
from purecnn.findings import Findings, find
from purecnn.labels import listed, tally
from purecnn.measures import METRICS, USUAL, formatted, in_words, written
from purecnn.model_commands import DEFAULT_MODEL, export, playground, show, trained
from purecnn.network import Network
from purecnn.options import (
    check_options_of_pictures,
    data_option,
    device_option,
    not_empty,
    noted,
    skip_option,
)
from purecnn.preparation import prepared
from purecnn.ranges import ends_in_probabilities
from purecnn.report_commands import report
from purecnn.samples import PREPARATIONS, answers
from purecnn.scratch import Array
from purecnn.terminal import Terminal, echo, warnings_as_sentences
from purecnn.train_commands import reproduce, train


class Refusal(click.ClickException):
    """An error that a user can mend: one sentence, and 2 as the exit status."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(visible(message))


class Commands(click.Group):
    """Commands whose errors are sentences, not tracebacks."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Read what was typed in front of a command's name."""
        with usage_errors():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; turn what it raises into a sentence and an exit status."""
        with usage_errors():
            return self.run(ctx)

    def run(self, ctx: click.Context) -> Any:
        """Run a command whose own errors become sentences."""
        try:
            with warnings_as_sentences():
                return super().invoke(ctx)
        except BrokenPipeError:
            raise  # the reader of our output has gone: click ends quietly
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise Refusal(f"{where}{error.strerror}" if error.strerror else str(error)) from error
        except MemoryError as error:
            raise Refusal(f"this takes more memory than there is: {error}") from error
        except (PureCNNError, TypeError, ValueError) as error:
            raise Refusal("; ".join([str(error), *getattr(error, "__notes__", [])])) from error
        except KeyboardInterrupt:
            echo("Interrupted.", err=True)
            ctx.exit(130)


@contextmanager
def usage_errors() -> Iterator[None]:
    """Make visible what click quotes: a shell may have taken it from a folder's names."""
    try:
        yield
    except getattr(click.exceptions, "NoArgsIsHelpError", ()):
        raise  # no error, but the help
    except click.UsageError as error:
        raise click.UsageError(visible(error.format_message()), error.ctx) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package.__version__, message="%(prog)s %(version)s")
def purecnn() -> None:
    """Train a convolutional neural network with NumPy alone, and use it."""


@purecnn.command()
@click.argument("model", default=str(DEFAULT_MODEL))
@data_option
@skip_option
@click.option("--threads", type=int, help="How many work.  [default: all cores]")
@device_option
def evaluate(model: str, data: str | None, skip_damaged: bool, threads: int | None, device: str) -> None:
    """Test a trained network on the test set.

    MODEL is a file that was saved by train, runs/lenet-0/model.safetensors if left out.
    """
    network = trained(model).to(device)
    shape = network.input_shape or ()
    on_error = "skip" if skip_damaged else "raise"
    sets = read_data(data or "mnist", shape=shape if len(shape) == 3 else None, on_error=on_error)
    check_options_of_pictures(data or "mnist", None, skip_damaged)
    if network.task is not None or sets.test[1].dtype.kind == "b":
        sets, _ = for_task(data or "mnist", sets, network.task)
    x, y = noted(sets).test
    known = network.preprocessing.classes
    if known and sets.classes and known != sets.classes:
        raise ValueError(
            f"{model} knows the classes {', '.join(known)}; {data or 'mnist'} has {', '.join(sets.classes)}: "
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


def of_classes(found: Findings) -> Table:
    """Return a row for each class: how many of its samples are right, and what it is mistaken for."""
    table = right_aligned("class", "images", "right", "accuracy")
    table.add_column("most often mistaken for")
    y, said = found.truth, found.said
    for label in np.unique(y):
        here = said[y == label]
        right, wrong = int(np.sum(here == label)), here[here != label]
        mistaken = tally(wrong).argmax() if len(wrong) else -1
        table.add_row(
            class_name(found.network, int(label)),
            f"{len(here):,}",
            f"{right:,}",
            f"{100 * right / len(here):.2f} %",
            f"{class_name(found.network, int(mistaken))} ({np.sum(wrong == mistaken)})" if len(wrong) else "",
        )
    return table


def of_labels(found: Findings) -> Table:
    """Return a row for each label: how many samples have it, and how well it is found."""
    kinds = ("accuracy", "precision", "recall", "f1")
    table = right_aligned("label", "images", *map(written, kinds))
    columns = [METRICS["multilabel"][f"{kind}_per_label"](found.truth, found.outputs) for kind in kinds]
    for name, support, *values in zip(found.names, found.truth.sum(axis=0), *columns, strict=True):
        table.add_row(
            str(name), f"{int(support):,}", *(formatted(*pair) for pair in zip(kinds, values, strict=True))
        )
    return table


def of_values(found: Findings) -> Table:
    """Return a row for each output: how far it is from the true values."""
    kinds = USUAL["regression"]
    table = right_aligned("output", *map(written, kinds))
    for place, name in enumerate(found.names):
        pair = found.truth[:, place], found.outputs[:, place]
        table.add_row(str(name), *(formatted(kind, METRICS["regression"][kind](*pair)) for kind in kinds))
    return table


@purecnn.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--model", metavar="FILE", default=str(DEFAULT_MODEL), help="A trained network.")
@click.option(
    "--prepare",
    type=click.Choice(PREPARATIONS[1:]),
    help="How to prepare an IMAGE: a character is inverted if need be, fitted and centred by mass, as MNIST's"
    " were; an object likewise, in the middle, as Fashion-MNIST's; or cut, or stretched, to the network's "
    "proportions and scaled, as in a folder.  [default: as when the network was trained]",
)
@click.pass_context
def predict(context: click.Context, images: tuple[str, ...], model: str, prepare: str | None) -> None:
    """Say what a picture shows: its class, its labels or its values.

    Each IMAGE is prepared as those were that the network learnt from. One that can't be read is named, and
    the others are answered.
    """
    network = trained(model)
    damaged = False
    if prepare is None and network.preprocessing.preparation == "unknown":
        echo(
            f"{model}: arrays do not tell how their pictures were prepared: each IMAGE is cut and scaled; "
            f"--prepare names another way",
            err=True,
        )
    for name in images:
        try:
            image = prepared(network, name, prepare)
        except (FileFormatError, OSError) as error:
            told = (
                f"{name}: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
            )
            echo(f"Error: {visible(told)}", err=True)
            damaged = True
            continue
        outputs = network.predict(image[np.newaxis])
        echo(f"{visible(name)}: {answer_in_words(network, outputs[0])}")
        shares = ends_in_probabilities(network) and network.task != "regression"
        room = max(3, *(len(class_name(network, label)) for label in range(outputs.shape[1])))
        for label, value in enumerate(outputs[0]):
            bar = "#" * round(40 * float(value)) if shares else ""
            shown = f"{100 * value:6.2f} %" if shares else f"{value:9.4f}"
            echo(f"  {class_name(network, label):>{room}} {shown}  {bar}".rstrip())
    if damaged:
        context.exit(Refusal.exit_code)


def answer_in_words(network: Network, outputs: Array) -> str:
    """Return what a network says of one picture: its class, its labels or its values."""
    if network.task == "regression":
        return " ".join(f"{value:.6g}" for value in outputs)
    if network.task == "multilabel":
        return listed([class_name(network, label) for label in range(len(outputs))], outputs > 0.5)
    return class_name(network, int(answers(outputs[np.newaxis])[0]))


def class_name(network: Network, label: int) -> str:
    """Return the name of a class, or its number."""
    names = network.preprocessing.classes
    return visible(names[label]) if label < len(names) else str(label)


@purecnn.command()
@click.argument("name", type=click.Choice([name for name in datasets.NAMES if name != "mnist"]))
@click.option(
    "--folder", callback=not_empty, help="Where to keep it.  [default: a folder of its own in the cache]"
)
def download(name: str, folder: str | None) -> None:
    """Fetch a data set over the network.

    The only command that uses the network. What is there already is not fetched again.
    """
    echo(f"{name}: {datasets.fetch(name, folder)}")


for command in (convert, export, playground, report, reproduce, show, train):
    purecnn.add_command(command)
