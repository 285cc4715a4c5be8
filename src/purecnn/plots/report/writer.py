"""The report on a network: one HTML page.

One page that tells all about a trained network: opened offline, read on a screen, a telephone or paper.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from purecnn.backend import digests, environment
from purecnn.backend.checks import file_name
from purecnn.backend.files import write_whole
from purecnn.callbacks.history import History
from purecnn.inspection.answers import Answers, find
from purecnn.layers.base import Layer
from purecnn.losses.base import Loss, LossFunction
from purecnn.messages.signatures import explained
from purecnn.metrics.classification import calibration_error
from purecnn.metrics.registry import formatted, written
from purecnn.networks.network import Network
from purecnn.plots.pages import asset, page, plotly_script
from purecnn.plots.report import answers, images, internals
from purecnn.plots.report.sections import Section, document, facts, numbers, text


@explained
def write_report(
    network: Network | Sequence[Layer],
    x: Any,
    y: Any = None,
    path: str | os.PathLike[str] = "report.html",
    *,
    history: History | None = None,
    loss: str | Loss | LossFunction | None = None,
    names: Sequence[str] = (),
    title: str = "A network",
    subtitle: str = "",
    threads: int | None = None,
    ignore_label: int | None = None,
) -> Path:
    """Write a report on a network as one HTML file that opens offline (about 6 MB).

    It shows the curves of the training, what the network confuses, how good it is at each class and how sure,
    or at each label, or its values against the true ones, or pictures beside the masks or images that are
    true and those that it answers with, the worst mistakes, kernels, feature maps, saliency and Grad-CAM, an
    embedding, the time by layer, and what was used. What does not apply to the network or the data is left
    out with one sentence.

    Parameters
    ----------
    network : Network or list of Layer
        Trained.
    x, y : array_like
        Samples that it has not learnt from, and their answers, as `Network.evaluate` takes them.
    path : str or os.PathLike
        The file; an existing one is overwritten.
    history : History, optional
        What `fit` returned.
    loss : str, Loss or callable, optional
        As `Network.evaluate` takes it.
    names : sequence of str
        Of the classes; those of the preprocessing, or numbers, if left out.
    title, subtitle : str
        Plain text at the top.
    threads : int, optional
        Number of worker threads.
    ignore_label : int, optional
        As `Network.evaluate` takes it.

    Returns
    -------
    pathlib.Path
        The file's absolute path.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    ValueError, TypeError, ShapeError
        As `Network.evaluate` raises them.
    OSError
        If the file can't be written.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from purecnn.networks import dense
    >>> x, y = np.zeros((4, 6, 6), np.uint8), [0, 1, 0, 1]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_report(dense((1, 6, 6), 2), x, y, f"{folder}/report.html").stat().st_size < 8_000_000
    True
    """
    plotly_script()  # better to fail before all the work than behind it
    found = find(network, x, y, loss=loss, names=names, threads=threads, ignore_label=ignore_label)
    machine = environment.machine()
    used = [
        ("seed", found.network.seed),
        ("epochs trained", f"{found.network.epochs:,}"),
        ("parameters", f"{digests.digest(found.network.parameters)} (SHA-256)"),
        ("samples and answers", f"{digests.digest(found.rows, found.truth)} (SHA-256)"),
        ("commit of purecnn", environment.commit() or "not known"),
        *of_machine(machine),
    ]
    lead = "What this report was made with: the network's own seed, checksums, versions and the machine."
    last = Section("repeat", "What was used", lead, facts(used))
    loss_found = found.network.evaluate(x, y, loss=loss, threads=threads, ignore_label=ignore_label)["loss"]
    return write_sections(
        path, found, loss_found, history, last, title=title, subtitle=subtitle, held_out="validation set"
    )


def of_machine(machine: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Return a machine's record as pairs of words."""
    for name, value in machine.items():
        yield name, " ".join(map(str, value)) if isinstance(value, list) else str(value)


def write_sections(
    path: str | os.PathLike[str],
    found: Answers,
    loss: float,
    history: History | None,
    last: Section,
    *,
    title: str,
    subtitle: str,
    held_out: str,
    note: str = "",
    more: Iterable[tuple[str, str]] = (),
) -> Path:
    """Write the report of what was found.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    found : Answers
        The network's answers.
    loss : float
        On these samples.
    history : History or None
        The curves.
    last : Section
        What it takes to repeat it.
    title, subtitle : str
        Plain text.
    held_out : str
        What the samples are called beside the training set.
    note : str
        Below the curves.
    more : iterable of (str, str)
        Numbers that belong to the top.
    """
    network = found.network
    sections = [
        answers.learning(history, held_out, note),
        *(images.sections(found) if found.answers_are_images else of_answers(found)),
        internals.layers(network),
        internals.kernels(network),
        internals.maps(found),
        internals.attention(found),
        *([] if found.answers_are_images else [internals.apart(found)]),
        internals.time_spent(found),
        last,
    ]
    body = document("purecnn report", title, subtitle, numbers([*at_a_glance(found, loss), *more]), sections)
    file = Path(file_name(path)).absolute()
    write_whole(file, [page(text(title), body, asset("report.css"), plotly_script())])
    return file


def of_answers(found: Answers) -> list[Section]:
    """Return the sections on answers that are no images."""
    return [
        answers.confusions(found),
        *([answers.classes(found)] if found.task != "regression" else []),
        *([answers.sureness(found)] if found.are_classes else []),
        answers.mistakes(found),
    ]


def at_a_glance(found: Answers, loss: float) -> list[tuple[str, str]]:
    """Return the numbers that matter most."""
    size = ("parameters", f"{found.network.parameters.size:,}")
    if not found.are_classes:
        measured = [(written(name), formatted(name, value)) for name, value in found.measured().items()]
        return [*measured, ("loss", f"{loss:.4g}"), ("samples", f"{len(found):,}"), size]
    right = int((found.said == found.truth).sum())
    shown = [
        ("accuracy", f"{100 * right / len(found):.2f} %"),
        ("loss", f"{loss:.4g}"),
        (f"wrong of {len(found):,} answers", f"{len(found) - right:,}"),
        size,
    ]
    if found.are_probabilities:
        shown.insert(3, ("calibration error", f"{100 * calibration_error(found.truth, found.outputs):.2f} %"))
    return shown
