"""Options that several commands share.

What several commands are told, and what they say of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from purecnn.cli.terminal import echo
from purecnn.datasets.catalog import Sets
from purecnn.datasets.data_path import holds_pictures
from purecnn.escapes import visible
from purecnn.networks.zoo import NETWORKS


def not_empty(_context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Return an option that is a name; an empty one comes of a shell's unset variable, and is no default."""
    if value == "":
        raise ValueError(f"{option.opts[0]} must be a name, got an empty one")
    return value


def data_option_of(default: str) -> Callable[[Any], Any]:
    """Return the option that names data, which says what they are if it is left out."""
    return click.option(
        "--data",
        metavar="DATA",
        callback=not_empty,
        help="A name such as fashion-mnist, a folder of IDX files, a folder that holds a folder of pictures "
        f"for each class, or an .npz file with x, y, x_test and y_test.  [default: {default}]",
    )


device_option = click.option(
    "--device",
    type=click.Choice(["cpu", "cuda", "sycl"]),
    default="cpu",
    help="Where to compute: NumPy, an NVIDIA GPU by CuPy, an Intel one by dpnp.",
)
network_option = click.option(
    "--network",
    type=click.Choice(list(NETWORKS)),
    metavar="NAME",  # their list is too long for a line
    help=f"Network to train in place of the recipe's: {', '.join(NETWORKS)}.",
)
skip_option = click.option(
    "--skip-damaged", is_flag=True, help="Leave damaged pictures out, and name them, in place of stopping."
)


def check_options_of_pictures(data: str, image_size: int | None, skip_damaged: bool) -> None:
    """Refuse what only folders of pictures heed, of other data: it would be passed over without a word."""
    for option, given in (("--image-size", image_size is not None), ("--skip-damaged", skip_damaged)):
        if given and not holds_pictures(data):
            raise ValueError(f"{option} is for folders of pictures, and {data} is none")


def noted(sets: Sets) -> Sets:
    """Say what was decided while data were read."""
    for note in sets.notes:
        echo(visible(note), err=True)
    return sets


def page_path(output: str | None) -> Path | None:
    """Return the path of a page to write, once it can be one."""
    path = Path(output) if output else None
    if path is not None and path.is_dir():
        raise IsADirectoryError(f"{path}: there is a folder of this name; a file is wanted")
    if path is not None and path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"the file to write must end in .html, got {path}")
    return path
