"""The progress bar: what a terminal and a notebook show while a network trains, and what stays behind."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import threading
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.interruptions import Kill, Killed
from helpers.waiting import PATIENCE
from helpers.workers import PROCESSES, use
from purecnn import BatchNormalization, Callback, Checkpoint, Dense, History, Network, ProgressBar, Tanh
from purecnn.callbacks import progress
from purecnn.errors import DivergedError

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((40, 3))
Y = np.tanh(X[:, :1] - X[:, 1:2])
LINE = re.compile(r"epoch (\d)/3: loss \d\.\d{4}, \d+\.\d s, [\d,]+ images/s")
BAR = re.compile(r"epoch (\d)/3 (━*)(─*) (\d+)/9(?: loss (\d\.\d{4}), ([\d,]+) images/s, (\d+:\d\d) left)?")


class Terminal(io.StringIO):
    """A terminal that is asked nothing but what it shows."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError("this is none of the system's")


def shown(text: str) -> list[str]:
    """Return the lines that a terminal shows once all was written: what is written anew replaces what was."""
    lines = []
    for line in text.split("\n"):
        cells: list[str] = []
        for piece in line.split("\r"):
            cells[: len(piece)] = piece
        lines.append("".join(cells).rstrip())
    return lines


def bars(text: str) -> list[Any]:
    """Return the bars among all that was written."""
    found = (BAR.fullmatch(piece.strip()) for piece in re.split(r"[\r\n]", text))
    return [bar for bar in found if bar]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a terminal, in which the bar is drawn at each step."""
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def network() -> Network:
    return Network([Dense(3, 4), BatchNormalization(), Tanh(), Dense(4, 1)], seed=1)


def train(terminal: Any, *callbacks: Any, **options: Any) -> History:
    """Train on a terminal, which is then what it was before."""
    options = {"epochs": 3, "batch_size": 16, "loss": "mse", "verbose": True, "shards": 2} | options
    with redirect_stdout(terminal), redirect_stderr(terminal):
        try:
            return network().fit(X, Y, callbacks=callbacks, **options)
        finally:
            assert sys.stdout is terminal
            assert sys.stderr is terminal


def test_a_terminal_shows_a_bar_and_keeps_the_lines(terminal: Terminal) -> None:
    train(terminal)
    text = terminal.getvalue()
    *lines, last = shown(text)
    assert [LINE.fullmatch(line)[1] for line in lines] == ["1", "2", "3"]  # type: ignore[index]
    assert last == ""
    found = bars(text)
    # one at the beginning, one a step, and one behind each line but the last
    assert [int(bar[4]) for bar in found] == [0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9]
    assert [bar[1] for bar in found] == [*"1111", *"2222", *"3333"]
    for bar in found:
        width = len(bar[2]) + len(bar[3])
        assert len(bar[2]) == width * int(bar[4]) // 9
        assert len(bar[0]) <= 79
        assert (bar[5] is None) == (bar[4] == "0")
    assert len(found[-1][3]) == 0
    assert found[-1][7] == "0:00"


def test_the_loss_is_a_running_mean_and_the_speed_that_of_the_epoch(terminal: Terminal) -> None:
    losses, speeds = [], []

    class Note(Callback):
        def step(self, epoch: int, step: int, loss: float) -> None:
            losses.append(loss)
            speeds.append(40 * step / 3 / self.fit.spent)

    history = train(terminal, Note())
    mean, found = losses[0], [bar for bar in bars(terminal.getvalue()) if bar[5]]
    for place in (7, 3):  # behind a line
        whole = float(found.pop(place)[6].replace(",", ""))
        assert whole == pytest.approx(history.images_per_second[place // 4], abs=0.6)
    for loss, speed, bar in zip(losses, speeds, found, strict=True):
        mean = 0.95 * mean + 0.05 * loss
        assert float(bar[5]) == pytest.approx(mean, abs=6e-5)
        assert float(bar[6].replace(",", "")) == pytest.approx(speed, abs=0.6)


@pytest.mark.parametrize("where", ["pipe", "dumb", "thread", "process"])
def test_elsewhere_it_prints_the_lines_alone(
    where: str, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "pipe":
        monkeypatch.setattr(terminal, "isatty", lambda: False)
    elif where == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    elif where == "process":
        monkeypatch.setattr(progress, "is_begun_by_multiprocessing", lambda: True)
    if where == "thread":
        thread = threading.Thread(target=train, args=[terminal])
        thread.start()
        thread.join()
    else:
        train(terminal)
    text = terminal.getvalue()
    assert "\r" not in text
    lines = text.splitlines()
    assert len(lines) == 3
    assert all(map(LINE.fullmatch, lines))
    train(None)  # as a Windows program without a console has it


def test_without_verbose_nothing_is_printed_and_two_bars_are_one(terminal: Terminal) -> None:
    train(terminal, verbose=False)
    assert terminal.getvalue() == ""
    train(terminal, ProgressBar())
    train(terminal, ProgressBar(), verbose=False)
    assert len(shown(terminal.getvalue())) == 7


def test_what_else_is_printed_stands_above_the_bar(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:

    class Talk(Callback):
        def step(self, epoch: int, step: int, loss: float) -> None:
            if epoch == 1:
                print("dot" if step == 1 else ".", end="\n" if step == 3 else "", flush=True)
            elif step == 2:
                warnings.warn("mind the step", stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_: print(message, file=sys.stderr)
        train(terminal, Talk(), lambda fit: print(f"{fit.epoch} done"))
    said = ["dot..", "1 done", LINE, "mind the step", "2 done", LINE, "mind the step", "3 done", LINE, ""]
    for line, wanted in zip(shown(terminal.getvalue()), said, strict=True):
        assert re.fullmatch(wanted, line)
    # no bar is drawn over a line that has not come to its end
    assert [int(bar[4]) for bar in bars(terminal.getvalue())][:4] == [0, 3, 3, 4]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, DivergedError])
def test_an_error_finds_the_line_empty(terminal: Terminal, error: type[BaseException]) -> None:
    class Fail(Callback):
        def step(self, epoch: int, step: int, loss: float) -> None:
            if (epoch, step) == (2, 2):
                raise error("here")

    with pytest.raises(error, match="here"):
        train(terminal, Fail())
    line, last = shown(terminal.getvalue())
    assert LINE.fullmatch(line)
    assert last == ""
    assert terminal.getvalue().endswith(" \r")


def test_a_terminal_that_is_closed_meanwhile_is_given_back_as_it_is(terminal: Terminal) -> None:
    class Close(Callback):
        def step(self, epoch: int, step: int, loss: float) -> None:
            if (epoch, step) == (2, 2):
                terminal.close()

    with pytest.raises(ValueError, match="closed file"):
        train(terminal, Close())  # looks at the streams itself


def test_a_fit_within_another_gives_its_line_back(terminal: Terminal) -> None:
    seen = []

    class Stop(Callback):
        def step(self, epoch: int, step: int, loss: float) -> None:
            self.fit.stop("it is enough")  # within an epoch: there is no line

    class Within(Callback):
        def step(self, epoch: int, step: int, loss: float) -> None:
            if (epoch, step) == (1, 2):
                network().fit(X, Y, callbacks=Stop(), batch_size=16, loss="mse", verbose=True)
                seen.append(len(terminal.getvalue()))

    train(terminal, Within())
    assert shown(terminal.getvalue()[: seen[0]])[-1] == ""
    # the outer bar goes on at once, not at its next line
    assert [int(bar[4]) for bar in bars(terminal.getvalue()[seen[0] :])][:2] == [2, 3]
    assert len(shown(terminal.getvalue())) == 4


def test_a_bar_is_drawn_now_and_then(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PAUSE", 1000.0)
    train(terminal)
    assert len(bars(terminal.getvalue())) == 1
    assert len(shown(terminal.getvalue())) == 4


def test_a_resumed_run_begins_where_it_was(terminal: Terminal, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(terminal, Checkpoint(tmp_path / "c", every=1), Kill(5), verbose=False)
    train(terminal, resume=tmp_path / "c")
    found = bars(terminal.getvalue())
    assert [int(bar[4]) for bar in found] == [5, 6, 6, 7, 8, 9]
    assert found[0][1] == "2"
    before = len(terminal.getvalue())
    train(terminal, epochs=0)
    assert len(terminal.getvalue()) == before


def test_a_narrow_terminal_and_one_without_the_signs(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "COLUMNS", 24)
    train(terminal)
    assert max(len(piece) for piece in re.split(r"[\r\n]", terminal.getvalue()) if "9 l" in piece) == 23
    monkeypatch.setattr(progress, "COLUMNS", 80)
    monkeypatch.setattr(terminal, "encoding", "cp1252", raising=False)
    before = len(terminal.getvalue())
    train(terminal)
    assert "epoch 2/3 =" in terminal.getvalue()[before:]
    assert terminal.getvalue()[before:].isascii()


def test_a_browser_knows_of_no_terminal(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "get_terminal_size")
    train(terminal)
    assert len(shown(terminal.getvalue())) == 4


@pytest.mark.parametrize("kind", PROCESSES)
def test_worker_processes_leave_the_bar_alone(
    kind: str, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = train(terminal, verbose=False, threads=1)
    use(monkeypatch, kind)
    assert train(terminal, threads=2).loss == wanted.loss
    assert len(shown(terminal.getvalue())) == 4


#: Trains until somebody interrupts it.
PROGRAM = """
import signal
from purecnn import Dense, Network
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background would ignore
x = [[0.0], [1.0]]
Network([Dense(1, 1)]).fit(x, x, loss="mse", epochs=10**6, batch_size=1, verbose=True, callbacks=[
    lambda fit: fit.epoch == 2 and print("ready", flush=True)])
