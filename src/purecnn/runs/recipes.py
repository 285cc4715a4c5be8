"""Recipes: a network and how to train it, by name, each chosen on a split of the training set alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from typing import Any

from purecnn.backend.checks import positive, within
from purecnn.callbacks.early_stopping import EarlyStopping
from purecnn.callbacks.weight_average import WeightAverage
from purecnn.datasets.augmentation import Augmentation
from purecnn.datasets.splits import check_fraction
from purecnn.interop.sklearn.plans import usual_epochs
from purecnn.losses.base import Loss
from purecnn.losses.smoothing import label_smoothing
from purecnn.losses.tasks import Task
from purecnn.optimizers.adaptive import Adam, AdamW
from purecnn.optimizers.base import Optimizer, Options
from purecnn.optimizers.registry import OPTIMIZERS
from purecnn.optimizers.schedules import OneCycle
from purecnn.optimizers.sgd import SGD


@dataclass(frozen=True)
class Recipe:
    """What ``purecnn train --recipe NAME`` does: Adam, or another optimizer, its rate along one cycle.

    Parameters
    ----------
    network : str
        A name in `networks.NETWORKS`.
    epochs, batch_size : int
        How often to go over the training set, and how many samples a batch has.
    learning_rate : float
        The largest rate of the cycle.
    beta1, beta2 : float
        Memory of Adam's two means.
    weight_decay : float
        AdamW's, on weights alone; plain Adam where 0.
    smoothing : float
        Label smoothing.
    augmentation : Augmentation or None
        How to change the images of each step.
    data : str
        What it is for: a name in `datasets.NAMES`.
    optimizer : str
        A name in `optimizers.OPTIMIZERS`; SGD with a momentum of 0.9.
    validation : float or None
        The share of the training set that is set aside, and measured after each epoch.
    patience : int or None
        So many epochs without a lower loss on that share end the training, and the best epoch is kept.
    class_weight : "balanced" or None
        Whether all classes count alike, however many samples each has.
    accumulate : int
        How many batches a step takes.
    average : float
        What stays in a step of the exponential moving average of the parameters, which the network has in the
        end (`WeightAverage`); it has the last parameters where 0. Not beside `patience`.
    """

    network: str
    epochs: int
    batch_size: int
    learning_rate: float
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.0
    smoothing: float = 0.0
    augmentation: Augmentation | None = None
    data: str = "mnist"
    optimizer: str = "adam"
    validation: float | None = None
    patience: int | None = None
    class_weight: str | None = None
    accumulate: int = 1
    average: float = 0.0

    @property
    def step_size(self) -> int:
        """How many samples a step takes, but for the last one of an epoch."""
        return self.batch_size * self.accumulate

    def __post_init__(self) -> None:
        if isinstance(self.augmentation, dict):  # as a run's record has it
            object.__setattr__(self, "augmentation", Augmentation(**self.augmentation))
        if not isinstance(self.augmentation, Augmentation | None):
            raise TypeError(f"augmentation must be an Augmentation or None, got {self.augmentation!r}")
        for name, text in (("network", self.network), ("data", self.data)):
            if not isinstance(text, str):
                raise TypeError(f"{name} must be a string, got {text!r}")
        positive("epochs", self.epochs)
        positive("batch_size", self.batch_size)
        positive("accumulate", self.accumulate)
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {self.optimizer!r}")
        if self.validation is not None:
            check_fraction("validation", self.validation)
        if self.patience is not None:
            positive("patience", self.patience)
            if self.validation is None:
                raise ValueError(
                    f"patience wants a share of the training set as validation to watch, got patience "
                    f"{self.patience} without one"
                )
        within("average", self.average, 0, 1)
        if self.average and self.patience is not None:
            raise ValueError(
                f"patience keeps the weights of the best epoch, average the mean of all: wanted one of them, "
                f"got patience {self.patience} and average {self.average:g}"
            )
        if self.class_weight not in ("balanced", None):
            raise ValueError(f"class_weight must be 'balanced' or None, got {self.class_weight!r}")

    def new_optimizer(self) -> Optimizer:
        """Return a new optimizer."""
        decay: Options = {}
        if self.weight_decay:
            decay = {"weight_decay": self.weight_decay, "decay_biases": False}
        if self.optimizer in ("adam", "adamw"):
            kind = AdamW if self.weight_decay or self.optimizer == "adamw" else Adam
            return kind(self.learning_rate, self.beta1, self.beta2, **decay)
        if self.optimizer == "sgd":
            return SGD(self.learning_rate, momentum=0.9, **decay)
        return OPTIMIZERS[self.optimizer](self.learning_rate, **decay)

    def by(self, optimizer: str | None) -> Recipe:
        """Return the recipe by an optimizer of this name: one of another kind has its own rate, and no decay.

        Examples
        --------
        >>> RECIPES["fashion"].by("sgd").learning_rate, RECIPES["fashion"].by(None) == RECIPES["fashion"]
        (0.1, True)
        """
        if optimizer is None or optimizer == self.optimizer:
            return self
        if optimizer in RATES:
            return replace(self, optimizer=optimizer, learning_rate=RATES[optimizer], weight_decay=0.0)
        return replace(self, optimizer=optimizer)

    def new_callbacks(self) -> list[EarlyStopping | WeightAverage]:
        """Return new callbacks that decide which parameters the network has in the end, if not the last."""
        if self.patience is not None:
            return [EarlyStopping(patience=self.patience)]
        return [WeightAverage(decay=self.average)] if self.average else []

    def suited(self, samples: int) -> Recipe:
        """Return the recipe for a training set of so many samples: of a small one more epochs.

        So many that it takes about `plans.STEPS` steps, or those that the recipe takes of MNIST, if they are
        fewer.

        Examples
        --------
        >>> [RECIPES["lenet"].suited(samples).epochs for samples in (60_000, 10_000, 1_000, 100)]
        [8, 25, 200, 200]
        """
        wanted = self.epochs * -(-MNIST // self.step_size)
        return replace(self, epochs=usual_epochs(samples, self.step_size, self.epochs, wanted))

    def loss(self, task: Task = "classification") -> Loss | str | None:
        """Return the loss of a task, None for the one that suits the network.

        Raises
        ------
        ValueError
            If values were to be smoothed as labels are.
        """
        if task == "regression":
            if self.smoothing:
                raise ValueError(
                    f"label smoothing is for labels: values want a recipe without it, such as lenet, "
                    f"got smoothing {self.smoothing:g}"
                )
            return "mse"
        name = "categorical_cross_entropy" if task == "classification" else "binary_cross_entropy"
        return label_smoothing(name, self.smoothing) if self.smoothing else None


@dataclass(frozen=True)
class Cycles:
    """One cycle of the learning rate behind another: each time that a complete run was extended, a new one.

    Parameters
    ----------
    rate : float
        The largest of each.
    ends : tuple of int
        The steps after which they end.

    Examples
    --------
    >>> [round(Cycles(0.1, (10, 30))(step / 30), 4) for step in (0, 3, 10, 16, 30)]
    [0.004, 0.1, 0.004, 0.1, 0.0]
    """

    rate: float
    ends: tuple[int, ...]

    def __call__(self, progress: float) -> float:
        """Return the rate at `progress`."""
        # in whole steps: the rates of the first cycle are then to the bit those that it had before
        step, cycle = round(progress * self.ends[-1]), OneCycle(self.rate)
        for start, end in pairwise((0, *self.ends)):
            if step < end:
                return cycle((step - start) / (end - start))
        return cycle(1.0)


#: The samples of the set, and of Fashion-MNIST, that the recipes were chosen for.
MNIST = 60_000
#: The largest rate of the cycle where an optimizer other than the recipe's is asked for.
RATES = {"sgd": 0.1, "rmsprop": 0.01, "adagrad": 0.1}
#: Every recipe by its name; the first is the default. On 55,000 images of the training set, measured on the
#: other 5,000: "lenet" 99.12 % (mean of 5 seeds), "fast" 98.97 % (mean of 4), "tiny" 99.36 %, "accurate"
#: 99.50 % (one seed each); on 50,000, measured on the other 10,000: "fashion" 93.99 %, after 6 epochs of 14.
RECIPES = {
    "lenet": Recipe("lenet", epochs=8, batch_size=128, learning_rate=0.01),
    "fast": Recipe("quick", epochs=3, batch_size=256, learning_rate=0.015, beta1=0.7, beta2=0.9),
    "tiny": Recipe(
        "tiny",
        epochs=12,
        batch_size=128,
        learning_rate=0.02,
        augmentation=Augmentation(shift=1, rotate=8, scale=0.08),
    ),
    "accurate": Recipe(
        "accurate",
        epochs=10,
        batch_size=128,
        learning_rate=0.004,
        augmentation=Augmentation(shift=1, rotate=10, scale=0.1),
    ),
    "fashion": Recipe(
        "clothes",
        epochs=14,
        batch_size=128,
        learning_rate=0.004,
        weight_decay=0.05,
        smoothing=0.1,
        augmentation=Augmentation(shift=1, flip=True),
        data="fashion-mnist",
        average=0.99,
    ),
}


#: What `--augment` does to images if nothing else is said: changes that leave a digit or a letter what it is.
USUAL_CHANGES = "shift=2,rotate=10,scale=0.1"


def read_changes(text: str) -> Augmentation | None:
    """Return what `--augment` asks for: none, or settings of `Augmentation` separated by commas.

    Examples
    --------
    >>> read_changes("shift=1,flip"), read_changes("none")
    (Augmentation(shift=1, flip=True), None)
    """
    if text.strip() == "none":
        return None
    known = [field.name for field in fields(Augmentation)]
    wanted = (
        f"--augment must be settings such as {USUAL_CHANGES},flip, or none, got {text!r:.200}; "
        f"settings are {', '.join(known)}"
    )
    settings: dict[str, Any] = {}
    for part in text.split(","):
        name, given, value = (word.strip() for word in part.partition("="))
        if name not in known or name in settings:
            raise ValueError(wanted)
        try:
            settings[name] = float(value) if given else True
        except ValueError:
            raise ValueError(wanted) from None
        if (name == "flip") == bool(given):
            raise ValueError(wanted)
        if given and settings[name].is_integer():
            settings[name] = int(settings[name])
    return Augmentation(**settings)


def written_changes(augmentation: Augmentation | None) -> str:
    """Return the words of `--augment` for an augmentation.

    Examples
    --------
    >>> written_changes(read_changes("shift=1,scale=0.25,flip"))
    'shift=1,scale=0.25,flip'
    """
    given = {} if augmentation is None else asdict(augmentation)
    words = [name if value is True else f"{name}={value:g}" for name, value in given.items() if value]
    return ",".join(words) or "none"
