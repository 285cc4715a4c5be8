"""What the worker processes of the tests of `backend.spawn` run, and where their callers find it."""

import os
import signal
import sys
import time
from pathlib import Path

from purecnn.backend.spawn import process
from purecnn.backend.spawn.service import Service, leave, own_line

#: The program of a worker that finds the tests' helpers too.
PROGRAM = process.PROGRAM.replace("; from", f"; sys.path.append({str(Path(__file__).parents[1])!r}); from")


def count(done, flag, worker, number):
    """Count a job that is done; fail with it, end with it or sleep over it where the flag says so."""
    if flag[0] == 1 and number == 1:
        raise KeyError("job 1")
    if flag[0] == 2 and worker:
        raise MemoryError("no room")
    if flag[0] == 3 and worker:
        os.kill(os.getpid(), signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    if flag[0] == 4 and worker:
        flag[1] = 1
        time.sleep(1000)
    if flag[0] == 5 and not worker:
        raise ValueError("here")
    done[number] += 1


def main():
    """Be a worker."""
    service = Service(own_line())
    if service.work.get("refuses"):
        service.refuse(ValueError("I can't"))
    else:
        done, flag = service.memory.array(0), service.memory.array(1)
        service.serve(lambda worker, number: count(done, flag, worker, number))
    leave()


def never():
    """End at once."""
    leave()
