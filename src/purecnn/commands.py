"""What one does at a command line: train a network, evaluate it, let it read a picture, see its size."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import purecnn as package
from purecnn import datasets, report_commands
from purecnn.activations import Sigmoid, Softmax
from purecnn.arguments import positive, within
from purecnn.conversion import convert
from purecnn.data_path import holds_pictures, read_data
from purecnn.datasets import Sets
from purecnn.distributed import Ranks
from purecnn.errors import CheckpointWarning, PureCNNError
from purecnn.jobs import assisting
from purecnn.model_commands import DEFAULT_MODEL, export, not_empty, playground, show, trained
from purecnn.network import Network
from purecnn.networks import NETWORKS
from purecnn.picture import prepare_digit, read_picture
from purecnn.progress import ProgressBar
from purecnn.recipes import RECIPES
from purecnn.runs import CHECKPOINT, MODEL, Run, make_ready, read_record
from purecnn.samples import answers
from purecnn.summaries import summary


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


data_option = click.option(
    "--data",
    metavar="DATA",
    callback=not_empty,
    help="A name such as fashion-mnist, a folder of IDX files, a folder that holds a folder of pictures for "
    "each class, or an .npz file with x, y, x_test and y_test.  [default: mnist]",
)
device_option = click.option(
    "--device",
    type=click.Choice(["cpu", "cuda", "sycl"]),
    default="cpu",
    help="Where to compute: NumPy, an NVIDIA GPU by CuPy, an Intel one by dpnp.",
)
skip_option = click.option(
    "--skip-damaged", is_flag=True, help="Leave damaged pictures out, and name them, in place of stopping."
)


#: Options of `train` that say nothing about the run, which goes on as it was begun.
OF_ANY_RUN = {"resume", "data", "threads", "device", "checkpoint_every", "report", "allow_differences"}


@purecnn.command()
@data_option
@click.option("--image-size", type=int, help="Side of the pictures of a folder.  [default: the first one's]")
@skip_option
@click.option(
    "--recipe",
    "recipe_name",
    type=click.Choice(list(RECIPES)),
    default="lenet",
    help="A network and how to train it.",
)
@click.option("--network", type=click.Choice(list(NETWORKS)), help="In place of the recipe's.")
@click.option("--epochs", type=int, help="How often to go over the training set.  [default: the recipe's]")
@click.option("--batch-size", type=int, help="Samples a step.  [default: the recipe's]")
@click.option("--learning-rate", type=float, help="Largest rate of the one cycle.  [default: the recipe's]")
@click.option("--seed", type=int, default=0, help="Decides first parameters and order.")
@click.option(
    "--threads", type=int, help="How many work; the results do not depend on it.  [default: all cores]"
)
@device_option
@click.option(
    "--output",
    metavar="FOLDER",
    callback=not_empty,
    help="Where to save the model.  [default: runs/RECIPE-SEED]",
)
@click.option("--checkpoint-every", type=int, help="Steps between checkpoints.  [default: an epoch's]")
@click.option("--resume", metavar="FOLDER", help="Go on with the run in this folder, to the same bits.")
@click.option("--report/--no-report", default=True, help="Write report.html, where plotly is installed.")
@click.option(
    "--allow-differences",
    is_flag=True,
    help="Started by mpiexec: train also where processors, NumPy or BLAS of the ranks differ.",
)
@click.pass_context
def train(
    ctx: click.Context,
    data: str | None,
    image_size: int | None,
    skip_damaged: bool,
    recipe_name: str,
    network: str | None,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    seed: int,
    threads: int | None,
    device: str,
    output: str | None,
    checkpoint_every: int | None,
    resume: str | None,
    report: bool,
    allow_differences: bool,
) -> None:
    """Train a network, test it and save it.

    Beside the model lies run.json, from which `purecnn reproduce` does it all again; until the end also a
    checkpoint, from which --resume goes on. Ctrl-C once lets the step end and keeps its place; twice ends at
    once.

    `mpiexec -n 4 python -m mpi4py -m purecnn train` trains by 4 processes, to the same bits; each has as many
    threads as --threads says.
    """

    def asked() -> tuple[Run, Path] | None:
        counts = {
            "image-size": image_size,
            "epochs": epochs,
            "batch-size": batch_size,
            "threads": threads,
            "checkpoint-every": checkpoint_every,
        }
        for option, value in counts.items():
            if value is not None:
                positive(option, value)
        if learning_rate is not None:
            within("learning-rate", learning_rate, 0, open_low=True)
        if resume is not None:
            for name in ctx.params.keys() - OF_ANY_RUN:
                if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
                    option = f"--{name.removesuffix('_name').replace('_', '-')}"
                    raise ValueError(
                        f"--resume goes on with a run as it was begun; {option} has no place beside it"
                    )
            folder = Path(resume)
            run = Run.recorded(folder)
            if read_record(folder)["result"] and not (folder / CHECKPOINT).exists():
                click.echo(f"{folder}: this run is complete")
                return None
            return replace(run, data=run.data if data is None else data), folder
        given = {
            "network": network,
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
        }
        recipe = replace(RECIPES[recipe_name], **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
        run = Run(network or recipe_name, recipe, seed, data or recipe.data, image_size, skip_damaged)
        folder = Path(output or Path("runs", f"{run.name}-{seed}"))
        return run, folder

    ranks = Ranks.of_job(allow_differences=allow_differences)
    with assisting(ranks):
        found = asked() if ranks is None else ranks.first(asked)
        if ranks is not None:
            given = ranks.share(found and [found[0].arguments(), str(found[1])])
            found = given and (Run.made(given[0]), Path(given[1]))
        if found:
            train_run(
                *found,
                threads,
                device,
                checkpoint_every,
                resume=resume is not None,
                report=report,
                ranks=ranks,
            )


def train_run(
    run: Run,
    folder: Path,
    threads: int | None,
    device: str,
    every: int | None,
    *,
    resume: bool,
    report: bool,
    ranks: Ranks | None,
) -> None:
    """Do a run, say how it goes and what came of it, and where it is if it is interrupted."""
    sets = noted(run.read() if ranks is None else run.read_together(ranks))
    check_options_of_pictures(run.data, run.image_size, run.skip_damaged)
    network, ((x, _), (x_test, _)), recipe = run.build(sets).to(device), sets, run.recipe
    if ranks is not None:
        ranks.first(lambda: make_ready(folder, resume))
        if not ranks.is_first:
            run.train(folder, network, sets, threads=threads, resume=resume, ranks=ranks)
            return
    else:
        make_ready(folder, resume)
    click.echo(
        f"{run.name}: {summary(network).parameters:,} parameters, {len(x):,} training images, "
        f"seed {run.seed}, epochs: {recipe.epochs}, batch size: {recipe.batch_size}"
    )
    try:
        with progress(run, sets) as bar:
            result = run.train(
                folder,
                network,
                sets,
                threads=threads,
                every=every,
                resume=resume,
                callbacks=[bar],
                ranks=ranks,
            )
    except KeyboardInterrupt:
        click.echo(f"Interrupted: `purecnn train --resume {folder}` goes on with it.", err=True)
        raise SystemExit(130) from None
    seconds = sum(result["seconds"])
    click.echo(f"trained in {seconds:.1f} s, {recipe.epochs * len(x) / seconds:,.0f} images a second")
    click.echo(
        f"test accuracy {100 * result['test_accuracy']:.2f} % on {len(x_test):,} images, "
        f"loss {result['test_loss']:.4f}"
    )
    click.echo(f"saved to {folder / MODEL}")
    if report:
        report_commands.report_if_possible(folder, sets, network.to("cpu"), threads)


def check_options_of_pictures(data: str, image_size: int | None, skip_damaged: bool) -> None:
    """Refuse what only folders of pictures heed, of other data: it would be passed over without a word."""
    for option, given in (("--image-size", image_size is not None), ("--skip-damaged", skip_damaged)):
        if given and not holds_pictures(data):
            raise ValueError(f"{option} is for folders of pictures, and {data} is none")


def noted(sets: Sets) -> Sets:
    """Say what was decided while data were read."""
    for note in sets.notes:
        click.echo(note, err=True)
    return sets


@contextmanager
def progress(run: Run, sets: Sets) -> Iterator[ProgressBar]:
    """Show how far a run is, and its warnings as sentences."""
    with ProgressBar(len(sets.train[0]), run.recipe.batch_size) as bar, warnings.catch_warnings():
        warnings.simplefilter("always", CheckpointWarning)
        warnings.showwarning = lambda message, *_, **__: click.echo(f"Warning: {message}", err=True)
        yield bar


@purecnn.command()
@click.argument("folder", metavar="RUN")
@click.option("--data", metavar="FOLDER", help="Where the data are now.  [default: where they were]")
@click.option("--threads", type=int, help="How many work.  [default: all cores]")
def reproduce(folder: str, data: str | None, threads: int | None) -> None:
    """Do a run again and compare.

    RUN is a folder that train wrote. Where processor features, NumPy and BLAS are those of the run, the same
    bits are demanded; elsewhere accuracy and loss within a tolerance. Ends with status 1 if they are not.
    """
    with ExitStack() as stack:
        found = package.reproduce(
            folder,
            data=data,
            threads=threads,
            callbacks=lambda run, sets: [stack.enter_context(progress(run, sets))],
        )
    click.echo(found)
    raise SystemExit(0 if found.succeeded else 1)


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


for command in (convert, export, playground, report_commands.report, show):
    purecnn.add_command(command)
