"""How many architectures that Keras wrote are read here, and how far the answers lie apart.

Command: python -m campaigns.keras_models.compare --keras-python PYTHON, where PYTHON has keras, tf_keras and
tensorflow; with --write to put the table into docs/weights.md. `make campaign-keras` makes that environment.
With --folder the files are kept there, and without --keras-python those are read that it holds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from campaigns.keras_models.build import ARCHITECTURES, WAYS
from purecnn import load_keras
from purecnn.errors import PureCNNError
from purecnn.networks.network import Network

DOCUMENT = Path(__file__).parents[2] / "docs" / "weights.md"
BEGIN, END = "<!-- keras architectures: begin -->\n", "<!-- keras architectures: end -->\n"
#: How far answers may lie apart, of the largest one's size.
TOLERANCE = 1e-4
COLUMNS = [(3, ".keras"), (3, ".h5"), (3, ".json"), (2, ".keras"), (2, ".h5"), (2, ".json")]


@dataclass
class Row:
    """What became of one architecture: of each file the difference, or the sentence why not."""

    name: str
    cells: dict[tuple[int, str], float | str] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        """Whether all its files are read, and answer as Keras does."""
        return bool(self.cells) and all(
            isinstance(found, float) and found <= TOLERANCE for found in self.cells.values()
        )

    @property
    def why(self) -> str:
        """The first sentence of those that say why not."""
        return next((found for found in self.cells.values() if isinstance(found, str)), "")

    def cell(self, column: tuple[int, str]) -> str:
        """Return what the table says of one file."""
        found = self.cells.get(column)
        return "" if found is None else "no" if isinstance(found, str) else f"{found:.0e}"


def read(front: Path, way: str, shape: tuple[int, ...]) -> Network:
    """Return the network of one file; of layers alone, with the weights beside it."""
    if way == ".json":
        return load_keras(f"{front}.json", weights=f"{front}.weights.h5", input_shape=shape)
    return load_keras(f"{front}{way}", input_shape=shape)


def difference(front: Path, way: str, is_first: bool) -> float | str:
    """Return how far the answers of one file lie from Keras's, or why there are none."""
    with np.load(f"{front}.npz") as held:
        x, y = held["input"], held["output"]
    if not is_first:
        x = np.moveaxis(x, -1, 1)
        y = np.moveaxis(y, -1, 1)
    try:
        found = read(front, way, x.shape[1:]).predict(x)
    except PureCNNError as error:
        return str(error).removeprefix(f"{front}{way}: ")
    if found.shape != y.shape:
        return f"gives {found.shape}, and Keras {y.shape}"
    return float(np.abs(found - y).max() / np.abs(y).max())


def rows(folder: Path, names: Iterable[str]) -> list[Row]:
    """Return what became of the architectures in a folder."""
    found = []
    for name in names:
        row = Row(name)
        for generation, way in COLUMNS:
            front = folder / f"{name}-{generation}"
            if os.path.exists(f"{front}.npz") and os.path.exists(f"{front}{way}"):
                row.cells[generation, way] = difference(front, way, name.startswith("first_"))
        if row.cells:
            found.append(row)
            told = " ".join(f"{k}{w} {row.cell((k, w)) or '-'}" for k, w in COLUMNS)
            print(f"{name}: {told}{row.why and '; '}{row.why:.300}", flush=True)
    return found


def table(found: list[Row]) -> str:
    """Return the table and the count as they stand in the document."""
    good = sum(row.is_right for row in found)
    files = [cell for row in found for cell in row.cells.values()]
    right = sum(isinstance(cell, float) and cell <= TOLERANCE for cell in files)
    lines = [
        f"{good} of {len(found)} architectures are read from all their files and answer as Keras does, "
        f"{right} of {len(files)} files.",
        "",
        f"| architecture | {' | '.join(f'Keras {k} `{way}`' for k, way in COLUMNS)} | |",
        f"|---|{'---|' * len(COLUMNS)}---|",
    ]
    for row in found:
        cells = " | ".join(row.cell(column) for column in COLUMNS)
        why = row.why.replace("|", "/").partition(", wanted one of")[0]
        lines.append(f"| {row.name.replace('_', ' ')} | {cells} | {why} |")
    return "\n".join(lines) + "\n"


def build(python: str, folder: Path, names: list[str]) -> None:
    """Let Keras write the files, in processes of their own."""
    for generation in WAYS:
        command = [python, "-m", "campaigns.keras_models.build", str(folder), "--keras", str(generation)]
        subprocess.run([*command, *names], check=True, cwd=Path(__file__).parents[2])


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keras-python", help="the Python that has Keras; none, if the files are there")
    parser.add_argument("--folder", type=Path, help="where the files are kept")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT.name}")
    parser.add_argument("names", nargs="*", help="of architectures; all if left out")
    args = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        if args.keras_python:
            build(args.keras_python, folder, args.names)
        found = rows(folder, args.names or ARCHITECTURES)
    print(table(found).partition("\n")[0])
    if args.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        front, back = text.split(BEGIN)[0], text.split(END)[1]
        DOCUMENT.write_text(f"{front}{BEGIN}\n{table(found)}\n{END}{back}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
