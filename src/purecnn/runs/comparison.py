"""Comparison of runs on one page.

Two runs side by side show what a change was worth: settings, curves, classes, and the very pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from purecnn.backend.files import write_whole
from purecnn.datasets.catalog import Sets
from purecnn.metrics.classification import calibration_error, recall
from purecnn.metrics.registry import MAIN, USUAL, formatted, in_words, written
from purecnn.plots.confusions import verdict
from purecnn.plots.curves import history
from purecnn.plots.pages import asset, page, plotly_script
from purecnn.plots.report.answers import answer, cards
from purecnn.plots.report.sections import Section, chart, document, image, numbers, table, text
from purecnn.plots.style import give_room, graph_objects, new_figure, picture_of, plain, short, style
from purecnn.runs.report import FinishedRun, command_of, done, note_of
from purecnn.runs.run import Run

#: Pictures shown for each pair of runs and each way round, at most.
PICTURES = 12


def compare_runs(
    folders: Sequence[Path], output: Path, *, data: str | None = None, threads: int | None = None
) -> Path:
    """Write one page that compares runs; return where.

    Parameters
    ----------
    folders : sequence of Path
        Of two runs or more; the others are compared to the first.
    output : Path
        The file.
    data : str, optional
        Where the data are now, where all runs share them.
    threads : int, optional
        Number of worker threads.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    FileFormatError, FileNotFoundError, ValueError
        As `report.done` raises them, or if there are fewer than two runs.
    """
    if len(folders) < 2:
        raise ValueError(f"two runs or more are wanted to compare, got {len(folders)}")
    script = plotly_script()
    read: dict[tuple[str, int | None, bool], Sets] = {}
    runs = []
    for folder in folders:
        run = Run.recorded(folder)
        asked = data or run.data, run.image_size, run.skip_damaged
        if asked not in read:
            read[asked] = replace(run, data=asked[0]).read()
        runs.append(done(folder, data=data, threads=threads, sets=read[asked]))
    names = named(runs)
    sections = [
        at_a_glance(runs, names),
        settings(runs, names),
        curves(runs, names),
        *((of_classes(runs, names), pictures(runs, names)) if alike(runs) else (apart(runs),)),
        commands(runs, names),
    ]
    title = " and ".join(names) if len(names) == 2 else f"{len(names)} runs compared"
    mains = list(dict.fromkeys(MAIN[one.found.task] for one in runs))
    say = formatted if len(mains) == 1 else in_words
    results = [(MAIN[one.found.task], one.record["result"]) for one in runs]
    top = numbers(
        (name, say(main, result[f"test_{main}"])) for name, (main, result) in zip(names, results, strict=True)
    )
    what = " and ".join(written(name) for name in mains)
    subtitle = f"{what[0].upper()}{what[1:]} on the test set, and what stands behind it"
    body = document("purecnn report", title, subtitle, top, sections)
    write_whole(output, [page(text(title), body, asset("report.css"), script)])
    return output.absolute()


def named(runs: Sequence[FinishedRun]) -> list[str]:
    """Return a name for each run: its folder's, with what is above it where two are alike."""
    short = [one.name for one in runs]
    return [
        name if short.count(name) == 1 else str(one.folder) for name, one in zip(short, runs, strict=True)
    ]


def alike(runs: Sequence[FinishedRun]) -> bool:
    """Return whether the runs answer one question: the same classes of the same samples."""
    first = runs[0]
    return all(
        one.found.are_classes
        and one.found.names == first.found.names
        and one.data["test"] == first.data["test"]
        for one in runs
    )


def apart(runs: Sequence[FinishedRun]) -> Section:
    """Return the section that stands where the runs have other samples or classes."""
    lead = (
        "The runs were tested on other samples, or know other classes or none, so there is no comparison of "
        "classes and pictures."
    )
    return Section("classes", "Class by class", lead)


def at_a_glance(runs: Sequence[FinishedRun], names: Sequence[str]) -> Section:
    """Return the section of the numbers that matter most."""
    rows = []
    kinds = list(dict.fromkeys(kind for one in runs for kind in USUAL[one.found.task]))
    for name, one in zip(names, runs, strict=True):
        result, found = one.record["result"], one.found
        sure = (
            f"{100 * calibration_error(found.truth, found.outputs):.2f} %" if found.are_probabilities else ""
        )
        wrong = f"{int((found.said != found.truth).sum()):,}" if found.are_classes else ""
        rows.append(
            (
                name,
                *(
                    formatted(kind, result[f"test_{kind}"]) if f"test_{kind}" in result else ""
                    for kind in kinds
                ),
                wrong,
                f"{result['test_loss']:.4f}",
                sure,
                f"{found.network.parameters.size:,}",
                f"{found.network.summary().multiply_adds:,}",
                f"{sum(one.history.seconds):.1f} s",
            )
        )
    head = (
        "run",
        *map(written, kinds),
        "wrong",
        "loss",
        "calibration error",
        "parameters",
        "multiply-adds",
        "training",
    )
    lead = "On each run's test set; the time is that of the training alone, on the machine where it ran."
    return Section("glance", "At a glance", lead, table(head, rows))


