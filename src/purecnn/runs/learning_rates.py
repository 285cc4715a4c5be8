"""Learning-rate range test of a run: at which rates what it was asked for begins to learn."""

from __future__ import annotations

from pathlib import Path

from purecnn.datasets.catalog import Sets
from purecnn.inspection.learning_rates import LearningRateRange, find_learning_rate
from purecnn.metrics.target_scaling import TargetScaling
from purecnn.networks.network import Network
from purecnn.plots.learning_rates import learning_rate_range
from purecnn.plots.pages import write_page
from purecnn.plots.style import graph_objects
from purecnn.runs.run import Run


def range_test(
    run: Run,
    network: Network,
    sets: Sets,
    *,
    low: float = 1e-6,
    high: float = 1.0,
    steps: int = 100,
    threads: int | None = None,
) -> LearningRateRange:
    """Train a copy of a run's network as the run would, at rates that rise from step to step.

    Parameters
    ----------
    run : Run
        What was asked for.
    network : Network
        What `Run.build` returned; it stays as it is.
    sets : Sets
        What `Run.read` returned.
    low, high, steps, threads
        As `find_learning_rate` takes them.

    Returns
    -------
    LearningRateRange
        Rates, losses and a suggestion. Where values are learnt, losses are those of values with mean 0 and
        variance 1, as in `Run.train`.

    Raises
    ------
    ValueError, TypeError
        For rates and steps that are none.
    DivergedError
        If the loss is not finite at the first rate already.

    Examples
    --------
    >>> import numpy as np
    >>> from purecnn.runs.recipes import RECIPES
    >>> x, y = np.eye(28 * 28)[:64].reshape(64, 28, 28), np.arange(64) % 2
    >>> sets, run = Sets((x, y), (x, y)), Run("lenet", RECIPES["lenet"])
    >>> found = range_test(run, run.build(sets), sets, low=1e-4, high=1e-3, steps=10)
    >>> len(found.rates)
    10
    """
    (x, y), recipe, task = run.divide(sets)[0], run.recipe, network.task or "classification"
    if task == "regression":
        y = TargetScaling.of(y).apply(y)
    return find_learning_rate(
        network,
        x,
        y,
        low=low,
        high=high,
        steps=steps,
        batch_size=recipe.batch_size,
        loss=recipe.loss(task),
        optimizer=recipe.new_optimizer(),
        augmentation=recipe.augmentation,
        threads=threads,
        shards=run.shards,
        class_weight=recipe.class_weight,
    )


def write_range(run: Run, found: LearningRateRange, path: Path) -> None:
    """Write the loss over the rate as a page that opens offline.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    OSError
        If it can't be written.
    """
    figure = learning_rate_range(found)
    figure.update_layout(title_text=f"{run.name}: {figure.layout.title.text}")
    write_page(figure, path)


def check_drawable() -> None:
    """Raise `MissingExtraError` if there is nothing to draw with, before anything is trained."""
    graph_objects("drawing a learning-rate range test")
