"""Samples of the kill campaigns: real processes, and real MPI jobs, killed with SIGKILL and resumed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.mpi_jobs import MPIEXEC
from helpers.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


def campaign(name: str, *words: str) -> dict[str, int]:
    """Run a sample of a campaign; return what it counted."""
    found = subprocess.run(
        [sys.executable, "-m", f"campaigns.kill.{name}", "--quick", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=2 * PATIENCE,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return {what: int(count) for count, what in re.findall(r"^ *(\d+)  (.+)$", found.stdout, re.MULTILINE)}


def test_killed_runs_go_on_to_the_same_bits_and_leave_no_worker_behind() -> None:
    counts = campaign("resume", "--runs", "3", "--seed", "1")
    assert counts["runs"] >= 3
    assert counts["runs that ended in the same bits as one never killed"] == counts["runs"]
    assert counts["runs whose killed processes left no worker behind"] == counts["runs"]
    # what the sample is for did happen
    assert counts["kills inside a checkpoint's write"] >= 1
    assert counts["worker processes of killed runs, all ended"] >= 1


@pytest.mark.skipif(MPIEXEC is None, reason="there is no mpiexec")
def test_a_killed_rank_ends_its_job_which_goes_on_with_other_ranks_to_the_same_bits() -> None:
    counts = campaign("ranks", "--runs", "2", "--seed", "7", "--at-once", "60")
    assert counts["kills"] == 2
    assert counts["jobs that ended at once"] == 2
    assert counts["jobs that left no process behind"] == 2
    assert counts["jobs that named the killed rank in one sentence"] == 2
    assert counts["jobs that ended in the bits of one process, never killed"] >= 2
