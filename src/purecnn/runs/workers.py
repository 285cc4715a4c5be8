"""The workers of a run: how many train, and why, for its record and for whoever asks.

Nothing of it decides the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from purecnn.backend import blas
from purecnn.backend.arrays import Device
from purecnn.backend.cores import Workers, as_told, counted, workers
from purecnn.backend.sharding import shard_count

if TYPE_CHECKING:
    from purecnn.training.distributed.ranks import Ranks


def workers_of(batch_size: int, threads: int | None, device: Device, ranks: Ranks | None) -> Workers | None:
    """Return how many workers train with batches of a size, and why; None on a device, which has its own.

    Parameters
    ----------
    batch_size : int
        Samples a step.
    threads : int, optional
        How many were asked for.
    device : Device
        Where the network computes.
    ranks : Ranks, optional
        The processes of a job, which all have to call this; then the workers are those of each rank.

    Examples
    --------
    >>> from purecnn.backend.arrays import CPU
    >>> print(workers_of(128, 4, CPU, None))
    2 (a batch of 128 samples has 2 shards)
    """
    if not device.is_host:
        return None
    shards = shard_count(batch_size)
    words = f"a batch of {counted(batch_size, 'sample')} has {counted(shards, 'shard')}"
    if ranks is None or threads is not None:
        found = workers(threads)
    else:
        found = as_told(ranks.room())
    if ranks is not None and ranks.size > 1:
        shards = -(-shards // ranks.size)
        words += f" for {ranks.size} ranks"
    found = found.limited(shards, words)
    return found if blas.can_be_told() else found.limited(1, "BLAS can't be told its number of threads")
