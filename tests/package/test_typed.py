"""Programs as users write them, in `typed`: mypy's strict mode passes over them, and they run."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "typed"


def check(*arguments):
    """Run mypy as a user does who has this package installed and asks for all that mypy checks."""
    pytest.importorskip("mypy", reason="of the extra dev")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", *arguments]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_users_programs_pass_mypys_strict_mode_and_their_mistakes_do_not(pytestconfig, tmp_path):
    # what mypy has learnt of NumPy is kept for the next time: three seconds
    cache = getattr(pytestconfig, "cache", None)
    folder = tmp_path if cache is None else cache.mkdir("mypy")
    # in mistakes.py, a comment whose error mypy does not find is an error
    assert check(f"--cache-dir={folder}", ".") == ""


@pytest.mark.parametrize("name", ["train", "own", "carry", "classify"])
def test_users_programs_run(name):
    if name == "classify":
        pytest.importorskip("sklearn", reason="of the extra sklearn")
    runpy.run_path(str(HERE / f"{name}.py"), run_name="__main__")
