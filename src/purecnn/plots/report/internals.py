"""Report sections on what goes on inside a network.

The sections of a report on what goes on inside a network: kernels, maps, what counts, where time goes.
"""

from __future__ import annotations

import numpy as np

from purecnn.backend.types import Array
from purecnn.inspection.answers import Answers
from purecnn.inspection.attribution import explained, grad_cam_maps, last_maps, saliency_maps
from purecnn.inspection.projections import pca, penultimate, tsne
from purecnn.inspection.timing import time_layers
from purecnn.inspection.traces import LayerTrace, trace
from purecnn.layers.base import Layer
from purecnn.layers.summaries import written
from purecnn.networks.network import Network
from purecnn.plots.colors import colored
from purecnn.plots.confusions import verdict
from purecnn.plots.maps import with_weights
from purecnn.plots.projections import points_figure, values_figure
from purecnn.plots.report.sections import Section, chart, image, table, text, tiles
from purecnn.plots.style import mosaic, picture_of
from purecnn.plots.timing import times_figure

#: How much is shown at most: kernels or maps of a layer, inputs of a kernel, samples of an embedding.
TILES, INPUTS, POINTS = 32, 64, 400


def chosen_samples(found: Answers) -> dict[int, str]:
    """Return a few samples by their numbers, and why: the surest right one, the least sure, the worst."""
    errors = found.errors()
    if not found.are_classes:
        order = np.argsort(errors, kind="stable")
        picks = [(order[0], "best"), (order[len(order) // 2], "middling"), (order[-1], "worst")]
    else:
        right = np.flatnonzero(found.said == found.truth)
        sorted_ = np.sort(found.outputs, axis=1)
        lead = sorted_[:, -1] - sorted_[:, -2]
        picks = []
        if len(right):
            picks = [
                (right[lead[right].argmax()], "surely right"),
                (right[lead[right].argmin()], "barely right"),
            ]
        picks += [(number, "most wrong") for number in found.worst(1)]
    return {int(number): reason for number, reason in reversed(picks)}


def layers(network: Network) -> Section:
    """Return the section of the network's layers."""
    size = network.summary()
    lead = (
        f"{len(network)} layers, {size.parameters:,} parameters of {network.dtype}, {size.multiply_adds:,} "
        "multiply-adds for each sample."
    )
    head, *rest = size.lines()
    return Section(
        "layers", "The network", lead, table(head, rest, left=2, totals=len(rest) + 1 - size.bottom)
    )


def kernels(network: Network) -> Section:
    """Return the section of what each layer looks for."""
    found = with_weights(network)
    title = "What it looks for"
    if not found:
        return Section(
            "kernels", title, "No layer has kernels, or sees pictures themselves, so there are none to show."
        )
    lead = (
        "The weights that each output of a layer multiplies its window by: orange above zero, blue below it, "
        "the darker the further."
    )
    return Section("kernels", title, lead, "".join(kernels_of(n, *pair) for n, pair in found.items()))


def kernels_of(name: str, layer: Layer, weights: Array) -> str:
    """Return one layer's kernels: in colour of three inputs, else each output's inputs beside each other."""
    outputs, inputs = weights.shape[:2]
    shown = weights[:TILES, :INPUTS]
    reach = float(np.abs(shown).max()) or 1.0
    size = f"{outputs} kernels of {inputs} x {written(weights.shape[2:])}"
    some = "" if shown.shape == weights.shape else f", {len(shown)} of them shown"
    head = f"<h3>{text(name)} {type(layer).__name__} <small>{size}{some}</small></h3>"
    if inputs == 3:
        pictures = [0.5 + kernel.transpose(1, 2, 0) / (2 * reach) for kernel in shown]
        return head + tiles(pictures, f"Kernels of layer {name}, in colour", width=64)
    pictures = [mosaic(list(kernel))[0] for kernel in shown]
    width = 64 if inputs == 1 else min(150, 9 * pictures[0].shape[1])
    return head + tiles(pictures, f"Kernels of layer {name}", reach=reach, width=width, apart=inputs > 1)


def maps(found: Answers) -> Section:
    """Return the section of what each layer makes of a few samples."""
    title = "What each layer makes of it"
    if not found.are_images:
        return Section("maps", title, "The samples are no pictures, so there are no feature maps.")
    chosen = chosen_samples(found)
    passed = trace(found.network, found.samples(list(chosen)))
    lead = (
        "What leaves each layer, map by map, orange above zero and blue below it, the darker the further, "
        "for a few samples; a click opens one."
    )
    body = ""
    for place, (number, reason) in enumerate(chosen.items()):
        picture = image(picture_of(found.sample(number)), width=56)
        head = f"<span><b>{reason}</b>: sample {number:,}<br>{text(verdict(found, number))}</span>"
        steps = "".join(layer_maps(one, place) for one in passed)
        state = "" if place else " open"
        body += f"<details{state}><summary>{picture}{head}</summary><div>{steps}</div></details>"
    return Section("maps", title, lead, body)


def layer_maps(passed: LayerTrace, sample: int) -> str:
    """Return what one layer gave."""
    output = passed.output[sample]
    name = f"{passed.name} {type(passed.layer).__name__}"
    some = f", {TILES} of {len(output)} shown" if output.ndim == 3 and len(output) > TILES else ""
    head = f"<h3>{text(name)} <small>{written(output.shape)}{some}</small></h3>"
    if output.ndim == 3:
        width = 64 if output.shape[2] >= 8 else 40
        return head + tiles(list(output[:TILES]), f"Output of {name}", width=width)
    flat = output.reshape(-1)
    if flat.size > 512:
        ends = f"{flat.min():.3g} to {flat.max():.3g}"
        return f'{head}<p class="note">A long vector: {flat.size:,} values from {ends}.</p>'
    columns = min(flat.size, 32)
    rows = np.full((-(-flat.size // columns), columns), np.nan)
    rows.reshape(-1)[: flat.size] = flat
    return head + tiles([rows], f"Output of {name}: {flat.size} values", width=min(480, 14 * columns))


def attention(found: Answers) -> Section:
    """Return the section of saliency and Grad-CAM."""
    title = "What its answers hang on"
    if not found.are_images:
        return Section("saliency", title, "The samples are no pictures, so there is no map of their pixels.")
    if found.network.output_shape is None or len(found.network.output_shape) != 1:
        return Section("saliency", title, "The output is no vector, so no one score can be followed back.")
    chosen = list(dict.fromkeys([*chosen_samples(found), *found.worst(4)]))
    passed, pictures, _, signs = explained(found.network, found.samples(chosen), found.leading[chosen])
    saliencies, has_maps = saliency_maps(passed), last_maps(passed) is not None
    cams = grad_cam_maps(passed, None, signs) if has_maps else [None] * len(chosen)
    about = {
        "classification": "For the answer given, not the true one.",
        "multilabel": "For the most probable label.",
        "regression": f"For the value of the output {found.names[0]}.",
    }[found.task]
    lead = (
        f"{about} Saliency: by how much the score would change with each "
        "pixel. Grad-CAM: where the maps of the last convolution speak for the answer, laid over the picture."
    )
    figures = ""
    for number, sample, map_, cam in zip(chosen, pictures, saliencies, cams, strict=True):
        shown = picture_of(sample)
        trio = (
            f"<div>{image(shown)}picture</div><div>{image(colored(map_, 0, float(map_.max())))}saliency</div>"
        )
        if cam is not None:
            trio += f"<div>{image(laid_over(shown, cam))}Grad-CAM</div>"
        words = text(verdict(found, number))
        label = f"Sample {number}, its saliency{' and its Grad-CAM' if has_maps else ''}: {words}"
        figures += (
            f'<figure class="sample"><div class="three" role="img" aria-label="{label}">{trio}</div>'
            f"<figcaption>{words}</figcaption></figure>"
        )
    note = "" if has_maps else '<p class="note">Without feature maps there is no Grad-CAM.</p>'
    return Section("saliency", title, lead, f'<div class="samples">{figures}</div>{note}')


def laid_over(picture: Array, map_: Array) -> Array:
    """Return a map's colours with a picture shining through."""
    grey = picture if picture.ndim == 3 else np.repeat(picture[..., np.newaxis], 3, axis=2)
    return 0.4 * grey + 0.6 * colored(map_, 0, 1)[..., :3]


def apart(found: Answers) -> Section:
    """Return the section of the embedding."""
    title = "What it keeps apart"
    count = min(len(found), POINTS)
    if count < 3:
        return Section("embedding", title, "Of fewer than three samples there is no picture to make.")
    rows = found.evenly_spread(count)
    inputs = penultimate(found.network, found.samples(rows))
    points, shares = pca(inputs)
    axes = [f"component {n}, {100 * share:.0f} % of the variance" for n, share in enumerate(shares, 1)]
    lead = (
        f"What enters the last layer with parameters, {inputs.shape[1]:,} numbers a sample, of {count:,} "
        "samples in two dimensions: along the two directions in which they vary most (PCA), and with near "
        "ones near each other (t-SNE, whose distances between groups mean nothing)."
    )
    pair = [
        ("pca", "Principal components", points, axes),
        ("tsne", "t-SNE", tsne(inputs, steps=350), ("", "")),
    ]
    body = ""
    for name, head, places, ends in pair:
        if found.are_classes:
            figure = points_figure(places, found.truth[rows], found.names, ends)
        else:
            several = found.task == "multilabel"
            colors = found.truth[rows].sum(axis=1) if several else found.truth[rows, 0]
            figure = values_figure(places, colors, ends, "labels" if several else "wanted")
        block = chart(figure, f"chart-{name}", f"{head} of {count} samples", "square")
        body += f"<div><h3>{head}</h3>{block}</div>"
    return Section("embedding", title, lead, f'<div class="pair">{body}</div>')


def time_spent(found: Answers) -> Section:
    """Return the section of the time by layer."""
    count = min(len(found), 128)
    times = time_layers(found.network, found.samples(np.arange(count)))
    forward, backward = (sum(getattr(one, way) for one in times) for way in ("forward", "backward"))
    slowest = max(times, key=lambda one: one.forward + one.backward)
    share = f"{100 * (slowest.forward + slowest.backward) / max(forward + backward, 1e-12):.0f} %"
    lead = (
        f"A batch of {count:,} takes {1e3 * forward:.2f} ms forward and {1e3 * backward:.2f} ms backward on "
        f"one thread of this machine, the median of several; {share} of it in {slowest.name}. "
        "What runs as one step stands in one row."
    )
    figure = times_figure(times, count)
    return Section("time", "Where the time goes", lead, chart(figure, "chart-time", lead))
