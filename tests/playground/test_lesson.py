"""Training on a page: what may be asked for, what is learnt, and what is told of it."""

from __future__ import annotations

import gc
import json
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
import pytest

import purecnn
from helpers.waiting import PATIENCE
from purecnn.playground.formulas import FORMULAS
from purecnn.playground.lesson import (
    CHUNK,
    LAYERS,
    MOST_LAYERS,
    OPTIMIZERS,
    Lesson,
)
from purecnn.playground.reader import decoded
from purecnn.playground.samples import DATA, NOISES, points, samples
from purecnn.playground.sessions import LessonError, Lessons

PLAN = {
    "data": "xor",
    "layers": [{"kind": "Dense", "output_size": 12}, {"kind": "Tanh"}],
    "optimizer": "Adam",
    "learning_rate": 0.03,
    "batch_size": 32,
    "seed": 0,
}
IMAGES = {
    **PLAN,
    "data": "digits",
    "layers": [
        {"kind": "Convolutional", "kernel_size": 5, "depth": 4},
        {"kind": "ReLU"},
        {"kind": "MaxPooling", "pool_size": 2},
    ],
    "learning_rate": 0.005,
}


@pytest.fixture(autouse=True)
def time_enough(monkeypatch):
    """All steps that are asked for are done, on a slow machine too."""
    monkeypatch.setattr("purecnn.playground.lesson.MOST_SECONDS", PATIENCE)


def advanced(lesson, steps):
    while lesson.done < steps:
        lesson.advance(min(100, steps - lesson.done))
    return lesson.advance(0)


@pytest.mark.parametrize(("name", "steps"), [("xor", 300), ("circles", 300), ("moons", 400)])
def test_points_are_learnt(name, steps):
    told = advanced(Lesson({**PLAN, "data": name}), steps)
    assert told["test_accuracy"] > 0.95
    assert told["step"] == steps
    assert told["surface"]["shape"] == [45, 45]


def test_no_more_steps_are_done_than_there_is_time_for(monkeypatch):
    monkeypatch.setattr("purecnn.playground.lesson.MOST_SECONDS", 0.0)
    assert [Lesson(PLAN).advance(steps)["step"] for steps in (3, CHUNK + 6)] == [3, CHUNK]


