"""Command `site`: the playground's page as a folder that any web server can show."""

from __future__ import annotations

import shlex

import click

from purecnn.cli.options import not_empty
from purecnn.cli.terminal import echo
from purecnn.escapes import visible
from purecnn.runs.model_path import model_file


@click.command()
@click.argument("folder", metavar="DIR")
@click.argument("model", required=False)
@click.option(
    "--pyodide",
    metavar="FOLDER",
    callback=not_empty,
    help="Folder with Pyodide's files.  [default: fetched over the network, once, 9 MB]",
)
@click.option("--docs", metavar="ADDRESS", help="Of the built documents, to which each layer's card leads.")
def site(folder: str, model: str | None, pyodide: str | None, docs: str | None) -> None:
    """Write the playground's page as a folder for any web server.

    Python runs in the reader's browser: no server of its own is needed, and nothing is sent anywhere. MODEL
    is a file or the folder of a run; the network of digits that is part of this package if left out.
    """
    from purecnn.playground.bytecode import compiles  # here, since few commands need it
    from purecnn.playground.site import write_site

    place = write_site(folder, None if model is None else model_file(model), pyodide=pyodide, documents=docs)
    size = sum(file.stat().st_size for file in place.iterdir())
    echo(f"{visible(str(place))}: {size / 1e6:.1f} MB; any web server shows it, such as:")
    echo(f"python -m http.server --bind 127.0.0.1 --directory {visible(shlex.quote(str(place)))}")
    if not compiles():
        echo(
            "Its modules are not compiled, so it starts more slowly: Python 3.12 compiles them, wherever "
            "`python3.12` calls it."
        )
