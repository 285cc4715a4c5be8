"""Kill ranks of MPI jobs at random moments, resume them with other numbers of ranks, and compare all bits.

    python -m campaigns.kill.ranks [--runs 20] [--seed 0] [--output campaigns/results]

Each run is a job of `campaigns.kill.victim`, of which one rank, any, is killed with SIGKILL at a random
moment. The job must end at once, say which rank it was, leave no process behind and a good checkpoint. Then
it goes on with another number of ranks, to the bits of one process that nobody disturbed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from campaigns.kill.resume import Campaign, all_gone, children, finish, start, write_outcome, writing
from campaigns.kill.victim import CHECKPOINT
from purecnn.callbacks.resume import SavedRun

#: Beside the interpreter lies the one that the extra `mpi` installs.
MPIEXEC = shutil.which(
    "mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
)
KINDS = ("dense", "convolutional", "convolutional, float64", "normalized")
#: Seconds in which a job must have ended once a rank was killed; its workers look once a second.
AT_ONCE = 10.0


def launcher(ranks: int) -> list[str]:
    """Return the words that begin a job's command."""
    return [str(MPIEXEC), "-n", str(ranks), sys.executable, "-m", "mpi4py"]


def rank_of(process: int) -> int | None:
    """Return which rank a process is, None if it is none."""
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{process}/environ").read_bytes().split(b"\0"):
            if entry.startswith(b"PMI_RANK="):
                return int(entry.partition(b"=")[2])
    return None


def below(process: int) -> list[tuple[int, str]]:
    """Return all processes below one, each with the time of its start."""
    found = children(process)
    return [*found, *(deeper for child, _ in found for deeper in below(child))]


def ranks_below(process: int) -> dict[int, int]:
    """Return the processes that are ranks, by rank: what a launcher's own child started."""
    near = [child for child, _ in children(process)]
    found = {rank_of(child): child for parent in near for child, _ in children(parent)}
    return {rank: child for rank, child in found.items() if rank is not None}


class RankCampaign(Campaign):
    """Jobs, killed ranks, and what came of them.

    Parameters
    ----------
    seed : int
        Of the choices.
    folder : Path
        For the runs.
    at_once : float
        Seconds in which a job must have ended once a rank was killed.

    Attributes
    ----------
    slowest : float
        Seconds from a kill to the end of its job, at most.
    """

    slowest = 0.0

    def __init__(self, seed: int, folder: Path, at_once: float = AT_ONCE) -> None:
        super().__init__(seed, folder)
        self.at_once = at_once

    def options(self, quick: bool) -> dict[str, Any]:
        """Choose a run."""
        return {
            "kind": self.choose.choice(KINDS),
            "optimizer": self.choose.choice(("adam", "sgd", "momentum")),
            "batch_size": self.choose.choice((64, 128, 256)),
            "epochs": 6 if quick else 20,
        }

    def run_and_kill(self, quick: bool = False) -> None:
        """Kill one rank of a job, go on with another number of ranks, and compare its end."""
        options, folder = self.options(quick), self.place()
        bits, _ = self.uninterrupted(options)
        plan = {**options, "folder": str(folder), "every": 1, "slow": self.choose.choice((0.01, 0.02, 0.04))}
        before, after = self.choose.sample((2, 3, 4), 2)
        job = start({**plan, "threads": self.choose.choice((1, 2))}, launcher(before))
        victim, moment = self.choose.randrange(before), self.choose.uniform(0.0, 0.5 if quick else 2.0)
        self.kill_rank(job, victim, before, moment, folder)
        if (folder / CHECKPOINT).exists():
            saved = SavedRun(folder / CHECKPOINT)  # raises if it is damaged
            self.counts["kills in the middle of an epoch"] += saved.step > 0
        if self.choose.random() < 0.25:
            after = 1
        found = finish({**plan, "threads": 1, "slow": 0.0}, launcher(after))
        self.counts[f"jobs that went on with {'more' if after > before else 'fewer'} ranks"] += 1
        self.check("jobs that ended in the bits of one process, never killed", found["bits"] == bits)
        self.check("jobs that left no temporary file", not writing(folder))

    def kill_rank(
        self, job: subprocess.Popen[str], victim: int, ranks: int, moment: float, folder: Path
    ) -> None:
        """Kill one rank of a job some time after all have met, and look at what the others do."""
        # The first checkpoint is written as the training begins, when all ranks know each other.
        while not (folder / CHECKPOINT).exists() and job.poll() is None:
            time.sleep(0.001)
        time.sleep(moment)
        every, found = below(job.pid), ranks_below(job.pid)
        if job.poll() is not None or len(found) < ranks:
            self.counts["jobs that had ended before their kill"] += 1
            job.communicate()
            return
        began = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.kill(found[victim], signal.SIGKILL)
        try:
            output, errors = job.communicate(timeout=6 * self.at_once)
        except subprocess.TimeoutExpired:
            job.kill()
            output, errors = "", "it hung"
        seconds = time.monotonic() - began
        if job.returncode == 0 or output.startswith("{"):  # rank 0 has said what it ended in
            self.counts["jobs that had ended before their kill"] += 1
            return
        self.counts["kills"] += 1
        self.counts["kills of rank 0"] += victim == 0
        self.slowest = max(self.slowest, seconds)
        self.check("jobs that ended at once", seconds < self.at_once)
        self.check("jobs that left no process behind", all_gone(every))
        sentences = [line for line in errors.splitlines() if "was killed or crashed" in line]
        named = len(sentences) == 1 and f"rank {victim} (process {found[victim]} on " in sentences[0]
        self.check("jobs that named the killed rank in one sentence", named)
        if not named:
            print(errors, flush=True)


def main() -> None:
    """Run the campaign, print what was survived, write it down; end with status 1 if anything was not."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20, help="ranks to be killed")
    parser.add_argument("--seed", type=int, default=0, help="of the choices")
    parser.add_argument("--quick", action="store_true", help="short runs")
    parser.add_argument(
        "--at-once",
        type=float,
        default=AT_ONCE,
        help="seconds in which a job must end; more where others use the machine",
    )
    parser.add_argument("--output", type=Path, help="a folder for the outcome")
    asked = parser.parse_args()
    if MPIEXEC is None:
        raise SystemExit("there is no mpiexec: pip install 'purecnn[mpi]'")
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        campaign = RankCampaign(asked.seed, Path(folder), asked.at_once)
        while campaign.counts["kills"] < asked.runs:
            campaign.run_and_kill(asked.quick)
    verdict = f"FAILED: {'; '.join(campaign.failures)}" if campaign.failures else "all survived"
    said = (
        f"{campaign.table()}\n{verdict}, in {time.monotonic() - begin:.0f} s; "
        f"from a kill to the end of the job at most {campaign.slowest:.2f} s"
    )
    print(said)
    if asked.output is not None:
        command = f"python -m campaigns.kill.ranks --runs {asked.runs} --seed {asked.seed}"
        write_outcome(asked.output, "ranks", "Kill ranks and resume", command, said)
    sys.exit(bool(campaign.failures))


if __name__ == "__main__":
    main()