def test_tests_take_a_tenth_of_a_run_and_are_of_now_where_somebody_looks(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("purecnn.playground.lesson.time.monotonic", lambda: now[0])
    lesson = Lesson(PLAN)

    def takes(seconds, function):
        def call(*given, **named):
            now[0] += seconds
            return function(*given, **named)

        return call

    monkeypatch.setattr(lesson.network, "fit", takes(1.0, lesson.network.fit))
    monkeypatch.setattr(lesson.network, "evaluate", takes(0.5, lesson.network.evaluate))
    tested = [lesson.advance(CHUNK)["test_step"] // CHUNK for _ in range(12)]
    assert tested == [1] * 5 + [6] * 5 + [11] * 2  # a test of 0.5 s after at least 4.5 s
    assert lesson.advance(1)["test_step"] == lesson.done
    assert lesson.advance(CHUNK)["test_step"] == lesson.done - CHUNK
    assert lesson.advance(0)["test_step"] == lesson.done
    assert now[0] == 14 + 5 * 0.5


def test_digits_are_learnt():
    lesson = Lesson(IMAGES)
    before = lesson.advance(0)["test_accuracy"]
    told = advanced(lesson, 120)
    assert before < 0.4
    assert told["test_accuracy"] > 0.8
    assert "surface" not in told


def test_steps_are_those_of_fit():
    lesson = Lesson(PLAN)
    for steps in (1, 2, 5):
        lesson.advance(steps)
    here = samples("xor")
    network = Lesson(PLAN).network
    optimizer = purecnn.Adam(0.03)
    for step in range(8):
        chosen = lesson.places(step)
        network.fit(here.x[chosen], here.y[chosen], batch_size=32, optimizer=optimizer, shuffle=False)
    np.testing.assert_array_equal(lesson.network.parameters, network.parameters)


def test_each_epoch_has_every_sample_once():
    lesson = Lesson({**PLAN, "batch_size": 100})
    for epoch in range(3):
        seen = np.concatenate([lesson.places(6 * epoch + step) for step in range(6)])
        assert sorted(seen) == list(range(600))
    uneven = Lesson({**PLAN, "batch_size": 77})
    seen = np.concatenate([uneven.places(step) for step in range(600)])[: 77 * 600]
    assert set(np.bincount(seen)) == {77}


def test_what_is_told_is_json_and_what_trace_has():
    lesson = Lesson(IMAGES)
    told = lesson.advance(2)
    json.dumps(told, allow_nan=False)
    here = lesson.samples
    traced = purecnn.trace(lesson.network, here.x[lesson.batch], here.y[lesson.batch])
    shown = told["layers"][0]
    assert shown["norms"]["kernels"][1] == pytest.approx(
        np.linalg.norm(traced[0].gradients["kernels"]), rel=1e-5
    )
    assert shown["gradient"]["shape"] == [4, 1, 5, 5]
    assert len(told["losses"]) == 2


def test_the_chain_rule_goes_from_the_loss_to_the_input():
    lesson = Lesson(IMAGES)
    told = lesson.backward(7)
    json.dumps(told, allow_nan=False)
    here = lesson.samples
    traced = purecnn.trace(lesson.network, here.x[7:8], here.y[7:8])
    assert [layer["kind"] for layer in told["layers"]] == [
        "Softmax",
        "Dense",
        "Flatten",
        "MaxPooling",
        "ReLU",
        "Convolutional",
    ]
    assert told["loss"] == traced.loss
    assert told["label"] == here.y[7]
    target = np.eye(10)[here.y[7]]
    np.testing.assert_allclose(
        told["layers"][0]["input_gradient"]["values"], told["answer"] - target, atol=1e-6
    )
    dense = told["layers"][1]
    np.testing.assert_allclose(
        dense["output_gradient"]["values"], told["layers"][0]["input_gradient"]["values"]
    )
    np.testing.assert_allclose(
        dense["gradients"]["biases"]["values"], dense["output_gradient"]["values"], atol=1e-6
    )
    assert decoded(told["input"]["bytes"], 784).max() == 255


def test_every_layer_has_a_formula_and_can_be_trained():
    assert LAYERS.keys() <= FORMULAS.keys() | {"Softmax"}
    for kind, (_, bounds) in LAYERS.items():
        layer = {"kind": kind, **{name: low if name != "rate" else 0.5 for name, (low, _) in bounds.items()}}
        lesson = Lesson({**IMAGES, "layers": [layer, {"kind": "Dense", "output_size": 4}]})
        assert np.isfinite(lesson.advance(2)["losses"]).all()
        assert lesson.backward(0)["layers"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(name):
    lesson = Lesson({**PLAN, "optimizer": name, "learning_rate": 0.1 if "SGD" in name else 0.01})
    losses = lesson.advance(100)["losses"]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])


def test_a_rate_too_large_is_told():
    plan = {**IMAGES, "layers": [*IMAGES["layers"], {"kind": "Dense", "output_size": 64}], "optimizer": "SGD"}
    lesson = Lesson({**plan, "learning_rate": 10})
    told = {"diverged": ""}
    for _ in range(40):
        told = lesson.advance(50)
        json.dumps(told, allow_nan=False)
        if told["diverged"]:
            break
    assert "smaller learning rate" in told["diverged"]
    assert lesson.advance(50)["losses"] == []


def test_points_lie_in_the_square():
    for name in DATA[:-1]:
        x, y = points(name, 500, np.random.default_rng(0))
        assert x.shape == (500, 2)
        assert np.abs(x).max() < 1.15
        assert 0.4 < y.mean() < 0.6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": "cifar"}, "data must be one of xor, moons, circles, spiral, digits, got 'cifar'"),
        ({"data": ["xor"]}, "data must be one of"),
        ({"layers": "Dense"}, "layers must be a list of at most 12"),
        ({"layers": [{"kind": "Tanh"}] * (MOST_LAYERS + 1)}, "layers must be a list of at most 12"),
        ({"layers": ["Tanh"]}, "a layer must be an object with its kind, got 'Tanh'"),
        ({"layers": [{"kind": "Residual"}]}, "kind must be one of"),
        (
            {"layers": [{"kind": "Dense", "output_size": 65}]},
            "output_size must be an integer from 1 to 64, got 65",
        ),
        ({"layers": [{"kind": "Dense", "output_size": True}]}, "output_size must be an integer"),
        ({"layers": [{"kind": "Dense", "output_size": 1e300}]}, "output_size must be an integer"),
        ({"layers": [{"kind": "Dense"}]}, "output_size must be an integer from 1 to 64, got None"),
        ({"layers": [{"kind": "Tanh", "rng": 3}]}, "Tanh takes nothing, got 'rng'"),
        ({"layers": [{"kind": "Dropout", "rate": float("nan")}]}, "rate must be a number from 0 to 0.9"),
        (
            {"layers": [{"kind": "Tanh"}, {"kind": "MaxPooling", "pool_size": 2}]},
            "^layer 2, MaxPooling, wants maps of rows and columns, got 2 numbers$",
        ),
        ({"learning_rate": 0}, "learning_rate must be a number from 1e-05 to 10, got 0"),
        ({"learning_rate": "fast"}, "learning_rate must be a number"),
        ({"batch_size": 129}, "batch_size must be an integer from 1 to 128"),
        ({"optimizer": "LBFGS"}, "optimizer must be one of SGD"),
        ({"noise": 0.07}, r"noise must be one of 0, 0.05, 0.1, 0.2, 0.3, 0.5, got 0.07"),
        ({"noise": [0]}, "noise must be one of"),
        ({"share": 0}, "share must be a number from 0.01 to 1, got 0"),
        ({"l1": -1}, "l1 must be a number from 0 to 1, got -1"),
        ({"l2": float("nan")}, "l2 must be a number from 0 to 1"),
        ({"seed": -1}, "seed must be an integer"),
    ],
)
def test_what_may_not_be_asked_for_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Lesson({**PLAN, **change})