"""


def test_on_a_terminal_of_the_system_ctrl_c_leaves_no_bar() -> None:
    pty = pytest.importorskip("pty", reason="this system has no such terminals")
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 30, 100, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"},
    )
    os.close(theirs)
    before = said = b""
    timer = threading.Timer(PATIENCE, process.kill)
    timer.start()
    try:
        while True:
            try:
                piece = os.read(ours, 10_000)
            except OSError:  # Linux's way to say that the other side is closed
                break
            if not piece:
                break
            said += piece
            if said.count(b"left") > 2 and b"ready" in said and process.poll() is None:
                process.send_signal(signal.SIGINT)
                said, before = b"", said
        process.wait()
    finally:
        timer.cancel()
        process.kill()
        os.close(ours)
    text = (before + said).decode().replace("\r\n", "\n")
    assert max(len(piece) for piece in re.split(r"[\r\n]", text) if "left" in piece) <= 99
    lines = shown(text)
    assert re.match(r"epoch 1/1000000: loss", lines[0])
    assert lines[-2] == "KeyboardInterrupt"
    assert not [line for line in lines if "left" in line]


#: What a notebook shows: each output as it comes.
CELL = """
import numpy as np
from purecnn import Dense, Network
from purecnn.callbacks import progress
progress.PAUSE = 0.0
x = np.zeros((20, 1))
class Fail(Exception): pass
def fail(fit):
    if fit.epoch == 2:
        raise Fail
