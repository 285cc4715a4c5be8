"""Of two that write into one place the second is told so, and a lock ends with the process that holds it."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from helpers.waiting import PATIENCE
from purecnn.backend import files, locks
from purecnn.backend.files import remove_leftovers, write_whole
from purecnn.backend.locks import LOCK, folder_lock
from purecnn.cli.app import purecnn

WORDS = "another process is training into this folder: wait until it ends, or name another --output"
HOLDS = "import sys, os, time; from purecnn.backend.locks import folder_lock"


def test_a_folder_is_locked_once_and_nothing_is_left(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        with pytest.raises(ValueError, match=f"{WORDS}$"), folder_lock(tmp_path):
            raise AssertionError
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
    assert not list(tmp_path.iterdir())
    with folder_lock(tmp_path):
        pass


@pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL")
def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    program = f"{HOLDS}\nwith folder_lock(sys.argv[1]): print('locked', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(ValueError, match=WORDS), folder_lock(tmp_path):
            raise AssertionError
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
    assert (tmp_path / LOCK).exists()
    with folder_lock(tmp_path):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_child_that_outlives_its_parent_holds_no_lock(tmp_path: Path) -> None:
    program = f"""{HOLDS}
hears, tells = os.pipe()
with folder_lock(sys.argv[1]):
    if os.fork():
        os.read(hears, 1)  # the child has begun, and let go of the lock
        os._exit(0)
    os.write(tells, b"!")
    sys.stdin.read()
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], **pipes) as process:  # type: ignore[call-overload]
        process.wait(PATIENCE)
        with folder_lock(tmp_path):
            process.stdin.close()  # and now the child ends, which removes nothing
            assert (tmp_path / LOCK).exists()


def test_a_second_training_into_a_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    x, y = np.zeros((6, 8, 8), np.uint8), np.arange(6) % 2
    np.savez("set.npz", x=x, y=y, x_test=x, y_test=y)
    command = ["train", "--data", "set.npz", "--network", "dense", "--epochs", "1", "--output", "run"]
    command += ["--no-report", "--threads", "1"]
    Path("run").mkdir()
    with folder_lock("run"):
        done = CliRunner().invoke(purecnn, command)
        assert (done.exit_code, done.output) == (2, f"Error: run: {WORDS}\n")
        assert os.listdir("run") == [LOCK]
    assert CliRunner().invoke(purecnn, command).exit_code == 0
    assert LOCK not in os.listdir("run")


def test_a_lock_whose_file_was_removed_by_the_last_holder_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, calls = locks.acquire, []

    def acquire(file: Any) -> bool:
        calls.append(file)
        if len(calls) == 1:
            (tmp_path / LOCK).unlink()
        return plain(file)

    monkeypatch.setattr(locks, "acquire", acquire)
    with folder_lock(tmp_path):
        assert (tmp_path / LOCK).exists()
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("windows", "error", "free"),
    [
        (False, None, True),
        (False, OSError(errno.ENOTSUP, "none here"), True),
        (False, BlockingIOError(), False),
        (True, None, True),
        (True, PermissionError(), False),
    ],
)
def test_other_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, windows: bool, error: Exception | None, free: bool
) -> None:
    calls: list[Any] = []

    def call(*given: Any) -> None:
        calls.append(given)
        if error is not None:
            raise error

    system = SimpleNamespace(LK_NBLCK=2, LOCK_EX=2, LOCK_NB=4)
    setattr(system, "locking" if windows else "flock", call)
    monkeypatch.setattr(locks, "_system", system)
    monkeypatch.setattr(locks, "WINDOWS", windows)
    with (tmp_path / "a").open("wb") as file:
        assert locks.acquire(file) == free
        assert calls == [(file.fileno(), 2, 1) if windows else (file.fileno(), 6)]
    if free:
        with folder_lock(tmp_path):
            assert (tmp_path / LOCK).exists()
        assert not (tmp_path / LOCK).exists()
    monkeypatch.setattr(locks, "_system", None)
    with (tmp_path / "a").open("wb") as file:
        assert locks.acquire(file)


@pytest.mark.skipif(os.name != "posix", reason="Windows removes no open file")
def test_what_another_writes_at_this_moment_is_no_leftover(tmp_path: Path) -> None:
    path = tmp_path / "model"
    left = tmp_path / ".model.0123456789abcdef.tmp"
    left.write_bytes(b"of a killed process")

    def parts() -> Iterator[bytes]:
        yield b"one "
        remove_leftovers(path)
        yield b"two"

    write_whole(path, parts())
    assert path.read_bytes() == b"one two"
    assert not left.exists()


def test_a_temporary_file_that_was_taken_for_a_leftover_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, names = files.acquire, []

    def acquire(file: Any) -> bool:
        names.append(file.name)
        if len(names) == 1 and os.name == "posix":
            os.unlink(file.name)
        return len(names) != 2 and plain(file)

    monkeypatch.setattr(files, "acquire", acquire)
    write_whole(tmp_path / "a", [b"1"])
    assert (tmp_path / "a").read_bytes() == b"1"
    assert len(set(names)) == 3
