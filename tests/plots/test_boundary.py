"""The decision boundary: the grid, the stages, the figure and its page."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from purecnn import Dense, Network, ShapeError, Softmax, Tanh, predict, train
from purecnn.errors import MissingExtraError
from purecnn.losses import mse, mse_prime
from purecnn.plots import Stages, decision_boundary, write_page

X = np.reshape([[0, 0], [0, 1], [1, 0], [1, 1]], (4, 2, 1))
Y = np.reshape([[0], [1], [1], [0]], (4, 1, 1))


def small(outputs=1):
    return [Dense(2, 3), Tanh(), Dense(3, outputs)]


def test_the_surface_is_what_predict_answers():
    network = small()
    figure = decision_boundary(network, limits=((-1, 1), (0, 3)), resolution=(5, 4))
    (surface,) = figure.data
    assert surface.z.shape == (4, 5)
    for row, second in enumerate(surface.y):
        for column, first in enumerate(surface.x):
            wanted = predict(network, [[first], [second]])[0, 0]
            assert surface.z[row, column] == pytest.approx(wanted, abs=1e-6)
    assert surface.x[[0, -1]].tolist() == [-1, 1]
    assert surface.y[[0, -1]].tolist() == [0, 3]
    assert not figure.frames
    assert not figure.layout.sliders


def test_samples_stand_at_what_is_wanted_of_them():
    figure = decision_boundary(small(), X, Y)
    points = figure.data[1]
    assert points.x.tolist() == [0, 0, 1, 1]
    assert points.y.tolist() == [0, 1, 0, 1]
    assert points.z.tolist() == [0, 1, 1, 0]
    surface = figure.data[0]
    assert (surface.cmin, surface.cmax) == (0, 1)
    # the grid goes a little beyond the samples
    assert surface.x[0] < 0
    assert surface.x[-1] > 1


@pytest.mark.parametrize(("output", "wanted"), [(-1, [0, 0, 1]), (0, [1, 0, 0]), (1, [0, 1, 0])])
def test_of_several_outputs_one_is_drawn(output, wanted):
    network = [*small(3), Softmax()]
    figure = decision_boundary(network, [[0, 0], [0, 1], [1, 1]], [0, 1, 2], output=output, resolution=3)
    assert figure.data[1].z.tolist() == wanted
    corner = predict(network, [[figure.data[0].x[0]], [figure.data[0].y[0]]])
    assert figure.data[0].z[0, 0] == pytest.approx(corner[output, 0], abs=1e-6)


def test_samples_on_one_line_still_have_room():
    surface = decision_boundary(small(), [[1, 0], [1, 2]], [0, 1], resolution=2).data[0]
    assert surface.x.tolist() == [0.5, 1.5]
    assert surface.y.tolist() == [-0.3, 2.3]


def test_stages_as_a_callback():
    network = Network(small())
    stages = Stages(network, at=(2, 3, 5), resolution=4)
    options = {"loss": "mse", "batch_size": 4, "callbacks": [stages]}
    network.fit(X, Y, epochs=3, **options)
    first = network.predict([[0, 0]])
    network.fit(X, Y, epochs=2, **options)
    assert stages.epochs == [0, 2, 3, 5]
    assert stages.answers[2][0, 0] == pytest.approx(first[0])
    assert not np.array_equal(stages.answers[2], stages.answers[3])


def test_stages_keep_every_epoch_if_none_is_named():
    network = Network(small())
    stages = Stages(network, resolution=2)
    network.fit(X, Y, epochs=2, loss="mse", callbacks=[stages])
    assert stages.epochs == [0, 1, 2]


def test_watching_changes_nothing():
    alone, watched = Network(small()), Network(small())
    for network, callbacks in ((alone, []), (watched, [Stages(watched, resolution=2)])):
        network.fit(X, Y, epochs=3, loss="mse", callbacks=callbacks)
    assert np.array_equal(alone.parameters, watched.parameters)


def test_a_stage_taken_twice_is_kept_once():
    stages = Stages(small(), resolution=2)
    stages.take()
    stages.take()
    assert stages.epochs == [0]


def test_the_slider_has_every_stage():
    network = small()
    stages = Stages(network, resolution=3)
    for epochs in (1, 2, 997):
        train(network, mse, mse_prime, X, Y, epochs=epochs, learning_rate=0.1, verbose=False)
        stages.take()
    figure = decision_boundary(stages, X, Y)
    assert [frame.name for frame in figure.frames] == ["1", "3", "1,000"]
    (slider,) = figure.layout.sliders
    assert [step.label for step in slider.steps] == ["1", "3", "1,000"]
    assert [list(step.args[0]) for step in slider.steps] == [["1"], ["3"], ["1,000"]]
    assert slider.active == 2
    for frame, answers in zip(figure.frames, stages.answers, strict=True):
        assert np.allclose(frame.data[0].z, answers[:, :, 0])
    assert np.allclose(figure.data[0].z, stages.answers[-1][:, :, 0])
    # the height of the room holds all stages, so it does not change while the slider moves
    low, high = figure.layout.scene.zaxis.range
    assert all(low < answers.min() and answers.max() < high for answers in stages.answers)


def test_the_page_needs_nothing_but_itself(tmp_path):
    stages = Stages(small(), resolution=3)
    stages.take()
    figure = decision_boundary(stages, X, Y, title="XOR <learnt> & drawn")
    path = write_page(figure, tmp_path / "boundary.html", lang="en-GB")
    assert path == tmp_path / "boundary.html"
    page = path.read_text(encoding="utf-8")
    assert page.startswith('<!DOCTYPE html>\n<html lang="en-GB">')
    assert "<title>XOR &lt;learnt&gt; &amp; drawn</title>" in page
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    assert len(page) > 1_000_000  # plotly.js is inside
    assert not re.search(r"<script[^>]*\ssrc=", page)
    assert not re.search(r"<link[^>]*\shref=", page)
    assert page.count("<script>") == 2
    # the figure itself keeps its title
    assert figure.layout.title.text == "XOR &lt;learnt&gt; &amp; drawn"


def test_without_plotly_one_sentence_says_what_to_install(monkeypatch, tmp_path):
    figure = decision_boundary(small(), resolution=2)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(MissingExtraError, match=r'needs plotly: .*pip install "plotly>='):
        decision_boundary(small())
    with pytest.raises(MissingExtraError, match=r'needs plotly: .*pip install "plotly>='):
        write_page(figure, tmp_path / "boundary.html")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x": X}, "x and y must be given together"),
        ({"y": Y}, "x and y must be given together"),
        ({"output": 1}, "output must be an integer from -1 to 0, got 1"),
        ({"output": 0.5}, "output must be an integer from -1 to 0, got 0.5"),
        ({"limits": ((0, 1), (1, 1))}, r"limits must be two pairs .* got \(\(0, 1\), \(1, 1\)\)"),
        ({"limits": (0, 1)}, r"limits must be two pairs .* got \(0, 1\)"),
        ({"limits": ((0, 1), (0, np.inf))}, "limits must be two pairs"),
        ({"resolution": 1}, "resolution must be at least 2, got 1"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        decision_boundary(small(), **options)


def test_stages_refuse_a_second_grid():
    stages = Stages(small())
    stages.take()
    with pytest.raises(ValueError, match="stages have a grid of their own, got limits=None and resolution=5"):
        decision_boundary(stages, resolution=5)


def test_no_stage_is_nothing_to_draw():
    with pytest.raises(ValueError, match="stages must hold at least one stage, got none"):
        decision_boundary(Stages(small()))


def test_another_number_of_inputs_is_refused():
    with pytest.raises(ShapeError, match=r"inputs of shape \(2,\), got \(3,\)"):
        decision_boundary([Dense(3, 1)])
