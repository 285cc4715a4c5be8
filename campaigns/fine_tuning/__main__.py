"""Run the example `fine_tuning.py` on a ResNet-18 that knows other classes, and on one that knows nothing.

    python -m campaigns.fine_tuning --torch PYTHON [--work FOLDER] [--write]

PyTorch, in a Python of its own, trains torchvision's ResNet-18 on MNIST's digits from 0 to 4
(`campaigns.fine_tuning.pretrain`). The example then learns those from 5 to 9 of few pictures of each, and is
tested on all 4,861 test pictures of these. ``--write`` puts the table into docs/transfer.md.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.harness.rows import put_between
from purecnn.backend import environment
from purecnn.datasets import mnist

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/transfer.md"
#: How many training pictures of each class.
NUMBERS = (10, 30)
#: What the file is, its name, and what the example is told; of random layers all learn at the same rate.
FILES = (
    ("trained on the digits from 0 to 4", "trained.onnx", ()),
    ("the same, normalizations folded", "folded.onnx", ()),
    ("random: from scratch", "random.onnx", ("--head-epochs", "0", "--body", "1", "--epochs", "30")),
)


def write_pictures(folder: Path, number: int) -> None:
    """Write pictures of the digits from 5 on into class folders: so many to train on, all to test on."""
    train, test = mnist.load_data()
    for part, (x, y), most in (("train", train, number), ("test", test, None)):
        for label in range(5, 10):
            place = folder / part / str(label)
            place.mkdir(parents=True)
            for row in np.flatnonzero(y == label)[:most]:
                Image.fromarray(x[row]).save(place / f"{row:05}.png")


def run(python: str, arguments: list[str], folder: Path) -> str:
    """Run a program of this checkout, and return what it printed."""
    environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [python, *arguments], cwd=folder, env=environ, check=True, capture_output=True, text=True
    )
    print(done.stdout, end="", flush=True)
    return done.stdout


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--torch", required=True, help="a Python with torch, torchvision and onnxscript")
    parser.add_argument("--work", type=Path, help="a folder for the networks, which are kept, and used again")
    parser.add_argument("--write", action="store_true", help="put the table into docs/transfer.md")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        work = (asked.work or Path(made)).absolute()
        if not (work / "folded.onnx").exists():
            run(asked.torch, ["-m", "campaigns.fine_tuning.pretrain", str(work)], ROOT)
        rows = {title: [title] for title, _, _ in FILES}
        for number in NUMBERS:
            pictures = Path(made, f"pictures-{number}")
            write_pictures(pictures, number)
            for title, name, told in FILES:
                program = [str(ROOT / "examples/fine_tuning.py"), str(work / name), str(pictures), *told]
                said = run(sys.executable, program, Path(made))
                head, whole = re.findall(r"^accuracy\D*: ([\d.]+)%", said, re.M)
                rows[title].append(f"{whole} %" if name == "random.onnx" else f"{head} %, then {whole} %")
    commit, machine = environment.commit() or "unknown", environment.machine()
    heading = ["layers of the file", *(f"{number} pictures of each class" for number in NUMBERS)]
    text = "\n".join(
        [
            f"Commit {commit[:7]}; {machine['processor']}, NumPy {machine['numpy']}.\n",
            *(f"| {' | '.join(row)} |" for row in (heading, ["---"] * len(heading), *rows.values())),
        ]
    )
    print(text)
    if asked.write:
        put_between("<!-- fine-tuning: begin -->", "<!-- fine-tuning: end -->", text, PAGE)


if __name__ == "__main__":
    main()
