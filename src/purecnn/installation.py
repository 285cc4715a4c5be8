"""Installation of an extra: the command that brings it into the environment that runs.

The package may come from a checkout, a wheel or an index, and the place may be gone by now; so the command
names what the extra wants, which the metadata of every installation knows, and not the package itself.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec


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
