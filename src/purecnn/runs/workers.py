"""The workers of a run: how many train, and why, for its record and for whoever asks.

Nothing of it decides the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from purecnn.backend import blas
from purecnn.backend.arrays import Device
from purecnn.backend.cores import Workers, as_told, counted, workers

if TYPE_CHECKING:
    from purecnn.training.distributed.ranks import Ranks


def workers_of(shards: int, threads: int | None, device: Device, ranks: Ranks | None) -> Workers | None:
    """Return how many workers train with batches of so many shards, and why; None on a device.

    Parameters
    ----------
    shards : int
        Into how many parts a batch is cut.
    threads : int, optional
        How many were asked for.
    device : Device
        Where the network computes.
    ranks : Ranks, optional
        The processes of a job, which all have to call this; then the workers are those of each rank.

    Examples
    --------
    >>> from purecnn.backend.arrays import CPU
    >>> print(workers_of(2, 4, CPU, None))
    2 (a batch has 2 shards)
    """
    if not device.is_host:
        return None
    words = f"a batch has {counted(shards, 'shard')}"
    if ranks is None or threads is not None:
        found = workers(threads)
    else:
        found = as_told(ranks.capacity())
    if ranks is not None and ranks.size > 1:
        shards = -(-shards // ranks.size)
        words += f" for {ranks.size} ranks"
    found = found.limited(shards, words)
    return found if blas.can_be_told() else found.limited(1, "BLAS can't be told its number of threads")
