"""The plots: what they draw is what trace, metrics and History hold, whatever the network."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from helpers.browser import Window, chromium
from purecnn import (
    Convolutional,
    Dense,
    Flatten,
    History,
    MaxPooling,
    Network,
    ReLU,
    Residual,
    ShapeError,
    Sigmoid,
    Softmax,
    Tanh,
    metrics,
    plots,
    trace,
)
from purecnn.callbacks.evaluations import Evaluations
from purecnn.errors import MissingExtraError
from purecnn.formats.png_writer import address, png
from purecnn.inspection import find, grad_cam_maps, pca, saliency_maps, time_layers, tsne
from purecnn.inspection.attribution import last_maps, stretch
from purecnn.inspection.projections import penultimate
from purecnn.plots.colors import colored
from purecnn.plots.confusions import confused, verdict
from purecnn.plots.maps import with_weights
from purecnn.plots.style import mosaic, picture_of
from purecnn.plots.timing import times_figure

RANDOM = np.random.default_rng(0)


def small(channels=1, classes=3, size=8):
    layers = [Convolutional(kernel_size=3, depth=4), ReLU(), MaxPooling(2), Flatten()]
    return Network([*layers, Dense(output_size=classes), Softmax()], input_shape=(channels, size, size))


def pictures(count=6, channels=1, size=8):
    return RANDOM.integers(0, 256, (count, channels, size, size), dtype=np.uint8)


def tile(figure, place, shape, columns, trace=0):
    """Return one picture out of a figure's mosaic."""
    row, column = divmod(place, columns)
    top, left = row * (shape[0] + 1), column * (shape[1] + 1)
    return figure.data[trace].z[top : top + shape[0], left : left + shape[1]]


# --- history, calibration, confusion matrix -----------------------------------------------------------------


def test_history_draws_both_sets_of_each_thing_measured():
    known = History(
        loss=[0.9, 0.5],
        validation_loss=[1.0, 0.6],
        validation_accuracy=[0.5, 0.7],
        seconds=[1.0, 1.0],
        metrics={"accuracy": [0.6, 0.8], "confusion_matrix": [[[1]], [[1]]]},
    )
    figure = plots.history(known)
    assert [(line.name, list(line.y), line.yaxis) for line in figure.data] == [
        ("training set", [0.9, 0.5], "y"),
        ("validation set", [1.0, 0.6], "y"),
        ("training set", [0.6, 0.8], "y2"),
        ("validation set", [0.5, 0.7], "y2"),
    ]
    assert [line.showlegend for line in figure.data] == [True, True, False, False]
    # told apart without their colours
    assert len({(line.line.dash, line.marker.symbol) for line in figure.data}) == 2


def test_histories_lie_over_each_other():
    figure = plots.history({"<a>": History(loss=[1.0]), "b": History(loss=[2.0, 1.0])}, title="both")
    assert [line.name for line in figure.data] == ["&lt;a&gt;, training set", "b, training set"]
    assert len({line.line.dash for line in figure.data}) == 2


def test_history_refuses_what_is_none():
    with pytest.raises(ValueError, match="of at least one epoch is wanted, got one of none"):
        plots.history(History())
    with pytest.raises(TypeError, match="a History, or a dict of names to them, is wanted; got 3"):
        plots.history(3)


def test_the_gaps_of_the_calibration_add_up_to_the_calibration_error():
    y = RANDOM.integers(0, 3, 200)
    p = RANDOM.dirichlet(np.ones(3), 200)
    figure = plots.calibration(y, p, bins=10)
    bars = figure.data[0]
    counts, sure = np.asarray(bars.customdata).T
    assert counts.sum() == 200
    error = float((counts * np.abs(np.asarray(bars.y) - sure)).sum() / 200)
    assert error == pytest.approx(metrics.calibration_error(y, p, bins=10))
    assert f"{100 * error:.2f} %" in figure.layout.title.text
    with pytest.raises(ValueError, match="y_pred must hold probabilities"):
        plots.calibration([0, 1], [[3.0, 1.0], [0.0, 2.0]])


