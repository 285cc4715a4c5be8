"""Callbacks: who looks on while a network trains: history, early stopping, logs, checkpoints.

`base` is what every callback is and what it sees of a run. `checkpoint` writes what a run needs to go
on, `resume` gives it back; `monitor` is what those share that watch one measured value. Of your own: derive
from `Callback`, or hand `fit` a function.

Imports `backend` to `datasets`. Begin with `base`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.callbacks.base import Callback as Callback
    from purecnn.callbacks.best_model import BestModel as BestModel
    from purecnn.callbacks.checkpoint import Checkpoint as Checkpoint
    from purecnn.callbacks.early_stopping import EarlyStopping as EarlyStopping
    from purecnn.callbacks.history import History as History
    from purecnn.callbacks.learning_rate import LearningRate as LearningRate
    from purecnn.callbacks.loggers import CSVLog as CSVLog
    from purecnn.callbacks.loggers import JSONLog as JSONLog
    from purecnn.callbacks.loggers import TensorBoard as TensorBoard
    from purecnn.callbacks.plateau import ReduceOnPlateau as ReduceOnPlateau
    from purecnn.callbacks.progress import ProgressBar as ProgressBar
    from purecnn.callbacks.weight_average import WeightAverage as WeightAverage
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "base": "Callback",
            "best_model": "BestModel",
            "checkpoint": "Checkpoint",
            "early_stopping": "EarlyStopping",
            "history": "History",
            "learning_rate": "LearningRate",
            "loggers": "CSVLog JSONLog TensorBoard",
            "plateau": "ReduceOnPlateau",
            "progress": "ProgressBar",
            "weight_average": "WeightAverage",
        },
    )
