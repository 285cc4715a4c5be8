"""Training step on the host: shards, workers, and a tree of sums.

One step of training: cut the batch into shards, have each run, add their gradients in a tree, update.
"""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from purecnn.backend import blas
from purecnn.backend.cores import as_threads
from purecnn.backend.memory import aligned_zeros
from purecnn.backend.processes import ProcessPool, WorkerKind, asked_kind, worker_kind
from purecnn.backend.sharding import shard_bounds
from purecnn.backend.spawn.arena import Arena
from purecnn.backend.threads import ThreadPool, narrow_buffer
from purecnn.backend.types import Array
from purecnn.layers.batchwise import Zeros
from purecnn.training.jobs import JobKind, JobSlot
from purecnn.training.rows import Rows
from purecnn.training.runnable import RunnableNetwork
from purecnn.training.settings import FitSettings
from purecnn.training.shards import Shard, Shards
from purecnn.training.targets import Targets
from purecnn.training.trainer import TIMED_STEP, Trainer
from purecnn.training.update import ParameterUpdate

if TYPE_CHECKING:
    from purecnn.backend.spawn.pool import SpawnPool
    from purecnn.training.spawn.startup import WorkerStartup

#: Vectors longer than this are added and updated by all threads, each its own stretch.
LONG = 1 << 17
#: Seconds of steps that must be left for forks to be worth their start. A fit of 50 rows takes 9 to 12 ms of
#: processor time so, and 45 with a process forked at once.
FORK_SECONDS = 0.15


