"""What one does at a command line to train a network, to go on with it, and to do it again."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

import purecnn as package
from purecnn import report_commands
from purecnn.arguments import positive, within
from purecnn.datasets import Sets
from purecnn.distributed import Ranks
from purecnn.errors import CheckpointWarning, FileFormatError
from purecnn.jobs import assisting
from purecnn.locks import folder_lock
from purecnn.network import Network
from purecnn.networks import NETWORKS
from purecnn.options import (
    check_options_of_pictures,
    data_option,
    device_option,
    not_empty,
    noted,
    skip_option,
)
from purecnn.progress import ProgressBar
from purecnn.recipes import RECIPES
from purecnn.records import read_record, result_in_words
from purecnn.runs import CHECKPOINT, MODEL, Run, check_interrupted, make_folder
from purecnn.summaries import summary
from purecnn.tasks import TASKS, Task
from purecnn.terminal import echo, warnings_as_sentences

#: Options of `train` that say nothing about the run, which goes on as it was begun.
OF_ANY_RUN = {"resume", "data", "threads", "device", "checkpoint_every", "report", "allow_differences"}


@click.command()
@data_option
@click.option(
    "--image-size", type=int, help="Side of the pictures of a folder.  [default: the medians of theirs]"
)
@skip_option
@click.option(
    "--recipe",
    "recipe_name",
    type=click.Choice(list(RECIPES)),
    default="lenet",
    help="A network and how to train it.",
)
@click.option("--network", type=click.Choice(list(NETWORKS)), help="In place of the recipe's.")
@click.option(
    "--task",
    type=click.Choice(TASKS),
    help="What to learn: classes, several labels a sample, or values.  [default: what the answers y say]",
)
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
@click.option("--overwrite", is_flag=True, help="Also where --output holds a finished run of other settings.")
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
    task: Task | None,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    seed: int,
    threads: int | None,
    device: str,
    output: str | None,
    overwrite: bool,
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
                echo(f"{folder}: this run is complete")
                return None
            return replace(run, data=run.data if data is None else data), folder
        given = {
            "network": network,
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
        }
        recipe = replace(RECIPES[recipe_name], **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
        run = Run(network or recipe_name, recipe, seed, data or recipe.data, image_size, skip_damaged, task)
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
                overwrite=overwrite,
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
    overwrite: bool,
    report: bool,
    ranks: Ranks | None,
) -> None:
    """Do a run, say how it goes and what came of it, and where it is if it is interrupted."""
    sets = noted(run.read() if ranks is None else run.read_together(ranks))
    check_options_of_pictures(run.data, run.image_size, run.skip_damaged)
    network = run.build(sets).to(device)

    def prepare() -> None:
        make_folder(folder)
        stack.enter_context(folder_lock(folder))
        if not resume:
            check_interrupted(folder)
            if not overwrite:
                check_overwritten(folder, run)

    with ExitStack() as stack:
        if ranks is None:
            prepare()
        else:
            ranks.first(prepare)
            if not ranks.is_first:
                run.train(folder, network, sets, threads=threads, resume=resume, ranks=ranks)
                return
        perform(run, folder, network, sets, threads, every, resume=resume, report=report, ranks=ranks)


def perform(
    run: Run,
    folder: Path,
    network: Network,
    sets: Sets,
    threads: int | None,
    every: int | None,
    *,
    resume: bool,
    report: bool,
    ranks: Ranks | None,
) -> None:
    """Train in a folder that is ready for it, and say what comes of it."""
    (x, _), (x_test, _), recipe = *sets, run.recipe
    echo(
        f"{run.name}: {summary(network).parameters:,} parameters, {len(x):,} training images, "
        f"seed {run.seed}, epochs: {recipe.epochs}, batch size: {recipe.batch_size}"
    )
    echo(task_of(network))
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
        echo(f"Interrupted: `purecnn train --resume {folder}` goes on with it.", err=True)
        raise SystemExit(130) from None
    seconds = sum(result["seconds"])
    echo(f"trained in {seconds:.1f} s, {recipe.epochs * len(x) / seconds:,.0f} images a second")
    echo(f"test {result_in_words(result)} on {len(x_test):,} images, loss {result['test_loss']:.4f}")
    echo(f"saved to {folder / MODEL}")
    if report:
        report_commands.report_if_possible(folder, sets, network.to("cpu"), threads)


def task_of(network: Network) -> str:
    """Return in words what a network learns."""
    outputs = int(np.prod(network.output_shape or ()))
    words = {"classification": "classes", "multilabel": "labels", "regression": "values"}
    return f"task: {network.task}, {words[network.task or 'classification']}: {outputs}"


def check_overwritten(folder: Path, run: Run) -> None:
    """Refuse to write over a finished run of other settings; the same one again gives the same model."""
    if not (folder / MODEL).exists():
        return
    try:
        then = Run.recorded(folder).settings()
        changes = [f"{k} was {then.get(k)}, is {v}" for k, v in run.settings().items() if then.get(k) != v]
    except (FileFormatError, FileNotFoundError):
        changes = ["no record tells which"]
    if changes:
        raise ValueError(
            f"{folder}: holds a finished run of other settings ({'; '.join(changes)}): "
            f"name another --output, or --overwrite it"
        )


@contextmanager
def progress(run: Run, sets: Sets) -> Iterator[ProgressBar]:
    """Show how far a run is, and its warnings as sentences."""
    with ProgressBar(len(sets.train[0]), run.recipe.batch_size) as bar, warnings_as_sentences():
        warnings.simplefilter("always", CheckpointWarning)
        yield bar


@click.command()
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
    echo(found)
    raise SystemExit(0 if found.succeeded else 1)
