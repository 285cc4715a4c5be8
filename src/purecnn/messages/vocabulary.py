"""Vocabulary: what Keras, PyTorch and scikit-learn call a thing, and what it is called here.

A table of near names: it answers an import, an argument, an attribute or an option that has another word
here, and makes the tables of the guide for whoever comes from those libraries. Each name of their layers and
of their tools for training is in one of them, which `tests/messages/test_coverage.py` holds to their lists.

The tables themselves lie in `words`.
"""

from purecnn.messages.words.absent import ABSENT, OTHERWISE
from purecnn.messages.words.arguments import ARGUMENTS
from purecnn.messages.words.layers import LAYER_TABLES, LAYERS
from purecnn.messages.words.row import Row
from purecnn.messages.words.training import (
    AUGMENTATIONS,
    CALLBACKS,
    DATA,
    INITIALIZATIONS,
    LOSSES,
    METRICS,
    OPTIMIZERS,
    SCHEDULES,
)

__all__ = [
    "ABSENT",
    "ARGUMENTS",
    "AUGMENTATIONS",
    "CALLBACKS",
    "CHOICES",
    "DATA",
    "IMPORTS",
    "INITIALIZATIONS",
    "LAYERS",
    "LAYER_TABLES",
    "LOSSES",
    "METRICS",
    "OPTIMIZERS",
    "OTHERWISE",
    "PARTS",
    "SCHEDULES",
    "Row",
]

#: What a program is made of beside layers, losses and metrics.
PARTS = (*OPTIMIZERS, *SCHEDULES, *CALLBACKS, *AUGMENTATIONS, *DATA)
#: The rows of public names: no initializations, which are chosen by name alone.
IMPORTS = (
    *LAYERS,
    *LOSSES,
    *METRICS,
    *PARTS,
    *OTHERWISE,
    *(row for topic, rows in ABSENT.items() if topic != "initializers" for row in rows),
)
#: What is chosen by name: the names here, and what there is not.
CHOICES = (
    (LOSSES, ABSENT["losses"]),
    (METRICS, ABSENT["metrics"]),
    (INITIALIZATIONS, ABSENT["initializers"]),
    (OPTIMIZERS, ABSENT["training"]),
)
