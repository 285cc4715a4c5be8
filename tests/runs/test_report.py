"""The report: one page for any network and data, harmless whatever its words are, and good to look at."""

from __future__ import annotations

import html
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from helpers.browser import Window, chromium
from helpers.command_line import write_data
from purecnn import (
    Convolutional,
    Dense,
    Flatten,
    History,
    MaxPooling,
    Network,
    ReLU,
    Sigmoid,
    Softmax,
    load,
    metrics,
    write_report,
)
from purecnn.cli.app import purecnn
from purecnn.errors import FileFormatError, MissingExtraError
from purecnn.plots import pages
from purecnn.runs import RECIPES, Run
from purecnn.runs.record import read_record
from purecnn.runs.report import command_of, history_of

RANDOM = np.random.default_rng(0)
HOSTILE = "<script>alert('x')</script>\"&<img src=x onerror=alert(1)>"


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(purecnn, [str(argument) for argument in arguments], prog_name="purecnn")
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return str(result.output)


def convolutions(classes, channels=1, last=Softmax, size=12):
    layers = [
        Convolutional(kernel_size=3, depth=4),
        ReLU(),
        MaxPooling(2),
        Flatten(),
        Dense(output_size=classes),
    ]
    return Network([*layers, *([last()] if last else [])], input_shape=(channels, size, size))


def words(page):
    """Return a page's text, without scripts, styles and tags."""
    page = re.sub(r"(?s)<(script|style).*?</\1>", " ", page)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


def figures(page):
    """Return the figures of a page by the names of their places."""
    found = re.findall(r'<script type="application/json" data-figure="([\w-]+)">(.*?)</script>', page)
    return {name: json.loads(text) for name, text in found}


