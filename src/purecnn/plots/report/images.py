"""Report sections on answers that are images: pictures beside their masks, or beside what is made of them."""

from __future__ import annotations

import numpy as np

from purecnn.inspection.answers import Answers
from purecnn.metrics.registry import in_words
from purecnn.metrics.segmentation import overlap, pixel_confusion_matrix
from purecnn.plots.answer_images import HEADS, class_colors, three
from purecnn.plots.confusions import confusion_matrix, verdict
from purecnn.plots.report.sections import Section, chart, image, table, text

#: Samples that are shown of each kind.
SHOWN = 6


def sections(found: Answers) -> list[Section]:
    """Return the sections on the answers, in order."""
    shown = found.evenly_spread(SHOWN)
    measured = ", ".join(in_words(name, value) for name, value in found.measured().items())
    measured = f"Of all samples: {measured}."
    if not found.are_maps:
        lead = f"A few samples: each picture, the image that is wanted, and the answer. {measured}"
        first = Section("answers", "Wanted and answered", lead, beside(found, shown))
        return [first, worst(found)]
    lead = (
        f"A few samples: each picture, its true mask, grey where no pixel counts, and the answer. {measured}"
    )
    first = Section("answers", "Masks", lead, legend(found) + beside(found, shown))
    return [first, confusions(found), classes(found), worst(found)]


def legend(found: Answers) -> str:
    """Return the names of the classes beside their colours."""
    colors = class_colors(len(found.names))[:, np.newaxis, np.newaxis]
    pairs = zip(colors, found.names, strict=True)
    named = (f"{image(color, width=14)} {text(name)}" for color, name in pairs)
    return f'<p class="note">{" &nbsp; ".join(named)}</p>'


def beside(found: Answers, numbers: np.ndarray) -> str:
    """Return samples, each as three images beside each other with a few words below."""
    figures = ""
    for number in map(int, numbers):
        images = "".join(
            f"<div>{image(shown)}{head}</div>"
            for shown, head in zip(three(found, number), HEADS, strict=True)
        )
        words = text(f"sample {number:,}: {verdict(found, number)}")
        figures += (
            f'<figure class="sample"><div class="three" role="img" aria-label="{words}">{images}</div>'
            f"<figcaption>{words}</figcaption></figure>"
        )
    return f'<div class="samples">{figures}</div>'


def confusions(found: Answers) -> Section:
    """Return the section of the confusion matrix of pixels."""
    counted = found.counted
    title = "What it takes for what"
    if not counted.any():
        return Section("confusions", title, "No pixel of these samples counts.")
    figure = confusion_matrix(found.truth[counted], found.said[counted], names=found.names)
    lead = (
        f"Each row is a true class, each column an answer, in pixels: {int(counted.sum()):,} of them count. "
        f"The fuller the colour of a cell, the larger its share of the row."
    )
    kind = "square" if len(found.names) <= 15 else "square wide"
    words = f"Confusion matrix of {len(found.names)} classes of pixels"
    body = chart(figure, "chart-confusions", words, kind)
    return Section("confusions", title, lead, body)


def classes(found: Answers) -> Section:
    """Return the section of the table of classes."""
    counts = pixel_confusion_matrix(found.truth, found.outputs, ignore_label=found.ignore_label)
    columns = overlap(counts, None, 1), overlap(counts, None, 2)
    rows = [
        (name, *("" if np.isnan(value) else f"{value:.4f}" for value in values), f"{int(pixels):,}")
        for name, pixels, *values in zip(found.names, counts.sum(axis=1), *columns, strict=True)
    ]
    means = (overlap(counts, "macro", weight) for weight in (1, 2))
    total = ("mean", *(f"{value:.4f}" for value in means), f"{int(counts.sum()):,}")
    lead = (
        "IoU: the pixels of the class that are found, over those that have it or are taken for it. Dice: "
        "twice the pixels found, over those that have it and those taken for it."
    )
    head = ("class", "IoU", "Dice", "pixels")
    return Section("classes", "Class by class", lead, table(head, [*rows, total], totals=1))


def worst(found: Answers) -> Section:
    """Return the section of the worst answers."""
    title, numbers = "The worst answers", found.worst(SHOWN)
    if not len(numbers):
        return Section("mistakes", title, "There is none: every pixel that counts is right.")
    lead = (
        "The samples whose pixels are right least often."
        if found.are_maps
        else "The samples whose answers are furthest from what is wanted."
    )
    return Section("mistakes", title, lead, beside(found, numbers))
