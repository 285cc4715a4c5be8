"""What several commands are told, and what they say of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

import click

from purecnn.augmentation import Augmentation
from purecnn.data_path import holds_pictures
from purecnn.datasets import Sets
from purecnn.escapes import visible
from purecnn.terminal import echo

#: What `--augment` does to images if nothing else is said: changes that leave a digit or a letter what it is.
USUAL_CHANGES = "shift=2,rotate=10,scale=0.1"


def read_changes(text: str) -> Augmentation | None:
    """Return what `--augment` asks for: none, or settings of `Augmentation` separated by commas.

    Examples
    --------
    >>> read_changes("shift=1,flip"), read_changes("none")
    (Augmentation(shift=1, rotate=0.0, scale=0.0, shear=0.0, flip=True, erase=0, fill=0.0), None)
    """
    if text.strip() == "none":
        return None
    wanted = f"--augment must be settings such as {USUAL_CHANGES},flip, or none, got {text!r:.200}"
    settings: dict[str, Any] = {}
    for part in text.split(","):
        name, given, value = (word.strip() for word in part.partition("="))
        if name not in {field.name for field in fields(Augmentation)} or name in settings:
            raise ValueError(wanted)
        try:
            settings[name] = float(value) if given else True
        except ValueError:
            raise ValueError(wanted) from None
        if (name == "flip") == bool(given):
            raise ValueError(wanted)
        if given and settings[name].is_integer():
            settings[name] = int(settings[name])
    return Augmentation(**settings)


def written_changes(augmentation: Augmentation | None) -> str:
    """Return the words of `--augment` for an augmentation.

    Examples
    --------
    >>> written_changes(read_changes("shift=1,scale=0.25,flip"))
    'shift=1,scale=0.25,flip'
    """
    given = {} if augmentation is None else asdict(augmentation)
    words = [name if value is True else f"{name}={value:g}" for name, value in given.items() if value]
    return ",".join(words) or "none"


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
