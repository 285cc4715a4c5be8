"""The history of a training: what was measured, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from purecnn.escapes import visible


@dataclass
class History:
    """What `fit` measured, one value an epoch; of a run that was interrupted, of the epochs that it finished.

    Attributes
    ----------
    loss : list of float
        Mean training loss, each batch measured before its step.
    validation_loss : list of float
        On the validation set after the epoch; empty if there is none.
    validation_accuracy : list of float
        The same of a classification; what other tasks measure lies in `validation_metrics`.
    seconds : list of float
        Time of the epoch's training, without validation.
    samples : int
        In the training set.
    metrics, validation_metrics : dict of str to list
        What ``fit(metrics=...)`` asked for, on both sets after the epoch; a float each, or lists of them. The
        second also holds what `Network.evaluate` measures of several labels or values.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    samples: int = 0
    metrics: dict[str, list[Any]] = field(default_factory=dict)
    validation_metrics: dict[str, list[Any]] = field(default_factory=dict)

    if not TYPE_CHECKING:  # a type checker would take any name for an attribute

        def __getattr__(self, name: str) -> Any:
            from purecnn.messages.calls import HISTORIES
            from purecnn.messages.near_names import missing_attribute

            raise AttributeError(missing_attribute(type(self).__name__, name, HISTORIES))

    @property
    def images_per_second(self) -> list[float]:
        """Samples of the training set over the time of each epoch.

        Examples
        --------
        >>> History(seconds=[2.0, 4.0], samples=100).images_per_second
        [50.0, 25.0]
        """
        return [self.samples / max(seconds, 1e-9) for seconds in self.seconds]

    def values(self, name: str) -> list[float]:
        """Return what was measured under a name, one value an epoch.

        Raises
        ------
        ValueError
            If nothing is.

        Examples
        --------
        >>> History(loss=[0.5, 0.25]).values("loss")
        [0.5, 0.25]
        """
        lists = self.lists()
        if name not in lists:
            raise ValueError(f"what was measured is {', '.join(lists) or 'nothing yet'}; got {name!r}")
        return lists[name]

    def lists(self) -> dict[str, list[Any]]:
        """Return all that was measured by its name, of `validation_metrics` with ``validation_`` before.

        Examples
        --------
        >>> History(loss=[0.5], metrics={"f1": [0.8]}, validation_metrics={"f1": [0.7]}).lists()
        {'loss': [0.5], 'f1': [0.8], 'validation_f1': [0.7]}
        """
        found = {name: values for name, values in vars(self).items() if isinstance(values, list) and values}
        found |= self.metrics
        return found | {f"validation_{name}": values for name, values in self.validation_metrics.items()}

    def cut(self, epochs: int) -> None:
        """Keep so many epochs of what was measured, where there are more.

        Examples
        --------
        >>> history = History(loss=[0.5, 0.25], seconds=[1.0])
        >>> history.cut(1)
        >>> history.loss, history.seconds
        ([0.5], [1.0])
        """
        for values in (*vars(self).values(), *self.metrics.values(), *self.validation_metrics.values()):
            if isinstance(values, list):
                del values[epochs:]

    def _repr_html_(self) -> str:
        """Return a table of the epochs, the first and the last ones of many, as Jupyter shows it."""
        from purecnn.backend.html import html_table  # here, since few runs need it

        found = {
            name: values
            for name, values in self.lists().items()
            if len(values) == len(self.loss) and all(isinstance(value, int | float) for value in values)
        }
        epochs = range(len(self.loss))
        rows = [[place + 1, *(f"{values[place]:.4f}" for values in found.values())] for place in epochs]
        if len(rows) > 12:
            rows[5:-6] = [["..."] * (1 + len(found))]
        return html_table(["epoch", *(name.replace("_", " ") for name in found)], rows)

    def line(self) -> str:
        """Return the last epoch in words.

        Examples
        --------
        >>> History(loss=[0.5], seconds=[2.0], samples=100).line()
        'loss 0.5000, 2.0 s, 50 images/s'
        """
        words = [f"loss {self.loss[-1]:.4f}", *spoken(self.metrics)]
        if self.validation_loss:
            words.append(f"validation loss {self.validation_loss[-1]:.4f}")
        if self.validation_accuracy:
            words.append(f"validation accuracy {100 * self.validation_accuracy[-1]:.2f} %")
        others = {name: values for name, values in self.validation_metrics.items() if name != "accuracy"}
        words += [f"validation {word}" for word in spoken(others)]
        speed = f"{self.images_per_second[-1]:,.0f} images/s"
        return visible(", ".join([*words, f"{self.seconds[-1]:.1f} s", speed]))


def spoken(metrics: dict[str, list[Any]]) -> list[str]:
    """Return the last value of each metric that is one number, in words."""
    return [
        f"{name.replace('_', ' ')} {values[-1]:.4f}"
        for name, values in metrics.items()
        if isinstance(values[-1], float)
    ]
