"""A sample of the campaign of hostile files (`make campaign-fuzz`): each is read or refused, no more."""

import functools
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from campaigns.fuzz import campaign as fuzz
from campaigns.fuzz import fence, mutations, table, trial
from campaigns.fuzz.table import FORMATS, Format, good
from helpers.waiting import slowness

ROOT = Path(__file__).parents[2]

#: Of so many cases of each format, those are read that are made in a way in which none before was made.
CASES = 100


class Noting(Random):
    """Random numbers that note which way they lead through the code that makes a file.

    A way is a line with the branch, the function or the good file that is chosen there. Which of many
    lengths, places or texts is chosen there is no way of its own: the campaign is for these.
    """

    def __init__(self, seed):
        self.ways = set()
        super().__init__(seed)

    def note(self, chosen):
        frame = sys._getframe(2)
        self.ways.add((frame.f_code.co_filename, frame.f_lineno, chosen))

    def choice(self, options):
        at = super().choice(range(len(options)))
        is_way = callable(options[at]) or (isinstance(options[at], bytes) and len(options[at]) > 20)
        self.note(at if is_way else None)
        return options[at]

    def randrange(self, *bounds):
        value = super().randrange(*bounds)
        self.note(value if bounds[-1] <= 12 else None)
        return value


@functools.cache
def cases_made_in_new_ways(name):
    """Return the numbers of a format's first cases, without those made as cases before them were."""
    made, seen, found = [], set(), []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(table, "Random", lambda seed: made.append(Noting(seed)) or made[-1])
        for number in range(CASES):
            fuzz.case(name, number)
            ways = made.pop().ways
            if not ways <= seen:
                found.append(number)
            seen |= ways
    return found


@pytest.mark.no_cover  # each reader's own tests pass its lines: counting them again would take a third longer
@pytest.mark.parametrize("name", FORMATS)
def test_hostile_files_are_read_or_refused(name, tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "SECONDS", trial.SECONDS * slowness())
    if not FORMATS[name].is_here():
        pytest.skip(f"needs {FORMATS[name].needs}")
    found = set()
    for seed in good(name):
        outcome = trial.attempt(name, seed, tmp_path)
        assert not outcome.problems, outcome
        found.add(outcome.found)
    # a record's seed is of other data than the reader has, so that nothing is trained
    assert "accepted" in found or name == "record"
    numbers, refused = cases_made_in_new_ways(name), 0
    for number in numbers:
        outcome = trial.run(name, number, tmp_path)
        assert not outcome.problems, f"{trial.again(name, number)}: {outcome}"
        refused += outcome.found != "accepted"
    assert refused > len(numbers) / 5


def test_every_way_to_change_bytes_is_among_the_cases_read(monkeypatch):
    for name in filter(lambda name: FORMATS[name].is_here(), FORMATS):
        used = set()

        def noting(change, used=used):
            return lambda *given: used.add(change) or change(*given)

        numbers = cases_made_in_new_ways(name)
        with monkeypatch.context() as patched:
            patched.setattr(mutations, "CHANGES", tuple(map(noting, mutations.CHANGES)))
            for number in numbers:
                fuzz.case(name, number)
        assert used == set(mutations.CHANGES), name


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
    if data == b"through a link":
        path.with_suffix(".link").symlink_to(path.parent.parent)
        (path.with_suffix(".link") / "new").write_bytes(data)
    if data == b"program":
        os.system("true")
    if data == b"no name":
        raise OSError(22, "Invalid argument")
    return None


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"raise", "raised IndexError"),
        (b"loop", "took "),
        (b"memory", "took 70 MiB for 6 bytes"),
        (b"warn", "warned UserWarning"),
        (b"inside", "wrote files"),
        (b"outside", "wrote outside of its folder"),
        (b"through a link", "wrote outside of its folder"),
        (b"program", "wrote outside of its folder: os.system"),
        (b"no name", "raised OSError"),
    ],
)
def test_a_reader_that_does_more_is_found_out(data, problem, tmp_path, monkeypatch):
    if data == b"loop":
        monkeypatch.setattr(trial, "SECONDS", 0.2)
    monkeypatch.setitem(FORMATS, "faulty", Format(lambda: [data], faulty))
    found, *more = trial.attempt("faulty", data, tmp_path).problems
    assert found.startswith(problem)
    assert not more or "outside" in problem
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def around(tmp_path):
    """A folder with a folder to play in, and what must stay as it is beside that."""
    (tmp_path / "inside").mkdir()
    (tmp_path / "kept").mkdir(mode=0o750)
    (tmp_path / "kept" / "file").write_bytes(b"as it was")
    (tmp_path / "kept" / "file").chmod(0o640)
    yield tmp_path
    (inside,) = (path for path in tmp_path.iterdir() if path.name == "inside")
    fence.remove(inside)
    assert state(tmp_path) == [("kept", 0o40750, b""), ("kept/file", 0o100640, b"as it was")]