@pytest.mark.parametrize("classes", [2, 47])
def test_the_confusion_matrix_holds_every_count(classes):
    y, said = RANDOM.integers(0, classes, (2, 300))
    counts = metrics.confusion_matrix(y, said, classes=classes)
    figure = plots.confusion_matrix(y, said, names=[f"<b>{n}" for n in range(classes)])
    heat, words = figure.data
    assert (np.asarray(heat.customdata)[..., 1].astype(int) == counts).all()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    off = (counts > 0) & ~np.eye(classes, dtype=bool)
    assert np.allclose(np.asarray(heat.z)[off], shares[off])
    assert np.isnan(np.asarray(heat.z)[~off]).all()
    assert "<b>0" not in figure.layout.xaxis.ticktext
    assert figure.layout.xaxis.ticktext[0] == "&lt;b&gt;0"
    if classes == 2:
        assert sorted(words.text) == sorted(
            f"<b>{counts[n, m]}</b>" if n == m else f"{counts[n, m]}" for n in (0, 1) for m in (0, 1)
        )


def test_confusions_are_counted():
    assert confused([0, 0, 0, 2], [1, 1, 2, 2], 3) == [(0, 1, 2), (0, 2, 1)]
    assert confused([0, 1], [0, 1], 2) == []


# --- mistakes -----------------------------------------------------------------------------------------------


def test_mistakes_are_the_most_wrong_first():
    network, x, y = small(), pictures(20), np.arange(20) % 3
    p = network.predict(x)
    found = find(network, x, y)
    gap = p.max(axis=1) - p[np.arange(20), y]
    wrong = np.flatnonzero(p.argmax(axis=1) != y)
    assert found.worst(50).tolist() == wrong[np.argsort(-gap[wrong], kind="stable")].tolist()
    figure = plots.mistakes(network, x, y, count=3)
    assert len(figure.data) == min(3, len(wrong))
    assert np.array_equal(figure.data[0].z[..., 0], x[found.worst(1)[0], 0])
    words = verdict(found, found.worst(1)[0])
    assert words.count("%") == 2
    first = figure.layout.annotations[0].text
    assert (first.count(" %"), "\\" in first) == (2, False)  # no space of another kind, which shows as \xa0


@pytest.fixture(scope="module")
def window():
    with chromium() as browser:
        yield Window(browser)


@pytest.mark.parametrize("names", [("0", "1", "2"), ("T-shirt/top", "Ankle boot", "c" * 60)])
def test_captions_of_mistakes_stand_apart_in_a_narrow_window(window, tmp_path, names):
    network, x = small(), pictures(12)
    wrong = (network.predict(x).argmax(axis=1) + 1) % 3
    plots.mistakes(network, x, wrong, names=names, title="worst").write_html(tmp_path / "m.html")
    page = window.open(f"file://{tmp_path / 'm.html'}", width=390)
    parts = "document.querySelectorAll('.annotation-text, .imagelayer image')"
    page.wait_for_function(f"{parts}.length === 24")
    boxes = page.evaluate(
        f"""[...{parts}].map(found => {{
        const box = found.getBoundingClientRect();
        return [box.left, box.right, box.top, box.bottom] }})"""
    )
    for place, (left, right, top, bottom) in enumerate(boxes):
        assert -1 <= left < right <= 391, "beyond the window"
        for other in boxes[:place]:
            apart = right <= other[0] or other[1] <= left or bottom <= other[2] or other[3] <= top
            assert apart, f"{boxes[place]} overlaps {other}"


def test_no_mistake_is_a_figure_too():
    network, x = small(), pictures(4)
    figure = plots.mistakes(network, x, network.predict(x).argmax(axis=1))
    assert len(figure.data) == 0
    assert figure.layout.title.text == "no mistake"