def test_a_network_too_large_is_refused():
    layers = [{"kind": "Convolutional", "kernel_size": 5, "depth": 16}] * 2
    with pytest.raises(ValueError, match=r"a sample, .*; at most 2,000,000, 60,000 and 100,000"):
        Lesson({**IMAGES, "layers": layers})


@pytest.mark.parametrize("steps", [-1, 1001, 1.5, "all", None])
def test_steps_are_bounded(steps):
    with pytest.raises(ValueError, match="steps must be an integer from 0 to 1000"):
        Lesson(PLAN).advance(steps)


def test_noise_lies_over_training_and_test_samples_alike():
    clean, noisy = samples("moons"), samples("moons", 0.2)
    for name in ("x", "x_test"):
        assert np.std(getattr(noisy, name) - getattr(clean, name)) == pytest.approx(0.2, rel=0.1)
    assert (noisy.y == clean.y).all()
    digits = samples("digits", 0.5)
    assert digits.x.dtype == np.uint8
    black = samples("digits").x_test == 0
    assert digits.x_test[black].mean() == pytest.approx(127.5 / np.sqrt(2 * np.pi), rel=0.05)
    assert samples("moons", NOISES[0]) is samples("moons", 0)


def test_a_share_of_the_samples_is_learnt_from():
    lesson = Lesson({**PLAN, "share": 0.05, "batch_size": 128})
    assert lesson.about()["samples"] == len(lesson.about()["points"]) == lesson.batch_size == 30
    assert sorted(lesson.places(3)) == list(range(30))
    assert lesson.advance(2)["epoch"] == 2
    with pytest.raises(ValueError, match="sample must be an integer from 0 to 29, got 30"):
        lesson.backward(30)


def test_few_samples_are_learnt_by_heart():
    """Of five in a hundred, under noise, the test's loss rises while that of training falls."""
    lesson = Lesson({**PLAN, "data": "circles", "noise": 0.3, "share": 0.05})
    early = advanced(lesson, 60)
    losses = lesson.advance(1)["losses"]
    late = advanced(lesson, 600)
    assert lesson.advance(1)["losses"][0] < 0.3 * losses[0]
    assert late["test_loss"] > 1.5 * early["test_loss"]


