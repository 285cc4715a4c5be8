"""Several ranks end in the bits of one process; what fails or differs is told by its rank."""

import functools
import json
from types import SimpleNamespace

import numpy as np
import pytest

from helpers import ranks_program
from helpers.mpi_jobs import MPIEXEC, job, start
from purecnn import Dense, Network, Ranks
from purecnn.backend.cores import Cores, Workers, capacity
from purecnn.training.distributed.agreement import spoken
from purecnn.training.distributed.trainer import share_out

pytestmark = pytest.mark.skipif(MPIEXEC is None, reason="there is no mpiexec")


@functools.cache
def alone():
    """Return what comes of all trainings in one process, on one thread."""
    return json.loads(json.dumps(ranks_program.run(1)))


@pytest.mark.parametrize(("size", "threads"), [(2, 2), (3, 1), (4, 1)])
def test_ranks_end_in_the_bits_of_one_process(size, threads):
    done = start(size, "-m", "helpers.ranks_program", str(threads))
    assert done.returncode == 0, done.stderr
    everywhere = json.loads(done.stdout)
    asked = [found.pop("asked") for found in everywhere]
    assert len(everywhere) == size
    for found in everywhere:  # all ranks have the network and the history
        assert found == alone()
    # two epochs of all samples, and each rank looks at one first; of a data set it reads its own alone
    assert sum(asked) == 2 * ranks_program.SAMPLES + size
    assert max(asked) <= 2 * ranks_program.SAMPLES / min(size, 2) + 10


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 64])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 16, 100])
def test_each_sum_of_the_tree_is_added_once(count, size):
    shares = [share_out(count, size, rank) for rank in range(size)]
    assert [shard for share in shares for shard in share.own] == [*range(count)]
    assert all(share.joint == shares[0].joint for share in shares)
    terms = [str(shard) for shard in range(count)]
    known = terms.copy()

    def add(first, second):
        known[first], known[second] = f"({known[first]}+{known[second]})", None

    for share in shares:
        for pair in share.alone:
            add(*pair)
    for first, second, has, comes in shares[0].joint:
        assert (has, comes) == tuple(
            next(rank for rank in range(size) if shard in shares[rank].own) for shard in (first, second)
        )
        add(first, second)
    step = 1
    while step < count:
        for first in range(0, count - step, 2 * step):
            terms[first] = f"({terms[first]}+{terms[first + step]})"
        step *= 2
    assert known[0] == terms[0]
    assert known[1:] == [None] * (count - 1)


def test_a_power_of_two_of_ranks_has_subtrees_and_one_message_each():
    for size in (2, 4, 8):
        joint = share_out(64, size, 0).joint
        assert len(joint) == size - 1
        assert all(has != comes for _, _, has, comes in joint)


def test_what_one_rank_meets_is_raised_on_all():
    done = job(
        3,
        """
        from purecnn import Ranks
        from purecnn.errors import DivergedError, RankError
        from purecnn import Layer
        import purecnn

        class Odd(Layer):
            def forward(self, input):
                if ranks.rank == 1:
                    raise failure
                return self.receive(input)
            def backward(self, output_gradient):
                return output_gradient

        ranks = Ranks()
        x, y = data()
        class Mine(Exception):
            pass
        for failure in (DivergedError("not a number"), MemoryError("no room"), Mine("my own"),
                        ExceptionGroup("odd", [KeyError(1)])):
            network = Network([Flatten(), Odd(), BatchNormalization(), Dense(output_size=4), Softmax()],
                              input_shape=(1, 12, 12))
            try:
                network.fit(x, y, batch_size=256, ranks=ranks)
            except BaseException as error:
                words = f"{type(error).__name__}: {error}"
                found = ranks.gather(words)
                if ranks.is_first:
                    print(*found, sep="|")
        """,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split("|") for line in done.stdout.splitlines()]
    assert [first for first, _, _ in lines] == [
        "DivergedError: not a number",
        "MemoryError: no room",
        "RankError: rank 1 ended with Mine: my own",
        "RankError: rank 1 ended with ExceptionGroup: odd (1 sub-exception)",
    ]
    assert all(first == second == third for first, second, third in lines)


