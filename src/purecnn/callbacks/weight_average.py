"""Weight averaging: the mean of the parameters along a training, often better than the last ones.

Exponential, each step (EMA), or equal, each epoch (SWA).
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from purecnn.backend.arrays import module_of, to_device, to_host
from purecnn.backend.checks import choice, flag, is_integer, positive, within
from purecnn.backend.types import Array
from purecnn.callbacks.base import Callback, RunNetwork
from purecnn.callbacks.early_stopping import EarlyStopping
from purecnn.callbacks.history import History
from purecnn.optimizers.base import blocks


class WeightAverage(Callback):
    """Average the parameters while a network trains, and give it the average in the end.

    "exponential", after each step: ``average = decay average + (1 - decay) p``, first the parameters p
    themselves: the exponential moving average, EMA; Polyak and Juditsky 1992,
    https://doi.org/10.1137/0330046. "equal", after each epoch: the mean of the parameters behind all epochs
    from `start` on: stochastic weight averaging, SWA; Izmailov et al. 2018, https://arxiv.org/abs/1803.05407.
    It wants a learning rate that stays large enough for the network to move, such as `Constant`.

    In the end the network has the averaged weights, which are then evaluated and saved like any others, and
    the running statistics of its batch normalizations are measured anew with these: one pass over the
    training data, each batch normalized by itself, as in training.

    Parameters
    ----------
    kind : {"exponential", "equal"}
        How to average.
    decay : float, optional
        What stays of the exponential average in a step, at least 0 and below 1; 0.999 if left out.
    start : int
        The first epoch that is averaged, counted from 1 in this fit. An average that has not begun when the
        fit ends changes nothing.
    recompute : bool
        Whether to measure the running statistics anew.
    apply : bool
        Whether the network gets the average in the end; `network` gives a copy that has it at any time.

    Attributes
    ----------
    average : ndarray
        The average, like the network's flat vector.
    count : int
        How many vectors it is made of; 0 before the first.

    Raises
    ------
    TypeError, ValueError
        For a wrong argument, and when `fit` begins, if it ends before `start`, or if `EarlyStopping` is to
        give the network the weights of another epoch in the end.

    Notes
    -----
    The optimizer goes on from the weights that were trained, and so do checkpoints, which are written before
    the average is applied: a resumed run ends in the same bits. A second `fit` goes on from the average.
    What is measured after each epoch is the trained weights' own. PyTorch's ``AveragedModel`` averages
    likewise, its ``update_bn`` counts each batch alike where here each sample does; Keras has ``use_ema`` in
    its optimizers, which averages from the first weights on and leaves the statistics.

    Examples
    --------
    >>> from purecnn import Dense, Network
    >>> network, average = Network([Dense(1, 1)]), WeightAverage("equal", start=3)
    >>> history = network.fit([[1.0]], [[2.0]], loss="mse", epochs=4, callbacks=[average])
    >>> average.count, bool((network.parameters == average.average).all())
    (2, True)
    """

    def __init__(
        self,
        kind: str = "exponential",
        *,
        decay: float | None = None,
        start: int = 1,
        recompute: bool = True,
        apply: bool = True,
    ) -> None:
        self.kind = choice("kind", kind, ("exponential", "equal"))
        if decay is not None and self.kind == "equal":
            raise ValueError(f"decay belongs to an exponential average, got {decay!r} for an equal one")
        self.decay = within("decay", 0.999 if decay is None else decay, 0, 1)
        self.start = positive("start", start)
        self.recompute, self.apply = flag("recompute", recompute), flag("apply", apply)
        self.count = 0

    def begin(self, epochs: int, steps: int) -> None:
        """Forget an earlier fit."""
        if epochs and self.start > epochs:
            raise ValueError(f"start must be at most the number of epochs, {epochs}, got {self.start}")
        others = (one for one in self.fit.callbacks if isinstance(one, EarlyStopping))
        if self.apply and any(one.restore_best for one in others):
            raise ValueError(
                "EarlyStopping and WeightAverage both give the network other weights in the end: wanted "
                "EarlyStopping(restore_best=False) or WeightAverage(apply=False), got neither"
            )
        self.count = 0
        parameters = self.fit.network.parameters
        self.average: Array = module_of(parameters).zeros_like(parameters)

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Take a step's parameters in, exponentially."""
        if self.kind == "exponential" and epoch >= self.start:
            self.take(1 - self.decay)

    def epoch(self, epoch: int, history: History) -> None:
        """Take an epoch's parameters in, each epoch's alike."""
        if self.kind == "equal" and epoch >= self.start:
            self.take(1 / (self.count + 1))

    def take(self, share: float) -> None:
        """``average += share (p - average)``, the first time ``average = p``."""
        parameters, average = self.fit.network.parameters, self.average
        if self.count == 0:
            average[...] = parameters
        else:
            rate = parameters.dtype.type(share)
            for block in blocks(parameters, 0, parameters.size):  # what stays in a core's cache
                change = parameters[block] - average[block]
                change *= rate
                average[block] += change
        self.count += 1

    def end(self, history: History) -> None:
        """Give the network the average, and running statistics that belong to it."""
        if self.fit.error is None and self.count and self.apply:
            self.fit.network.parameters[...] = self.average
            if self.recompute:
                self.fit.recompute_statistics()

    def network(self) -> RunNetwork:
        """Return a copy of the network with the average as it is now, on the host.

        Before the end of the fit its running statistics are those of the trained weights.

        Raises
        ------
        ValueError
            If nothing is averaged yet.
        """
        if not self.count:
            raise ValueError(f"nothing is averaged yet: wanted a fit that has come to epoch {self.start}")
        twin = copy.deepcopy(self.fit.network)
        twin.parameters[...] = to_host(self.average)
        return twin

    def state(self) -> dict[str, Any]:
        """Return the average, and how many vectors it is made of."""
        return {"count": self.count, "average": self.average}

    def restore(self, state: dict[str, Any]) -> None:
        """Take them back."""
        count, average, like = state["count"], state["average"], self.average
        if not is_integer(count) or count < 0:
            raise ValueError(f"count is {count!r:.100}, wanted an integer of at least 0")
        if (average.shape, average.dtype) != (like.shape, like.dtype):
            raise ValueError(f"the average is no vector of {like.size} {like.dtype}")
        if not np.isfinite(average).all():
            raise ValueError("the average holds numbers that are not finite")
        self.count = int(count)
        self.average[...] = to_device(average, module_of(like))
