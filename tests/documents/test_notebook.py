"""The notebook runs from its first cell to its last, and is what its program and `make notebook` say."""

from __future__ import annotations

import re

import pytest

nbformat = pytest.importorskip("nbformat", reason="the notebook wants nbclient and ipykernel: the extra test")
pytest.importorskip("ipykernel")
pytest.importorskip("nbclient")
pytest.importorskip("plotly")

from docs.tools.notebook import NOTEBOOK, PLOTLY, SOURCE, charts, notebook, run  # noqa: E402
from helpers.waiting import PATIENCE  # noqa: E402
from purecnn import plots  # noqa: E402

#: What the kernel says of itself when it begins is no warning of ours.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def kept():
    """The notebook as it lies in the repository."""
    found = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(found)
    return found


def test_the_notebook_is_made_of_its_program(kept):
    made = notebook(SOURCE.read_text(encoding="utf-8"))
    assert [(cell.cell_type, cell.source) for cell in kept.cells] == [
        (cell.cell_type, cell.source) for cell in made.cells
    ], "run make notebook"


def test_the_notebook_is_small_and_has_its_answers(kept):
    assert NOTEBOOK.stat().st_size < 1_000_000
    coded = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in coded] == list(range(1, len(coded) + 1))
    outputs = [output for cell in coded for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert charts(kept) == []  # pictures stand in their place
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 10
    # nothing tells whose machine it was made on
    assert not re.search(r"/home/|/tmp/|/root|/Users/|/work/", NOTEBOOK.read_text(encoding="utf-8"))


def test_every_cell_runs(kept):
    mentioned = set(re.findall(r"plots\.(\w+)\(", SOURCE.read_text(encoding="utf-8")))
    assert mentioned <= set(plots.__all__)
    for cell in kept.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    run(kept, few=True, timeout=PATIENCE)
    found = charts(kept)
    assert len(found) == SOURCE.read_text(encoding="utf-8").count("\nplots.")
    assert all(output.data[PLOTLY]["data"] for output in found)
    said = "".join(
        o.text for cell in kept.cells for o in cell.get("outputs", []) if o.output_type == "stream"
    )
    xor = {words: float(number) for words, number in re.findall(r"(\d xor \d): ([-+.\d]+)", said)}
    assert xor == pytest.approx({"0 xor 0": 0, "0 xor 1": 1, "1 xor 0": 1, "1 xor 1": 0}, abs=0.2)
