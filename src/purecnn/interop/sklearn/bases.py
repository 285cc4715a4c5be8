"""scikit-learn's base classes, and what type checkers shall know of them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from purecnn.messages.extras import require_extra


def sklearn(module: str) -> ModuleType:
    """Import a module of scikit-learn's, such as "utils.validation".

    Raises
    ------
    MissingExtraError
        If scikit-learn is not installed.
    """
    return require_extra(f"sklearn.{module}", "sklearn", "an estimator")


if TYPE_CHECKING:

    class BaseEstimator:
        """What scikit-learn, which has no types, gives each of its estimators."""

        get_params: Callable[..., dict[str, Any]]
        set_params: Callable[..., Self]
        score: Callable[..., float]
        get_metadata_routing: Callable[..., Any]
        set_fit_request: Callable[..., Self]
        set_partial_fit_request: Callable[..., Self]
        set_score_request: Callable[..., Self]

        def __sklearn_tags__(self) -> Any:
            """Return what an estimator can do."""

    class ClassifierMixin:
        """Says that an estimator is a classifier."""

    class RegressorMixin:
        """Says that an estimator is a regressor."""
else:
    BaseEstimator = sklearn("base").BaseEstimator
    ClassifierMixin = sklearn("base").ClassifierMixin
    RegressorMixin = sklearn("base").RegressorMixin
