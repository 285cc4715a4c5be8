"""Interruptions: callbacks that end a run before its time, for tests that resume it."""

from purecnn import Callback, History


class Killed(BaseException):
    """What a kill is within a process: nothing that follows is done."""


class Kill(Callback):
    """End a run at its so many-th step, or at the end of an epoch."""

    def __init__(self, step: int | None = None, epoch: int | None = None) -> None:
        self.steps, self.epochs, self.last = step, epoch, True

    def step(self, epoch: int, step: int, loss: float) -> None:
        if self.fit.epoch * self.fit.steps + step == self.steps:
            raise Killed

    def epoch(self, epoch: int, history: History) -> None:
        if epoch == self.epochs:
            raise Killed