def test_a_job_whose_rank_0_leaves_a_step_ends():
    done = job(
        2,
        """
        from purecnn import Ranks
        ranks, (x, y) = Ranks(), data()
        plain, calls = Ranks.exchange, []

        def exchange(self, name, *given):
            calls.append(name)
            if len(calls) == 12:  # in the middle of the third step, where Ctrl-C may come
                raise KeyboardInterrupt
            plain(self, name, *given)

        if ranks.is_first:
            Ranks.exchange = exchange
        convolutional().fit(x, y, batch_size=128, threads=1, ranks=ranks)
        """,
    )
    assert done.returncode
    lines = [line.partition(" on ")[0] for line in done.stderr.splitlines() if "Error" in line]
    assert lines == ["Error: rank 0"], done.stderr
    assert "left a step: KeyboardInterrupt()" in done.stderr


def test_what_rank_0_alone_meets_is_raised_on_all_and_they_go_on(tmp_path):
    done = job(
        2,
        f"""
        from pathlib import Path
        from purecnn import Ranks
        from purecnn import Callback, Checkpoint
        ranks, (x, y) = Ranks(), data()
        folder = Path({str(tmp_path)!r})
        (folder / "odd").write_bytes(b"odd")

        class Stop(Callback):
            def step(self, epoch, step, loss):
                raise KeyboardInterrupt("enough")

        def attempt(**options):
            try:
                convolutional().fit(x, y, batch_size=128, threads=1, ranks=ranks, **options)
                words = "trained"
            except BaseException as error:
                words = type(error).__name__
            found = ranks.gather(words)
            if ranks.is_first:
                print(*found)

        attempt(callbacks=[Stop()])
        attempt(resume=folder / "missing")
        attempt(resume=folder / "odd")
        attempt(learning_rate=1e30, epochs=3)
        attempt(callbacks=[Checkpoint(folder / "run")])
        attempt(resume=folder / "run", epochs=2, l2=0.5)  # another run
        attempt(resume=folder / "run", epochs=2)
        """,
    )
    assert done.returncode == 0, done.stderr
    kinds = ["KeyboardInterrupt", "FileNotFoundError", "FileFormatError", "DivergedError"]
    kinds += ["trained", "CheckpointError", "trained"]
    assert done.stdout.splitlines() == [f"{kind} {kind}" for kind in kinds]


def test_a_checkpoint_goes_on_at_another_number_of_ranks(tmp_path):
    program = f"""
        import os
        from purecnn import Ranks
        from purecnn import Checkpoint, EarlyStopping, LearningRate
        from purecnn.optimizers.schedules import OneCycle
        ranks, (x, y) = Ranks(), data()
        path = {str(tmp_path / "run")!r}
        network = convolutional(normalize=True, seed=None if ranks.rank else 9)
        how = Adam()

        def leave(fit):
            if EPOCHS == 5 and fit.epoch == 2:
                fit.stop("enough")

        network.fit(x, y, epochs=EPOCHS, batch_size=256, optimizer=how, validation_split=0.2, ranks=ranks,
            threads=1, callbacks=[LearningRate(how, OneCycle(0.02)), EarlyStopping(patience=9), leave,
            *([Checkpoint(path, every=1)] if PATH else [])], resume=path if os.path.exists(path) else None)
        found = ranks.gather([digest(network.parameters), network.seed])
        if ranks.is_first:
            print(found[0]); assert all(one == found[0] for one in found)
        """
    whole = job(1, program.replace("EPOCHS == 5", "False").replace("EPOCHS", "5").replace("PATH", "0"))
    assert whole.returncode == 0, whole.stderr
    for size in (3, 2):
        text = program.replace("EPOCHS == 5", str(size == 3)).replace("EPOCHS", "5").replace("PATH", "1")
        done = job(size, text)
        assert done.returncode == 0, done.stderr
    assert done.stdout == whole.stdout


