"""scikit-learn's base classes, put below ours by the first object that is made.

scikit-learn's classes as the bases of ours, from the first object on: until then nothing imports it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, Self

from purecnn.messages.extras import require_extra

_lock = threading.Lock()


def sklearn(module: str) -> ModuleType:
    """Import a module of scikit-learn's, such as "utils.validation".

    Raises
    ------
    MissingExtraError
        If scikit-learn is not installed.
    """
    return require_extra(f"sklearn.{module}", "sklearn", "an estimator")


class Unjoined:
    """Stands where scikit-learn's `BaseEstimator` will: a class right below `object` can't change bases."""


class Joining(Unjoined):
    """A class that becomes a scikit-learn estimator when its first object is made.

    What scikit-learn gives its own estimators (parameters, `clone`, tags, the page in a notebook, metadata
    routing) belongs to `BaseEstimator`, and tools ask for it by `isinstance`. Deriving from it here would
    import scikit-learn, which takes a second, for everyone who only asks for the class.

    Attributes
    ----------
    mixin : str
        The name of the class in ``sklearn.base`` that says what kind of estimator this is.
    """

    mixin = ""

    # What the bases bring, for type checkers and editors.
    get_params: Callable[..., dict[str, Any]]
    set_params: Callable[..., Self]
    score: Callable[..., float]
    get_metadata_routing: Callable[..., Any]
    set_fit_request: Callable[..., Self]
    set_partial_fit_request: Callable[..., Self]
    set_score_request: Callable[..., Self]

    def __new__(cls, *args: Any, **parameters: Any) -> Self:
        """Make an object, and before the first one join scikit-learn."""
        join(cls)
        made: Self = super().__new__(cls)
        return made


def join(cls: type[Joining]) -> None:
    """Give a class and those above it their bases in scikit-learn."""
    base = sklearn("base")
    with _lock:
        if not issubclass(Joining, base.BaseEstimator):
            Joining.__bases__ = (base.BaseEstimator,)
        for own in cls.__mro__:
            name = vars(own).get("mixin")
            if name and not issubclass(own, getattr(base, name)):
                own.__bases__ = (getattr(base, name), *own.__bases__)
                super(own, own).__init_subclass__()  # type: ignore[arg-type]  # makes set_fit_request and kin
