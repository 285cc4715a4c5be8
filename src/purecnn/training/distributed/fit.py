"""Distributed `fit`.

A `fit` by several ranks: rank 0 runs the loop, the others take part in its steps and end as it does.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import Any

from purecnn.backend import cores
from purecnn.backend.overflow import unwarned
from purecnn.backend.types import Array
from purecnn.callbacks.history import History
from purecnn.training.distributed.agreement import facts
from purecnn.training.distributed.exceptions import GRACE, end_job, exception_from_json, exception_to_json
from purecnn.training.distributed.header import Follows, StepHeader
from purecnn.training.distributed.ranks import Ranks
from purecnn.training.distributed.trainer import RankTrainer
from purecnn.training.fit import Fit
from purecnn.training.runnable import RunnableNetwork
from purecnn.training.trainer import Trainer
from purecnn.training.update import told_size


class RankedFit(Fit):
    """One run of the training loop by several processes.

    Parameters
    ----------
    ranks : Ranks
        The processes, this one among them.
    *given, **named
        What `Fit` takes.
    """

    def __init__(self, ranks: Ranks, *given: Any, **named: Any) -> None:
        self.ranks = ranks
        super().__init__(*given, **named)

    def capacity(self) -> int:
        """Return how many workers find room on the cores of all ranks."""
        return self.total_capacity

    def count_shards(self) -> int:
        """Return rank 0's number of shards, which knows the checkpoint."""
        self.total_capacity = self.ranks.total_capacity()  # which all ranks ask for, whoever needs it
        found: int = self.ranks.share(super().count_shards())
        return found

    def prepare(self) -> None:
        """Take the place of the checkpoint, which rank 0 alone need find."""
        self.ranks.first(super().prepare)

    def run(self) -> History:
        """Train together; every rank returns what was measured, or raises what ended the run.

        Raises
        ------
        RankError
            On all ranks, if they differ in what decides the bits: the sentence says where, and in what.
        """
        self.network.history = self.history
        self.agree()
        if self.ranks.is_first:
            return super().run()
        with self.ranks.ignoring_sigint():
            with unwarned(), self.rank_trainer() as trainer:
                while self.ranks.receive_header():
                    trainer.assist()
            self.conclude()
        return self.history

    def agree(self) -> None:
        """Compare what decides the result; take over rank 0's seed and buffers."""
        ranks = self.ranks
        ranks.compare(facts(self))
        self.network.seed = ranks.share(self.network.seed)
        for buffer in buffers(self.network):
            ranks.communicator.Bcast(buffer)
        own = ranks.capacity()
        asked = self.settings.threads
        threads = cores.as_told(own).number if asked is None else asked
        self.settings = replace(self.settings, threads=threads)
        outnumber = ranks.outnumber_cores()
        ranks.is_crowded = any(ranks.gather(outnumber or threads > own.number))
        ranks.header = StepHeader(self.largest_batch, told_size(self.optimizer))
        ranks.is_busy = False

    def trainer(self) -> Trainer:
        """Return what takes the steps: rank 0 by itself those of batches of one shard."""
        return super().trainer() if self.shards == 1 else self.rank_trainer()

    def rank_trainer(self) -> RankTrainer:
        """Return what takes this rank's part in the steps."""
        return RankTrainer(self.ranks, self.network, self.rows, self.targets, self.trainer_settings())

    def conclude(self) -> None:
        """Give all ranks what rank 0 ended in: its network and history, or what ended it before its time."""
        network, ranks = self.network, self.ranks
        if ranks.is_first:
            if ranks.is_busy:
                # The others wait inside of a step for what will not come.
                words = f"Error: rank 0 on {ranks.host} left a step: {self.error!r}"
                print(words, file=sys.stderr, flush=True)
                end_job(1)
            ranks.send_header(Follows.END)
        failure = None if self.error is None else exception_to_json(self.error)
        failure, history, counts = ranks.share(
            [failure, vars(self.history), [network.epochs, network.updates]]
        )
        if failure is not None and not ranks.is_first:
            time.sleep(GRACE)
            raise exception_from_json(failure)
        if failure is None:
            ranks.communicator.Bcast(network.parameters)
            for buffer in buffers(network):
                ranks.communicator.Bcast(buffer)
        if not ranks.is_first:
            vars(self.history).update(history)
            network.epochs, network.updates = counts


def buffers(network: RunnableNetwork) -> list[Array]:
    """Return what layers keep beside their parameters."""
    return [buffer for layer in network for buffer in layer.buffers.values()]
