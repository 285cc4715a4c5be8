"""Estimators: networks behind scikit-learn's methods. Its package is the extra `sklearn`.

`base` is what `classifier` and `regressor` share, `plans` how one names a network.

Imports what `purecnn.interop` does. Begin with `classifier`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.interop.sklearn.classifier import CNNClassifier as CNNClassifier
    from purecnn.interop.sklearn.regressor import CNNRegressor as CNNRegressor
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "classifier": "CNNClassifier",
            "regressor": "CNNRegressor",
        },
        {"classifier": "sklearn", "regressor": "sklearn"},
    )
