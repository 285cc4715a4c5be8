"""Options that say what a run is: its data, its network, and how that learns.

What `train` and `find-learning-rate` are both told, and the run that it makes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from purecnn.backend.checks import positive
from purecnn.cli.options import data_option_of, device_option, network_option, skip_option
from purecnn.layers.summaries import summary
from purecnn.losses.tasks import TASKS
from purecnn.networks.network import Network
from purecnn.optimizers.registry import OPTIMIZERS
from purecnn.runs.recipes import RECIPES, USUAL_CHANGES, read_changes
from purecnn.runs.run import Run

OPTIONS: list[Callable[[Any], Any]] = [
    data_option_of("the recipe's, mnist"),
    click.option(
        "--image-size",
        type=int,
        help="Side of the pictures of a folder.  [default: the medians of theirs, at most 64]",
    ),
    skip_option,
    click.option(
        "--recipe",
        "recipe_name",
        type=click.Choice(list(RECIPES)),
        default="lenet",
        help="A network and how to train it.",
    ),
    network_option,
    click.option(
        "--task",
        type=click.Choice([task for task in TASKS if task != "segmentation"]),  # whose networks end in images
        help="What to learn: classes, several labels a sample, or values.  [default: what the answers y say]",
    ),
    click.option("--batch-size", type=int, help="Samples a batch.  [default: the recipe's]"),
    click.option(
        "--optimizer",
        type=click.Choice(list(OPTIMIZERS)),
        help="Optimizer in place of the recipe's; sgd has a momentum of 0.9.  [default: adam]",
    ),
    click.option(
        "--augment",
        is_flag=False,
        flag_value=USUAL_CHANGES,
        metavar="[CHANGES]",
        help="Change the images a little in each step: shift, rotate, scale, shear, flip, erase, fill, "
        "brightness, contrast, saturation, hue, mixup and cutmix, say shift=1,flip, or none.  "
        f"[alone: {USUAL_CHANGES}]",
    ),
    click.option(
        "--class-weight", type=click.Choice(["balanced"]), help="Weights that let all classes count alike."
    ),
    click.option("--seed", type=int, default=0, help="Decides first parameters and order."),
    click.option(
        "--threads",
        type=int,
        help="Worker threads; no result depends on them.  [default: the physical cores]",
    ),
    click.option(
        "--shards",
        type=int,
        help="Into how many parts a batch is cut, on which results depend in their last digits.  "
        "[default: enough for the cores]",
    ),
    device_option,
]


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options, in their order."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def check_counts(**given: int | None) -> None:
    """Refuse options that are given and are no whole numbers of at least 1."""
    for name, value in given.items():
        if value is not None:
            positive(name.replace("_", "-"), value)


def asked_run(
    *,
    recipe_name: str,
    data: str | None,
    image_size: int | None,
    skip_damaged: bool,
    seed: int,
    shards: int | None,
    task: Any,
    augment: str | None,
    **settings: Any,
) -> Run:
    """Return the run that options ask for; `settings` of a recipe stand in the place of its own, if given."""
    recipe = RECIPES[recipe_name].by(settings["optimizer"])
    recipe = replace(recipe, **{k: v for k, v in settings.items() if v is not None})
    if augment is not None:
        recipe = replace(recipe, augmentation=read_changes(augment))
    name = settings["network"] or recipe_name
    return Run(name, recipe, seed, data or recipe.data, image_size, skip_damaged, task, shards)


def outline(run: Run, network: Network, samples: int) -> str:
    """Return in words what learns from how much."""
    return f"{run.name}: {summary(network).parameters:,} parameters, {samples:,} training images"
