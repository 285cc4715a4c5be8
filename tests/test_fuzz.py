"""A sample of the campaign of hostile files (`make campaign-fuzz`): each is read or refused, no more."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from campaigns import fuzz, trial
from campaigns.formats import FORMATS, Format, good

ROOT = Path(__file__).parents[1]

#: Cases of each format; a checkpoint's is a network trained.
CASES = {"checkpoint": 150, "keras-h5": 150, "folder": 200}


@pytest.mark.parametrize("name", FORMATS)
def test_hostile_files_are_read_or_refused(name, tmp_path):
    if not FORMATS[name].is_here():
        pytest.skip(f"needs {FORMATS[name].needs}")
    found = set()
    for seed in good(name):
        outcome = trial.attempt(name, seed, tmp_path)
        assert not outcome.problems, outcome
        found.add(outcome.found)
    # a record's seed is of other data than the reader has, so that nothing is trained
    assert "accepted" in found or name == "record"
    refused = 0
    for number in range(CASES.get(name, 300)):
        outcome = trial.run(name, number, tmp_path)
        assert not outcome.problems, f"{trial.again(name, number)}: {outcome}"
        refused += outcome.found != "accepted"
    assert refused > 30


def faulty(path):
    """A reader that does what none may do, as the file says."""
    data = path.read_bytes()
    if data == b"raise":
        raise IndexError("out of range")
    if data == b"loop":
        until = time.process_time() + trial.SECONDS + 0.1
        while time.process_time() < until:
            pass
    if data == b"memory":
        return bytearray(70 << 20)
    if data == b"warn":
        import warnings

        warnings.warn("so", stacklevel=1)
    if data == b"inside":
        path.with_suffix(".new").write_bytes(data)
    if data == b"outside":
        (path.parent.parent / "new").write_bytes(data)
    if data == b"no name":
        raise OSError(22, "Invalid argument")
    return None


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"raise", "raised IndexError"),
        (b"loop", "took 0.3"),
        (b"memory", "took 70 MiB for 6 bytes"),
        (b"warn", "warned UserWarning"),
        (b"inside", "wrote files"),
        (b"outside", "wrote outside of its folder"),
        (b"no name", "raised OSError"),
    ],
)
def test_a_reader_that_does_more_is_found_out(data, problem, tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "SECONDS", 0.2)
    monkeypatch.setitem(FORMATS, "faulty", Format(lambda: [data], faulty))
    (found,) = trial.attempt("faulty", data, tmp_path).problems
    assert found.startswith(problem)


def test_a_case_is_the_same_in_every_process():
    found = {
        subprocess.run(
            [sys.executable, "-m", "campaigns.fuzz", "--format", name, "--case", "12"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        ).stdout.partition("\n")[0]
        for name in ("npz", "npz")
    }
    (line,) = found
    assert re.match(r"npz 12: \d+ bytes that begin with b'", line)
    assert line == f"npz 12: {len(fuzz.case('npz', 12))} bytes that begin with {fuzz.case('npz', 12)[:40]!r}"


def test_a_reader_that_hangs_or_dies_is_named_and_the_rest_is_read(monkeypatch):
    campaign = fuzz.Campaign(["idx"], 40, 1)
    campaign.waiting = [("idx", 20, 40), ("idx", 0, 20)]
    monkeypatch.setattr(fuzz, "Child", lost_once())
    campaign.run()
    assert campaign.failures == ["python -m campaigns.fuzz --format idx --case 0: ended its process"]
    assert sum(campaign.found["idx"].values()) == 40


def lost_once():
    """A class of child processes whose first is killed as it begins."""
    real, made = fuzz.Child, []

    class Child(real):
        def give(self, share):
            if not made:
                made.append(self)
                self.process.kill()
                self.process.join()
                self.share = share
                return
            super().give(share)

    return Child
