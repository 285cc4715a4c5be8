"""Ranks: the processes of an MPI job.

Many processes train one network, on one machine or on several: who they are, and what they say over MPI.

Rank 0 has the network, the optimizer and the callbacks; the others compute shards for it. Before any of that
they compare their processors, NumPy, BLAS and data, since what differs there would change the result.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, Self, TypeVar

import numpy as np

from purecnn.backend import cores, environment
from purecnn.backend.checks import flag
from purecnn.backend.types import Array
from purecnn.errors import RankError
from purecnn.escapes import visible
from purecnn.messages.extras import require_extra
from purecnn.messages.signatures import explained_class
from purecnn.training.distributed.agreement import difference
from purecnn.training.distributed.exceptions import GRACE, end_job, exception_from_json, exception_to_json
from purecnn.training.distributed.header import Follows, StepHeader
from purecnn.training.distributed.watch import watch

T = TypeVar("T")


#: Seconds to look again and again for a message before sleeping in between, so that ranks which wait for
#: rank 0's evaluation leave the processor to it.
SPIN, PAUSE = 1e-3, 1e-4
#: What launchers tell the processes that they start: Hydra and Slurm, PMIx, Open MPI.
STARTED_BY = ("PMI_SIZE", "PMIX_RANK", "OMPI_COMM_WORLD_SIZE")


def machine_cores(ranks: Ranks) -> tuple[list[list[str]], int, float | None]:
    """Return each rank's cores on this machine, how many they are together, and the container's quota."""
    names = ranks.gather(list(cores.cores().names), ranks.node)
    return names, len(set().union(*names)), cores.quota()


@explained_class
class Ranks:
    """The processes of an MPI job, which train one network together: ``network.fit(x, y, ranks=Ranks())``.

    All run the same program and call `fit` with the same arguments. Rank 0 calls the callbacks, evaluates and
    saves; then all have the same network and history. The bits are those of one process.

    Parameters
    ----------
    communicator : mpi4py.MPI.Comm, optional
        Whose processes; those of the whole job if left out.
    allow_differences : bool
        Whether ranks whose processor features, NumPy or BLAS differ may train together: the result then has
        other bits than that of one machine, and no two jobs need have the same. Data must be the same anyway.

    Attributes
    ----------
    rank, size : int
        Which this one is, from 0 on, and how many there are.
    host : str
        Name of its machine.

    Raises
    ------
    MissingExtraError
        Without mpi4py and an MPI library, which the extra ``mpi`` brings.

    Notes
    -----
    Made by all processes together, as are the calls of its methods. Start the program by
    ``mpiexec -n 4 python -m mpi4py program.py``: then an exception on one rank ends the job, where without
    ``-m mpi4py`` the others would wait for it.

    Examples
    --------
    >>> ranks = Ranks()  # doctest: +SKIP
    >>> ranks.rank, ranks.size  # doctest: +SKIP
    (0, 4)
    """

    def __init__(self, communicator: Any = None, *, allow_differences: bool = False) -> None:
        self.allow_differences = flag("allow_differences", allow_differences)
        self.mpi: Any = require_extra("mpi4py.MPI", "mpi", "training by several processes")
        given = self.mpi.COMM_WORLD if communicator is None else communicator
        if not isinstance(given, self.mpi.Intracomm):
            raise TypeError(f"communicator must be one of mpi4py, got {communicator!r}")
        self.communicator: Any = given.Dup()  # whose messages are told apart from the program's own
        self.node: Any = self.communicator.Split_type(self.mpi.COMM_TYPE_SHARED)
        self.rank, self.size = int(self.communicator.rank), int(self.communicator.size)
        self.host = socket.gethostname()
        self.header = StepHeader(0, 0)
        self.is_busy = self.is_crowded = False
        if communicator is None and self.size > 1:
            watch(self)

    @classmethod
    def of_job(cls, *, allow_differences: bool = False) -> Self | None:
        """Return the ranks of the job that this process was started in; None where it is alone."""
        if "mpi4py" not in sys.modules and not any(name in os.environ for name in STARTED_BY):
            return None
        world = require_extra("mpi4py.MPI", "mpi", "training by several processes").COMM_WORLD
        return cls(allow_differences=allow_differences) if world.size > 1 else None

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def __repr__(self) -> str:
        return f"Ranks(rank={self.rank}, size={self.size})"

    # What all say to all ----------------------------------------------------------------------------------

    def share(self, value: Any) -> Any:
        """Return rank 0's `value`, made of JSON values."""
        text = np.frombuffer(json.dumps(value).encode(), np.uint8) if self.is_first else np.zeros(0, np.uint8)
        length = np.array([text.size])
        self.communicator.Bcast(length)
        held = text.copy() if self.is_first else np.zeros(length[0], np.uint8)
        self.communicator.Bcast(held)
        return json.loads(held.tobytes())

    def gather(self, value: Any, communicator: Any = None) -> list[Any]:
        """Return the values of all ranks, made of JSON values, in their order."""
        over = communicator or self.communicator
        text = np.frombuffer(json.dumps(value).encode(), np.uint8)
        lengths = np.zeros(over.size, np.int64)
        over.Allgather(np.array([text.size]), lengths)
        held = np.zeros(lengths.sum(), np.uint8)
        ends = np.cumsum(lengths)
        over.Allgatherv(text, [held, (lengths, ends - lengths)])
        return [json.loads(part.tobytes()) for part in np.split(held, ends[:-1])]

    def send(self, value: Any) -> None:
        """Send a value, made of JSON values, to rank 0."""
        self.communicator.Send(np.frombuffer(json.dumps(value).encode(), np.uint8), 0)

    def receive(self, rank: int) -> Any:
        """Return what a rank sends to this one."""
        status = self.mpi.Status()
        self.communicator.Probe(rank, status=status)
        held = np.zeros(status.Get_count(self.mpi.BYTE), np.uint8)
        self.communicator.Recv(held, rank)
        return json.loads(held.tobytes())

    def first(self, function: Callable[[], T]) -> T | None:
        """Have rank 0 call a function; return what it returned there, and None elsewhere.

        What it raises is raised on all ranks.
        """
        found, failure = None, None
        if self.is_first:
            try:
                found = function()
            except BaseException as error:
                failure = error
        self.agree(failure)
        return found

    def agree(self, failure: BaseException | None) -> None:
        """Raise rank 0's `failure` on all ranks, if there is one."""
        words = self.share(None if failure is None else exception_to_json(failure))
        if failure is not None:
            raise failure
        if words is not None:
            raise exception_from_json(words)

    def once_a_node(self, read: Callable[[], Sequence[Any]]) -> list[Array]:
        """Have one process of each machine read arrays; return them, for all of its processes in one memory.

        Parameters
        ----------
        read : callable
            Returns arrays: ``lambda: mnist.load_data()[0]``. They go into files in the folder for temporary
            files, which have no name any more once all processes have mapped them into memory.

        Returns
        -------
        list of ndarray
            The arrays, which can't be written to.
        """
        failure, folder = None, ""
        kinds: list[tuple[str, tuple[int, ...]]] = []
        if self.node.rank == 0:
            try:
                folder = tempfile.mkdtemp(prefix="purecnn-")
                for number, array in enumerate(map(np.asarray, read())):
                    array.tofile(os.path.join(folder, str(number)))
                    kinds.append((array.dtype.str, array.shape))
            except BaseException as error:
                failure = error
        failures = self.gather(None if failure is None else exception_to_json(failure))
        place, kinds = self.gather([folder, kinds], self.node)[0]
        found: list[Array] = []
        if not any(failures):
            paths = [os.path.join(place, str(number)) for number in range(len(kinds))]
            found = [
                mapped(path, kind, tuple(shape)) for path, (kind, shape) in zip(paths, kinds, strict=True)
            ]
        self.node.Barrier()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        if failure is not None:
            raise failure
        for words in filter(None, failures):
            raise exception_from_json(words)
        return found

    def capacity(self) -> cores.Workers:
        """Return how many threads each rank of this machine may have, so that all find room, and why."""
        if self.node.size == 1:
            return cores.capacity()
        names, together, allowed = machine_cores(self)
        bound = together == sum(map(len, names))  # by the launcher, each to cores of its own
        ranks = f"{len(names)} ranks of this machine"
        found = cores.Workers(
            max(1, len(cores.cores().names) if bound else together // len(names)),
            f"the share of a rank, {ranks} having {cores.counted(together, 'core')}",
        )
        if allowed is None:
            return found
        least = max(1, math.ceil(allowed) // len(names))
        return found.limited(least, f"{ranks} share the container's quota of {cores.in_processors(allowed)}")

    def outnumber_cores(self) -> bool:
        """Return whether this machine has more ranks than cores for them."""
        _, together, allowed = machine_cores(self)
        return bool(self.node.size > (together if allowed is None else min(together, math.ceil(allowed))))

    def total_capacity(self) -> int:
        """Return how many workers find room on the cores of all ranks, each having one at least."""
        return sum(self.gather(self.capacity().number))

    # A run ------------------------------------------------------------------------------------------------

    def compare(self, own: dict[str, Any]) -> None:
        """Refuse ranks whose facts are not those of rank 0."""
        accepted = environment.DECIDES_BITS if self.allow_differences else ()
        if sentence := difference(self.gather([self.host, own]), accepted):
            raise RankError(sentence)

    def send_header(self, follows: Follows) -> None:
        """Send the header to all other ranks, and in it what follows."""
        self.is_busy = follows == Follows.STEP
        self.header.follows = follows
        self.exchange("Bcast", self.header.message)

    def receive_header(self) -> bool:
        """Receive rank 0's header; return whether a step follows."""
        self.exchange("Bcast", self.header.message)
        return self.header.follows == Follows.STEP

    @contextmanager
    def ignoring_sigint(self) -> Iterator[None]:
        """Leave it to rank 0, in a block, what Ctrl-C means: launchers send it to all ranks."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals are none of its business
            return
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def exchange(self, name: str, *given: Any) -> None:
        """Send or receive, by the method of mpi4py's communicator that is so called.

        MPI's own waiting takes a whole processor. So this one looks for a while, then sleeps in between, and
        at once where ranks are more than processors.
        """
        request = getattr(self.communicator, f"I{name.lower()}")(*given)
        until = time.perf_counter() + (0 if self.is_crowded else SPIN)
        while not request.Test():
            if time.perf_counter() > until:
                time.sleep(PAUSE)


def mapped(path: str, kind: str, shape: tuple[int, ...]) -> Array:
    """Return an array that lies in a file of its own, mapped into memory unless it is empty."""
    return np.memmap(path, kind, "r", 0, shape) if math.prod(shape) else np.zeros(shape, kind)


@contextmanager
def assisting(ranks: Ranks | None) -> Iterator[None]:
    """Let all ranks but 0 be silent in a block, in which rank 0 speaks, and end quietly where it says why.

    What fails on another rank alone ends the job, named by it.
    """
    if ranks is None or ranks.is_first:
        yield
        return
    speak = sys.stderr
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
    ):
        try:
            yield
        except BaseException as error:
            if not hasattr(error, "is_retold"):
                time.sleep(GRACE)  # rank 0 may have met the same, say so and end the job
                words = f"Error: rank {ranks.rank} on {ranks.host}: {type(error).__name__}: {error}"
                print(visible(words), file=speak, flush=True)
                end_job(1)
