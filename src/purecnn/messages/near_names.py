"""Suggestions for names that are not there.

Answers to names that are not there: what was probably meant, by `vocabulary` or by spelling.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from types import FrameType

from purecnn.messages.calls import OPTIONS
from purecnn.messages.vocabulary import ARGUMENTS, IMPORTS, Row

#: What is code in a note: a call, with calls among its arguments and one behind it, or a special method.
CODE = re.compile(r"(?<![\w.])\w[\w.]*\((?:[^()]|\([^()]*\))*\)(?:\.\w+\(\))?|\b__\w+__\b")


def row_of(rows: Iterable[Row], name: str, known: Collection[str] | None = None) -> Row | None:
    """Return the row in which `name` is a name elsewhere, in any case, if its name here is a known one.

    A row without a name here comes last.

    Examples
    --------
    >>> row_of(IMPORTS, "conv2d").here
    'Convolutional'
    """
    lowered = name.lower()
    fitting = [row for row in rows if lowered in map(str.lower, row.elsewhere)]
    ours = [row for row in fitting if row.here and (known is None or row.here in known)]
    return next(iter([*ours, *(row for row in fitting if not row.here)]), None)


def sentence(name: str, row: Row) -> str:
    """Return what a name elsewhere is here, as the end of a sentence.

    Examples
    --------
    >>> sentence("lr", row_of(ARGUMENTS, "lr"))
    'it is called learning_rate here'
    """
    if not row.here:
        return row.note
    return f"it is called {row.here} here" + (f", {row.note}" if row.note else "")


def close(name: str, known: Iterable[str]) -> str:
    """Return the one of `known` that is spelled much like `name`, in any case; empty if there is none.

    Examples
    --------
    >>> close("epoch", ["epochs", "loss"]), close("Dence", ["Dense"])
    ('epochs', 'Dense')
    """
    names = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.75)
    return names[found[0]] if found else ""


def hint(name: str, known: Collection[str], rows: Iterable[Row] = ARGUMENTS) -> str:
    """Return what was probably meant, as the end of a sentence; empty where nothing comes near.

    Parameters
    ----------
    name : str
        What was typed.
    known : collection of str
        What could have been.
    rows : iterable of Row
        The names elsewhere.

    Examples
    --------
    >>> hint("lr", ["learning_rate", "epochs"])
    'it is called learning_rate here'
    >>> hint("epcohs", ["learning_rate", "epochs"])
    "did you mean 'epochs'?"
    """
    if (row := row_of(rows, name, known)) is not None:
        return sentence(name, row)
    return f"did you mean {found!r}?" if (found := close(name, known)) else ""


def option(typed: str, known: Collection[str]) -> str:
    """Return the option of a command that is called so here, or spelled much like it; empty if none is.

    Examples
    --------
    >>> option("--lr", ["--learning-rate", "--epochs"])
    '--learning-rate'
    """
    words = {one.lstrip("-").replace("-", "_"): one for one in known if one.startswith("--")}
    name = typed.lstrip("-").replace("-", "_")
    row = row_of((*OPTIONS, *ARGUMENTS), name, words)
    return words.get(row.here if row is not None else close(name, words), "")


def missing_name(
    module: str, name: str, known: Collection[str], elsewhere: Mapping[str, str] | None = None
) -> str:
    """Return the sentence about a public name that a module does not have.

    Parameters
    ----------
    module, name : str
        Where it was looked for, and what.
    known : collection of str
        What the module has.
    elsewhere : mapping of str to str, optional
        Public names of other modules, and which those are.

    Examples
    --------
    >>> missing_name("purecnn", "Linear", ["Dense"])
    "module 'purecnn' has no attribute 'Linear': it is called Dense here, Dense(10), the number of outputs"
    >>> missing_name("purecnn", "mse", ["Dense"], {"mse": "purecnn.losses"})
    "module 'purecnn' has no attribute 'mse': it is in purecnn.losses"
    """
    others = {one: where for one, where in (elsewhere or {}).items() if one not in known}
    row = row_of(IMPORTS, name)
    if name in others:
        found = f"it is in {others[name]}"
    elif row is not None:
        found = sentence(name, row) + (f", in {others[row.here]}" if row.here in others else "")
    elif one := close(name, [*known, *others]):
        found = f"did you mean {one!r}{f', in {others[one]}' if one in others else ''}?"
    else:
        found = ""
    return f"module {module!r} has no attribute {name!r}" + (f": {found}" if found else "")


def is_import(frame: FrameType) -> bool:
    """Return whether a frame is executing ``from module import name``, which must end in an ImportError."""
    import dis  # here: for a name that is missing alone

    return dis.opname[frame.f_code.co_code[frame.f_lasti]] == "IMPORT_FROM"


def missing_attribute(owner: str, name: str, rows: Iterable[Row]) -> str:
    """Return the sentence about an attribute that an object does not have."""
    row = row_of(rows, name)
    return f"{owner!r} object has no attribute {name!r}" + (f": {sentence(name, row)}" if row else "")


def table(rows: Iterable[Row]) -> str:
    """Return rows as a table of Markdown: what a thing is called here, in Keras and in PyTorch.

    Where nothing has a name here, that column is left out.

    Examples
    --------
    >>> print(table([Row("depth", "filters", "out_channels")]))
    | here | Keras, scikit-learn | PyTorch | |
    |---|---|---|---|
    | `depth` | `filters` | `out_channels` | |
    >>> print(table([Row("", "", "LBFGS", "use Adam")]))
    | Keras | PyTorch | why, or what to write |
    |---|---|---|
    | | `LBFGS` | use Adam |
    >>> print(table([Row("MaxPooling", "", "MaxPool2d", "MaxPooling(2)")]).splitlines()[-1])
    | `MaxPooling` | | `MaxPool2d` | `MaxPooling(2)` |
    """
    rows = list(rows)
    titles = ["here", "Keras, scikit-learn", "PyTorch", ""]
    if all(not row.here for row in rows):
        titles = ["Keras", "PyTorch", "why, or what to write"]

    def code(names: str) -> str:
        return ", ".join(f"`{name}`" for name in names.split())

    def line(cells: list[str]) -> str:
        return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"

    lines = [line(titles), "|" + "---|" * len(titles)]
    lines += [
        line(
            [code(row.here), code(row.keras), code(row.torch), CODE.sub(r"`\g<0>`", row.note)][-len(titles) :]
        )
        for row in rows
    ]
    return "\n".join(lines)