try:
    Network([Dense(1, 1)]).fit(x, x, loss="mse", epochs=5, batch_size=10, verbose=True, callbacks=fail)
except Fail:
    print("failed")
"""


def test_a_notebook_has_one_output_that_changes() -> None:
    pytest.importorskip("ipykernel", reason="a notebook wants ipykernel: the extra test")
    manager = pytest.importorskip("jupyter_client.manager")
    messages: list[Any] = []
    with manager.run_kernel(kernel_name="python3") as client:
        reply = client.execute_interactive(CELL, timeout=PATIENCE, output_hook=messages.append)
    assert reply["content"]["status"] == "ok"
    kinds = [one["msg_type"] for one in messages]
    text = "".join(one["content"]["text"] for one in messages if one["msg_type"] == "stream")
    assert re.fullmatch(r"epoch 1/5: loss 0\.0000, [^\n]* images/s\nfailed\n", text)
    shows = [one["content"] for one in messages if "display_data" in one["msg_type"]]
    assert kinds.count("display_data") == 1
    assert len({one["transient"]["display_id"] for one in shows}) == 1
    assert [one["data"]["text/plain"][:9] for one in shows] == [*["epoch 1/5"] * 3, *["epoch 2/5"] * 3, ""]
    assert shows[2]["data"]["text/html"].count("<progress") == 1
    assert 'value="0.2000"' in shows[2]["data"]["text/html"]
    assert shows[-1]["data"] == {"text/plain": "", "text/html": ""}
