"""What becomes of a job whose ranks die, leave or fall silent: the sentinel, and who listens to it."""

import json
import mmap
import os
import socket
import subprocess
import sys
import threading
import types

import pytest

from helpers.mpi_jobs import MPIEXEC, job
from helpers.waiting import PATIENCE
from purecnn.errors import RankError
from purecnn.training.distributed import sentinel, watch
from purecnn.training.distributed.sentinel import ENDS_ALL, GREETING, LEAVES, Sentinel


class Job:
    """A sentinel in a thread, and the connections to it."""

    def __init__(self, size):
        self.said, self.connections = [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(
            target=Sentinel(self.listener, "token", size, self.said.append).watch, daemon=True
        )
        self.thread.start()

    def connect(self):
        self.connections.append(socket.create_connection(self.listener.getsockname(), PATIENCE))
        return self.connections[-1]

    def rank(self, number):
        rank = self.connect()
        rank.sendall(json.dumps(["token", number, 100 + number, "node"]).encode().ljust(GREETING))
        return rank

    def end(self):
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        for one in (self.listener, *self.connections):
            one.close()
        return self.said


def test_ranks_that_leave_are_not_spoken_of():
    job = Job(2)
    for rank in [job.rank(0), job.rank(1)]:
        rank.send(LEAVES)
    assert job.end() == []


def test_a_rank_that_dies_is_named_and_the_others_are_told():
    job = Job(3)
    ranks = [job.rank(number) for number in range(3)]
    ranks[1].close()
    assert ranks[0].recv(1) == ranks[2].recv(1) == ENDS_ALL
    assert job.end() == [
        "Error: rank 1 (process 101 on node) was killed or crashed: the job ends, and can be resumed "
        "from its checkpoint"
    ]


def test_a_rank_of_which_nothing_was_heard_may_be_the_one_that_died():
    job = Job(4)
    job.rank(0)
    job.rank(1).close()
    assert job.end() == [
        "Error: rank 1 (process 101 on node) was killed or crashed; or rank 2 or 3, of which nothing was "
        "heard yet, was: the job ends, and can be resumed from its checkpoint"
    ]


def test_who_comes_as_a_rank_dies_is_let_in_and_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        watching = Sentinel(listener, "token", 3, print)
        with socket.create_connection(listener.getsockname(), PATIENCE) as late:
            late.sendall(json.dumps(["token", 2, 102, "node"]).encode().ljust(GREETING))
            watching.let_in_all()
            assert watching.awaited == {0, 1}
            assert list(watching.ranks.values()) == ["rank 2 (process 102 on node)"]
            watching.close()
            assert late.recv(1) == b""


def test_a_sentinel_whose_rank_0_has_died_ends_without_a_word():
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-I", "-S", sentinel.__file__, "token", "2", "127.0.0.1", "12", "0"]
    with os.fdopen(writing, "wb") as nobody:
        found = subprocess.run(words, stdout=nobody, stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    assert (found.returncode, found.stderr) == (0, b"")


@pytest.mark.parametrize(("word", "stays"), [(LEAVES, True), (ENDS_ALL, False), (b"", False)])
def test_what_mpi_leaves_in_memory_is_removed_where_a_job_is_broken(tmp_path, word, stays):
    segment = tmp_path / "mpich_shm_1"
    segment.touch()
    words = [sys.executable, "-I", "-S", sentinel.__file__, "token", "1", "127.0.0.1", "12", "0"]
    with subprocess.Popen(
        [*words, str(tmp_path / "missing"), str(segment)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        with watch.reach(["127.0.0.1"], int(process.stdout.readline())) as rank:
            rank.sendall(json.dumps(["token", 0, 1, "node"]).encode().ljust(GREETING))
            rank.send(word)
        assert process.wait(PATIENCE) == 0
    assert segment.exists() == stays


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="shared memory is not in files here")
def test_segments_are_those_that_this_process_has_mapped():
    name = f"/dev/shm/mpich_shm_test{os.getpid()}"
    with open(name, "w+b") as file:
        file.truncate(4096)
        with mmap.mmap(file.fileno(), 4096):
            assert name in sentinel.segments()
            sentinel.remove([name, name])
            assert not os.path.exists(name)
            assert name not in sentinel.segments()


def test_a_rank_that_comes_too_late_ends_with_the_others(monkeypatch):
    class Gone:
        closed = False

        def sendall(self, words):
            raise ConnectionResetError

        def close(self):
            self.closed = True

    gone = Gone()
    monkeypatch.setattr(watch, "start", lambda *_: (types.SimpleNamespace(), 1))
    monkeypatch.setattr(watch, "reach", lambda *_: gone)
    with pytest.warns(RuntimeWarning, match=r"ranks \[0\] can't reach port 1 of node"):
        assert watch.Watch(Alone()).connection is None
    assert gone.closed


def test_a_rank_without_a_thread_to_watch_by_is_one_sentence(monkeypatch):
    job = Job(1)
    port = job.listener.getsockname()[1]
    monkeypatch.setattr(watch, "start", lambda *_: (types.SimpleNamespace(), port))
    monkeypatch.setattr(watch, "started", lambda thread: False)
    with pytest.raises(RankError, match="rank 0 on node can start no thread to watch the job"):
        watch.Watch(Alone())
    job.rank(0).send(LEAVES)
    assert job.end() == []


def test_who_is_still_at_the_door_when_a_rank_dies_is_told_too():
    said = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        watching = Sentinel(listener, "token", 2, said.append)

        def come(number):
            rank = socket.create_connection(listener.getsockname(), PATIENCE)
            rank.sendall(json.dumps(["token", number, 100 + number, "node"]).encode().ljust(GREETING))
            return rank

        with come(1):
            met, _ = listener.accept()
            watching.strangers.add(met)
            watching.meet(met)
        with come(0) as other:
            watching.watch()
            assert other.recv(1) == ENDS_ALL
    assert said == [
        "Error: rank 1 (process 101 on node) was killed or crashed: the job ends, and can be resumed "
        "from its checkpoint"
    ]


def test_a_rank_that_falls_silent_is_named():
    here, there = socket.socketpair()
    watching = Sentinel(here, "token", 1, print)
    watching.ranks[here] = "rank 1 (process 7 on node)"

    class Silent:
        def recv(self, size):
            raise TimeoutError

        def close(self):
            pass

    silent = Silent()
    watching.ranks[silent] = "rank 2 (process 8 on node)"
    assert watching.hear(silent) == "rank 2 (process 8 on node) has not answered for 12 seconds"
    assert watching.is_cut
    there.close()
    assert watching.hear(here) == "rank 1 (process 7 on node) was killed or crashed"


@pytest.mark.parametrize("word", [LEAVES, ENDS_ALL])
def test_who_is_ended_by_another_that_left_is_not_spoken_of(monkeypatch, word):
    monkeypatch.setattr(sentinel, "AFTER", 1000.0)
    job = Job(3)
    ranks = [job.rank(number) for number in range(3)]
    ranks[0].send(word)
    assert ranks[0].recv(1) == b""  # it was heard
    ranks[1].close()
    ranks[2].close()
    assert job.end() == []


def test_strangers_are_sent_away():
    job = Job(1)
    for greeting in (b"odd", b'["other", 0, 1, "node"]', b"[1]", b"\xff" * GREETING):
        stranger = job.connect()
        stranger.sendall(greeting.ljust(GREETING))
        assert stranger.recv(1) == b""
    job.rank(0).send(LEAVES)
    assert job.end() == []


def test_a_sentinel_that_nobody_comes_to_ends(monkeypatch):
    monkeypatch.setattr(sentinel, "PATIENCE", 0.0)
    assert Job(1).end() == []


def test_the_sentinel_is_a_process_of_its_own():
    process, port = watch.start("token", 1, "127.0.0.1")
    with watch.reach(["127.0.0.1"], port) as rank:
        rank.sendall(json.dumps(["token", 0, 1, "node"]).encode().ljust(GREETING))
        rank.send(LEAVES)
        assert rank.recv(1) == b""
    assert process.wait(PATIENCE) == 0


def test_a_machines_addresses_lead_to_it():
    for address in watch.addresses():
        with (
            socket.create_server(("", 0)) as listener,
            watch.reach([address], listener.getsockname()[1]) as found,
        ):
            assert found.getpeername()[0] == address
    with socket.socket() as held:  # bound and not listening: whoever connects is refused
        held.bind(("127.0.0.1", 0))
        assert watch.reach(["127.0.0.1"], held.getsockname()[1]) is None


class Alone:
    """Ranks of one, as far as a watch looks at them."""

    rank, size, host, is_first = 0, 1, "node", True
    node = types.SimpleNamespace(size=1)

    def gather(self, value):
        return [value]

    def share(self, value):
        return value


@pytest.fixture
def ended(monkeypatch):
    """Note with which status this process would have ended."""
    found, happened = [], threading.Event()

    def end(status):
        found.append(status)
        happened.set()

    monkeypatch.setattr(os, "_exit", end)
    return found, happened


def own_sentinel(monkeypatch):
    """Return a job whose sentinel is a thread of this process, and a watch of its one rank."""
    job = Job(2)
    port = job.listener.getsockname()[1]
    monkeypatch.setattr(watch, "start", lambda *_: (types.SimpleNamespace(), port))
    monkeypatch.setattr(watch.secrets, "token_hex", lambda _: "token")
    return job, watch.Watch(Alone())


def test_a_rank_ends_when_another_died(monkeypatch, ended, capsys):
    job, _ = own_sentinel(monkeypatch)
    job.rank(1).close()
    assert ended[1].wait(PATIENCE)
    assert ended[0] == [1]
    assert len(job.end()) == 1
    assert capsys.readouterr().err == ""  # the sentinel has said it


def test_a_rank_ends_when_rank_0s_machine_has_gone(monkeypatch, ended, capsys):
    job, watching = own_sentinel(monkeypatch)
    watching.connection.shutdown(socket.SHUT_RD)  # as a connection is that has fallen silent
    assert ended[1].wait(PATIENCE)
    assert ended[0] == [1]
    assert capsys.readouterr().err == "Error: rank 0 on node lost the machine of rank 0, and ends\n"
    watching.leave(ENDS_ALL)
    assert job.end() == []


def test_ranks_out_of_reach_are_named(monkeypatch):
    monkeypatch.setattr(watch, "start", lambda *_: (types.SimpleNamespace(), 1))
    monkeypatch.setattr(watch, "reach", lambda *_: None)
    with pytest.warns(RuntimeWarning, match=r"ranks \[0\] can't reach port 1 of node"):
        watch.Watch(Alone()).leave()


@pytest.mark.skipif(MPIEXEC is None, reason="there is no mpiexec")
def test_an_exception_of_one_rank_is_no_death_and_a_crash_is_one():
    done = job(
        2,
        """
        from purecnn import Ranks
        ranks = Ranks()
        if ranks.rank == 1:
            raise KeyError("odd")
        ranks.communicator.Barrier()
        """,
    )
    assert done.returncode
    assert "KeyError: 'odd'" in done.stderr
    assert "killed or crashed" not in done.stderr
    done = job(
        2,
        """
        import os
        from purecnn import Ranks
        ranks = Ranks()
        if ranks.rank == 1:
            os._exit(3)
        ranks.communicator.Barrier()
        """,
    )
    assert done.returncode
    # one sentence, which may name the other one too where both had ended before the sentinel looked
    (sentence,) = [line for line in done.stderr.splitlines() if "was killed or crashed" in line]
    assert "rank 1 (process " in sentence


def test_the_sentinel_imports_nothing_of_the_package():
    program = f"import runpy, sys; runpy.run_path({sentinel.__file__!r}); print('numpy' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout == "False\n"
