"""Entry point of the command ``purecnn``.

The command ``purecnn``, which must say something useful even where its own packages are missing.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Sequence

from purecnn.errors import MissingExtraError
from purecnn.messages.extras import require_extra


def open_standard_streams() -> None:
    """Lead those of the first three descriptors that are closed nowhere: else the next file would be one."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(descriptor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave the process.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the program's name; the process's own if left out.

    Raises
    ------
    SystemExit
        Always: 0 if all went well, 2 after an error, 130 after an interruption.

    Examples
    --------
    >>> main(["--version"])
    Traceback (most recent call last):
    SystemExit: 0
    """
    open_standard_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # as stderr is: Windows may lack a name
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        for module in ("click", "rich"):
            require_extra(module, "cli", "the command line")
    except MissingExtraError as error:
        print(f"Error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    from purecnn.cli.app import purecnn

    try:
        purecnn(arguments, prog_name="purecnn")
    except SystemExit as end:
        if end.code == 130 and threading.current_thread() is threading.main_thread():
            # Ctrl-C once more, while Python ends, would be told by a traceback
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        if end.code and "mpi4py.MPI" in sys.modules:
            from purecnn.training.distributed.exceptions import end_job

            end_job(end.code)
        raise