def test_ranks_that_differ_are_refused_with_what_and_where():
    done = job(
        3,
        """
        from purecnn import Ranks
        from purecnn.backend import environment
        x, y = data()
        ranks, other = Ranks(), Ranks(allow_differences=True)
        plain = environment.machine

        def attempt(ranks, **options):
            try:
                arguments = {"x": x, "y": y, "batch_size": 128, "threads": 1, **options}
                convolutional().fit(**arguments, ranks=ranks)
                words = "trained"
            except Exception as error:
                words = f"{type(error).__name__}: {error}"
            found = ranks.gather(words)
            if ranks.is_first:
                assert len(set(found)) == 1, found
                print(words)

        if ranks.rank == 1:
            environment.machine = lambda: {**plain(), "numpy": "1.0", "features": ["x86_64", "SSE7"]}
        attempt(ranks)
        attempt(other)
        environment.machine = plain
        if ranks.rank == 2:
            x[0, 0, 0] ^= 1
        attempt(other)
        attempt(ranks, x=Listed(x, np.arange(SAMPLES), y), y=None)
        attempt(ranks, x=x[1:], y=y[1:], batch_size=128 if ranks.is_first else 64)
        """,
    )
    assert done.returncode == 0, done.stderr
    machines, trained, pixels, dataset, batch = done.stdout.splitlines()
    assert "rank 1 on " in machines
    assert f"numpy is 1.0, not {np.__version__}; features is with SSE7 and without " in machines
    assert "allow_differences=True" in machines
    assert trained == "trained"
    assert "rank 2 on " in pixels
    assert "data is " in pixels
    assert "allow" not in pixels
    assert "data is " in dataset
    assert "rank 1 on " in batch
    assert batch.endswith("batch_size is 64, not 128")


def test_arrays_are_read_once_on_a_machine_and_lie_in_one_memory():
    done = job(
        2,
        """
        from purecnn import Ranks
        import os, tempfile
        ranks, calls = Ranks(), []

        def read():
            calls.append(1)
            return np.arange(100_000), np.zeros((0, 3)), [[1, 2]]

        large, empty, small = ranks.once_a_node(read)
        def broken():
            raise ValueError("no data")
        try:
            ranks.once_a_node(broken)
        except ValueError as error:
            words = str(error)
        found = ranks.gather([len(calls), int(large.sum()), list(empty.shape), small.tolist(), words,
            isinstance(large, np.memmap), large.flags.writeable,
            sum(name.startswith("purecnn-") for name in os.listdir(tempfile.gettempdir()))])
        maps = [line.split() for line in open("/proc/self/maps") if "purecnn-" in line]
        inodes = ranks.gather([line[4] for line in maps])
        if ranks.is_first:
            print(json.dumps([found, inodes]))
        """,
    )
    assert done.returncode == 0, done.stderr
    found, inodes = json.loads(done.stdout)
    assert [one[0] for one in found] == [1, 0]
    for one in found:
        assert one[1:7] == [4_999_950_000, [0, 3], [[1, 2]], "no data", True, False]
    assert inodes[0]
    assert inodes[0] == inodes[1]


def train(size, folder, *words):
    """Run the command on so many ranks."""
    options = ["--data", str(folder / "data.npz"), "--no-report", "--threads", "1", *words]
    return start(size, "-m", "purecnn", "train", *options)


def test_the_command_line_trains_on_ranks_and_rank_0_alone_speaks(tmp_path):
    x, y = ranks_program.data()
    x, y = x[:150].repeat(2, axis=1).repeat(2, axis=2), y[:150]
    np.savez(tmp_path / "data.npz", x=x, y=y, x_test=x[:50], y_test=y[:50])
    found = []
    for size in (1, 2):
        done = train(size, tmp_path, "--epochs", "2", "--output", str(tmp_path / str(size)))
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        lines = done.stdout.splitlines()
        assert [line.partition(":")[0] for line in lines[:4]] == ["lenet", "task", "epoch 1/2", "epoch 2/2"]
        assert len(lines) == 7
        result = json.loads((tmp_path / str(size) / "run.json").read_text(encoding="utf-8"))["result"]
        found.append({k: v for k, v in result.items() if k != "seconds"})
    assert found[0] == found[1]
    done = train(2, tmp_path, "--resume", str(tmp_path / "2"))
    words = "this run is complete; more --epochs than it has extend it"
    assert (done.stdout, done.stderr) == (f"{tmp_path / '2'}: {words}\n", "")


