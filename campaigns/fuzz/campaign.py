"""Hand hostile files to every reader of the package, and see that each is read or refused, and nothing else.

    python -m campaigns.fuzz [--cases 10000] [--format NAME ...] [--output campaigns/results]
    python -m campaigns.fuzz --format NAME --case NUMBER [--keep FILE]
    python -m campaigns.fuzz --format NAME --file FILE

The second line repeats one case, the third reads a file that was kept. Only exceptions of the package may
come out, in 2 seconds of the processor and in memory that the file's size can justify, with no warning and
no file written (`campaigns.fuzz.trial`). The cases of each format (`campaigns.fuzz.table`) are read by
child processes: one that hangs, or dies, is named, and another goes on behind the case.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection, wait
from pathlib import Path

from campaigns.fuzz.fence import remove
from campaigns.fuzz.table import FORMATS, case
from campaigns.fuzz.trial import Outcome, again, attempt, run
from purecnn.backend import environment

#: Seconds without a word after which a child process is taken to hang.
PATIENCE = 60.0
#: Cases that a child process is given at a time.
SHARE = 500
#: Bytes of address space above what a child has when it begins.
SPACE = 8 << 30


def work(pipe: Connection, folder: Path) -> None:
    """Read cases until there are no more, in a folder: what a child process does."""
    limit_memory()
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # decoders in C write there what they think of a file
    os.dup2(sys.stderr.fileno(), 2)
    while (share := pipe.recv()) is not None:
        name, first, last = share
        for number in range(first, last):
            pipe.send((number, None))
            pipe.send((number, run(name, number, folder)))
        pipe.send(None)


def limit_memory() -> None:
    """Let this process have some more memory and no end of it, where the system can tell."""
    try:
        import resource
    except ImportError:
        return
    pages = Path("/proc/self/statm")
    used = int(pages.read_text().split()[0]) * resource.getpagesize() if pages.exists() else 0
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = used + SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))


class Child:
    """A child process, and where it is."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        # made and removed here, since a child may be ended at any moment
        self.folder = Path(tempfile.mkdtemp(prefix="purecnn-fuzz-"))
        self.process = context.Process(target=work, args=(other, self.folder), daemon=True)
        self.process.start()
        other.close()
        self.share: tuple[str, int, int] | None = None
        self.number, self.heard = -1, time.monotonic()

    def give(self, share: tuple[str, int, int]) -> None:
        self.share, self.heard, self.number = share, time.monotonic(), -1
        self.pipe.send(share)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()
        remove(self.folder)


class Campaign:
    """Cases by format, and what came of them.

    Parameters
    ----------
    names : list of str
        The formats.
    cases : int
        How many of each.
    processes : int
        How many at a time.
    """

    def __init__(self, names: list[str], cases: int, processes: int) -> None:
        shares = [
            (name, first, min(first + SHARE, cases)) for name in names for first in range(0, cases, SHARE)
        ]
        self.waiting, self.processes = shares[::-1], processes
        self.found: dict[str, Counter[str]] = {name: Counter() for name in names}
        self.slowest = dict.fromkeys(names, (0.0, 0))
        self.largest = dict.fromkeys(names, (0, 0, 0))
        self.failures: list[str] = []

    def run(self) -> None:
        """Read all cases."""
        children = [Child() for _ in range(self.processes)]
        for child in children:
            self.next(child)
        while any(child.share for child in children):
            ready = wait([child.pipe for child in children if child.share], timeout=1)
            for place, child in enumerate(children):
                if child.share and child.pipe in ready:
                    try:
                        self.hear(child, child.pipe.recv())
                    except (EOFError, ConnectionResetError):
                        children[place] = self.replace(child, "ended its process")
                elif child.share and time.monotonic() - child.heard > PATIENCE:
                    children[place] = self.replace(child, f"had not ended after {PATIENCE:.0f} s")
        for child in children:
            child.end()

    def next(self, child: Child) -> None:
        """Give a child process something to do."""
        child.share = None
        if self.waiting:
            child.give(self.waiting.pop())

    def hear(self, child: Child, said: tuple[int, Outcome | None] | None) -> None:
        """Take in what a child process says."""
        child.heard = time.monotonic()
        if said is None:
            self.next(child)
        elif said[1] is None:
            child.number = said[0]
        else:
            assert child.share is not None
            self.count(child.share[0], *said)

    def count(self, name: str, number: int, outcome: Outcome) -> None:
        """Take in what came of a case."""
        self.found[name][outcome.found] += 1
        self.slowest[name] = max(self.slowest[name], (outcome.seconds, number))
        self.largest[name] = max(self.largest[name], (outcome.memory, outcome.size, number))
        for problem in outcome.problems:
            self.fail(name, number, problem)

    def fail(self, name: str, number: int, problem: str) -> None:
        """Note what a reader should not have done."""
        self.failures.append(f"{again(name, number)}: {problem}")
        print(f"FAILED: {self.failures[-1]}", flush=True)

    def replace(self, child: Child, problem: str) -> Child:
        """End a child process that is lost, and let another go on behind its case."""
        assert child.share is not None
        name, first, last = child.share
        number = max(child.number, first)
        child.end()
        self.found[name][problem] += 1
        self.fail(name, number, problem)
        if number + 1 < last:
            self.waiting.append((name, number + 1, last))
        other = Child()
        self.next(other)
        return other

    def table(self) -> str:
        """Return what was found, a row for each format."""
        rows = [
            "| format | accepted | refused, by exception | slowest, s | most memory, MiB | for a file of |",
            "|---|---|---|---|---|---|",
        ]
        for name, found in self.found.items():
            refused = ", ".join(
                f"{kind} {count:,}" for kind, count in found.most_common() if kind != "accepted"
            )
            memory, size, _ = self.largest[name]
            rows.append(
                f"| {name} | {found['accepted']:,} | {refused} | {self.slowest[name][0]:.2f} "
                f"| {memory / 2**20:.1f} | {size:,} bytes |"
            )
        return "\n".join(rows)


