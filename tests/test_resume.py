"""A sample of the kill campaign (`make campaign-resume`): real processes, killed with SIGKILL and resumed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_killed_runs_go_on_to_the_same_bits_and_leave_no_worker_behind() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "campaigns.resume", "--runs", "5", "--quick", "--seed", "1"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=110,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    counts = {what: int(count) for count, what in re.findall(r"^ *(\d+)  (.+)$", found.stdout, re.MULTILINE)}
    assert counts["runs that ended in the same bits as one never killed"] == 5
    assert counts["runs whose killed processes left no worker behind"] == 5
    assert counts["kills"] >= 4
    # what the sample is for did happen
    assert counts["kills inside a checkpoint's write"] >= 1
    assert counts["worker processes of killed runs, all ended"] >= 1
