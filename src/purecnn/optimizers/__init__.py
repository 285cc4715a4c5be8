"""Optimizers: how a gradient becomes a step. `schedules` has learning rates that change.

`base` is what every optimizer is: state, and an update of one flat vector block by block. `sgd` and
`adaptive` have the rules, `penalties` what large weights cost, `registry` names them.

Imports `backend` alone. Begin with `sgd`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.optimizers import schedules as schedules
    from purecnn.optimizers.adaptive import Adagrad as Adagrad
    from purecnn.optimizers.adaptive import Adam as Adam
    from purecnn.optimizers.adaptive import AdamW as AdamW
    from purecnn.optimizers.adaptive import RMSprop as RMSprop
    from purecnn.optimizers.base import Optimizer as Optimizer
    from purecnn.optimizers.registry import OPTIMIZERS as OPTIMIZERS
    from purecnn.optimizers.registry import as_optimizer as as_optimizer
    from purecnn.optimizers.sgd import SGD as SGD
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "": "schedules",
            "adaptive": "Adagrad Adam AdamW RMSprop",
            "base": "Optimizer",
            "registry": "as_optimizer OPTIMIZERS",
            "sgd": "SGD",
        },
    )
