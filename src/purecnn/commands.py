"""What one does at a command line: train a network, evaluate it, let it read a picture, see its size."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import purecnn as package
from purecnn import mnist
from purecnn.activations import Sigmoid, Softmax
from purecnn.arguments import positive, within
from purecnn.callbacks import Callback, History
from purecnn.errors import DivergedError, PureCNNError
from purecnn.model_file import load, save
from purecnn.network import Network
from purecnn.networks import NETWORKS
from purecnn.optimizers import Adam
from purecnn.picture import prepare_digit, read_picture
from purecnn.progress import ProgressBar
from purecnn.recipes import RECIPES, Recipe
from purecnn.samples import answers
from purecnn.schedules import LearningRate, OneCycle
from purecnn.scratch import Array
from purecnn.streams import as_seed
from purecnn.summaries import summary

DEFAULT_MODEL = Path("runs", "lenet-0", "model.safetensors")


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
        except (PureCNNError, TypeError, ValueError) as error:
            raise Refusal(str(error)) from error
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(130)


class Keeper(Callback):
    """Keep the parameters as they were after the last whole epoch."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.kept: Array | None = None

    def epoch(self, epoch: int, history: History) -> None:
        """Copy them."""
        self.kept = self.network.parameters.copy()


@contextmanager
def interrupted_once() -> Iterator[None]:
    """Let the first Ctrl-C interrupt and no later one: by then the model is saved and the process ends."""

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # not where a shell said to ignore it
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, before)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package.__version__, message="%(prog)s %(version)s")
def purecnn() -> None:
    """Train a convolutional neural network with NumPy alone, and use it."""


@purecnn.command()
@click.option(
    "--data", metavar="FOLDER", help="Four IDX files, plain or gzipped.  [default: the package's MNIST]"
)
@click.option(
    "--recipe", "recipe_name", type=click.Choice(list(RECIPES)), default="lenet", help="What to do."
)
@click.option("--network", type=click.Choice(list(NETWORKS)), help="What to train.  [default: the recipe's]")
@click.option("--epochs", type=int, help="How often to go over the training set.  [default: the recipe's]")
@click.option("--batch-size", type=int, help="Samples a step.  [default: the recipe's]")
@click.option("--learning-rate", type=float, help="Largest rate of the one cycle.  [default: the recipe's]")
@click.option("--seed", type=int, default=0, help="Decides first parameters and order.")
@click.option(
    "--threads", type=int, help="How many work; the results do not depend on it.  [default: all cores]"
)
@click.option("--output", metavar="FOLDER", help="Where to save the model.  [default: runs/RECIPE-SEED]")
def train(
    data: str | None,
    recipe_name: str,
    network: str | None,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    seed: int,
    threads: int | None,
    output: str | None,
) -> None:
    """Train a network, test it and save it."""
    for option, value in (("epochs", epochs), ("batch-size", batch_size), ("threads", threads)):
        if value is not None:
            positive(option, value)
    if learning_rate is not None:
        within("learning-rate", learning_rate, 0, open_low=True)
    given = {"network": network, "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    recipe = replace(RECIPES[recipe_name], **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
    train_network(recipe, network or recipe_name, data, seed, threads, output)


def train_network(
    recipe: Recipe, name: str, data: str | None, seed: int, threads: int | None, output: str | None
) -> None:
    """Do what a recipe says, and save the network whatever interrupts it."""
    (x, y), (x_test, y_test) = mnist.load_data(data)
    classes, epochs = int(max(y.max(), y_test.max())) + 1, recipe.epochs
    network = NETWORKS[recipe.network]((1, *x.shape[1:]), classes, as_seed(seed))
    path = writable(Path(output or Path("runs", f"{name}-{seed}"))) / "model.safetensors"
    optimizer, keeper = Adam(recipe.learning_rate, recipe.beta1, recipe.beta2), Keeper(network)
    schedule = LearningRate(optimizer, OneCycle(recipe.learning_rate))
    click.echo(
        f"{name}: {summary(network).parameters:,} parameters, {len(x):,} training images, "
        f"seed {seed}, epochs: {epochs}, batch size: {recipe.batch_size}"
    )
    begin = time.perf_counter()
    with interrupted_once():
        try:
            with ProgressBar(len(x), recipe.batch_size) as progress, warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # a loss that overflows gets its own sentence
                network.fit(
                    x,
                    y,
                    epochs=epochs,
                    batch_size=recipe.batch_size,
                    optimizer=optimizer,
                    threads=threads,
                    callbacks=[schedule, keeper, progress],
                )
        except KeyboardInterrupt:
            if network.updates:
                save(network, path)
                click.echo(
                    f"Interrupted after {network.updates} steps; saved what was trained to {path}", err=True
                )
            else:
                click.echo("Interrupted before the first step; nothing to save.", err=True)
            raise SystemExit(130) from None
        except DivergedError as error:
            if keeper.kept is None:
                raise DivergedError(f"{error}; it had not finished an epoch, so nothing is saved") from None
            network.parameters[...] = keeper.kept
            save(network, path)
            raise DivergedError(f"{error}; saved the network of epoch {network.epochs} to {path}") from None
    seconds = time.perf_counter() - begin
    save(network, path)
    found = network.evaluate(x_test, y_test, threads=threads)
    click.echo(f"trained in {seconds:.1f} s, {epochs * len(x) / seconds:,.0f} images a second")
    click.echo(
        f"test accuracy {100 * found['accuracy']:.2f} % on {len(x_test):,} images, loss {found['loss']:.4f}"
    )
    click.echo(f"saved to {path}")


def writable(folder: Path) -> Path:
    """Make a folder, if need be: better to fail before the training than behind it."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: there is a file of this name; a folder is wanted")
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder}: a folder that can be written to is wanted")
    return folder


def trained(path: str | Path) -> Network:
    """Load a model, or say how to come by one."""
    if not Path(path).exists():
        raise FileNotFoundError(
            f"{path}: there is no such file; `purecnn train` makes a model and says where"
        )
    return load(path)


@purecnn.command()
@click.argument("model", default=str(DEFAULT_MODEL))
@click.option(
    "--data", metavar="FOLDER", help="Four IDX files, plain or gzipped.  [default: the package's MNIST]"
)
@click.option("--threads", type=int, help="How many work.  [default: all cores]")
def evaluate(model: str, data: str | None, threads: int | None) -> None:
    """Test a trained network on the test set.

    MODEL is a file that was saved by train.
    """
    network = trained(model)
    _, (x, y) = mnist.load_data(data)
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
        for label, value in enumerate(outputs[0]):
            bar = "#" * round(40 * float(value)) if shares else ""
            shown = f"{100 * value:6.2f} %" if shares else f"{value:9.4f}"
            click.echo(f"  {class_name(network, label):>3} {shown}  {bar}".rstrip())


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


@purecnn.command(name="summary")
@click.argument("model", default="lenet")
def show(model: str) -> None:
    """Show the size of a network.

    For each layer its output shape, parameters and multiply-adds. MODEL is a file, or the name of a network:
    lenet, original or dense.
    """
    if model not in NETWORKS and not Path(model).exists():
        raise FileNotFoundError(f"{model}: there is no such file, and the networks are {', '.join(NETWORKS)}")
    click.echo(summary(NETWORKS[model]((1, 28, 28), 10, 0) if model in NETWORKS else load(model)))
