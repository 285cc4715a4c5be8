"""Wrong arguments of a call, answered by one sentence.

Signatures: a call whose arguments fit none is answered by one sentence with the words that are used here.

Python's own names what is wrong, not what is right: "unexpected keyword argument 'filters'".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
Kind = TypeVar("Kind", bound=type)


def explained(function: Function) -> Function:
    """Return a function or a constructor that says which arguments it takes where it is given others.

    Nothing is looked at while a call goes well, and its signature stays what it was.

    Examples
    --------
    >>> @explained
    ... def train(x, *, learning_rate=0.1):
    ...     pass
    >>> train(1, lr=0.5)
    Traceback (most recent call last):
    TypeError: train takes no argument lr: it is called learning_rate here
    """
    if getattr(function, "_explained", False):
        return function

    @wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        try:
            return function(*given, **named)
        except TypeError:
            reason = misfit(function, given, named)
            if reason is None:
                raise
        raise TypeError(reason)

    call._explained = True  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]


def explain_constructor(kind: type) -> None:
    """Have a class's own constructor, if it has one, say which arguments it takes."""
    if "__init__" in vars(kind):
        kind.__init__ = explained(kind.__init__)  # type: ignore[misc]


def explained_class(kind: Kind) -> Kind:
    """Return a class whose constructor, one that `dataclass` made too, says which arguments it takes."""
    explain_constructor(kind)
    return kind


def misfit(function: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]) -> str | None:
    """Return the sentence on why a function can't be called so; None if it can."""
    import inspect  # here, as the rest: for a call that failed alone

    from purecnn.messages.calls import ADVICE
    from purecnn.messages.near_names import hint

    signature = inspect.signature(function)
    try:
        signature.bind(*given, **named)
    except TypeError as error:
        otherwise = str(error)
    else:
        return None
    parameters = list(signature.parameters.values())
    owner, heirs = function.__name__, []
    if owner == "__init__":
        kind = type(given[0])
        heirs = handing_on(kind, function)
        is_own = bool(heirs) or inspect.unwrap(kind.__init__) is inspect.unwrap(function)
        owner = kind.__name__ if is_own else function.__qualname__.split(".")[-2]
    if parameters and parameters[0].name == "self":
        parameters, given = parameters[1:], given[1:]
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_name = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    advice = ADVICE.get(owner, "")
    known = [*heirs, *(p.name for p in by_name)]
    for name in named:
        if name not in known:
            near = hint(name, known) or f"it takes {', '.join(known) or 'none'}"
            return f"{owner} takes no argument {name}: {near}"
    if len(given) > len(positional):
        names = f" ({', '.join(p.name for p in positional)})" if positional else ""
        advice = advice or ("name the others" if len(known) > len(positional) else "")
        plural = "" if len(positional) == 1 else "s"
        return (
            f"{owner} takes {len(positional) or 'no'} argument{plural} by position{names}, "
            f"got {len(given)}{f': {advice}' if advice else ''}"
        )
    taken = {p.name for p in positional[: len(given)]}
    if twice := sorted(taken & named.keys()):
        return f"{owner} takes {twice[0]} once, got it by position and by name"
    lacking = [p.name for p in by_name if p.default is p.empty and p.name not in taken | named.keys()]
    if not lacking:
        return otherwise
    return f"{owner} needs {' and '.join(lacking)}, got none{f': {advice}' if advice else ''}"


def handing_on(kind: type, function: Callable[..., Any]) -> list[str]:
    """Return the arguments of the constructors that hand the rest of theirs on to `function`."""
    import inspect

    found: list[str] = []
    for each in kind.__mro__:
        constructor = vars(each).get("__init__")
        if constructor is None:
            continue
        if inspect.unwrap(constructor) is inspect.unwrap(function):
            return found
        parameters = inspect.signature(constructor).parameters.values()
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return []
        found += [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"]
    return []
