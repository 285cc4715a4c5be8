"""Packages that the extras bring: import one, or say the command that installs it."""

from __future__ import annotations

import os
import re
import shutil
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from types import ModuleType

from purecnn.errors import MissingExtraError


def install_command(extra: str, package: str, *options: str) -> str:
    """Return the command that installs what an extra wants.

    Parameters
    ----------
    extra : str
        Of this package, such as ``"cli"``.
    package : str
        What is missing: named alone where no metadata tell what the extra wants.
    *options : str
        Of ``pip install``.

    Examples
    --------
    >>> install_command("report", "plotly").split("pip install ")[1]  # doctest: +ELLIPSIS
    '"plotly>=..."'
    """
    wanted = requirements(extra) or [package]
    if sys.platform == "emscripten":  # Pyodide, within a browser
        return f"await micropip.install({wanted!r})"
    return " ".join(
        [installer(), *options, *(f'"{one}"' if re.search(r"[^\w.-]", one) else one for one in wanted)]
    )


def requirements(extra: str) -> list[str]:
    """Return what an extra wants, as pip takes it; nothing where the package has no metadata.

    Examples
    --------
    >>> requirements("report"), requirements("no such extra")  # doctest: +ELLIPSIS
    (['plotly>=...'], [])
    """
    try:
        lines = requires("purecnn") or []
    except PackageNotFoundError:
        return []
    found = []
    for line in lines:
        requirement, _, marker = line.partition(";")
        elsewhere, of_extra, name = marker.strip().rpartition("extra == ")
        if of_extra and name.strip(" '\"") == extra:
            others = elsewhere.removesuffix(" and ").strip()
            found.append(f"{requirement.strip()}; {others}" if others else requirement.strip())
    return found


def installer() -> str:
    """Return the command that installs into this environment."""
    program = sys.executable or "python"
    usual = shutil.which("python")
    if usual is not None and os.path.dirname(usual) == os.path.dirname(program):
        program = "python"
    quoted = f'"{program}"' if " " in program else program
    if find_spec("pip") is None and shutil.which("uv") is not None:
        return f"uv pip install --python {quoted}"
    return f"{quoted} -m pip install"


# the names that people install, where they differ from the names that programs import
_INSTALLED_AS = {"PIL": "Pillow", "sklearn": "scikit-learn"}


def require_extra(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional module, or say how to install it.

    Parameters
    ----------
    module : str
        The name to import; a submodule (``"PIL.Image"``) is imported and returned itself.
    extra : str
        The extra of this package that brings it, such as ``"cli"``.
    purpose : str
        What needs it, as the subject of a sentence: ``"reading pictures"``.

    Returns
    -------
    types.ModuleType
        The imported module.

    Raises
    ------
    MissingExtraError
        If the module can't be imported.

    Examples
    --------
    >>> require_extra("math", "cli", "rounding").floor(2.5)
    2
    >>> require_extra("no_such_module", "report", "reading pictures")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    purecnn.errors.MissingExtraError: reading pictures needs no_such_module: ... install "plotly>=..."
    """
    try:
        return import_module(module)
    except ImportError as error:
        root = module.partition(".")[0]
        package = _INSTALLED_AS.get(root, root)
        raise MissingExtraError(
            f"{purpose} needs {package}: {install_command(extra, package)}", name=module
        ) from error