class HostTrainer(Trainer):
    """Trains a network on the host, a batch at a time.

    The gradient of a shard belongs to the shard; everything else that a step needs belongs to the worker
    that runs it. So the bits depend on the shards alone, and memory on the workers. Where a layer needs the
    whole batch, shards run a segment at a time, and what they need belongs to them.

    Parameters
    ----------
    network, x, y, settings
        As `Trainer` takes them.
    """

    #: What takes shards through the network.
    shards_type = Shards

    #: Whether its jobs can be done by processes that were started afresh.
    can_spawn = True

    def __init__(self, network: RunnableNetwork, x: Array | Rows, y: Targets, settings: FitSettings) -> None:
        super().__init__(network, x, y, settings)
        self.count, batch_size = settings.shard_count, settings.batch_size
        self._blas = blas.single_threaded(warns=False)
        self.is_told = self._blas.__enter__()
        self.memory: Arena | None = None
        self.startup: WorkerStartup | None = None
        self.begins_with_threads, self.steps = False, 0
        self.pool: ProcessPool | SpawnPool | ThreadPool | None = None
        self.asked: WorkerKind | None = None
        self.kind, self.forks = WorkerKind.THREADS, False
        try:
            self.workers = as_threads(settings.threads, self.count)
            zeros = self.find_memory()
            self.parameter_update = ParameterUpdate(network, settings, self.count, zeros)
            self.samples_at = self.at_hand(zeros)
            self.shards = self.shards_type(
                network, self.samples_at, y, settings, self.parameter_update, self.workers, zeros
            )
            # What a step is about, for every worker to read.
            self.rows, self.places = zeros(batch_size, np.int64), zeros(batch_size, np.int64)
            self.job, self.samples = JobSlot(zeros), 0
            self.batch: list[Shard] = []  # without other workers: the shards
            # On a lone shard NumPy's buffer is left as it is: it is too small to gain what setting it takes.
            is_lone = self.count == 1 and not self.shards.exchanges
            self.buffered = nullcontext if is_lone else narrow_buffer
            self.pool = self.gather_workers()
        except BaseException:
            if self.memory is not None:
                self.memory.close()
            self._blas.__exit__(None, None, None)
            raise

    def find_memory(self) -> Zeros:
        """Return what makes the arrays of a step: where workers may be processes, all lie in an arena."""
        self.asked = asked_kind()
        if not self.is_own or (self.is_told and self.workers == 1):
            return np.zeros
        self.kind = worker_kind()
        spawns = self.kind == WorkerKind.SPAWN and self.can_spawn
        if not (spawns or (self.kind == WorkerKind.FORK and self.is_told)):
            return np.zeros
        self.memory = Arena()
        self.network.move(self.memory.zeros(self.network.parameters.size, self.network.dtype))
        return self.memory.zeros

    def gather_workers(self) -> ProcessPool | SpawnPool | ThreadPool | None:
        """Gather the workers, where there are several: forked, started afresh, or threads, all to one result.

        Processes are there at once where they are asked for, or can't come later; else threads begin. Where
        BLAS can't be told its thread count, all work goes to processes that are started with one.
        """
        if self.memory is not None and self.memory.is_whole:
            self.begins_with_threads = self.is_told and self.can_spawn and self.asked is None
            if not self.begins_with_threads:
                forks = self.kind == WorkerKind.FORK
                found = self.fork() if forks else self.startup_here().at_once(caller_works=self.is_told)
                if found is not None:
                    return found
        if not self.is_told:
            blas.warn_untold()
            self.workers = 1
        return ThreadPool(self.workers, self.work) if self.workers > 1 else None

    def fork(self) -> ProcessPool | None:
        """Return forked workers; None where no process is to be had, or another thread may be in BLAS."""
        assert self.memory is not None
        with blas.forking() as alone, suppress(OSError):  # no process or no semaphore to be had
            if alone:
                self.forks = True
                pool = ProcessPool(self.workers, self.work)
                self.memory.close()
                return pool
        self.forks = False
        return None

    def startup_here(self) -> WorkerStartup:
        """Return what starts processes afresh for this trainer."""
        # Here, since what starts processes would be a tenth of the package's import time.
        from purecnn.training.spawn.startup import WorkerStartup

        assert self.memory is not None
        copied = 0 if self.prefetcher else self.samples_at.nbytes
        return WorkerStartup(self.workers, self.work, self.memory, self.describe, copied)

    def describe(self) -> dict[str, Any]:
        """Return what processes that are started afresh are told of this fit."""
        from purecnn.training.spawn.description import describe

        assert self.memory is not None
        network, x = self.network, self.samples_at
        place = self.memory.number(x) if self.prefetcher else None
        return describe(network, x, self.y, self.settings, self.workers, self.memory, place)

    def after_step(self, seconds: float, left: int) -> None:
        """Let processes take the threads' place, once a step has shown that they are worth their start."""
        if not self.begins_with_threads:
            return
        self.steps += 1
        if self.steps == TIMED_STEP:
            self.change_workers(seconds * left)
        elif self.startup is not None and (pool := self.startup.ready()) is not None:
            self.replace_threads(pool)

    def change_workers(self, seconds: float) -> None:
        """Fork, or start processes afresh, if so many seconds of steps, which are left, are worth it."""
        if self.kind == WorkerKind.FORK:
            if seconds < FORK_SECONDS:
                return
            self.replace_threads(None)  # no other thread may be at work when a process is forked
            self.pool = self.fork()
            if self.pool is not None:
                return
            self.pool = ThreadPool(self.workers, self.work)
        self.startup = self.startup_here()
        self.startup.begin(seconds)

    def replace_threads(self, pool: SpawnPool | None) -> None:
        """Let the threads go, and what they computed with."""
        threads, self.pool = self.pool, pool
        if threads is not None:
            threads.close()
        self.shards.forget()

    def begin_batch(self, rows: Array, places: Array) -> int:
        """Make a batch known to all workers; return how many shards it has."""
        if self.count == 1 and self.pool is None:
            self.batch = [self.as_shard(0, rows, places)]
            return 1
        self.samples = len(rows)
        self.rows[: self.samples], self.places[: self.samples] = rows, places
        if self.pool is not None:
            self.parameter_update.publish()
        return self.cut_batch()

    def cut_batch(self) -> int:
        """Cut the batch at hand into shards, which several workers do for themselves; return their number."""
        count = len(shard_bounds(self.samples, self.count))
        if self.pool is None:
            self.batch = [self.shard(number, self.samples) for number in range(count)]
        return count

    def run_jobs(self, kind: JobKind, segment: int, numbers: range) -> None:
        """Take the shards of these numbers through a segment: all workers, or this one alone."""
        if self.pool is not None:
            step, first = self.network.updates, numbers.start
            self.job.write(kind, segment=segment, samples=self.samples, step=step, first=first)
            self.pool.run(len(numbers))
            return
        run = self.shards.way(kind)
        with self.buffered():
            for shard in self.batch[numbers.start : numbers.stop]:
                run(segment, 0, shard)

    def accumulate(self, count: int) -> None:
        """Add the shards' gradients to those of the batches before: all workers, where that is long."""
        size = self.parameter_update.parameters.size
        if self.pool is None or size <= LONG:
            self.parameter_update.add(count, 0, size)
        else:
            self.job.write(JobKind.ACCUMULATE, gradients=count)
            self.pool.run(self.workers)

    def update(self, count: int) -> None:
        """Add the shards' gradients and let the optimizer take its step: all workers, where that is long."""
        parameter_update, size = self.parameter_update, self.parameter_update.parameters.size
        clips, pool = self.optimizer.clip_norm is not None, self.pool if size > LONG else None
        if pool is None:
            parameter_update.add(count, 0, size)
            if clips:
                parameter_update.square(0, size)
        elif clips:
            self.job.write(JobKind.SUM, gradients=count)
            pool.run(self.workers)
        norm = parameter_update.norm() if clips else 0.0
        self.shards.check(norm, "gradient's norm")
        self.optimizer.clip(norm)
        self.optimizer.advance()
        if pool is None:
            parameter_update.step(0, size)
        else:
            self.job.write(JobKind.UPDATE if clips else JobKind.SUM_AND_UPDATE, gradients=count)
            parameter_update.publish()
            pool.run(self.workers)

    def work(self, worker: int, number: int) -> None:
        """Do one job of a step in whatever thread or process this is: a shard, or a stretch of the update."""
        job, kind = self.job, self.job.kind
        if worker and self.forks:  # there the optimizer is a copy
            self.parameter_update.load()
        if kind <= JobKind.BACKWARD:
            self.network.updates = job.step
            self.shards.way(kind)(job.segment, worker, self.shard(job.first + number, job.samples))
            return
        start, stop = self.parameter_update.stretch(number, self.workers)
        if kind != JobKind.UPDATE:
            self.parameter_update.add(job.gradients, start, stop)
        if kind == JobKind.SUM:
            self.parameter_update.square(start, stop)
        elif kind != JobKind.ACCUMULATE:
            self.parameter_update.step(start, stop)

    def shard(self, number: int, samples: int) -> Shard:
        """Return a shard of the batch of so many samples."""
        first, last = shard_bounds(samples, self.count)[number]
        return self.as_shard(number, self.rows[first:last], self.places[first:last])

    def close(self) -> None:
        """Let the workers go and give BLAS its threads back."""
        try:
            if self.startup is not None:
                self.startup.close()
            if self.pool is not None:
                self.pool.close()
            if self.prefetcher is not None:
                self.prefetcher.close()
            if self.memory is not None:
                self.memory.close()
                self.leave_shared_memory()
        finally:
            self._blas.__exit__(None, None, None)

    def leave_shared_memory(self) -> None:
        """Take parameters and state back: a program that forks later must not write into its parent's."""
        network, optimizer = self.network, self.parameter_update.optimizer
        try:
            network.sync()  # what a last callback put into a layer
        finally:
            network.move(aligned_zeros(network.parameters.size, network.dtype))
            optimizer.state = {name: held.copy() for name, held in optimizer.state.items()}
