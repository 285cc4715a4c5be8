"""Prefetcher: the next batch of a data set is read by a thread while this one is trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context

import numpy as np

from purecnn.backend.threads import held_interrupts, is_limit
from purecnn.backend.types import Array
from purecnn.training.rows import Rows


class Prefetcher:
    """Two batches of a data set in memory: one to train on, one being read.

    Parameters
    ----------
    rows : Rows
        The data set.
    batch_size : int
        Room for so many samples in each.
    zeros : callable
        Makes the memory; shared, where workers are processes.

    Attributes
    ----------
    buffer : ndarray
        ``(2 * batch_size, values)``; the workers read it.

    Examples
    --------
    >>> from purecnn.datasets import Subset
    >>> rows = Rows(Subset(np.arange(10)[:, None] * 11, range(10), labels=np.zeros(10)))
    >>> ahead = Prefetcher(rows, 2, np.zeros)
    >>> ahead.buffer[ahead.places(np.array([7, 3]), np.array([9, 1]))].ravel()
    array([77, 33])
    >>> ahead.buffer[ahead.places(np.array([9, 1]), np.array([]))].ravel()
    array([99, 11])
    >>> ahead.close()
    """

    def __init__(self, rows: Rows, batch_size: int, zeros: Callable[..., Array]) -> None:
        self.rows, self.size = rows, batch_size
        self.buffer = zeros((2 * batch_size, rows.shape[1]), rows.dtype)
        # Its thread starts with its first work; None where the system lets none start.
        self._reader: ThreadPoolExecutor | None = ThreadPoolExecutor(1, "purecnn-reader")
        self._half = 0
        self._coming: tuple[bytes, Future[None]] | None = None

    def places(self, rows: Array, following: Sequence[int] | Array) -> Array:
        """Return where in `buffer` the samples `rows` lie, and begin to read those that follow.

        Raises
        ------
        Exception
            Whatever reading raised: of `rows`, not of those that follow.
        """
        rows = np.asarray(rows, np.int64)
        coming, self._coming = self._coming, None
        self._half ^= 1
        if coming is not None and coming[0] == rows.tobytes():
            coming[1].result()
        else:
            if coming is not None:
                coming[1].exception()  # it writes into the same memory: wait until it has ended
            self._read(rows, self._half)
        following = np.array(following, np.int64)  # its own: the caller may write other numbers into theirs
        if len(following) and self._reader is not None:
            read = copy_context().run  # under the caller's errstate
            try:
                future = self._reader.submit(read, self._read, following, self._half ^ 1)
                self._coming = following.tobytes(), future
            except RuntimeError as error:
                if not is_limit(error):
                    raise
                self.close()
        start = self._half * self.size
        return np.arange(start, start + len(rows))

    def _read(self, rows: Array, half: int) -> None:
        start = half * self.size
        self.buffer[start : start + len(rows)] = self.rows[rows]

    def close(self) -> None:
        """Wait for what is being read, and let the thread go; what is read later is read at once."""
        if self._reader is not None:
            self._reader.shutdown(cancel_futures=True)
        with held_interrupts():
            self._reader = None
