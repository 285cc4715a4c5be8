"""Make tour.ipynb of tour.py: run its cells, and keep each chart as a picture that shows anywhere.

A chart stays interactive where the notebook runs. What is kept is small, so that a page that only shows the
notebook, without running it, has all of it too.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parents[2] / "notebooks"
SOURCE, NOTEBOOK = HERE / "tour.py", HERE / "tour.ipynb"
PLOTLY = "application/vnd.plotly.v1+json"


def notebook(text: str) -> Any:
    """Return the notebook of a program whose cells begin with ``# %%``."""
    made = nbformat.v4.new_notebook()
    made.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    pieces = re.split(r"^# %%(.*)\n", text, flags=re.MULTILINE)[1:]
    for number, (kind, source) in enumerate(zip(pieces[::2], pieces[1::2], strict=True)):
        if "[markdown]" in kind:
            words = re.sub(r"^# ?", "", source.strip(), flags=re.MULTILINE)
            cell = nbformat.v4.new_markdown_cell(words)
        else:
            cell = nbformat.v4.new_code_cell(source.strip())
        cell.id = f"cell-{number}"
        made.cells.append(cell)
    return made


def run(made: Any, *, few: bool = False, timeout: int = 600) -> None:
    """Run a notebook's cells; the first that fails raises `nbclient.exceptions.CellExecutionError`."""
    environment = {**os.environ, "PLOTLY_RENDERER": "plotly_mimetype"}
    environment.pop("PURECNN_FEW", None)
    if few:
        environment["PURECNN_FEW"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(made, timeout=timeout, resources={"metadata": {"path": folder}})
        client.execute(env=environment)


def charts(made: Any) -> list[Any]:
    """Return each output of a cell that is a chart."""
    return [
        output
        for cell in made.cells
        for output in cell.get("outputs", [])
        if PLOTLY in output.get("data", {})
    ]


def draw(made: Any) -> None:
    """Put a picture in the place of each chart."""
    from plotly.graph_objects import Figure

    from docs.tools.chromium import chromium, figure_shot

    with chromium() as browser:
        for output in charts(made):
            given = output.data[PLOTLY]
            figure = Figure(data=given["data"], layout=given["layout"])
            shot = base64.b64encode(figure_shot(browser, figure)).decode()
            title = figure.layout.title.text or ""
            output.data = {"image/png": f"{shot}\n", "text/plain": f"A chart: {title}".rstrip(": ")}


def tidy(made: Any) -> None:
    """Take out what differs from run to run and says nothing."""
    for cell in made.cells:
        cell.metadata = {}
    made.metadata.language_info = {"name": "python"}


def main() -> None:
    """Write the notebook."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", action="store_true", help="few images and epochs, to try the cells")
    arguments = parser.parse_args()
    made = notebook(SOURCE.read_text(encoding="utf-8"))
    run(made, few=arguments.few)
    draw(made)
    tidy(made)
    nbformat.validate(made)
    nbformat.write(made, NOTEBOOK)
    print(f"{NOTEBOOK}: {NOTEBOOK.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
