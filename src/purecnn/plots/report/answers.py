"""Report sections on a network's answers.

The sections of a report on what a network answers: how it learnt to, what it confuses, how sure it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from purecnn.callbacks.history import History
from purecnn.inspection.answers import Answers
from purecnn.metrics.class_tables import class_table
from purecnn.metrics.classification import calibration_error
from purecnn.metrics.registry import METRICS, USUAL, formatted, in_words, written
from purecnn.plots.confusions import confused, confusion_matrix, score, verdict
from purecnn.plots.curves import calibration, curves_of, history
from purecnn.plots.report.sections import Section, bar, chart, image, table, text
from purecnn.plots.style import COLORS, MIDDLE, give_room, graph_objects, new_figure, picture_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


#: Mistakes that are shown at most.
MISTAKES = 24
#: Confusions that are listed at most.
CONFUSIONS = 8


def learning(measured: History | None, held_out: str, note: str = "") -> Section:
    """Return the section of the curves."""
    title = "How it learnt"
    if measured is None or not curves_of(measured):
        return Section("learning", title, "No history of the training was given, so there are no curves.")
    figure = history(measured, held_out=held_out)
    epochs = max(map(len, curves_of(measured).values()))
    lead = (
        f"Loss and metrics after each of {epochs} epochs, on the samples that it learns from and on others. "
        "Where the two curves part, it learns by heart."
    )
    body = chart(figure, "chart-learning", f"Curves over {epochs} epochs: {measured.line()}")
    return Section("learning", title, lead, body + (f'<p class="note">{text(note)}</p>' if note else ""))


def confusions(found: Answers) -> Section:
    """Return the section of the confusion matrix."""
    title = "What it takes for what"
    if found.task == "multilabel":
        return counts(found)
    if not found.are_classes:
        return values(found)
    pairs = confused(found.truth, found.said, found.outputs.shape[1])
    wrong = sum(count for _, _, count in pairs)
    figure = confusion_matrix(found.truth, found.said, names=found.names)
    lead = (
        f"Each row is a true class, each column an answer. {wrong:,} of {len(found):,} answers are wrong; "
        "the fuller the colour of a cell, the larger its share of the row."
    )
    most = ", ".join(
        f"{found.names[true]} for {found.names[said]} ({count})" for true, said, count in pairs[:3]
    )
    kind = "square" if len(found.names) <= 15 else "square wide"
    body = chart(
        figure,
        "chart-confusions",
        f"Confusion matrix of {len(found.names)} classes. Most often: {most}",
        kind,
    )
    if pairs:
        rows = [
            (
                found.names[true],
                found.names[said],
                f"{count:,}",
                f"{100 * count / np.sum(found.truth == true):.2f} %",
            )
            for true, said, count in pairs[:CONFUSIONS]
        ]
        body += "<h3>Most frequent confusions</h3>" + table(
            ("what it is", "what the network says", "how often", "share of the class"), rows, left=2
        )
    return Section("confusions", title, lead, body)


def values(found: Answers) -> Section:
    """Return the section that stands in its place where the answers are values: predicted against true.

    Below it lies what is left between the two, the residuals, and the errors of each output.
    """
    plotly = graph_objects()
    figure = new_figure()
    outputs = min(found.truth.shape[1], len(COLORS))
    shown = found.evenly_spread(2000)
    for place in range(outputs):
        figure.add_trace(
            plotly.Scatter(
                x=found.truth[shown, place],
                y=found.outputs[shown, place],
                mode="markers",
                name=f"output {text(found.names[place])}",
                marker={"color": COLORS[place], "size": 6, "opacity": 0.65},
                hovertemplate="true %{x:.4g}<br>predicted %{y:.4g}<extra></extra>",
            )
        )
    ends = [float(found.truth.min()), float(found.truth.max())]
    line = {"color": MIDDLE, "dash": "dash"}
    figure.add_trace(plotly.Scatter(x=ends, y=ends, mode="lines", line=line, name="predicted as true"))
    figure.update_xaxes(title={"text": "true"})
    figure.update_yaxes(title={"text": "predicted"})
    figure.update_layout(height=440)
    give_room(figure)
    measured = ", ".join(in_words(name, value) for name, value in found.measured().items())
    lead = (
        "The answers are values, not classes: each point is a sample, its true value across and the "
        f"predicted one upwards. {measured}."
    )
    body = chart(figure, "chart-answers", lead)
    body += f"<h3>Residuals</h3>{chart(residuals(found, outputs), 'chart-residuals', 'Predicted less true')}"
    rows = [
        (found.names[place], *(shown_value(name, found, place) for name in USUAL["regression"]))
        for place in range(found.truth.shape[1])
    ]
    body += table(("output", *map(written, USUAL["regression"])), rows)
    return Section("answers", "Predicted and true", lead, body)


def shown_value(name: str, found: Answers, place: int) -> str:
    """Return a metric of one output alone."""
    return formatted(name, METRICS["regression"][name](found.truth[:, place], found.outputs[:, place]))


def residuals(found: Answers, outputs: int) -> Figure:
    """Draw how often the prediction is so much above the true value."""
    figure = new_figure(barmode="overlay")
    for place in range(outputs):
        counted, edges = np.histogram(found.outputs[:, place] - found.truth[:, place], bins=40)
        figure.add_trace(
            graph_objects().Bar(
                x=(edges[1:] + edges[:-1]) / 2,
                y=counted,
                width=np.diff(edges),
                name=f"output {text(found.names[place])}",
                marker={"color": COLORS[place], "opacity": 0.65},
                hovertemplate="%{x:.4g}: %{y:,} samples<extra></extra>",
            )
        )
    figure.update_xaxes(title={"text": "predicted less true"})
    figure.update_yaxes(title={"text": "samples"})
    figure.update_layout(height=320)
    give_room(figure)
    return figure


def counts(found: Answers) -> Section:
    """Return the section that stands in its place where a sample has several labels: how many are missed."""
    said, true = found.said, found.truth > 0.5
    wrong = int((said != true).any(axis=1).sum())
    rows = [
        (name, *(f"{int(count):,}" for count in numbers))
        for name, *numbers in zip(
            found.names,
            (said & true).sum(axis=0),
            (~said & true).sum(axis=0),
            (said & ~true).sum(axis=0),
            (~said & ~true).sum(axis=0),
            strict=True,
        )
    ]
    lead = (
        f"Each label is a question of its own. {wrong:,} of {len(found):,} samples have a label that is "
        "missed, or one too many."
    )
    head = ("label", "found", "missed", "too many", "rightly not given")
    return Section("confusions", "What it finds and misses", lead, table(head, rows))


def classes(found: Answers) -> Section:
    """Return the section of the table of classes."""
    title = "Class by class"
    if found.task == "multilabel":
        return labels(found)
    if not found.are_classes:
        return Section("classes", title, "The answers are values, so there is no table of classes.")
    known = class_table(found.truth, found.said, names=found.names)
    rows = [
        (name, f"{p:.4f}", f"{r:.4f}", f"{f:.4f}", f"{n:,}")
        for name, p, r, f, n in zip(
            known.names, known.precision, known.recall, known.f1, known.support, strict=True
        )
    ]
    averages = [
        (f"{name} average", *(f"{value:.4f}" for value in three), f"{known.support.sum():,}")
        for name, three in known.averages.items()
    ]
    lead = (
        "Precision: of the answers that name the class, the share that is right. Recall: of the samples that "
        "are of the class, the share that is found. F1: the harmonic mean of both."
    )
    head = ("class", "precision", "recall", "F1", "samples")
    return Section("classes", title, lead, table(head, [*rows, *averages], totals=len(averages)))


def labels(found: Answers) -> Section:
    """Return the section of the table of labels."""
    lead = (
        "Precision: of the samples that are given the label, the share that has it. Recall: of the samples "
        "that have it, the share that is given it. F1: the harmonic mean of both. Accuracy: the share of "
        "samples that are right about it."
    )
    metrics = METRICS["multilabel"]
    kinds = ("accuracy", "precision", "recall", "f1")
    columns = [metrics[f"{kind}_per_label"](found.truth, found.outputs) for kind in kinds]
    rows = [
        (name, *(f"{value:.4f}" for value in values), f"{int(support):,}")
        for name, support, *values in zip(found.names, found.truth.sum(axis=0), *columns, strict=True)
    ]
    mean = ("mean", *(f"{np.mean(column):.4f}" for column in columns), f"{int(found.truth.sum()):,}")
    head = ("label", "accuracy", "precision", "recall", "F1", "samples")
    return Section("classes", "Label by label", lead, table(head, [*rows, mean], totals=1))


def sureness(found: Answers) -> Section:
    """Return the section of the calibration."""
    title = "How sure it is"
    if not found.are_classes:
        return Section(
            "calibration", title, "The answers are values, so there is no confidence to calibrate."
        )
    if not found.are_probabilities:
        return Section(
            "calibration",
            title,
            "The scores are no probabilities, from 0 to 1 and summing to 1 for each sample, so there is no "
            "confidence to calibrate.",
        )
    error = calibration_error(found.truth, found.outputs)
    mean = float(found.outputs.max(axis=1).mean())
    hits = float(np.mean(found.said == found.truth))
    word = "surer than it should be" if mean > hits else "less sure than it could be"
    lead = (
        f"It is right in {100 * hits:.2f} % and on average {100 * mean:.2f} % sure, {word}. Over 15 bins of "
        f"confidence the two differ by {100 * error:.2f} points, the expected calibration error (ECE)."
    )
    figure = calibration(found.truth, found.outputs)
    figure.update_layout(title={"text": ""}, margin={"t": 14})
    return Section(
        "calibration", title, lead, chart(figure, "chart-calibration", f"Reliability diagram. {lead}")
    )


def mistakes(found: Answers) -> Section:
    """Return the section of the worst mistakes."""
    title = "The worst mistakes"
    worst = found.worst(MISTAKES)
    if not len(worst):
        return Section("mistakes", title, f"There is none: all {len(found):,} answers are right.")
    if not found.are_images:
        rows = [(f"{number:,}", verdict(found, number)) for number in worst]
        lead = "The samples are no pictures; these are the numbers of those that it is most wrong about."
        return Section("mistakes", title, lead, table(("sample", "verdict"), rows, left=2))
    lead = (
        "The samples where the wrong answer is furthest ahead of the right one: each with the score of what "
        "the network says and of what is true."
        if found.are_classes
        else "The samples whose probabilities are furthest from their labels."
        if found.task == "multilabel"
        else "The samples whose predicted values are furthest from the true ones."
    )
    return Section("mistakes", title, lead, cards([card(found, number) for number in worst]))


def cards(figures: list[str]) -> str:
    """Return pictures with words below them, side by side."""
    return f'<div class="cards">{"".join(figures)}</div>'


def card(found: Answers, number: int) -> str:
    """Return one sample's picture and what is said of it."""
    picture = image(picture_of(found.sample(number)), alt=f"sample {number}: {verdict(found, number)}")
    if found.are_classes:
        lines = "".join(answer(found, number, kind) for kind in ("says", "is"))
    else:
        lines = f"<p>{text(verdict(found, number))}</p>"
    return (
        f'<figure class="card">{picture}<figcaption>{lines}<p class="where">sample {number:,}</p>'
        "</figcaption></figure>"
    )


def answer(found: Answers, number: int, kind: str, who: str = "") -> str:
    """Return one line of a card, and its bar: what the network "says", or what it "is"; `who` says so."""
    label = int((found.said if kind == "says" else found.truth)[number])
    share = bar(float(found.outputs[number, label]), "wrong" if label != found.truth[number] else "")
    above = f'<p class="who">{text(who)}</p>' if who else ""
    return (
        f"{above}<p><span>{kind} <b>{text(found.names[label])}</b></span>"
        f"<span>{score(found, number, label)}</span></p>{share}"
    )