def test_the_command_lines_refusals_are_said_once_and_end_the_job(tmp_path):
    for words in (["--epochs", "0"], ["--data", str(tmp_path / "missing")]):
        done = train(2, tmp_path, "--output", str(tmp_path / "run"), *words)
        assert done.returncode == 2
        assert done.stderr.count("Error:") + done.stdout.count("Error:") == 1


@pytest.mark.parametrize(
    ("others", "quota", "number", "reason"),
    [
        # each with all four cores of the machine, each bound to two of them, one with one thread of a core
        (["abcd", "abcd"], None, 2, "the share of a rank, 2 ranks of this machine having 4 cores"),
        (["abcd", "ef"], None, 4, "the share of a rank, 2 ranks of this machine having 6 cores"),
        (["abcd", "abcd", "abcd"], None, 1, "the share of a rank, 3 ranks of this machine having 4 cores"),
        (["abcd", "abcd"], 3.5, 2, "the share of a rank, 2 ranks of this machine having 4 cores"),
        (["abcd", "abcd"], 1.5, 1, "2 ranks of this machine share the container's quota of 1.5 processors"),
    ],
)
def test_ranks_of_a_machine_share_its_cores(others, quota, number, reason, monkeypatch):
    monkeypatch.setattr("purecnn.backend.cores.cores", lambda: Cores(tuple("abcd"), 8))
    monkeypatch.setattr("purecnn.backend.cores.quota", lambda: quota)
    rank = SimpleNamespace(
        node=SimpleNamespace(size=len(others)), gather=lambda own, _: [own, *map(list, others[1:])]
    )
    assert Ranks.capacity(rank) == Workers(number, reason)


@pytest.mark.parametrize(
    ("others", "quota", "more"),
    [
        (["ab", "ab"], None, False),
        (["ab", "ab", "ab"], None, True),
        (["ab", "cd", "ab"], None, False),
        (["a", "a"], None, True),
        (["abcd", "abcd"], 1.5, False),  # two have room, each for a part of its time
        (["abcd", "abcd"], 1.0, True),
    ],
)
def test_ranks_know_whether_they_are_more_than_cores(others, quota, more, monkeypatch):
    monkeypatch.setattr("purecnn.backend.cores.cores", lambda: Cores(tuple(others[0]), 8))
    monkeypatch.setattr("purecnn.backend.cores.quota", lambda: quota)
    rank = SimpleNamespace(
        node=SimpleNamespace(size=len(others)), gather=lambda own, _: [own, *map(list, others[1:])]
    )
    assert Ranks.outnumber_cores(rank) is more


@pytest.fixture(scope="module")
def lone():
    """Return the ranks of this process, which is alone."""
    return Ranks()


def test_a_process_alone_is_a_job_of_one(lone):
    assert repr(lone) == "Ranks(rank=0, size=1)"
    assert lone.is_first
    assert Ranks.of_job() is None
    assert (lone.share({"a": 1}), lone.gather([2]), lone.capacity()) == ({"a": 1}, [[2]], capacity())
    assert lone.first(lambda: 3) == 3
    with pytest.raises(KeyError, match="odd"):
        lone.first(lambda: {}["odd"])
    (found,) = lone.once_a_node(lambda: [np.arange(3)])
    assert found.tolist() == [0, 1, 2]
    with pytest.raises(TypeError, match="communicator must be one of mpi4py, got 3"):
        Ranks(3)
    with pytest.raises(TypeError, match="allow_differences"):
        Ranks(allow_differences="yes")
    with pytest.raises(TypeError, match="ranks must be a Ranks, got 3"):
        Network([Dense(2, 2)]).fit(np.zeros((4, 2)), np.zeros((4, 2)), ranks=3)


def test_one_rank_alone_trains_as_none(lone):
    found = json.loads(json.dumps(ranks_program.run(2, lone)))
    assert found.pop("asked") == 2 * ranks_program.SAMPLES + 1
    assert found == alone()


def test_facts_that_differ_are_spoken_of():
    assert spoken(["a", "b"], ["b", "a"]) == "in another order"
    assert spoken(["a"], ["a", "b"]) == "without b"
