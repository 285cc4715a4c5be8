"""The command ``find-learning-rate``.

The command that tries learning rates before a training.
"""

from __future__ import annotations

from typing import Any

import click
import numpy as np
from rich.table import Table

from purecnn.cli.options import check_options_of_pictures, not_empty, noted, page_path
from purecnn.cli.run_options import asked_run, check_counts, outline, run_options
from purecnn.cli.terminal import Terminal, echo
from purecnn.inspection.learning_rates import LearningRateRange
from purecnn.runs.learning_rates import check_drawable, range_test, write_range

#: Rates that are shown of all that were tried.
ROWS = 12


@click.command(name="find-learning-rate")
@run_options
@click.option("--low", type=float, default=1e-6, help="The first rate.")
@click.option("--high", type=float, default=1.0, help="The last rate.")
@click.option("--steps", type=int, default=100, help="How many rates to try, one a step, at least 10.")
@click.option(
    "--output",
    metavar="FILE",
    callback=not_empty,
    help="Write a page with the loss over the rate, which ends in .html.  [default: none]",
)
def find_learning_rate(
    low: float, high: float, steps: int, output: str | None, threads: int | None, device: str, **asked: Any
) -> None:
    """Try learning rates, and suggest one.

    A learning-rate range test: a network is trained for some steps at rates that rise from --low to --high,
    as train would with the same options, and nothing of it is kept. The suggestion is the rate at which the
    loss falls most steeply; at the largest rates it rises. `purecnn train --learning-rate` takes the largest
    rate of its cycle, which may lie a few times above the suggestion.
    """
    check_counts(threads=threads, **{name: asked[name] for name in ("image_size", "batch_size", "shards")})
    page = page_path(output)
    if page is not None:
        check_drawable()
    run = asked_run(**asked)
    sets = noted(run.read())
    check_options_of_pictures(run.data, run.image_size, run.skip_damaged)
    network = run.build(sets).to(device)
    echo(f"{outline(run, network, len(sets.train[0]))}, seed {run.seed}, batch size {run.recipe.batch_size}")
    found = range_test(run, network, sets, low=low, high=high, steps=steps, threads=threads)
    Terminal().print(table_of(found))
    if len(found.rates) < steps:
        echo(f"the test ended after the rate {found.rates[-1]:.2g}, where the loss was far above its lowest")
    if found.suggestion is None:
        echo("no rate is suggested: the loss falls nowhere")
    else:
        echo(f"suggested learning rate: {found.suggestion:.2g}")
    if page is not None:
        write_range(run, found, page)
        echo(f"the page is {page}")


def table_of(found: LearningRateRange) -> Table:
    """Return some of the rates, evenly spread, with the mean of the losses around each."""
    table = Table("learning rate", "loss")
    for column in table.columns:
        column.justify = "right"
    for place in np.unique(np.linspace(0, len(found.rates) - 1, ROWS).round().astype(int)):
        table.add_row(f"{found.rates[place]:.1e}", f"{found.smoothed[place]:.4f}")
    return table