def test_mistakes_in_colour_and_of_values():
    network, x = small(channels=3), pictures(4, channels=3)
    wrong = (network.predict(x).argmax(axis=1) + 1) % 3
    figure = plots.mistakes(network, x, wrong, count=1)
    worst = find(network, x, wrong).worst(1)[0]
    assert np.array_equal(figure.data[0].z, x[worst].transpose(1, 2, 0))
    values = Network([Flatten(), Dense(output_size=2)], input_shape=(1, 8, 8))
    figure = plots.mistakes(values, pictures(4), RANDOM.normal(size=(4, 2)), count=2)
    assert len(figure.data) == 2
    assert "wanted is" in figure.layout.annotations[0].text
    with pytest.raises(
        ShapeError, match=r"pictures, samples of \(channels, height, width\), are wanted; got"
    ):
        plots.mistakes([Dense(2, 2), Softmax()], [[0.0, 1.0]], [1])


def test_what_counts_as_classes():
    lone = Network([Dense(2, 1), Sigmoid()])
    x = RANDOM.normal(size=(5, 2))
    found = find(lone, x, np.array([0, 1, 0, 1, 1]))
    p = lone.predict(x)[:, 0]
    assert found.are_classes
    assert found.are_probabilities
    assert np.allclose(found.outputs, np.stack([1 - p, p], axis=1), atol=1e-6)
    assert found.names == ("0", "1")
    assert find(lone, x, np.array([0, 1, 0, 1, 1]), names=["ill"]).names == ("not ill", "ill")
    # two sigmoids, as the original program has them: scores of classes, no probabilities
    two = find(Network([Dense(2, 2), Sigmoid()]), x, np.eye(2)[[0, 1, 0, 1, 1]])
    assert (two.are_classes, two.are_probabilities) == (True, False)
    # scores, of which the loss makes probabilities
    scores = find(Network([Dense(2, 3)]), x, np.array([0, 1, 2, 1, 1]))
    assert (scores.are_classes, scores.are_probabilities) == (True, True)
    values = find(Network([Dense(2, 2)]), x, RANDOM.normal(size=(5, 2)), loss="mse")
    assert not values.are_classes
    assert len(values.worst(3)) == 3
    with pytest.raises(ValueError, match="names must be one for each of 3 outputs, got 2"):
        find(Network([Dense(2, 3)]), x, np.array([0, 1, 2, 1, 1]), names=["a", "b"])


# --- kernels and feature maps -------------------------------------------------------------------------------


def test_kernels_are_the_layers():
    network = small(channels=2)
    kernels = network[0].parameters["kernels"]
    figure = plots.kernels(network)
    for output in range(4):
        for place in range(2):
            assert np.allclose(tile(figure, 2 * output + place, (3, 3), 2), kernels[output, place])
    # zero lies in the middle of the colours
    assert figure.data[0].zmax == -figure.data[0].zmin


def test_kernels_inside_another_layer_and_of_a_dense_one():
    inside = [Convolutional(kernel_size=3, depth=1, padding=1)]
    network = Network([Residual(inside), Flatten(), Dense(output_size=2)], input_shape=(1, 6, 6))
    assert list(with_weights(network)) == ["0.0"]
    assert plots.kernels(network, "0.0").data[0].z.shape == (3, 3)
    dense = Network([Flatten(), Dense(output_size=3)], input_shape=(1, 5, 4))
    figure = plots.kernels(dense)
    assert np.allclose(tile(figure, 0, (5, 4), 3), dense[1].parameters["weights"][0].reshape(5, 4))
    with pytest.raises(ValueError, match="the layers with kernels are none; got None"):
        plots.kernels(Network([Dense(3, 2)]))
    with pytest.raises(ValueError, match="the layers with kernels are 1; got 7"):
        plots.kernels(dense, 7)
    with pytest.raises(ValueError, match="the layers with kernels are none"):
        plots.kernels(Network([Flatten(), ReLU(), Dense(output_size=3)], input_shape=(1, 5, 4)))


