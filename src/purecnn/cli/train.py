"""The command ``train``.

What one does at a command line to train a network, to go on with it, and to do it again.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from purecnn.backend.checks import within
from purecnn.backend.locks import folder_lock
from purecnn.callbacks.progress import ProgressBar
from purecnn.cli import report as report_module
from purecnn.cli.options import check_options_of_pictures, not_empty, noted
from purecnn.cli.overwriting import check_overwritten
from purecnn.cli.run_options import asked_run, check_counts, outline, run_options
from purecnn.cli.terminal import checkpoint_warnings, echo
from purecnn.datasets.catalog import Sets
from purecnn.datasets.splits import check_fraction
from purecnn.networks.network import Network
from purecnn.runs.folder import CHECKPOINT, MODEL, check_interrupted, make_folder
from purecnn.runs.model_path import default_folder, run_folder
from purecnn.runs.record import read_record, result_in_words
from purecnn.runs.run import Run
from purecnn.runs.workers import workers_of
from purecnn.training.distributed.ranks import Ranks, assisting

#: Options of `train` that say nothing about the run, which goes on as it was begun.
OF_ANY_RUN = {"epochs", "resume", "data", "threads", "device"}
OF_ANY_RUN |= {"checkpoint_every", "report", "verbose", "allow_differences"}


@click.command()
@run_options
@click.option(
    "--epochs",
    type=int,
    help="How often to go over the training set; beside --resume of a complete run, more than it has.  "
    "[default: the recipe's, more for a small set]",
)
@click.option("--accumulate", type=int, help="Batches a step, their gradients added up.  [default: 1]")
@click.option(
    "--learning-rate",
    type=float,
    help="Largest rate of the one cycle.  [default: the recipe's, or one for --optimizer]",
)
@click.option(
    "--average",
    type=float,
    metavar="DECAY",
    help="What stays of a moving average of the weights in a step, such as 0.999; the model has the average. "
    "[default: the recipe's, 0 for none]",
)
@click.option(
    "--validation",
    type=float,
    metavar="SHARE",
    help="Share of the training set to set aside and measure after each epoch, such as 0.1.",
)
@click.option(
    "--patience",
    type=int,
    help="Epochs without a lower loss on --validation that end the training; the best epoch is kept.",
)
@click.option(
    "--output",
    metavar="FOLDER",
    callback=not_empty,
    help="Where to save the model.  [default: runs/DATA-RECIPE-SEED]",
)
@click.option("--overwrite", is_flag=True, help="Overwrite a finished run in --output whose settings differ.")
@click.option("--checkpoint-every", type=int, help="Steps between checkpoints.  [default: an epoch's]")
@click.option("--resume", metavar="RUN", help="Go on with the run in this folder, to the same bits.")
@click.option("--report/--no-report", default=True, help="Write report.html, where plotly is installed.")
@click.option("--verbose", is_flag=True, help="Say how many workers train, and why so many.")
@click.option(
    "--allow-differences",
    is_flag=True,
    help="Started by mpiexec: train also where processors, NumPy or BLAS of the ranks differ.",
)
@click.pass_context
def train(
    ctx: click.Context,
    /,
    epochs: int | None,
    accumulate: int | None,
    learning_rate: float | None,
    average: float | None,
    validation: float | None,
    patience: int | None,
    threads: int | None,
    device: str,
    output: str | None,
    overwrite: bool,
    checkpoint_every: int | None,
    resume: str | None,
    report: bool,
    verbose: bool,
    allow_differences: bool,
    **given: Any,
) -> None:
    """Train a network, test it and save it.

    Beside the model lie run.json, from which `purecnn reproduce` does it all again, and a checkpoint, from
    which --resume goes on, or extends the run by a further cycle with more --epochs. Ctrl-C once lets the
    step end and keeps its place; twice ends at once.

    `mpiexec -n 4 python -m mpi4py -m purecnn train` trains by 4 processes, with the same --shards to the same
    bits; each has as many threads as --threads says.
    """

    def asked() -> tuple[Run, Path] | None:
        check_counts(
            image_size=given["image_size"],
            epochs=epochs,
            batch_size=given["batch_size"],
            accumulate=accumulate,
            patience=patience,
            threads=threads,
            shards=given["shards"],
            checkpoint_every=checkpoint_every,
        )
        if learning_rate is not None:
            within("learning-rate", learning_rate, 0, open_low=True)
        if average is not None:
            within("average", average, 0, 1)
        if resume is not None:
            for name in ctx.params:
                if (
                    name not in OF_ANY_RUN
                    and ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
                ):
                    option = f"--{name.removesuffix('_name').replace('_', '-')}"
                    raise ValueError(
                        f"--resume goes on with a run as it was begun; {option} has no place beside it"
                    )
            folder = run_folder(resume)
            run = resumed(folder, epochs)
            if run is None:
                echo(f"{folder}: this run is complete; more --epochs than it has extend it")
                return None
            return replace(run, data=given["data"] or run.data), folder
        if patience is not None and validation is None:
            raise ValueError("--patience wants --validation, a share of the training set such as 0.1")
        if validation is not None:
            check_fraction("validation", validation)
        run = asked_run(
            **given,
            epochs=epochs,
            accumulate=accumulate,
            learning_rate=learning_rate,
            average=average,
            validation=validation,
            patience=patience,
        )
        return run, Path(output) if output else default_folder(run.name, run.data, run.seed)

    ranks = Ranks.of_job(allow_differences=allow_differences)
    with assisting(ranks):
        found = asked() if ranks is None else ranks.first(asked)
        if ranks is not None:
            shared = ranks.share(found and [found[0].arguments(), str(found[1])])
            found = shared and (Run.made(shared[0]), Path(shared[1]))
        if found:
            train_run(
                *found,
                threads,
                device,
                checkpoint_every,
                suit=epochs is None and resume is None,
                resume=resume is not None,
                overwrite=overwrite,
                report=report,
                verbose=verbose,
                ranks=ranks,
            )


def resumed(folder: Path, epochs: int | None) -> Run | None:
    """Return the run of a folder to go on with: as it was begun, or with more epochs; None if it is complete.

    Raises
    ------
    ValueError
        If more epochs are asked for than a run that is not complete, or stopped by itself, can have.
    FileNotFoundError
        If there is no such run, or no checkpoint to go on from.
    """
    run, result = Run.recorded(folder), read_record(folder)["result"]
    if epochs is None:
        return None if result else run
    if not result:
        raise ValueError(
            f"{folder}: this run is not complete: `purecnn train --resume {folder}` goes on with it as it "
            f"was begun, and once it is, with --epochs, extends it"
        )
    run = run.extend(epochs)
    if isinstance(result, dict) and result.get("stopped"):
        raise ValueError(f"{folder}: this run ended before its last epoch, since {result['stopped']}")
    if not (folder / CHECKPOINT).exists():
        raise FileNotFoundError(f"{folder / CHECKPOINT}: there is no such file; it is wanted to extend a run")
    return run


def train_run(
    run: Run,
    folder: Path,
    threads: int | None,
    device: str,
    every: int | None,
    *,
    suit: bool,
    resume: bool,
    overwrite: bool,
    report: bool,
    verbose: bool,
    ranks: Ranks | None,
) -> None:
    """Do a run, say how it goes and what came of it, and where it is if it is interrupted."""
    sets = noted(run.read() if ranks is None else run.read_together(ranks))
    check_options_of_pictures(run.data, run.image_size, run.skip_damaged)
    if suit:
        run = replace(run, recipe=run.recipe.suited(len(run.split(sets.train[1])[0])))
    run = run.with_shards(len(run.split(sets.train[1])[0]), ranks)
    network = run.build(sets).to(device)
    told = workers_of(run.shards or 1, threads, network.device, ranks)

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
        if verbose:
            echo(f"workers: {told or f'those of {network.device}'}")
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
    (kept, aside), (x_test, _), recipe = run.split(sets.train[1]), sets.test, run.recipe
    held_out = f", {len(aside):,} to validate" if len(aside) else ""
    echo(
        f"{outline(run, network, len(kept))}{held_out}, seed {run.seed}, epochs: {recipe.epochs}, "
        f"batch size: {recipe.batch_size}, shards: {run.shards}"
    )
    echo(task_of(network))
    try:
        with checkpoint_warnings():
            result = run.train(
                folder,
                network,
                sets,
                threads=threads,
                every=every,
                resume=resume,
                callbacks=[ProgressBar()],
                ranks=ranks,
            )
    except KeyboardInterrupt:
        echo(f"Interrupted: `purecnn train --resume {folder}` goes on with it.", err=True)
        raise SystemExit(130) from None
    seconds = sum(result["seconds"])
    echo(f"trained in {seconds:.1f} s, {result['epochs'] * len(kept) / seconds:,.0f} images a second")
    if "stopped" in result:
        echo(f"ended after epoch {result['epochs']}: {result['stopped']}")
    if "best_epoch" in result:
        echo(f"the model is that of epoch {result['best_epoch']}, the best on the {len(aside):,} to validate")
    echo(f"test {result_in_words(result)} on {len(x_test):,} images, loss {result['test_loss']:.4f}")
    echo(f"saved to {folder / MODEL}")
    if report:
        report_module.report_if_possible(folder, sets, network.to("cpu"), threads)


def task_of(network: Network) -> str:
    """Return in words what a network learns."""
    outputs = int(np.prod(network.output_shape or ()))
    words = {"classification": "classes", "multilabel": "labels", "regression": "values"}
    return f"task: {network.task}, {words[network.task or 'classification']}: {outputs}"
