"""MPI jobs for tests: several processes of one program, and what they say."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from helpers.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
MPIEXEC = shutil.which(
    "mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
)


def start(size, *words, **options):
    """Run Python on so many ranks; return what came of it."""
    return subprocess.run(
        [MPIEXEC, "-n", str(size), sys.executable, "-m", "mpi4py", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        timeout=PATIENCE,
        **options,
    )


def job(size, program):
    """Run a program on so many ranks."""
    return start(size, "-c", "from tests.helpers.ranks_program import *\n" + textwrap.dedent(program))
