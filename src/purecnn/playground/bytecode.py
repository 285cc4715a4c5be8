"""Modules as bytecode, compiled as Pyodide's Python would at each start, and smaller than it would be."""

from __future__ import annotations

import functools
import importlib.util
import marshal
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from io import BytesIO
from types import CodeType

#: What begins compiled modules of Pyodide's Python, 3.12.
MAGIC = (3531).to_bytes(2, "little") + b"\r\n"
#: Modules whose documentation is read: NumPy's functions hand that of others on, a layer's says its formula.
DOCUMENTED = ("numpy/_core/multiarray.py", "purecnn/layers/")
#: How Python 3.12 is called where it is installed beside this one.
OTHERS = (("python3.12",), ("py", "-3.12"))
#: Seconds that it may take.
PATIENCE = 60
#: What begins a zip archive.
ZIP = b"PK"
#: Kinds of entries in a table of lines, which say of up to 8 instructions where they come from.
LINE, NOWHERE = 13, 15


def stored(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a zip archive of files by name, not compressed, its modules compiled.

    They are where this Python compiles as Pyodide's does, or another is installed beside it that does.
    """
    if MAGIC == importlib.util.MAGIC_NUMBER:
        return zipped(
            (f"{name}c", compiled(name, content)) if name.endswith(".py") else (name, content)
            for name, content in files
        )
    written, other = zipped(files), beside()
    found = asked((*other, "-I", __file__), written) if other else b""
    return found if found.startswith(ZIP) else written


def compiles() -> bool:
    """Return whether the modules of a site that is written now are compiled."""
    return MAGIC == importlib.util.MAGIC_NUMBER or beside() is not None


@functools.cache
def beside() -> tuple[str, ...] | None:
    """Return how a Python is called that compiles as Pyodide's does and is installed beside this one."""
    ask = "import importlib.util, sys; sys.stdout.buffer.write(importlib.util.MAGIC_NUMBER)"
    for name, *words in OTHERS:
        program = shutil.which(name)
        if program and asked((program, *words, "-I", "-c", ask)) == MAGIC:
            return (program, *words)
    return None


def asked(command: tuple[str, ...], given: bytes = b"") -> bytes:
    """Return what a program answers; nothing where it can't be run, fails or hangs."""
    try:
        return subprocess.run(command, input=given, capture_output=True, timeout=PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return b""


def zipped(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a zip archive of files by name, not compressed."""
    written = BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content)
    return written.getvalue()


def members(archive: bytes, wanted: Callable[[str], bool]) -> Iterable[tuple[str, bytes]]:
    """Yield the wanted files of a zip archive, by name."""
    with zipfile.ZipFile(BytesIO(archive)) as opened:
        for name in filter(wanted, opened.namelist()):
            if not name.endswith("/"):
                yield name, opened.read(name)


def compiled(name: str, source: bytes) -> bytes:
    """Return a module's source compiled, without its documentation, as a file that is never checked."""
    level = 0 if name.startswith(DOCUMENTED) else 2
    code = compile(source, name, "exec", dont_inherit=True, optimize=level)
    return MAGIC + (1).to_bytes(4, "little") + bytes(8) + marshal.dumps(without_columns(code))


def without_columns(code: CodeType) -> CodeType:
    r"""Return code that still knows its lines, for tracebacks, but not its columns: a third less to send.

    Examples
    --------
    >>> code = compile("a = 1\nb = a + 1", "module.py", "exec")
    >>> small = without_columns(code)
    >>> list(small.co_lines()) == list(code.co_lines()), len(small.co_linetable) < len(code.co_linetable)
    (True, True)
    """
    table, before = bytearray(), code.co_firstlineno
    for begin, end, line in code.co_lines():
        for place in range(begin, end, 16):  # of 8 instructions, each of two bytes
            length = (min(end, place + 16) - place) // 2
            table.append(0x80 | (NOWHERE if line is None else LINE) << 3 | length - 1)
            if line is not None:
                table += signed(line - before)
                before = line
    constants = (without_columns(each) if isinstance(each, CodeType) else each for each in code.co_consts)
    return code.replace(co_linetable=bytes(table), co_consts=tuple(constants))


def signed(number: int) -> bytes:
    """Return a number as the table has it: its sign last, six bits a byte, the smallest first.

    Examples
    --------
    >>> list(signed(3)), list(signed(-40))
    ([6], [81, 1])
    """
    rest, told = abs(number) << 1 | (number < 0), bytearray()
    while rest >= 64:
        told.append(64 | rest & 63)
        rest >>= 6
    return bytes([*told, rest])


if (
    __name__ == "__main__"
):  # of the Python beside: an archive comes in, and goes out with its modules compiled
    sys.stdout.buffer.write(stored(members(sys.stdin.buffer.read(), bool)))
