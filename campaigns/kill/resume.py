"""Kill training runs at random moments, resume them, and compare all bits with runs that were never killed.

    python -m campaigns.kill.resume [--runs 50] [--seed 0] [--output campaigns/results]

Each run is a process of its own (`campaigns.kill.victim`), with worker processes where it has several
threads. It is killed with SIGKILL once to three times: at a random moment, or in the middle of a
checkpoint's write, for which its temporary file is watched. Then it goes on, often with another number of
threads. In between, every checkpoint must be readable, and the workers of a killed process must end. Full
disks and folders that can't be written follow, real ones where this process may mount, else by a limit on
the size of files.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from campaigns.kill.victim import CHECKPOINT, set_fault
from purecnn.backend import environment
from purecnn.backend.processes import can_fork
from purecnn.callbacks.resume import SavedRun

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = ("dense", "convolutional", "convolutional, float64")
#: Seconds that a worker has to notice that its parent is gone: it looks once a second, if it may.
GRACE = 60.0


def start(options: dict[str, Any], launcher: Sequence[str] = (sys.executable,)) -> subprocess.Popen[str]:
    """Start a run's process, or what launches several."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    return subprocess.Popen(
        [*launcher, "-m", "campaigns.kill.victim", json.dumps(options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )


def finish(options: dict[str, Any], launcher: Sequence[str] = (sys.executable,)) -> dict[str, Any]:
    """Let a run's process come to its end; return what it ended in."""
    with start(options, launcher) as process:
        output, errors = process.communicate(timeout=300)
    if process.returncode:
        raise SystemExit(f"a run failed with status {process.returncode}:\n{errors}")
    found: dict[str, Any] = json.loads(output)
    return found


def children(parent: int) -> list[tuple[int, str]]:
    """Return the processes that a process started, each with the time of its start, which no other has."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := stat(int(entry.name))) and int(fields[1]) == parent:
            found.append((int(entry.name), fields[19]))
    return found


def stat(pid: int) -> list[str]:
    """Return what Linux says of a process, from its state on; nothing once it has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def all_gone(processes: list[tuple[int, str]]) -> bool:
    """Return whether all processes ended, after as long as they may take."""
    until = time.monotonic() + GRACE
    while any((f := stat(pid)) and f[19] == began and f[0] != "Z" for pid, began in processes):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def writing(folder: Path) -> list[Path]:
    """Return the temporary files of a write that goes on, or was killed."""
    return list(folder.glob(f".{CHECKPOINT}.*.tmp"))


def kill(process: subprocess.Popen[str], folder: Path, how: str, wait: float) -> list[tuple[int, str]]:
    """Kill a run; return its workers.

    Parameters
    ----------
    process : Popen
        The run.
    folder : Path
        Its folder.
    how : str
        "any moment", some time after the process began; or "in a write", some time after one began.
    wait : float
        That time, in seconds.
    """
    if how == "in a write":
        while not writing(folder) and process.poll() is None:
            time.sleep(0.0005)
    until, workers = time.monotonic() + wait, []
    while time.monotonic() < until and process.poll() is None:
        workers = children(process.pid)
        time.sleep(min(0.002, max(0.0, until - time.monotonic())))
    workers = children(process.pid) or workers
    process.send_signal(signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        pipe.close()  # type: ignore[union-attr]  # its workers may hold the other ends for a while
    return workers


class Campaign:
    """Runs, kills and what came of them.

    Parameters
    ----------
    seed : int
        Of the choices. The moments of the kills are as random as the machine is.
    folder : Path
        For the runs.
    """

    def __init__(self, seed: int, folder: Path) -> None:
        self.choose, self.folder = random.Random(seed), folder
        self.counts: Counter[str] = Counter()
        self.whole: dict[str, tuple[dict[str, Any], float]] = {}
        self.failures: list[str] = []
        self.numbers = itertools.count()

    def options(self, quick: bool) -> dict[str, Any]:
        """Choose a run."""
        if quick:
            kind = self.choose.choice(NETWORKS[:2])
            return {"kind": kind, "optimizer": "adam", "batch_size": 64, "epochs": 4}
        return {
            "kind": self.choose.choice(NETWORKS),
            "optimizer": self.choose.choice(("adam", "sgd", "momentum")),
            "batch_size": self.choose.choice((16, 33, 64, 128)),
            "epochs": 8,
        }

    def place(self) -> Path:
        """Make a folder for the next run."""
        place = self.folder / f"run-{next(self.numbers)}"
        place.mkdir()
        return place

    def uninterrupted(self, options: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """Return what a run ends in if nobody disturbs it, and how long its process takes."""
        key = json.dumps(options)
        if key not in self.whole:
            begin = time.monotonic()
            plan = {**options, "folder": str(self.place()), "threads": 1, "every": None, "slow": 0.0}
            self.whole[key] = finish(plan)["bits"], time.monotonic() - begin
        return self.whole[key]

    def check(self, what: str, passed: bool) -> None:
        """Count a promise that was kept, or note that it was not."""
        self.counts[what] += passed
        if not passed:
            self.failures.append(what)
            print(f"FAILED: {what}", flush=True)

    def run_and_kill(self, quick: bool = False) -> None:
        """Kill one run once to three times, let it go on each time, and compare its end."""
        options, folder = self.options(quick), self.place()
        bits, usual = self.uninterrupted(options)
        every, slow = self.choose.choice((1, 2, 3, 7, None)), self.choose.choice((0.0, 0.02, 0.06))
        if quick:
            every, slow = 1, 0.04
        # so short a run would have threads alone, were its workers not asked for
        kinds = ("fork",) if can_fork() else ("spawn",)
        kind = self.choose.choice(kinds if quick else ("", "spawn", *kinds))
        plan = {**options, "folder": str(folder), "every": every, "slow": slow, "workers": kind}
        workers: list[tuple[int, str]] = []
        for _ in range(1 if quick else self.choose.randint(1, 3)):
            threads = self.choose.choice((2, 4) if quick else (1, 2, 4))
            # not the first write of a process alone, but some of those after it too
            how, wait = "in a write", self.choose.choice((0, 1, 5)) * (slow + 0.01)
            wait += self.choose.uniform(0, slow or 0.004)
            if self.choose.random() < 0.5:
                how, wait = "any moment", self.choose.uniform(0.1, usual + 10 * slow)
            process = start({**plan, "threads": threads})
            workers += kill(process, folder, how, wait)
            killed = process.returncode == -signal.SIGKILL
            self.counts["kills"] += killed
            self.counts["processes that had ended before their kill"] += not killed
            self.counts["kills with worker processes at work"] += killed and len(workers) > 0
            self.counts["kills inside a checkpoint's write"] += killed and bool(writing(folder))
            kept = folder / CHECKPOINT
            if kept.exists():
                saved = SavedRun(kept)  # raises if it is damaged
                self.counts["kills in the middle of an epoch's checkpoints"] += killed and saved.step > 0
                self.check("checkpoints read after a kill, all good", True)
            else:
                self.counts["kills before the first checkpoint"] += killed
        found = finish({**plan, "threads": self.choose.choice((1, 2, 4)), "slow": 0.0})
        self.check("runs that ended in the same bits as one never killed", found["bits"] == bits)
        self.check("runs that left no temporary file", not writing(folder))
        self.check("runs whose killed processes left no worker behind", all_gone(workers))
        self.counts["worker processes of killed runs, all ended"] += len(workers)

    def disturb(self, fault: str, folder: Path) -> None:
        """Let no checkpoint be written for some epochs, then until the end, then while the run is killed."""
        options = {"kind": "dense", "optimizer": "adam", "batch_size": 64, "epochs": 6}
        bits, _ = self.uninterrupted(options)
        plan = {**options, "folder": str(folder), "threads": 2, "every": None, "slow": 0.0, "fault": fault}
        kept = folder / CHECKPOINT

        found = finish({**plan, "fails": (2, 5)})
        self.check(
            f"{fault} for 3 of 6 epochs: 3 warnings, the same bits, the last checkpoint good",
            found["bits"] == bits and len(found["warnings"]) == 3 and SavedRun(kept).epoch == 6,
        )
        kept.unlink()
        found = finish({**plan, "fails": (2, 99)})
        self.check(
            f"{fault} until the end: an error, the last good checkpoint as it was, no temporary file",
            "holds epoch 1" in str(found["error"]) and SavedRun(kept).epoch == 1 and not writing(folder),
        )
        set_fault(folder, fault, False)
        found = finish({**plan, "threads": 1})
        self.check(f"{fault}, then room again: resumed to the same bits", found["bits"] == bits)
        kept.unlink()
        process = start({**plan, "epochs": 100_000, "fails": (2, 10**9)})
        while not kept.exists() and process.poll() is None:
            time.sleep(0.001)
        workers = kill(process, folder, "any moment", 0.5)
        set_fault(folder, fault, False)
        good = process.returncode == -signal.SIGKILL and SavedRun(kept).epoch == 1 and all_gone(workers)
        self.check(f"{fault}, killed meanwhile: the last good checkpoint as it was, no worker left", good)
        kept.unlink()

    def faults(self) -> None:
        """Full disks and folders that can't be written, as real as this process may make them."""
        with small_disk(self.folder / "disk") as disk:
            if disk is not None:
                self.disturb("full disk", disk)
                self.disturb("read-only disk", disk)
            else:
                print("no full disk and no read-only one: this process may not mount", flush=True)
        if os.geteuid():
            self.disturb("folder without permission", self.place())
        self.disturb("limit on the size of files", self.place())

    def is_sample(self) -> bool:
        """Return whether what the runs are for did happen: when a kill comes is the machine's to decide."""
        return bool(
            self.counts["kills inside a checkpoint's write"]
            and self.counts["worker processes of killed runs, all ended"]
        )

    def table(self) -> str:
        """Return what was counted, one line each."""
        return "\n".join(f"{count:6,}  {what}" for what, count in sorted(self.counts.items()) if count)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """Mount a file system of 256 KiB for a while; None where that is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def write_outcome(folder: Path, name: str, title: str, command: str, said: str) -> None:
    """Write what a campaign said into a folder, with the command, the commit and the machine."""
    commit, today = environment.commit() or "unknown", datetime.date.today().isoformat()
    machine = environment.machine()
    heading = [
        f"# {title}, {today}",
        f"Command `{command}` at commit `{commit}`, on {machine['processor']}, {machine['cores']} cores, "
        f"Python {machine['python']}, NumPy {machine['numpy']}, {machine['system']}.",
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{today}-{commit[:7]}-{name}.md"
    path.write_text("\n\n".join([*heading, f"```text\n{said}\n```"]) + "\n", encoding="utf-8")
    print(f"written to {path}")


def main() -> None:
    """Run the campaign, print what was survived, write it down; end with status 1 if anything was not."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--runs", type=int, default=50, help="runs to be killed")
    parser.add_argument("--seed", type=int, default=0, help="of the choices")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one kill a run, short runs, more until one hit a write, no faults",
    )
    parser.add_argument("--output", type=Path, help="a folder for the outcome")
    asked = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(asked.seed, Path(folder))
        while campaign.counts["runs"] < asked.runs or (asked.quick and not campaign.is_sample()):
            campaign.run_and_kill(asked.quick)
            campaign.counts["runs"] += 1
        if not asked.quick:
            campaign.faults()
    verdict = f"FAILED: {'; '.join(campaign.failures)}" if campaign.failures else "all survived"
    said = f"{campaign.table()}\n{verdict}, in {time.monotonic() - begin:.0f} s"
    print(said)
    if asked.output is not None:
        command = f"python -m campaigns.kill.resume --runs {asked.runs} --seed {asked.seed}"
        write_outcome(asked.output, "resume", "Kill and resume", command, said)
    sys.exit(bool(campaign.failures))


if __name__ == "__main__":
    main()
