"""Training: one step, and the loop over it, by threads, processes, a device or several ranks.

`fit` is the loop; `trainer` one step, whoever computes it: `host` cuts the batch into `shards` for
workers, `device` takes it whole, `single_sample` walks along the calls that `sample_plan` lists. `replica`
is a worker's copy of the layers, `update` what follows the gradients, `runnable` what training needs of a
network.

Imports `backend` to `callbacks`. Begin with `fit.Fit.run_epoch`, then `trainer`, `host`, `shards`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.training.distributed.ranks import Ranks as Ranks
    from purecnn.training.fit import Fit as Fit
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "distributed.ranks": "Ranks",
            "fit": "Fit",
        },
    )