def test_the_course_has_an_address_at_which_the_test_loss_falls_and_then_rises():
    chapter = Path(__file__).parents[2] / "docs" / "course" / "overfitting.md"
    (address,) = re.findall(r"`#train\?(.*)`", chapter.read_text(encoding="utf-8"))
    given = dict(parse_qsl(address))
    dense = {"kind": "Dense", "output_size": 64}
    assert given.pop("layers") == "Dense-64,ReLU,Dense-64,ReLU"
    plan = {**PLAN, "data": given.pop("data"), "layers": [dense, {"kind": "ReLU"}] * 2}
    plan |= {"learning_rate": float(given.pop("rate"))}
    lesson = Lesson({**plan, **{name: float(value) for name, value in given.items()}})
    first, least, late = (advanced(lesson, steps)["test_loss"] for steps in (1, 40, 600))
    assert least == pytest.approx(0.44, abs=0.01)
    assert first > 1.2 * least < late


def linked():
    """Return the plans of all trainings that the documents lead to."""
    docs = Path(__file__).parents[2] / "docs"
    texts = [path.read_text(encoding="utf-8") for path in sorted(docs.rglob("*.md"))]
    return sorted({plan for text in texts for plan in re.findall(r"playground\.md#train\?([^)]*)\)", text)})


@pytest.mark.parametrize("address", linked())
def test_each_training_that_the_documents_lead_to_can_be_built(address):
    given = dict(parse_qsl(address, strict_parsing=True))
    names = {"rate": "learning_rate", "batch": "batch_size", given.pop("penalty", ""): ""}
    plan = {**PLAN, "data": given.pop("data")}
    layers = [each.split("-") for each in given.pop("layers", "").split(",") if each]
    if layers:
        plan["layers"] = [
            {"kind": kind, **dict(zip(LAYERS[kind][1], map(json.loads, numbers), strict=True))}
            for kind, *numbers in layers
        ]
    if "strength" in given:
        names["strength"] = dict(parse_qsl(address))["penalty"]
    lesson = Lesson(plan | {names.get(name, name): float(value) for name, value in given.items()})
    assert lesson.advance(1)["step"] == 1


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_penalties_are_those_of_fit(name):
    lesson, free = Lesson({**PLAN, name: 0.01}), Lesson(PLAN)
    weights = np.concatenate([one.parameters["weights"].ravel() for one in free.network if one.parameters])
    penalty = 0.01 * np.sum(np.abs(weights) if name == "l1" else weights**2)
    assert lesson.advance(1)["losses"][0] == pytest.approx(free.advance(1)["losses"][0] + penalty, rel=1e-5)


def test_units_of_the_first_layers_are_told_over_the_plane():
    lesson = Lesson({**PLAN, "layers": [{"kind": "Dense", "output_size": 3}, {"kind": "Tanh"}] * 2})
    told = lesson.advance(2)["units"]
    assert [(one["name"], one["kinds"]) for one in told] == [
        ("0", ["Dense", "Tanh"]),
        ("2", ["Dense", "Tanh"]),
    ]
    low, high = told[0]["planes"]["low"], told[0]["planes"]["high"]
    planes = low + decoded(told[0]["planes"]["bytes"]).reshape(3, 23, 23) / 255 * (high - low)
    weights, biases = lesson.network[0].parameters.values()
    for row, column in ((0, 0), (22, 0), (5, 17)):
        place = -1.1 + 0.1 * column, 1.1 - 0.1 * row
        wanted = np.tanh(weights @ place + biases[:, 0])
        np.testing.assert_allclose(planes[:, row, column], wanted, atol=0.01)
    wide = Lesson({**PLAN, "layers": [{"kind": "Dense", "output_size": 40}] * 2}).advance(0)["units"]
    assert [one["planes"]["shape"] for one in wide] == [[40, 23, 23]]


