"""Make the pictures of the course from what the package computes: python -m docs.tools.course_pictures."""

import sys
from pathlib import Path

from docs.tools import deep_pictures
from purecnn.playground.figures.table import FIGURES

FOLDER = Path(__file__).parents[1] / "course" / "pictures"
PICTURES = {name: figure.still for name, figure in FIGURES.items()} | deep_pictures.PICTURES


def main(folder):
    """Write all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in PICTURES.items():
        (folder / f"{name}.svg").write_text(str(made()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