def test_feature_maps_are_those_of_the_trace():
    network, x = small(), pictures(3)
    passed = trace(network, x)
    figure = plots.feature_maps(network, x, 1, sample=2)
    for number in range(4):
        assert np.allclose(tile(figure, number, (6, 6), 4), passed[1].output[2, number])
    whole = plots.feature_maps(passed)
    assert [len(whole.data), len(whole.layout.annotations)] == [3, 3]
    assert np.allclose(tile(whole, 3, (3, 3), 4, trace=2), passed[2].output[0, 3])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layer": 9}, "layer must be an integer from -6 to 5, got 9"),
        ({"layer": 4}, "; Dense.* gives none"),
        ({"sample": 3}, "sample must be one of 3, from 0, got 3"),
    ],
)
def test_feature_maps_refuse(options, words):
    with pytest.raises(ValueError, match=words):
        plots.feature_maps(small(), pictures(3), **options)


def test_a_network_of_vectors_has_no_feature_maps():
    with pytest.raises(ValueError, match="no layer of this network gives any"):
        plots.feature_maps([Dense(2, 2)], [[1.0, 2.0]])


# --- saliency, Grad-CAM -------------------------------------------------------------------------------------


def test_the_derivative_of_a_score_is_that_of_finite_differences():
    layers = [Convolutional(kernel_size=3, depth=2), Tanh(), Flatten(), Dense(output_size=3), Softmax()]
    network = Network(layers, input_shape=(1, 5, 5), dtype="float64")
    x = RANDOM.normal(size=(2, 1, 5, 5))
    passed = trace(network, x, outputs=[2, 0])
    for sample, label in enumerate((2, 0)):
        for row, column in ((0, 0), (2, 3)):
            scores = []
            for step in (1e-5, -1e-5):
                moved = x.copy()
                moved[sample, 0, row, column] += step
                scores.append(trace(network, moved)[3].output[sample, label])
            slope = (scores[0] - scores[1]) / 2e-5
            assert passed[0].input_gradient[sample, 0, row, column] == pytest.approx(slope, rel=1e-5)
    assert passed[4].input_gradient.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert passed.loss is None
    assert np.array_equal(saliency_maps(passed), np.abs(passed[0].input_gradient[:, 0]))


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"outputs": [3]}, ValueError, "outputs must be from 0 to 2, got 3"),
        ({"outputs": [-1]}, ValueError, "outputs must be from 0 to 2, got -1"),
        ({"outputs": [0, 1]}, ShapeError, "outputs must be an integer for each of 1 samples"),
        ({"outputs": [0.5]}, ShapeError, "got float64"),
        ({"outputs": [0], "y": [1]}, ValueError, "give y or outputs, not both"),
    ],
)
def test_wrong_outputs_are_refused(options, kind, words):
    with pytest.raises(kind, match=words):
        trace(small(), pictures(1), **options)


def test_grad_cam_is_its_formula():
    network, x = small(), pictures(2)
    passed = trace(network, x, outputs=[1, 2])
    assert last_maps(passed) == 1  # the activation behind the convolution
    maps, slopes = passed[1].output, passed[1].output_gradient
    for sample in range(2):
        cam = np.zeros((6, 6))
        for number in range(4):
            cam += slopes[sample, number].mean() * maps[sample, number]
        cam = np.maximum(cam, 0)
        wanted = stretch((cam / (cam.max() or 1))[np.newaxis], (8, 8))[0]
        assert np.allclose(grad_cam_maps(passed)[sample], wanted, atol=1e-6)


