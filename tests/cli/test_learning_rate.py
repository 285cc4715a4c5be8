"""`purecnn find-learning-rate`: what it prints is the test of the network that `train` would train."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from helpers.command_line import write_data
from purecnn import SGD, Augmentation
from purecnn.cli.app import purecnn
from purecnn.inspection import find_learning_rate
from purecnn.runs import RECIPES, Run

BASE = ("--data", "data", "--network", "dense", "--batch-size", 16)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be where there are data of three classes, and of values."""
    monkeypatch.chdir(tmp_path)
    write_data(Path("data"))
    x = np.random.default_rng(0).random((60, 6, 6), np.float32)
    y = 1000 + 50 * x.mean(axis=(1, 2))
    np.savez("values.npz", x=x, y=y, x_test=x[:20], y_test=y[:20])


def found(*options: object, status: int = 0) -> str:
    words = ["find-learning-rate", *map(str, options)]
    result = CliRunner().invoke(purecnn, words, prog_name="purecnn")
    assert result.exit_code == status, result.output
    return result.output


def rows_in(said: str) -> list[tuple[float, float]]:
    """Return the rates and losses of the table."""
    rows = re.findall(r"(\d\.\de[-+]\d\d)\s*\D\s*(\d+\.\d{4})", said)
    return [(float(rate), float(loss)) for rate, loss in rows]


def test_it_prints_the_range_test_of_the_run_that_train_would_begin() -> None:
    changes = ("--optimizer", "sgd", "--augment", "shift=1", "--class-weight", "balanced")
    said = found(*BASE, *changes, "--seed", 3, "--shards", 1, "--low", 1e-3, "--high", 0.5, "--steps", 20)
    run = Run("dense", replace(RECIPES["lenet"], network="dense"), 3, "data")
    sets = run.read()
    wanted = find_learning_rate(
        run.build(sets),
        *sets.train,
        low=1e-3,
        high=0.5,
        steps=20,
        batch_size=16,
        optimizer=SGD(momentum=0.9),
        augmentation=Augmentation(shift=1),
        class_weight="balanced",
        shards=1,
    )
    rows = rows_in(said)
    assert len(rows) == 12
    places = [int(abs(wanted.rates / rate - 1).argmin()) for rate, _ in rows]
    assert places == sorted({*places}, key=int)
    assert (places[0], places[-1]) == (0, len(wanted.rates) - 1)
    np.testing.assert_allclose([loss for _, loss in rows], wanted.smoothed[places], atol=6e-5)
    assert f"suggested learning rate: {wanted.suggestion:.2g}\n" in said
    assert re.match(r"dense: [\d,]+ parameters, 60 training images, seed 3, batch size 16\n", said)
    assert [path.name for path in Path().iterdir() if path.suffix != ".npz"] == ["data"]  # nothing is kept


def test_losses_of_values_are_those_of_a_mean_of_0_and_the_end_is_told() -> None:
    said = found("--data", "values.npz", *BASE[2:], "--low", 1e-3, "--high", 1e4, "--steps", 30)
    assert rows_in(said)[0][1] < 10
    assert re.search(r"the test ended after the rate [\d.e+]+, where the loss was far above its lowest", said)


def test_the_loss_over_the_rate_becomes_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("plotly", reason="a page wants plotly: the extra report")
    said = found(*BASE, "--steps", 12, "--output", "rates.html")
    assert said.endswith("the page is rates.html\n")
    page = Path("rates.html").read_text(encoding="utf-8")
    assert "<title>dense: " in page
    assert "mean of those around" in page


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--low", 0), "low must be a number above 0, got 0"),
        (("--low", 1, "--high", 0.1), "high must be above low, 1, got 0.1"),
        (("--steps", 5), "steps must be an integer of at least 10, got 5"),
        (("--batch-size", 0), "batch-size must be an integer of at least 1, got 0"),
        (("--output", "rates.png"), "must end in .html, got rates.png"),
        (("--output", "data"), "data: there is a folder of this name; a file is wanted"),
    ],
)
def test_what_is_no_test_is_refused(options: tuple[object, ...], words: str) -> None:
    assert words in found(*BASE, *options, status=2)
