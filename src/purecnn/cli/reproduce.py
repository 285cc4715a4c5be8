"""The command ``reproduce``.

The command that does a recorded run again.
"""

from __future__ import annotations

import click

from purecnn.callbacks.progress import ProgressBar
from purecnn.cli.terminal import checkpoint_warnings, echo
from purecnn.runs import reproduction
from purecnn.runs.model_path import run_folder


@click.command()
@click.argument("folder", metavar="RUN")
@click.option("--data", metavar="FOLDER", help="Where the data are now.  [default: where they were]")
@click.option("--threads", type=int, help="Number of worker threads.  [default: the physical cores]")
def reproduce(folder: str, data: str | None, threads: int | None) -> None:
    """Do a run again and compare.

    RUN is a folder that train wrote, or the model in it. Where processor features, NumPy and BLAS are those
    of the run, the same bits are demanded; elsewhere accuracy and loss within a tolerance. Ends with status 1
    if they are not.
    """
    with checkpoint_warnings():
        found = reproduction.reproduce(
            run_folder(folder), data=data, threads=threads, callbacks=[ProgressBar()]
        )
    echo(found)
    raise SystemExit(0 if found.succeeded else 1)
