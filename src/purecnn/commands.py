"""The commands in one group, and their errors as sentences; what one does with a trained network and data."""

from __future__ import annotations

from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import purecnn as package
from purecnn import datasets
from purecnn.activations import Sigmoid, Softmax
from purecnn.conversion import convert
from purecnn.data_path import read_data
from purecnn.errors import PureCNNError
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
from purecnn.picture import prepare_digit, read_picture
from purecnn.report_commands import report
from purecnn.samples import answers
from purecnn.train_commands import reproduce, train


class Refusal(click.ClickException):
    """An error that a user can mend: one sentence, and 2 as the exit status."""

    exit_code = 2


class Commands(click.Group):
    """Commands whose errors are sentences, not tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; turn what it raises into a sentence and an exit status."""
        try:
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
            click.echo("Interrupted.", err=True)
            ctx.exit(130)


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
    x, y = noted(sets).test
    known = network.preprocessing.classes
    if known and sets.classes and known != sets.classes:
        raise ValueError(
            f"{model} knows the classes {', '.join(known)}; {data or 'mnist'} has {', '.join(sets.classes)}: "
            f"name data of the same classes with --data"
        )
    y = network.targets(y, len(network.receive(x)[0])).classes()
    found = network.evaluate(x, y, threads=threads)
    said = answers(network.predict(x, threads=threads))
    table = Table("class", "images", "right", "accuracy", "most often mistaken for")
    for column in table.columns[1:4]:
        column.justify = "right"
    for label in np.unique(y):
        here = said[y == label]
        right, wrong = int(np.sum(here == label)), here[here != label]
        mistaken = np.bincount(wrong).argmax() if len(wrong) else -1
        table.add_row(
            class_name(network, int(label)),
            f"{len(here):,}",
            f"{right:,}",
            f"{100 * right / len(here):.2f} %",
            f"{class_name(network, int(mistaken))} ({np.sum(wrong == mistaken)})" if len(wrong) else "",
        )
    Console(highlight=False, markup=False).print(table)
    click.echo(f"accuracy {100 * found['accuracy']:.2f} % on {len(x):,} images, loss {found['loss']:.4f}")


@purecnn.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--model", metavar="FILE", default=str(DEFAULT_MODEL), help="A trained network.")
def predict(images: tuple[str, ...], model: str) -> None:
    """Say which digit a picture shows.

    Each IMAGE is prepared as MNIST's were: fitted into 20 x 20 pixels and centred by mass.
    """
    network = trained(model)
    size = digit_size(network)
    for name in images:
        try:
            digit = prepare_digit(read_picture(name), size, max(1, size * 5 // 7))
        except ValueError as error:
            # what is wrong with the picture's content does not name its file
            raise ValueError(str(error) if str(error).startswith(name) else f"{name}: {error}") from None
        outputs = network.predict(digit[np.newaxis, np.newaxis])
        click.echo(f"{name}: {class_name(network, int(answers(outputs)[0]))}")
        shares = isinstance(network[-1], Softmax | Sigmoid)
        room = max(3, *(len(class_name(network, label)) for label in range(outputs.shape[1])))
        for label, value in enumerate(outputs[0]):
            bar = "#" * round(40 * float(value)) if shares else ""
            shown = f"{100 * value:6.2f} %" if shares else f"{value:9.4f}"
            click.echo(f"  {class_name(network, label):>{room}} {shown}  {bar}".rstrip())


def digit_size(network: Network) -> int:
    """Return the side of the square grey pictures that a network takes."""
    shape = network.input_shape or ()
    if len(shape) != 3 or shape[0] != 1 or shape[1] != shape[2]:
        raise ValueError(
            f"this network takes samples of shape {shape}; for pictures of digits (1, n, n) is wanted"
        )
    return shape[1]


def class_name(network: Network, label: int) -> str:
    """Return the name of a class, or its number."""
    names = network.preprocessing.classes
    return names[label] if label < len(names) else str(label)


@purecnn.command()
@click.argument("name", type=click.Choice([name for name in datasets.NAMES if name != "mnist"]))
@click.option(
    "--folder", callback=not_empty, help="Where to keep it.  [default: a folder of its own in the cache]"
)
def download(name: str, folder: str | None) -> None:
    """Fetch a data set over the network.

    The only command that uses the network. What is there already is not fetched again.
    """
    click.echo(f"{name}: {datasets.fetch(name, folder)}")


for command in (convert, export, playground, report, reproduce, show, train):
    purecnn.add_command(command)
