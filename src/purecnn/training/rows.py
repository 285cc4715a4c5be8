"""Rows of a data set, read batch by batch and checked."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from purecnn.backend.checks import as_array
from purecnn.backend.types import Array
from purecnn.datasets.dataset import Dataset, name
from purecnn.errors import ShapeError


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
