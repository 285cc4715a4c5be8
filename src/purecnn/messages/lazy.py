"""Lazy packages: a name is imported when it is first asked for, so that an import brings no more."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from types import FrameType, MappingProxyType
from typing import Any


def lazily(
    package: str, modules: Mapping[str, str], wanted: Mapping[str, str] = MappingProxyType({})
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's ``__all__``, ``__getattr__`` and ``__dir__``.

    Parameters
    ----------
    package : str
        Its name.
    modules : mapping of str to str
        Each module, as it is called below the package, and the names that are public of it, with spaces
        between; under "" the modules that are public themselves.
    wanted : mapping of str to str
        The modules that can't be imported without a package of others, and its name. Where that is not
        installed, their names are not in ``__all__``, so that ``import *`` wants no extra.

    Examples
    --------
    >>> names, get, _ = lazily("purecnn.optimizers", {"sgd": "SGD", "": "schedules"})
    >>> names, get("SGD").__name__
    (['schedules', 'SGD'], 'SGD')
    """
    places = {name: module for module, listed in modules.items() for name in listed.split()}
    lacking = {module for module, other in wanted.items() if PathFinder.find_spec(other) is None}
    public = sorted((name for name, module in places.items() if module not in lacking), key=str.lower)

    def get(name: str) -> Any:
        if name in places:
            module = import_module(f"{package}.{places[name] or name}")
            value = getattr(module, name) if places[name] else module
            setattr(sys.modules[package], name, value)
            return value
        if name.startswith("__") or is_module(package, name):  # which is about to be imported
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        raise missing(package, name, places, sys._getframe(1))

    return public, get, lambda: public


def answering(module: str, public: Collection[str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module that users import from and that is no package.

    Parameters
    ----------
    module : str
        Its name.
    public : collection of str
        Its public names.

    Examples
    --------
    >>> answering("schedules", ["Cosine"])("CosineDecay")
    Traceback (most recent call last):
    AttributeError: module 'schedules' has no attribute 'CosineDecay': it is called Cosine here
    """

    def get(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        raise missing(module, name, public, sys._getframe(1))

    return get


def missing(module: str, name: str, known: Collection[str], frame: FrameType) -> Exception:
    """Return the error of a name that a module does not have, for the frame that asks for it."""
    # here: for what is missing alone
    from purecnn.messages.near_names import is_import, missing_name

    reason = missing_name(module, name, sorted(known), public_names())
    if is_import(frame):
        _, colon, advice = reason.partition(": ")
        return ImportError(f"cannot import name {name!r} from {module!r}{colon}{advice}")
    return AttributeError(reason)


@cache
def public_names() -> dict[str, str]:
    """Return the names in the borders of the public packages, and which package each is in.

    Examples
    --------
    >>> public_names()["huber"]
    'purecnn.losses'
    """
    found: dict[str, str] = {}
    wanted = ["purecnn"]
    for package in wanted:
        for name in getattr(import_module(package), "__all__", ()):
            if is_module(package, name):
                wanted.append(f"{package}.{name}")
            elif package != "purecnn":
                found.setdefault(name, package)
    return found


def is_module(package: str, name: str) -> bool:
    """Return whether a package has a module of that name.

    Examples
    --------
    >>> is_module("purecnn.layers", "dense"), is_module("purecnn.layers", "Dense")
    (True, False)
    """
    path = getattr(sys.modules[package], "__path__", None)
    return path is not None and PathFinder.find_spec(f"{package}.{name}", path) is not None