def test_test_digits_are_answered_while_it_learns():
    lesson = Lesson(IMAGES)
    about, told = lesson.about(), advanced(lesson, 120)
    assert about["test_pictures"]["shape"] == [12, 28, 28]
    assert about["test_labels"] == lesson.samples.y_test[:12].tolist()
    right = [
        label == wanted for (label, _), wanted in zip(told["guesses"], about["test_labels"], strict=True)
    ]
    assert sum(right) >= 9
    assert all(0.1 < share <= 1 for _, share in told["guesses"])


def test_a_sample_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="sample must be an integer from 0 to 599, got 600"):
        Lesson(PLAN).backward(600)


# Many lessons ----------------------------------------------------------------------------------------------


def test_lessons_are_found_by_their_tokens_and_end():
    lessons = Lessons()
    one, two = lessons.begin(PLAN)["lesson"], lessons.begin(PLAN)["lesson"]
    assert one != two
    assert lessons.advance(one, 3)["step"] == 3
    assert lessons.advance(two, 1)["step"] == 1
    assert lessons.backward(one, 0)["sample"] == 0
    lessons.end(one)
    lessons.end(one)
    lessons.end(["no token"])
    with pytest.raises(LessonError, match="has ended; start another"):
        lessons.advance(one, 1)
    with pytest.raises(LessonError, match="has ended"):
        lessons.backward({"no": "token"}, 1)


def test_lessons_left_behind_end():
    now = [0.0]
    lessons = Lessons(seconds=60, clock=lambda: now[0])
    one, two = lessons.begin(PLAN)["lesson"], lessons.begin(PLAN)["lesson"]
    now[0] = 50
    lessons.advance(two, 1)
    now[0] = 70
    lessons.sweep()
    assert list(lessons.kept) == [two]
    with pytest.raises(LessonError, match="has ended"):
        lessons.advance(one, 1)


def test_there_is_room_for_so_many_lessons():
    lessons = Lessons(most=2)
    lessons.begin(PLAN)
    token = lessons.begin(PLAN)["lesson"]
    with pytest.raises(LessonError, match="2 trainings are under way already"):
        lessons.begin(PLAN)
    lessons.end(token)
    lessons.begin(PLAN)


# Bounds ----------------------------------------------------------------------------------------------------


def wide(kind, layers=10):
    """Return a plan with much to compute in layers that multiply nothing."""
    many = [{"kind": "Convolutional", "kernel_size": 1, "depth": 16}, *[{"kind": kind}] * layers]
    return {**IMAGES, "layers": [*many, {"kind": "MaxPooling", "pool_size": 2}], "batch_size": 128}


@pytest.mark.parametrize("kind", ["GELU", "Tanh", "ReLU", "BatchNormalization"])
def test_layers_that_multiply_nothing_cost_too(kind):
    with pytest.raises(ValueError, match=r"gives 144,\d\d\d numbers .*; at most 2,000,000, 60,000"):
        Lesson(wide(kind))


def test_what_a_lesson_takes_and_keeps_is_bounded():
    samples("digits")
    lesson = Lesson(wide("ReLU", 3))  # near the bounds
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        lesson.advance(0)
        lesson.advance(2)
        lesson.backward(0)
        gc.collect()
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept - before < 1 << 20
    assert peak - before < 64 << 20


def test_the_clock_is_looked_at_after_less_where_steps_cost_more():
    assert (Lesson(PLAN).chunk, Lesson(wide("ReLU", 3)).chunk) == (CHUNK, 1)


def test_a_diverged_lesson_tells_json_without_a_warning():
    lesson = Lesson(IMAGES)
    for layer in lesson.network:
        for name, parameter in layer.parameters.items():
            parameter[...] = -3e38 if name.startswith("bias") else 3e38
    told = [lesson.advance(0), lesson.backward(0)]
    assert json.loads(json.dumps(told, allow_nan=False))[1]["answer"].count(None) == 10


def test_many_who_begin_at_once_get_no_more_lessons_than_there_may_be():
    lessons = Lessons(most=3)
    with ThreadPoolExecutor(8) as pool:
        begun = [pool.submit(lessons.begin, PLAN) for _ in range(8)]
    assert sum(one.exception() is None for one in begun) == len(lessons.kept) == 3