def repeat(name: str, number: int | Path, keep: Path | None) -> None:
    """Read one case or file again, and show what comes of it."""
    data = number.read_bytes() if isinstance(number, Path) else case(name, number)
    if keep is not None:
        keep.write_bytes(data)
    folder = Path(tempfile.mkdtemp(prefix="purecnn-fuzz-"))
    outcome = attempt(name, data, folder)
    remove(folder)
    print(f"{name} {number}: {len(data)} bytes that begin with {data[:40]!r}\n{outcome}")
    raise SystemExit(bool(outcome.problems))


def main() -> None:
    """Run the campaign, or one case; end with status 1 if a reader did what it should not."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--cases", type=int, default=10_000, help="hostile files of each format")
    parser.add_argument("--format", action="append", choices=list(FORMATS), help="all if left out")
    parser.add_argument("--case", type=int, help="repeat this one of a format")
    parser.add_argument("--file", type=Path, help="read this one, as a file of the format")
    parser.add_argument("--keep", type=Path, help="where to keep the file of that case")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many at a time")
    parser.add_argument("--output", type=Path, help="a folder for the outcome")
    asked = parser.parse_args()
    names = [name for name in asked.format or FORMATS if FORMATS[name].is_here()]
    if asked.case is not None or asked.file is not None:
        repeat(names[0], asked.case if asked.file is None else asked.file, asked.keep)
    begin = time.monotonic()
    campaign = Campaign(names, asked.cases, asked.processes)
    campaign.run()
    verdict = f"{len(campaign.failures)} FAILED" if campaign.failures else "all read or refused"
    said = f"{verdict}, in {time.monotonic() - begin:.0f} s"
    print(f"{campaign.table()}\n{said}")
    if asked.output is not None:
        commit, today = environment.commit() or "unknown", datetime.date.today().isoformat()
        machine = environment.machine()
        command = f"python -m campaigns.fuzz --cases {asked.cases}"
        command += "".join(f" --format {name}" for name in asked.format or ())
        asked.output.mkdir(parents=True, exist_ok=True)
        path = asked.output / f"{today}-{commit[:7]}-fuzz.md"
        heading = [
            f"# Hostile files, {today}",
            f"Command `{command}` at commit `{commit}`, on {machine['processor']}, {machine['cores']} cores, "
            f"Python {machine['python']}, NumPy {machine['numpy']}, {machine['system']}. Memory is the most "
            f"that Python, NumPy and the process took for one file; time is the processor's.",
        ]
        text = "\n\n".join([*heading, campaign.table(), said, *(f"- {f}" for f in campaign.failures)])
        path.write_text(text + "\n", encoding="utf-8")
        print(f"written to {path}")
    raise SystemExit(bool(campaign.failures))


if __name__ == "__main__":
    main()
