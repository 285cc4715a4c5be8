"""What a file of somebody else's chose reaches a terminal as text that can be seen, and steers nothing."""

import json
import re
import warnings
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

import purecnn as package
from purecnn import Dense, Flatten, History, Network, Preprocessing, save
from purecnn.backend.html import html_table
from purecnn.cli.app import purecnn
from purecnn.errors import FileFormatError
from purecnn.escapes import visible
from purecnn.metrics import class_table
from purecnn.plots.report.sections import text
from purecnn.runs import Reproduction

#: Sets the title of the terminal, moves back over the line, rings, writes from right to left, is not seen.
HOSTILE = "a\x1b]0;owned\x07\rb\x9b31m\u202ec\u200bd\u2066\x7f"
SHOWN = r"a\x1b]0;owned\x07\rb\x9b31m\u202ec\u200bd\u2066\x7f"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # as it is on a terminal: click takes nothing away
    monkeypatch.setattr(click.utils, "should_strip_ansi", lambda *_: False)


def printed(*arguments: object) -> str:
    result = CliRunner().invoke(purecnn, [str(argument) for argument in arguments], prog_name="purecnn")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert all(letter.isprintable() or letter == "\n" for letter in result.output), result.output
    return result.output


def test_what_is_printable_stays_and_all_else_is_written_out() -> None:
    assert visible("Zähne, 猫, é, emoji 🦊") == "Zähne, 猫, é, emoji 🦊"
    assert visible(HOSTILE) == SHOWN
    assert visible("caf\udce9\n\t") == r"caf\udce9\n\t"
    assert visible("a\n\tb\r", lines=True) == "a\n\tb\\r"


def test_class_names_of_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    pillow = pytest.importorskip("PIL.Image")
    network = Network([Flatten(), Dense(output_size=2)], input_shape=(1, 4, 4))
    network.preprocessing = Preprocessing(kind="bytes", classes=(HOSTILE, "two\nlines"))
    save(network, "hostile.safetensors")
    np.savez("set.npz", x=np.zeros((4, 4, 4), np.uint8), y=[0, 1, 0, 1], x_test=np.zeros((4, 4, 4), np.uint8),
             y_test=[0, 1, 0, 1])  # fmt: skip
    monkeypatch.setenv("COLUMNS", "200")
    assert SHOWN in printed("evaluate", "hostile.safetensors", "--data", "set.npz")
    pillow.new("L", (4, 4), 9).save("grey.png")
    said = printed("predict", "hostile.safetensors", "grey.png", "--prepare", "crop")
    assert SHOWN in said
    assert r"two\nlines" in said


def test_names_of_files_and_options() -> None:
    assert SHOWN in printed("summary", HOSTILE)
    assert SHOWN in printed("predict", HOSTILE, "seven.png")
    assert SHOWN in printed("predict", "seven.png", f"{HOSTILE}.png")
    assert SHOWN in printed("train", f"--{HOSTILE}")
    assert SHOWN in printed(f"--{HOSTILE}")
    assert SHOWN in printed("train", "--resume", HOSTILE)


def test_texts_of_a_record() -> None:
    Path("run").mkdir()
    record: dict[str, Any] = {"version": 1, "arguments": {}, "machines": [], "data": {}, "result": None}
    record["arguments"] = {"name": HOSTILE, "recipe": {HOSTILE: 1}}
    Path("run", "run.json").write_text(json.dumps(record), encoding="utf-8")
    assert r"\u202e" in printed("reproduce", "run")
    result = {"task": "classification", "test_accuracy": 0.5, "loss": [1.0], "parameters": HOSTILE}
    done = Reproduction(True, True, True, [f"commit is {HOSTILE}"], result, result)
    assert str(done).count(SHOWN[:10]) == 3


def test_errors_warnings_tables_and_pages() -> None:
    assert str(FileFormatError(f"{HOSTILE}: no\nmodel")) == f"{SHOWN}: no\nmodel"

    @purecnn.command("warn")
    def warn() -> None:
        warnings.warn(HOSTILE, stacklevel=1)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            assert printed("warn") == f"Warning: {SHOWN}\n"
    finally:
        del purecnn.commands["warn"]
    assert SHOWN in str(class_table([0, 1], [0, 1], names=[HOSTILE, "b"]))
    history = History(loss=[0.5], seconds=[1.0], metrics={HOSTILE: [0.5]})
    assert SHOWN in history.line()
    assert text(f"<{HOSTILE}>") == f"&lt;{SHOWN}&gt;"
    assert SHOWN in html_table([HOSTILE], [[HOSTILE]], caption=HOSTILE)


def test_nothing_is_printed_beside_the_border() -> None:
    allowed = {"terminal.py": r"click\.echo|\bConsole\b"}
    for path in Path(package.__file__).parent.glob("*.py"):
        source = path.read_text(encoding="utf-8")
        found = set(re.findall(r"click\.echo\(|click\.secho\(|\bConsole\(", source))
        assert path.name in allowed or not found, f"{path.name}: {found}: terminal.echo or Terminal is wanted"
