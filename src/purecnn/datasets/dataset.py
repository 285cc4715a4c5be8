"""Data sets larger than memory: what can count its samples and read some by number.

Data may be larger than memory: what can count its samples and read some by number can be trained on.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from purecnn.backend.types import Array


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
        raise TypeError(f"y is missing: only a Dataset that has labels may leave it out; x is {name(x)}")
    return x.labels