def test_a_lone_output_speaks_against_class_zero():
    layers = [Convolutional(kernel_size=3, depth=3), ReLU(), Flatten(), Dense(output_size=1), Sigmoid()]
    network = Network(layers, input_shape=(1, 8, 8))
    x = pictures(1)
    against, for_it = (plots.grad_cam(network, x, [label]).data[1].z for label in (0, 1))
    assert not np.array_equal(against, for_it)
    passed = trace(network, x, outputs=[0])
    assert np.allclose(for_it, grad_cam_maps(passed)[0], atol=1e-6)
    assert np.allclose(against, grad_cam_maps(passed, sign=np.array([-1]))[0], atol=1e-6)


def test_pictures_beside_their_maps_and_names_that_are_harmless():
    network = small()
    network.preprocessing.classes = ("<script>alert(1)</script>", "b", "c")
    x = pictures(2)
    for figure in (plots.saliency(network, x, [0, 1]), plots.grad_cam(network, x, [0, 1])):
        assert [one.type for one in figure.data] == ["image", "heatmap"] * 2
        assert figure.layout.annotations[0].text == "&lt;script&gt;alert(1)&lt;/script&gt;"
        assert np.array_equal(figure.data[2].z[..., 1], x[1, 0])


def test_what_has_no_maps_says_so():
    dense = Network([Flatten(), Dense(output_size=2), Softmax()], input_shape=(1, 4, 4))
    with pytest.raises(ValueError, match=r"Grad-CAM wants a convolution's feature maps"):
        plots.grad_cam(dense, pictures(1, size=4))
    with pytest.raises(ShapeError, match=r"pictures, samples of \(channels, height, width\)"):
        plots.saliency([Dense(2, 2), Softmax()], [[0.0, 1.0]])
    with pytest.raises(ValueError, match="with their derivatives is wanted"):
        saliency_maps(trace(dense, pictures(1, size=4)))
    with pytest.raises(ValueError, match="a trace with derivatives is wanted"):
        grad_cam_maps(trace(small(), pictures(1)))


# --- embedding ----------------------------------------------------------------------------------------------


def test_principal_components_keep_the_variance():
    values = RANDOM.normal(size=(40, 6)) * [5, 3, 1, 0.1, 0.1, 0.1]
    points, shares = pca(values)
    covariance = np.cov(values.T)
    wanted = np.linalg.eigvalsh(covariance)[::-1]
    assert shares == pytest.approx(wanted[:2] / wanted.sum())
    assert points.var(axis=0, ddof=1) == pytest.approx(wanted[:2])
    assert abs(points.T @ points)[0, 1] < 1e-8
    assert pca(np.ones((3, 1)))[0].tolist() == [[0, 0]] * 3


def test_tsne_keeps_groups_apart_and_neighbours_together():
    groups = RANDOM.normal(size=(4, 12)) * 20
    labels = np.repeat(np.arange(4), 25)
    values = groups[labels] + RANDOM.normal(size=(100, 12))
    points = tsne(values)
    assert np.isfinite(points).all()
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(axis=1)] == labels).mean() > 0.98
    assert np.array_equal(points, tsne(values))  # there is no chance in it
    assert tsne(np.zeros((3, 2))).tolist() == [[0, 0]] * 3
    with pytest.raises(ValueError, match="perplexity must be"):
        tsne(groups, perplexity=0.5)


def test_the_penultimate_layers_values():
    network, x = small(), pictures(70)
    assert np.allclose(penultimate(network, x), trace(network, x)[4].input)
    assert np.allclose(penultimate(network, x, 1), trace(network, x)[1].input.reshape(70, -1))
    with pytest.raises(ValueError, match="layer must be an integer from -6 to 5, got 6"):
        penultimate(network, x, 6)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_an_embedding_has_every_sample_in_its_class(method):
    network, x, y = small(), pictures(12), np.arange(12) % 3
    figure = plots.embedding(network, x, y, method=method, names=["cat", "<i>", "horse"])
    assert [(one.name, len(one.x), one.mode) for one in figure.data] == [
        ("cat", 4, "markers"),
        ("&lt;i&gt;", 4, "markers"),
        ("horse", 4, "markers"),
    ]
    assert len({one.marker.symbol for one in figure.data}) == 3
    with pytest.raises(ValueError, match="method must be one of pca, tsne, got 'umap'"):
        plots.embedding(network, x, y, method="umap")