@pytest.fixture(scope="module")
def window():
    """One window for all tests that look at pages."""
    with chromium() as browser:
        yield Window(browser)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two small runs, of another seed and recipe each, with their reports."""
    place = tmp_path_factory.mktemp("runs")
    data = write_data(place / "data")
    options = ("--data", data, "--epochs", 3, "--batch-size", 20, "--learning-rate", 0.01)
    said = run("train", *options, "--output", place / "one")
    run("train", *options, "--recipe", "fast", "--seed", 1, "--output", place / "two", "--no-report")
    return place, said


# --- one run ------------------------------------------------------------------------------------------------


def test_training_ends_with_a_report_unless_told_otherwise(runs):
    place, said = runs
    assert f"the report is {place / 'one' / 'report.html'}\n" in said
    assert not (place / "two" / "report.html").exists()
    assert (place / "one" / "report.html").stat().st_size < 8_000_000


def test_the_report_of_a_run_has_every_section_and_its_numbers(runs):
    place, _ = runs
    page = (place / "one" / "report.html").read_text()
    sections = re.findall(r'<section id="([\w-]+)"', page)
    assert sections == [
        *("learning", "confusions", "classes", "calibration", "mistakes", "layers", "kernels", "maps"),
        *("saliency", "embedding", "time", "repeat"),
    ]
    links = re.findall(r'<li><a href="#([\w-]+)">', page)
    assert links == sections
    record, text = read_record(place / "one"), words(page)
    assert f"{100 * record['result']['test_accuracy']:.2f} %" in text
    assert f"{record['result']['test_loss']:.4g} loss" in text or "loss" in text
    for fact in (record["result"]["parameters"], *record["data"].values(), record["machines"][0]["numpy"]):
        assert fact in text
    assert f"purecnn reproduce {place / 'one'}" in text
    curves = figures(page)["chart-learning"]["data"]
    wanted = record["result"]["curves"]
    assert [line["y"] for line in curves] == [
        wanted["training"]["loss"],
        wanted["test"]["loss"],
        wanted["training"]["accuracy"],
        wanted["test"]["accuracy"],
    ]
    assert page.count("data:image/png;base64,") > 50
    assert not re.search(r"<(?:script|img|link)[^>]*\s(?:src|href)=\"(?!data:|#)", page)
    assert "http" not in re.sub(r"(?s)<script>.*?</script>", "", page).replace("http-equiv", "")


def test_the_command_that_a_report_names_does_the_same_run(runs):
    place, _ = runs
    one = Run.recorded(place / "one")
    command = command_of(one)
    assert command == (
        f"purecnn train --recipe lenet --epochs 3 --batch-size 20 --data {place / 'data'} --seed 0"
    )
    run(*command.split()[1:], "--output", place / "again", "--no-report")
    again = read_record(place / "again")
    assert again["arguments"] == read_record(place / "one")["arguments"]
    assert again["result"]["parameters"] == read_record(place / "one")["result"]["parameters"]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_its_command(name):
    recipe = RECIPES[name]
    assert command_of(Run(name, recipe, 4, recipe.data)) == f"purecnn train --recipe {name} --seed 4"
    other = command_of(Run("dense", recipe.__class__(**{**vars(recipe), "network": "dense"}), 0, recipe.data))
    assert f"--recipe {name} --network dense" in other


def test_a_report_may_be_written_anew_and_elsewhere(runs, tmp_path):
    place, _ = runs
    said = run("report", place / "two", "--output", tmp_path / "new.html", "--data", place / "data")
    assert said == f"the report is {tmp_path / 'new.html'}\n"
    other = write_data(tmp_path / "other")
    page = Path(run("report", place / "two", "--data", other).split()[-1]).read_text()
    assert "The data that this report was made with are not those of the run" in page


def test_a_resumed_run_has_its_curves_whole(runs, monkeypatch, tmp_path):
    from helpers.command_line import stop_at

    place, _ = runs
    options = (
        "--data",
        place / "data",
        "--network",
        "dense",
        "--batch-size",
        10,
        "--epochs",
        3,
        "--no-report",
    )
    run("train", *options, "--output", tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_at(patch, "step", 14, KeyboardInterrupt())
        run("train", *options, "--output", tmp_path / "cut", status=130)
    assert "this run is not complete" in run("report", tmp_path / "cut", status=2)
    run("train", "--resume", tmp_path / "cut", "--no-report")
    one, two = (read_record(tmp_path / name)["result"]["curves"] for name in ("whole", "cut"))
    assert one == two
    assert [len(values) for values in (one["training"]["loss"], one["test"]["accuracy"])] == [3, 3]


def test_what_the_command_refuses(runs, tmp_path):
    place, _ = runs
    assert "there is no such file; the folder of a run" in run("report", tmp_path, status=2)
    assert "a file is wanted" in run("report", place / "one", "--output", tmp_path, status=2)
    assert "--output must be a name" in run("report", place / "one", "--output", "", status=2)
    model = place / "one" / "model.safetensors"
    before = model.read_bytes()
    assert "must end in .html, got" in run("report", place / "one", "--output", model, status=2)
    assert model.read_bytes() == before
    (tmp_path / "run.json").write_text((place / "one" / "run.json").read_text())
    assert "model.safetensors" in run("report", tmp_path, status=2)


@pytest.mark.parametrize(
    "damage",
    [
        lambda result: result.pop("curves"),
        lambda result: result["curves"]["test"].pop("loss"),
        lambda result: result["curves"]["training"]["loss"].append(1.0),
        lambda result: result["curves"]["training"].update(samples="many"),
        lambda result: result["curves"]["training"]["loss"].__setitem__(0, "<b>"),
        lambda result: result.update(test_loss="<b>"),
        lambda result: result.update(seconds=None),
        lambda result: result.update(seconds={}),
        lambda result: result["seconds"].append(1.0),
        lambda result: result.update(
            loss=[],
            seconds=[],
            curves={key: {"samples": 9, "loss": [], "accuracy": []} for key in ("training", "test")},
        ),
    ],
)
def test_a_damaged_record_is_one_sentence(runs, damage):
    result = read_record(runs[0] / "one")["result"]
    damage(result)
    with pytest.raises(FileFormatError, match=r"run.json: its result is damaged: "):
        history_of(Path("run"), result)


def test_without_plotly_training_says_nothing_and_the_command_one_sentence(runs, monkeypatch, tmp_path):
    place, _ = runs
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    options = ("--data", place / "data", "--network", "dense", "--epochs", 1, "--output", tmp_path / "run")
    said = run("train", *options)
    assert "report" not in said
    assert "pip install" not in said
    said = run("report", place / "one", status=2)
    assert re.fullmatch(r'Error: writing a page needs plotly: .+ install "plotly>=[\d.]+"\n', said)


def test_a_report_that_fails_does_not_fail_the_training(runs, monkeypatch, tmp_path):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("purecnn.plots.report.writer.write_whole", full)
    options = ("--data", runs[0] / "data", "--network", "dense", "--epochs", 1, "--output", tmp_path / "run")
    said = run("train", *options)
    assert "Warning: no report: [Errno 28] No space left on device" in said

    def broken(*_, **__):
        raise RuntimeError("whatever it is")

    monkeypatch.setattr("purecnn.plots.report.writer.write_whole", broken)
    said = run("train", *options)
    assert "Warning: no report: whatever it is" in said


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_names_that_are_no_text_are_escaped_wherever_they_are_told(tmp_path, monkeypatch):
    pillow = pytest.importorskip("PIL.Image")
    data = os.fsdecode(os.path.join(os.fsencode(tmp_path), b"d\xe9"))
    for place, name in enumerate((b"caf\xe9", b"tea")):
        folder = os.path.join(data, os.fsdecode(name))
        os.makedirs(folder)
        for number in range(6):
            pillow.new("L", (28, 28), 200 * place + number).save(os.path.join(folder, f"{number}.png"))
    output = os.fsdecode(os.path.join(os.fsencode(tmp_path), b"r\xe9"))
    said = run("train", "--data", data, "--network", "dense", "--epochs", 1, "--output", output)
    assert "Warning" not in said
    page = words(Path(output, "report.html").read_text())
    assert "caf\\xe9" in page
    assert load(os.path.join(output, "model.safetensors")).preprocessing.classes == ("caf\\xe9", "tea")
    assert read_record(Path(output))["arguments"]["data"] == data


# --- several runs -------------------------------------------------------------------------------------------


def test_two_runs_are_compared(runs, tmp_path, monkeypatch):
    place, _ = runs
    monkeypatch.chdir(tmp_path)
    said = run("report", place / "one", place / "two")
    assert said == f"the report is {tmp_path / 'comparison.html'}\n"
    page = (tmp_path / "comparison.html").read_text()
    assert re.findall(r'<section id="([\w-]+)"', page) == [
        *("glance", "settings", "learning", "classes", "pictures", "repeat")
    ]
    text = words(page)
    differing = re.search(r'(?s)<section id="settings".*?</section>', page)
    names = re.findall(r'<th scope="row"[^>]*>(.*?)</th>', differing[0])
    assert names == ["network", "beta1", "beta2", "seed"]
    results = [read_record(place / name)["result"] for name in ("one", "two")]
    for result in results:
        assert f"{100 * result['test_accuracy']:.2f} %" in text
    assert len(figures(page)["chart-learning"]["data"]) == 8
    assert "purecnn train --recipe fast --epochs 3 --batch-size 20 --learning-rate 0.01" in text


def test_who_is_right_where_the_other_is_wrong(runs, tmp_path):
    from purecnn import load, save
    from purecnn.datasets import mnist

    place, _ = runs
    broken = tmp_path / "broken"
    broken.mkdir()
    network = load(place / "one" / "model.safetensors")
    network[-2].parameters["biases"][0] += 50  # whatever it sees, it says 0
    save(network, broken / "model.safetensors")
    (broken / "run.json").write_text((place / "one" / "run.json").read_text())
    page = Path(run("report", place / "one", broken, "--output", tmp_path / "c.html").split()[-1]).read_text()
    _, (x, y) = mnist.load_data(str(place / "data"))
    right = load(place / "one" / "model.safetensors").predict(x).argmax(axis=1) == y
    text = words(page)
    assert f"one alone right {int((right & (y != 0)).sum())}" in text
    assert f"both wrong {int((~right & (y != 0)).sum())}" in text
    assert "None: recipe, seed, data, commit and machine are the same." in text
    shown = [int(number) for number in re.findall(r"sample (\d+)</p>", page)]
    assert shown
    assert all(right[number] and y[number] != 0 for number in shown)


def test_runs_on_other_data_are_compared_without_pictures(runs, tmp_path):
    place, _ = runs
    data = write_data(tmp_path / "data", size=20)
    options = ("--data", data, "--network", "dense", "--epochs", 1, "--no-report")
    run("train", *options, "--output", tmp_path / "one")
    page = Path(
        run("report", place / "one", tmp_path / "one", "--output", tmp_path / "c.html").split()[-1]
    ).read_text()
    assert "there is no comparison of classes and pictures" in words(page)
    # two folders of one name are told apart
    assert str(place / "one") in words(page)


# --- any network --------------------------------------------------------------------------------------------


def every_kind():
    """Yield networks and data of many shapes, and what the report must say and leave out."""
    images = RANDOM.integers(0, 256, (60, 1, 12, 12), dtype=np.uint8)
    colours = RANDOM.integers(0, 256, (60, 3, 12, 12), dtype=np.uint8)
    labels, values = np.arange(60) % 3, RANDOM.normal(size=(60, 2))
    yield pytest.param(convolutions(3, 3), colours, labels, {}, ["Grad-CAM"], id="colours")
    yield pytest.param(convolutions(2), images, labels % 2, {}, ["Grad-CAM"], id="two classes")
    yield pytest.param(
        convolutions(1, last=Sigmoid),
        images,
        labels % 2,
        {},
        ["expected calibration error"],
        id="lone sigmoid",
    )
    yield pytest.param(
        convolutions(47), images, np.arange(60) % 47, {}, ["Confusion matrix of 47 classes"], id="47 classes"
    )
    yield pytest.param(
        convolutions(3, last=None), images, labels, {}, ["expected calibration error"], id="scores"
    )
    yield pytest.param(
        convolutions(2, last=Sigmoid),
        images,
        np.eye(2)[labels % 2],
        {},
        ["The scores are no probabilities"],
        id="two sigmoids",
    )
    yield pytest.param(
        Network([Flatten(), Dense(output_size=3), Softmax()], input_shape=(1, 12, 12)),
        images,
        labels,
        {},
        ["Without feature maps there is no Grad-CAM", "3 kernels of 1 x 12 x 12"],
        id="dense on pictures",
    )
    yield pytest.param(
        Network([Dense(2, 5), ReLU(), Dense(5, 3), Softmax()]),
        values,
        labels,
        {},
        ["no pictures, so there are no feature maps", "No layer has kernels, or sees pictures themselves"],
        id="vectors",
    )
    yield pytest.param(
        Network([Dense(2, 5), ReLU(), Dense(5, 2)]),
        values,
        values**2,
        {"loss": "mse"},
        ["Predicted and true", "R2 ", "mean absolute error", "Residuals"],
        id="values",
    )
    yield pytest.param(
        convolutions(3, last=Sigmoid),
        images,
        (np.arange(len(images))[:, np.newaxis] >> np.arange(3)) & 1,
        {},
        ["Label by label", "What it finds and misses", "For the most probable label", "subset accuracy"],
        id="several labels",
    )
    yield pytest.param(
        convolutions(1, last=None),
        images,
        values[:, :1],
        {"loss": "mse"},
        ["Grad-CAM"],
        id="a value of pictures",
    )


@pytest.mark.parametrize(("network", "x", "y", "options", "said"), list(every_kind()))
def test_a_report_on_any_network(network, x, y, options, said, tmp_path):
    page = write_report(network, x, y, tmp_path / "report.html", **options).read_text()
    text = words(page)
    assert "No history of the training was given" in text
    for sentence in said:
        assert sentence in text or sentence in page
    assert "nan" not in text.lower()
    for name in re.findall(r'<section id="([\w-]+)"', page):
        assert f'href="#{name}"' in page


def test_an_all_right_network_has_no_worst_mistakes(tmp_path):
    network, x = convolutions(3), RANDOM.integers(0, 256, (9, 1, 12, 12), dtype=np.uint8)
    y = network.predict(x).argmax(axis=1)
    text = words(write_report(network, x, y, tmp_path / "r.html").read_text())
    assert "There is none: all 9 answers are right." in text


def test_the_words_of_others_are_harmless(window, tmp_path):
    network, x = convolutions(3), RANDOM.integers(0, 256, (30, 1, 12, 12), dtype=np.uint8)
    network.preprocessing.classes = (HOSTILE, "</script><script>alert(2)</script>", "c" * 60)
    history = History(loss=[1.0], metrics={HOSTILE: [0.5]}, seconds=[1.0])
    page = write_report(
        network, x, np.arange(30) % 3, tmp_path / "r.html", title=HOSTILE, subtitle=HOSTILE, history=history
    ).read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert page.count("</script>") == page.count("<script")
    page = window.open(f"file://{tmp_path / 'r.html'}", width=390)
    page.wait_for_selector("#chart-time .main-svg")
    assert window.said == []
    assert window.asked == []
    assert window.width() == 390
    assert HOSTILE in page.inner_text("h1")


def test_data_in_a_page_cannot_end_their_element():
    from plotly.graph_objects import Figure

    block = pages.figure_block(Figure(layout={"title": {"text": HOSTILE}}), "f", "words")
    assert block.count("</script>") == 1
    assert figures(block)["f"]["layout"]["title"]["text"] == HOSTILE


def test_bad_data_is_refused_as_everywhere(tmp_path):
    with pytest.raises(ValueError, match="labels must be from 0 to 2"):
        write_report(convolutions(3), np.zeros((2, 12, 12), np.uint8), [0, 3], tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_no_report_without_plotly(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(MissingExtraError, match=r'needs plotly: .*pip install "plotly>='):
        write_report(convolutions(3), np.zeros((2, 12, 12), np.uint8), [0, 1], tmp_path / "r.html")


# --- in a browser -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_a_report_in_a_browser(window, runs, width, scheme):
    place, _ = runs
    page = window.open(f"file://{place / 'one' / 'report.html'}", width, scheme=scheme)
    page.wait_for_selector("#chart-time .main-svg")
    assert window.said == []
    assert window.asked == []
    assert window.width() == width
    drawn = page.eval_on_selector_all(
        ".plot", "all => all.map(p => p.querySelectorAll('.main-svg').length > 0)"
    )
    assert len(drawn) >= 6
    assert all(drawn)
    # ink and paper are far apart in both schemes
    ink, paper = page.evaluate("(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))")
    levels = [sum(map(int, re.findall(r"\d+", color)[:3])) for color in (ink, paper)]
    assert (levels[0] < levels[1]) == (scheme == "light")
    assert abs(levels[0] - levels[1]) > 450
    # a table breaks lines between words, never inside of one: such a word has two boxes
    broken = page.evaluate(
        """[...document.querySelectorAll('.table th, .table td')].flatMap(cell => {
        const text = cell.firstChild; if (!text || text.nodeType !== Node.TEXT_NODE) return [];
        return [...text.data.matchAll(/\\w{1,20}/g)].filter(word => {
            const range = document.createRange();
            range.setStart(text, word.index); range.setEnd(text, word.index + word[0].length);
            return range.getClientRects().length > 1;
        }).map(word => word[0]) })"""
    )
    assert broken == []
    # every picture and chart has words for those who can't see it
    assert page.eval_on_selector_all("[role=img]", "all => all.every(p => p.ariaLabel)")
    assert page.eval_on_selector_all(
        "img", "all => all.every(p => p.alt || p.closest('[role=img], summary'))"
    )
    # by the keyboard alone: past the head to the content, and into a section
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.wait_for_function("location.hash === '#content'")
    page.focus("nav a[href='#maps']")
    page.keyboard.press("Enter")
    page.wait_for_function("Math.abs(document.getElementById('maps').getBoundingClientRect().top) < 900")
    closed = page.locator("#maps details:not([open])").first
    closed.locator("summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("#maps details[open]").count() == 2
    assert window.said == []


def test_a_report_on_paper_is_black_on_white(window, runs):
    page = window.open(f"file://{runs[0] / 'one' / 'report.html'}", scheme="dark")
    page.wait_for_selector("#chart-time .main-svg")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("#maps details:not([open])").count() == 0
    color, back = page.evaluate("(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))")
    assert (color, back) == ("rgb(0, 0, 0)", "rgb(255, 255, 255)")
    assert (
        page.evaluate("document.querySelector('#chart-time').layout.template.layout.font.color") == "#000000"
    )
    widths = page.eval_on_selector_all(
        ".plot .main-svg", "all => all.map(p => p.getBoundingClientRect().width)"
    )
    assert max(widths) <= 660
    # the place of a chart is no higher than the chart
    spare = page.eval_on_selector_all(
        ".plot", "all => all.map(p => p.clientHeight - p.querySelector('.main-svg').clientHeight)"
    )
    assert max(spare) <= 12
    page.emulate_media(media="screen")
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("#maps details[open]").count() == 1
    assert (
        page.evaluate("document.querySelector('#chart-time').layout.template.layout.font.color") != "#000000"
    )
    assert window.said == []


def test_comparisons_and_boundaries_in_a_browser(window, runs, tmp_path):
    from purecnn.plots import Stages, decision_boundary, write_page

    place, _ = runs
    run("report", place / "one", place / "two", "--output", tmp_path / "c.html")
    network = Network([Dense(2, 3), Sigmoid(), Dense(3, 1)])
    stages = Stages(network, resolution=9)
    network.fit([[0.0, 1.0], [1.0, 0.0]], [[1.0], [0.0]], epochs=2, loss="mse", callbacks=[stages])
    write_page(decision_boundary(stages), tmp_path / "b.html", share=True)
    assert (tmp_path / pages.SHARED).stat().st_size > 1_000_000
    assert (tmp_path / "b.html").stat().st_size < 100_000
    for name, last in (("c.html", "#chart-classes .main-svg"), ("b.html", "#figure canvas")):
        window.open(f"file://{tmp_path / name}", width=390).wait_for_selector(last)
        assert window.asked in ([], [f"file://{tmp_path / pages.SHARED}"])
        assert window.width() == 390
        assert [line for line in window.said if "GPU stall" not in line and "Canvas2D" not in line] == []


def test_numbers_at_the_top_are_those_of_metrics(tmp_path):
    network, x = convolutions(3), RANDOM.integers(0, 256, (40, 1, 12, 12), dtype=np.uint8)
    y = np.arange(40) % 3
    text = words(write_report(network, x, y, tmp_path / "r.html").read_text())
    p = network.predict(x)
    assert f"accuracy {100 * metrics.accuracy(y, p):.2f} %" in text
    assert f"calibration error {100 * metrics.calibration_error(y, p):.2f} %" in text
    assert f"wrong of 40 answers {int((p.argmax(axis=1) != y).sum())}" in text
