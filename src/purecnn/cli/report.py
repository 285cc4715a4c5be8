"""The command ``report``.

The command that looks at trained runs: one page on one of them, or one that compares several.
"""

from __future__ import annotations

from pathlib import Path

import click

from purecnn.cli.options import not_empty, page_path
from purecnn.cli.terminal import echo
from purecnn.datasets.catalog import Sets
from purecnn.errors import MissingExtraError
from purecnn.escapes import visible
from purecnn.networks.network import Network
from purecnn.runs.comparison import compare_runs
from purecnn.runs.model_path import run_folder
from purecnn.runs.report import report_run

COMPARISON = "comparison.html"


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--output",
    metavar="FILE",
    callback=not_empty,
    help=f"Where to write it.  [default: RUN/report.html, {COMPARISON}]",
)
@click.option("--data", metavar="DATA", help="Where the data are now.  [default: where they were]")
@click.option("--threads", type=int, help="Number of worker threads.  [default: the physical cores]")
def report(folders: tuple[str, ...], output: str | None, data: str | None, threads: int | None) -> None:
    """Write a page that tells all about a trained network.

    RUN is a folder that train wrote, or the model in it. Of two or more the page compares them: settings,
    curves, classes, and the pictures that one gets right and another wrong. The page opens in any browser,
    without a connection.
    """
    runs = [run_folder(folder) for folder in folders]
    where = page_path(output)
    if len(runs) == 1:
        found = report_run(runs[0], where, data=data, threads=threads)
    else:
        found = compare_runs(runs, where or Path(COMPARISON), data=data, threads=threads)
    echo(f"the report is {found}")


def report_if_possible(folder: Path, sets: Sets, network: Network, threads: int | None) -> None:
    """Write the report of a run that has just ended, where plotly is there; a failure is a warning alone."""
    try:
        found = report_run(folder, sets=sets, network=network, threads=threads)
    except MissingExtraError:
        return
    except Exception as error:  # whatever it is: what was trained is saved, and must be told of as a success
        echo(f"Warning: no report: {visible(str(error))}", err=True)
        return
    echo(f"the report is {found}")