# --- times, evaluations -------------------------------------------------------------------------------------


def test_every_step_has_its_time():
    times = time_layers(small(), pictures(16), least=2, most=3)
    names = ["Convolutional + MaxPooling", "ReLU", "Flatten", "Dense", "Softmax"]
    assert [one.name for one in times] == names
    assert all(one.forward > 0 and one.backward > 0 for one in times)
    figure = times_figure(times, 16)
    assert figure.data[0].x[3] == pytest.approx(1e6 * times[3].forward / 16)
    measured = plots.layer_times(small(), pictures(16))
    assert list(measured.data[1].y) == list(figure.data[1].y)
    assert min(measured.data[0].x) > 0


def test_evaluations_are_those_of_evaluate():
    network, x, y = small(), pictures(30), np.arange(30) % 3
    watch = Evaluations({"a": (x, y), "b": (x, y)}, samples=10)
    network.fit(x, y, epochs=2, batch_size=10, callbacks=[watch])
    wanted = network.evaluate(x[::3], y[::3])
    assert {kind: values[-1] for kind, values in watch.found["a"].items()} == wanted
    assert watch.samples == {"a": 10, "b": 10}
    assert len(watch.found["b"]["loss"]) == 2


# --- pictures, tables, what is missing ----------------------------------------------------------------------


def test_a_mosaic_has_every_tile():
    tiles = [np.full((2, 3), number) for number in range(5)]
    picture, corners = mosaic(tiles, columns=2, gap=2)
    assert picture.shape == (10, 8)
    for one, (row, column) in zip(tiles, corners, strict=True):
        assert np.array_equal(picture[row : row + 2, column : column + 3], one)
    assert np.isnan(picture).sum() == 80 - 30


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4)])
def test_pngs_are_read_as_they_were_written(shape, tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    picture = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(png(picture))
    assert np.array_equal(np.asarray(pillow.open(tmp_path / "a.png")), picture)
    assert address(picture / 255).startswith("data:image/png;base64,")


def test_the_colours_grow_lighter():
    colors = colored(np.linspace(0, 1, 50), 0, 1)
    lightness = colors[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()
    assert np.isfinite(colored(np.zeros(3), 0, 0)).all()


def test_pictures_of_samples():
    assert picture_of(np.full((1, 2, 2), 255, np.uint8)).tolist() == [[1, 1], [1, 1]]
    assert picture_of(np.array([[[-1.0, 3.0]]])).tolist() == [[0, 1]]
    assert picture_of(np.zeros((3, 4, 5))).shape == (4, 5, 3)
    assert picture_of(np.zeros((2, 4, 5))).shape == (4, 5)


def test_networks_and_histories_show_themselves_in_a_notebook():
    table = small()._repr_html_()
    assert table.count("<tr>") == 9
    assert "Convolutional" in table
    assert Network([Dense(output_size=2)])._repr_html_() is None
    shown = History(loss=[0.5], metrics={"a<b": [0.25]}, seconds=[1.0])._repr_html_()
    assert "a&lt;b" in shown
    assert "0.2500" in shown
    assert History(loss=[0.1] * 30)._repr_html_().count("<tr>") == 13
    assert History()._repr_html_().count("<tr>") == 1


def test_without_plotly_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    for draw in (
        lambda: plots.history(History(loss=[1.0])),
        lambda: plots.kernels(small()),
        lambda: plots.confusion_matrix([0], [0]),
        lambda: plots.saliency(small(), pictures(1)),
    ):
        with pytest.raises(MissingExtraError, match=r'needs plotly: .*pip install "plotly>='):
            draw()