def settings(runs: Sequence[FinishedRun], names: Sequence[str]) -> Section:
    """Return the section of what differs in what the runs were asked for, their data and machines."""
    given = []
    for one in runs:
        machine = one.record["machines"][-1] if one.record["machines"] else {}
        kept = {
            name: machine.get(name, "unknown") for name in ("purecnn", "python", "numpy", "blas", "processor")
        }
        found = {**one.run.settings(), "commit": one.record["commit"], **kept}
        found |= {f"{name} data, SHA-256": digest[:16] for name, digest in one.record["data"].items()}
        given.append({name: str(value) for name, value in found.items()})
    every = list(dict.fromkeys(name for one in given for name in one))
    differ = [name for name in every if len({one.get(name, "") for one in given}) > 1]
    title = "Settings that differ"
    if not differ:
        return Section("settings", title, "None: recipe, seed, data, commit and machine are the same.")
    rows = [(name.replace("_", " "), *(one.get(name, "") for one in given)) for name in differ]
    same = len(every) - len(differ)
    lead = f"{len(differ)} differ, {same} more are the same in all runs."
    return Section("settings", title, lead, table(("setting", *names), rows, left=1 + len(runs)))


def curves(runs: Sequence[FinishedRun], names: Sequence[str]) -> Section:
    """Return the section of the curves over each other."""
    figure = history({name: one.history for name, one in zip(names, runs, strict=True)}, held_out="test set")
    lead = f"The fainter line of each run, with open marks, is its training set. {note_of(runs[0].record)}"
    return Section("learning", "How they learnt", lead, chart(figure, "chart-learning", lead))


def of_classes(runs: Sequence[FinishedRun], names: Sequence[str]) -> Section:
    """Return the section of each class's recall."""
    plotly, first = graph_objects(), runs[0].found
    count = len(first.names)
    recalls = [recall(one.found.truth, one.found.said, average=None, classes=count) for one in runs]
    figure = new_figure()
    for number, (name, values) in enumerate(zip(names, recalls, strict=True)):
        color, _, symbol = style(number)
        marker = {"color": color, "symbol": symbol, "size": 11, "opacity": 0.85}
        figure.add_trace(
            plotly.Scatter(
                x=values,
                y=list(range(count)),
                mode="markers",
                name=plain(name),
                marker=marker,
                hovertemplate=f"{plain(name)}: %{{x:.2%}}<extra></extra>",
            )
        )
    figure.update_xaxes(title={"text": "recall"}, tickformat=".2~%")
    figure.update_yaxes(tickvals=list(range(count)), ticktext=short(first.names), autorange="reversed")
    give_room(figure, 20 + 8 * min(20, max(map(len, first.names))))
    figure.update_layout(height=140 + max(14, min(30, 900 // count)) * count)
    rows = [
        (
            name,
            *(f"{100 * values[label]:.2f} %" for values in recalls),
            f"{100 * (recalls[-1][label] - recalls[0][label]):+.2f}",
        )
        for label, name in enumerate(first.names)
    ]
    head = ("class", *names, f"{names[-1]} over {names[0]}, points")
    lead = "The share of each class's samples that is found."
    body = chart(figure, "chart-classes", f"{lead} One mark for each run and class.") + table(head, rows)
    return Section("classes", "Class by class", lead, body)


def pictures(runs: Sequence[FinishedRun], names: Sequence[str]) -> Section:
    """Return the section of the samples that one run has right and another wrong."""
    first, body = runs[0], ""
    for name, other in zip(names[1:], runs[1:], strict=True):
        pair = ((names[0], first), (name, other))
        right = [one.found.said == one.found.truth for _, one in pair]
        both, neither = int((right[0] & right[1]).sum()), int((~right[0] & ~right[1]).sum())
        rows = [
            (f"both, {names[0]} and {name}, right", f"{both:,}"),
            (f"{names[0]} alone right", f"{int((right[0] & ~right[1]).sum()):,}"),
            (f"{name} alone right", f"{int((right[1] & ~right[0]).sum()):,}"),
            ("both wrong", f"{neither:,}"),
        ]
        body += table(("answers", "samples"), rows)
        for (winner, won), (loser, lost) in (pair, pair[::-1]):
            places = np.flatnonzero(
                (won.found.said == won.found.truth) & (lost.found.said != lost.found.truth)
            )
            # those first in which the one is surest and the other most wrong
            order = np.argsort(won.found.errors()[places] - lost.found.errors()[places], kind="stable")
            body += (
                f"<h3>{text(winner)} right, {text(loser)} wrong <small>{len(places):,} samples</small></h3>"
            )
            body += shown(places[order][:PICTURES].tolist(), (winner, won), (loser, lost))
    lead = "Where only one of two runs is right, the samples on which they differ most."
    return Section("pictures", "One right, the other wrong", lead, body)


def shown(places: Sequence[int], *sides: tuple[str, FinishedRun]) -> str:
    """Return samples with what both runs say of them."""
    found = sides[0][1].found
    if not len(places):
        return '<p class="note">There is none.</p>'
    if not found.are_images:
        rows = [(f"{number:,}", *(verdict(one.found, number) for _, one in sides)) for number in places]
        return table(("sample", *(name for name, _ in sides)), rows, left=3)
    made = []
    for number in places:
        lines = "".join(answer(one.found, number, "says", name) for name, one in sides)
        picture = image(
            picture_of(found.sample(number)), alt=f"sample {number}, {found.names[found.truth[number]]}"
        )
        made.append(
            f'<figure class="card">{picture}<figcaption>{lines}<p class="where">sample {number:,}</p>'
            "</figcaption></figure>"
        )
    return cards(made)


def commands(runs: Sequence[FinishedRun], names: Sequence[str]) -> Section:
    """Return the section of the commands."""
    lines = "\n".join(f"{text(command_of(one.run))}" for one in runs)
    lead = "The commands, in this order: " + ", ".join(names) + "."
    return Section("repeat", "How to do them again", lead, f"<pre>{lines}</pre>")
