"""Distributed training step.

One step of training by several ranks: each computes its shards, and their tree of sums ends at rank 0.

A rank has neighbouring shards, where ranks are a power of two a whole subtree, adds what it can alone, and
the rest of the same tree is added from rank to rank: so the sum has the bits that one process gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from purecnn.backend.sharding import shard_bounds, tree
from purecnn.backend.types import Array
from purecnn.layers.batchwise import Exchange
from purecnn.training.distributed.exceptions import exception_from_json, exception_to_json
from purecnn.training.distributed.header import Follows
from purecnn.training.distributed.ranks import Ranks
from purecnn.training.host import LONG, HostTrainer
from purecnn.training.jobs import JobKind


class Share(NamedTuple):
    """What a rank has to do with a batch of so many shards.

    Attributes
    ----------
    own : range
        Its shards.
    edges : list of int
        Where the shards of each rank begin, and where the last ones end.
    alone : list of (int, int)
        The sums of the tree that need no other rank.
    joint : list of (int, int, int, int)
        All others, in order: the two terms, and the ranks that have them.
    """

    own: range
    edges: list[int]
    alone: list[tuple[int, int]]
    joint: list[tuple[int, int, int, int]]


@cache
def share_out(count: int, ranks: int, rank: int) -> Share:
    """Return the share of a rank; ranks beyond the number of shards have none.

    Examples
    --------
    >>> share_out(4, 2, 1)
    Share(own=range(2, 4), edges=[0, 2, 4], alone=[(2, 3)], joint=[(0, 2, 0, 1)])
    >>> share_out(2, 3, 2).own, share_out(3, 2, 0).joint
    (range(2, 2), [(0, 1, 0, 1), (0, 2, 0, 1)])
    """
    working = min(ranks, count)
    edges = [count * min(number, working) // working for number in range(ranks + 1)]
    owner = [number for number in range(ranks) for _ in range(edges[number], edges[number + 1])]
    alone: list[tuple[int, int]] = []
    joint: list[tuple[int, int, int, int]] = []
    for first, second in tree(count):
        has, comes = owner[first], owner[second]
        stop = min(2 * second - first, count)
        if edges[has] > first or stop > edges[has + 1]:
            joint.append((first, second, has, comes))
        elif has == rank:
            alone.append((first, second))
    return Share(range(edges[rank], edges[rank + 1]), edges, alone, joint)


class RankTrainer(HostTrainer):
    """A `HostTrainer` whose batches several ranks compute.

    Parameters
    ----------
    ranks : Ranks
        The processes, which all make one of these.
    *given, **named
        What `HostTrainer` takes.
    """

    #: A rank's workers know of no other ranks but by a fork.
    can_spawn = False

    def __init__(self, ranks: Ranks, *given: Any, **named: Any) -> None:
        self.ranks = ranks
        super().__init__(*given, **named)
        self.header = ranks.header
        self.failure: BaseException | None = None
        self.share = share_out(self.count, ranks.size, ranks.rank)

    def read(self, rows: Array, following: Sequence[int] | Array) -> Array:
        """Keep the numbers of the samples that follow: each rank reads its own."""
        self.header.following[: len(following)] = following
        self.header.ahead = len(following)
        return rows

    def begin_batch(self, rows: Array, places: Array) -> int:
        """Tell all ranks of a batch; return how many shards it has."""
        self.header.write(len(rows), self.network.updates)
        self.header.rows[: len(rows)] = rows
        self.parameter_update.publish()
        self.header.told[:] = self.parameter_update.told
        self.ranks.send_header(Follows.STEP)
        return self.take_share()

    def assist(self) -> None:
        """Take part in the step that rank 0 told of."""
        self.parameter_update.told[:] = self.header.told
        self.parameter_update.load()
        self.network.updates = self.header.step
        count = self.take_share()
        self.run_shards(count)
        self.end_batch(count)

    def take_share(self) -> int:
        """Take this rank's share of the batch, and rank 0's parameters; return how many shards all have.

        What fails from here on is kept until the ranks have said to each other all that they wait for.
        """
        self.samples = self.header.samples
        count = len(shard_bounds(self.samples, self.count))
        self.share = share_out(count, self.ranks.size, self.ranks.rank)
        self.failure = None
        self.ranks.exchange("Bcast", self.parameter_update.parameters)
        self.rows[: self.samples] = self.header.rows[: self.samples]
        self.keep_failure(self.read_own)
        return self.cut_batch()

    def run_jobs(self, kind: JobKind, segment: int, numbers: range) -> None:
        """Take this rank's shards through a segment, forward or back."""
        if self.share.own:
            run = super().run_jobs
            self.keep_failure(lambda: run(kind, segment, self.share.own))

    def meet(self, exchange: Exchange, count: int) -> None:
        """Put together what the shards of all ranks told on the way forward."""
        self.share_rows(exchange.told())
        self.keep_failure(lambda: exchange.meet(count))

    def meet_back(self, exchange: Exchange, count: int) -> None:
        """Put together what they told on the way back."""
        self.share_rows(exchange.told_back())
        self.keep_failure(lambda: exchange.meet_back(count))

    def end_batch(self, count: int) -> None:
        """Add the gradients up, and give rank 0 the sum and the losses."""
        self.add_up(count)
        self.collect()
        self.ranks.is_busy = False

    def accumulate(self, count: int) -> None:
        """Keep rank 0's sum: the gradients of all shards are added up already."""
        super().accumulate(1)

    def update(self, count: int) -> None:
        """Let the optimizer of rank 0 take its step: the gradients of all shards are added up already."""
        super().update(1)

    def keep_failure(self, job: Callable[[], Any]) -> None:
        """Do a job, unless one before it failed."""
        if self.failure is None:
            try:
                job()
            except BaseException as error:
                self.failure = error

    def read_own(self) -> None:
        """Have this rank's samples at hand, and begin to read those of the next step."""
        here, ahead = self.part(self.samples), self.part(self.header.ahead)
        rows = self.rows[here]
        self.places[here] = super().read(rows, self.header.following[ahead]) if len(rows) else rows

    def part(self, samples: int) -> slice:
        """Return which of so many samples of a batch are this rank's."""
        if not samples:
            return slice(0)
        bounds = shard_bounds(samples, self.count)
        own = share_out(len(bounds), self.ranks.size, self.ranks.rank).own
        return slice(bounds[own.start][0], bounds[own.stop - 1][1]) if own else slice(0)

    def share_rows(self, told: Sequence[Array]) -> None:
        """Give all ranks the rows of all shards."""
        for rows in told:
            width = rows[0].size
            counts = np.diff(self.share.edges) * width
            place = np.array(self.share.edges[:-1]) * width
            self.ranks.exchange("Allgatherv", self.ranks.mpi.IN_PLACE, [rows, (counts, place)])

    def add_up(self, count: int) -> None:
        """Add the shards' gradients in their tree, of which rank 0 gets the last sum."""
        share, gradients = self.share, self.parameter_update.gradients
        size = self.parameter_update.parameters.size
        if share.alone and (self.pool is None or size <= LONG):
            self.add_alone(share, 0, size)
        elif share.alone and self.pool is not None:
            run = self.pool.run
            self.job.write(JobKind.SUBTREE, gradients=count)
            self.keep_failure(lambda: run(self.workers))
        for first, second, has, comes in share.joint:
            for start, stop in self.parameter_update.spans:
                if self.ranks.rank == comes != has:
                    self.ranks.exchange("Send", gradients[second][start:stop], has)
                elif self.ranks.rank == has:
                    term = gradients[second][start:stop]
                    if comes != has:
                        self.ranks.exchange("Recv", term, comes)
                    total = gradients[first][start:stop]
                    np.add(total, term, out=total)

    def add_alone(self, share: Share, start: int, stop: int) -> None:
        """Add a stretch of what needs no other rank."""
        for first, last in self.parameter_update.within(start, stop):
            for to, term in share.alone:
                total = self.parameter_update.gradients[to][first:last]
                np.add(total, self.parameter_update.gradients[term][first:last], out=total)

    def work(self, worker: int, number: int) -> None:
        """Do one job, as `HostTrainer` does, or a stretch of the sums that a rank can add alone."""
        if self.job.kind != JobKind.SUBTREE:
            super().work(worker, number)
            return
        share = share_out(self.job.gradients, self.ranks.size, self.ranks.rank)
        self.add_alone(share, *self.parameter_update.stretch(number, self.workers))

    def collect(self) -> None:
        """Give rank 0 the losses of all shards; raise there what failed on any rank.

        Raises
        ------
        BaseException
            Rank 0's own failure, or what failed first among the other ranks: an error of this package or of
            Python as it was, another as a `RankError`.
        """
        first, losses, share = self.ranks.is_first, self.shards.losses, self.share
        own = share.own
        here = np.array([self.failure is not None, *losses[own.start : own.stop]], np.float64)
        counts = np.diff(share.edges) + 1
        place = np.cumsum(counts) - counts
        everywhere = np.zeros(counts.sum())
        self.ranks.exchange("Gatherv", here, [everywhere, (counts, place)] if first else None)
        failure, self.failure = self.failure, None
        if not first:
            if failure is not None:
                self.ranks.send(exception_to_json(failure))
            return
        losses[: share.edges[-1]] = np.delete(everywhere, place)
        others = [rank for rank in np.flatnonzero(everywhere[place]).tolist() if rank]
        found = [exception_from_json(self.ranks.receive(rank), f"rank {rank}") for rank in others]
        if failure is not None or found:
            self.ranks.is_busy = False
            raise failure or found[0]
