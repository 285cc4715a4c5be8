"""A worker that was started afresh: it builds the trainer again that its caller has, and does its jobs."""

from __future__ import annotations

from typing import Any

from purecnn.backend.spawn.arena import MappedArena
from purecnn.backend.spawn.service import Service, ignore_interrupts, leave, own_line
from purecnn.backend.types import Array
from purecnn.layers.batchwise import Zeros
from purecnn.training.host import HostTrainer
from purecnn.training.spawn.description import build_data, build_network, build_settings


class RemoteTrainer(HostTrainer):
    """A `HostTrainer` as a worker process has it: over its caller's arrays, and told of each job.

    Parameters
    ----------
    work : dict
        The caller's description of the fit.
    memory : MappedArena
        The caller's arrays.

    Raises
    ------
    ValueError
        If it comes to other arrays than its caller has.
    """

    def __init__(self, work: dict[str, Any], memory: MappedArena) -> None:
        self.handed, self.place = memory, work["place"]
        network, settings = build_network(work, memory), build_settings(work)
        self.samples_at, y = build_data(work, memory)
        super().__init__(network, self.samples_at, y, settings)
        if memory.asked != work["asked"]:
            raise ValueError(
                f"a worker must ask for the arrays that its caller made: {work['asked']}, got {memory.asked}"
            )

    def find_memory(self) -> Zeros:
        """Return what gives the arrays of the caller."""
        return self.handed.zeros

    def at_hand(self, zeros: Zeros) -> Array:
        """Return the samples, which may be the next array, into which the caller reads them."""
        if self.place is not None:
            zeros(self.samples_at.shape, self.samples_at.dtype)
        return self.samples_at

    def gather_workers(self) -> None:
        """Gather nobody."""

    def work(self, worker: int, number: int) -> None:
        """Do one job of a step; the optimizer is a copy."""
        self.parameter_update.load()
        super().work(worker, number)


def main() -> None:
    """Be a worker until the caller is gone."""
    ignore_interrupts()
    try:
        service = Service(own_line())
        try:
            trainer = RemoteTrainer(service.work, service.memory)
        except BaseException as failure:
            service.refuse(failure)
        else:
            service.serve(trainer.work)
    finally:
        leave()
