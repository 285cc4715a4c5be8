"""Losses: how wrong an answer is, as one number, and its derivative.

`base` explains the arguments of all; `classification`, `focal`, `overlap` and `regression` have the
functions, `registry` names them, `smoothing` spreads targets over all classes. `tasks` decides what the
outputs are, `pairs` which loss goes with which last layer.

Imports `layers`. Begin with `base`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.losses.base import Loss as Loss
    from purecnn.losses.classification import binary_cross_entropy as binary_cross_entropy
    from purecnn.losses.classification import binary_cross_entropy_prime as binary_cross_entropy_prime
    from purecnn.losses.classification import categorical_cross_entropy as categorical_cross_entropy
    from purecnn.losses.classification import (
        categorical_cross_entropy_prime as categorical_cross_entropy_prime,
    )
    from purecnn.losses.classification import kl_divergence as kl_divergence
    from purecnn.losses.classification import kl_divergence_prime as kl_divergence_prime
    from purecnn.losses.classification import sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy
    from purecnn.losses.classification import (
        sigmoid_binary_cross_entropy_prime as sigmoid_binary_cross_entropy_prime,
    )
    from purecnn.losses.classification import softmax_cross_entropy as softmax_cross_entropy
    from purecnn.losses.classification import softmax_cross_entropy_prime as softmax_cross_entropy_prime
    from purecnn.losses.focal import binary_focal_cross_entropy as binary_focal_cross_entropy
    from purecnn.losses.focal import binary_focal_cross_entropy_prime as binary_focal_cross_entropy_prime
    from purecnn.losses.focal import categorical_focal_cross_entropy as categorical_focal_cross_entropy
    from purecnn.losses.focal import (
        categorical_focal_cross_entropy_prime as categorical_focal_cross_entropy_prime,
    )
    from purecnn.losses.overlap import dice as dice
    from purecnn.losses.overlap import dice_prime as dice_prime
    from purecnn.losses.registry import LOSSES as LOSSES
    from purecnn.losses.registry import as_loss as as_loss
    from purecnn.losses.regression import hinge as hinge
    from purecnn.losses.regression import hinge_prime as hinge_prime
    from purecnn.losses.regression import huber as huber
    from purecnn.losses.regression import huber_prime as huber_prime
    from purecnn.losses.regression import log_cosh as log_cosh
    from purecnn.losses.regression import log_cosh_prime as log_cosh_prime
    from purecnn.losses.regression import mean_absolute_error as mean_absolute_error
    from purecnn.losses.regression import mean_absolute_error_prime as mean_absolute_error_prime
    from purecnn.losses.regression import mse as mse
    from purecnn.losses.regression import mse_prime as mse_prime
    from purecnn.losses.smoothing import label_smoothing as label_smoothing
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "base": "Loss",
            "classification": (
                "binary_cross_entropy binary_cross_entropy_prime categorical_cross_entropy "
                "categorical_cross_entropy_prime kl_divergence kl_divergence_prime "
                "sigmoid_binary_cross_entropy sigmoid_binary_cross_entropy_prime "
                "softmax_cross_entropy softmax_cross_entropy_prime"
            ),
            "focal": (
                "binary_focal_cross_entropy binary_focal_cross_entropy_prime categorical_focal_cross_entropy "
                "categorical_focal_cross_entropy_prime"
            ),
            "overlap": "dice dice_prime",
            "registry": "as_loss LOSSES",
            "smoothing": "label_smoothing",
            "regression": (
                "hinge hinge_prime huber huber_prime log_cosh log_cosh_prime mean_absolute_error "
                "mean_absolute_error_prime mse mse_prime"
            ),
        },
    )