def state(folder):
    found = sorted(path for place in (folder, folder / "kept") for path in place.iterdir())
    return [
        (str(path.relative_to(folder)), path.lstat().st_mode, b"" if path.is_dir() else path.read_bytes())
        for path in found
    ]


@pytest.mark.skipif(os.name != "posix", reason="links and permissions are others elsewhere")
def test_no_tree_leads_out_of_its_folder_as_it_is_made_listed_or_removed(around):
    inside = around / "inside"
    leads = [b"../kept", b"../kept/file", b"..", b".", os.fsencode(around / "kept"), b"../new", b"x0"]
    lines = []
    for number, lead in enumerate(leads):
        link = b"x%d" % number
        lines += [b"l\t%s\t%s" % (link, lead), b"m\t" + link]
        for kind in (b"f", b"d", b"p", b"l", b"m"):
            lines += [
                b"\t".join([kind, link + b"/" + name, b"../kept"]) for name in (b"file", b"new", b"a/b")
            ]
            lines += [
                b"\t".join([kind, name, b"x"]) for name in (link, b"../kept/file", b"../new", b"a/../../new")
            ]
    with fence.fenced(inside) as refused:
        fence.grow(lines, inside)
        listed = [name for name, _ in fence.listing(inside)]
    assert not refused
    assert {str(inside / f"x{number}") for number in range(len(leads))} <= set(listed)
    assert all(os.path.realpath(os.path.dirname(name)).startswith(str(inside)) for name in listed)
    assert not any(f"/x{number}/" in name for name in listed for number in range(len(leads)))


@pytest.mark.skipif(os.name != "posix", reason="links and permissions are others elsewhere")
@pytest.mark.parametrize(
    "act",
    [
        lambda inside: (inside / "../new").write_bytes(b""),
        lambda inside: (inside / "link" / "new").write_bytes(b""),
        lambda inside: (inside / "to-file").write_bytes(b""),
        lambda inside: (inside / "to-file").chmod(0),
        lambda inside: (inside / "link").chmod(0),
        lambda inside: (inside / "link" / "file").unlink(),
        lambda inside: (inside / "link" / "new").mkdir(),
        lambda inside: (inside / "link" / "new").symlink_to("/nowhere"),
        lambda inside: os.rename(inside / "a", inside / "link" / "a"),
        lambda inside: os.rename(inside / "link" / "file", inside / "b"),
        lambda inside: os.link(inside / "a", inside / "link" / "a"),
        lambda inside: os.truncate(inside / "to-file", 0),
        lambda inside: os.utime(inside / "to-file", (0, 0)),
        lambda inside: os.open(inside / "link" / "new", os.O_CREAT | os.O_WRONLY),
        lambda inside: os.rmdir(inside / ".." / "kept"),
        lambda inside: subprocess.run(["true"], check=True),
    ],
)
def test_a_fence_lets_nothing_through(act, around):
    inside = around / "inside"
    (inside / "a").write_bytes(b"")
    (inside / "link").symlink_to("../kept")
    (inside / "to-file").symlink_to("../kept/file")
    with fence.fenced(inside) as refused:
        (inside / "c").write_bytes((inside / "to-file").read_bytes())  # to read is no harm
        with pytest.raises(PermissionError, match="outside of the fence"):
            act(inside)
    assert len(refused) == 1
    (inside / "c").chmod(0o600)


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
