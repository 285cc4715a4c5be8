"""Data may be larger than memory: what can count its samples and read some by number can be trained on."""

from __future__ import annotations

import threading
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from purecnn.errors import ShapeError
from purecnn.samples import as_array
from purecnn.scratch import Array


@runtime_checkable
class Dataset(Protocol):
    """What `fit`, `evaluate` and `predict` take in place of arrays: anything with these three members.

    One that reads pictures may say by an attribute `preparation` how it makes them samples, as
    `Preprocessing` names it: what is trained on it then takes other pictures alike.

    An array on disk needs none of this: ``np.load(path, mmap_mode="r")`` and ``np.memmap`` are arrays.

    Examples
    --------
    >>> from purecnn import Dense, Flatten, Network, Softmax
    >>> class Stripes:
    ...     labels = np.arange(40) % 2
    ...
    ...     def __len__(self):
    ...         return 40
    ...
    ...     def batch(self, rows):
    ...         return np.stack([np.full((4, 4), 200 * (row % 2), np.uint8) for row in rows])
    >>> isinstance(Stripes(), Dataset)
    True
    >>> network = Network([Flatten(), Dense(output_size=2), Softmax()], input_shape=(1, 4, 4))
    >>> _ = network.fit(Stripes(), epochs=5, learning_rate=0.1)
    >>> network.evaluate(Stripes())["accuracy"]
    1.0
    """

    @property
    def labels(self) -> Any:
        """The answers to all samples, as `fit` takes them; they stay in memory."""
        ...

    def __len__(self) -> int:
        """Return how many samples there are."""
        ...

    def batch(self, rows: Array) -> Array:
        """Return some samples.

        Parameters
        ----------
        rows : ndarray of int64
            Their numbers, in any order.

        Returns
        -------
        ndarray
            ``(len(rows), *shape)``, of one shape and dtype at every call.
        """
        ...


#: What is trained on and asked about: samples first.
Data = npt.ArrayLike | Dataset


class Subset:
    """Some samples of a data set or an array, as a data set of their own; nothing is copied.

    Parameters
    ----------
    x : Dataset or ndarray
        All samples.
    rows : ndarray of int
        The numbers of those wanted.
    labels : array_like, optional
        Their answers; those of `x` if left out.

    Examples
    --------
    >>> Subset(np.arange(10) * 10, [7, 2], labels=[1, 0]).batch(np.array([1]))
    array([20])
    """

    def __init__(self, x: Any, rows: npt.ArrayLike, labels: npt.ArrayLike | None = None) -> None:
        self.x, self.rows = x, np.asarray(rows)
        self.labels = np.asarray(x.labels)[self.rows] if labels is None else labels

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, rows: Array) -> Array:
        """Return some of the samples."""
        taken: Array = self.x.batch(self.rows[rows]) if hasattr(self.x, "batch") else self.x[self.rows[rows]]
        return taken


class Rows:
    """A data set as the engine reads it: like an array of rows ``(n, values)``, each batch of them checked.

    Parameters
    ----------
    dataset : Dataset
        Read by one thread at a time.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset, self._lock = dataset, threading.Lock()
        if not len(dataset):
            raise ValueError(f"x must hold at least one sample, got {name(dataset)} of none")
        self.first = self.read(np.arange(1))
        self.dtype = self.first.dtype
        self.shape = len(dataset), self.first[0].size

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Array:
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        found = self.read(np.asarray(rows))
        if found.dtype != self.dtype or found.shape[1:] != self.first.shape[1:]:
            raise ShapeError(
                f"{name(self.dataset)}.batch must return samples alike at every call, {self.dtype} of shape "
                f"{self.first.shape[1:]}; got {found.dtype} samples of shape {found.shape[1:]}"
            )
        return found.reshape(len(found), -1)

    def read(self, rows: Array) -> Array:
        """Return the samples `rows` as they come, if they are as many finite numbers."""
        with self._lock:
            found = as_array(f"the batch of {name(self.dataset)}", self.dataset.batch(rows))
        if found.ndim == 0 or len(found) != len(rows):
            raise ShapeError(
                f"{name(self.dataset)}.batch must return {len(rows)} samples for as many numbers, "
                f"got an array of shape {found.shape}"
            )
        return found


def name(dataset: object) -> str:
    """Return what a data set is called in a sentence."""
    return type(dataset).__name__


def labels_of(x: Any, y: Any) -> Any:
    """Return `y`, or the labels of the data set `x` where it is left out.

    Raises
    ------
    TypeError
        If `y` is left out and `x` has none.
    """
    if y is not None:
        return y
    if not isinstance(x, Dataset):
        raise TypeError(f"y may be left out for a data set with labels alone; got none beside {name(x)}")
    return x.labels
