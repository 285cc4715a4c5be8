"""Schedules: their curves at a few points, and the callback that sets the rate before each step."""

import math

import numpy as np
import pytest

from helpers.torch_numbers import cases, load
from purecnn import SGD, Dense, LearningRate, Network
from purecnn.optimizers.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    OneCycle,
    Schedule,
    Step,
    WarmUp,
)


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        (Constant(0.3), {0: 0.3, 0.5: 0.3, 1: 0.3}),
        (Cosine(0.2), {0: 0.2, 0.25: 0.1 * (1 + math.sqrt(0.5)), 0.5: 0.1, 1: 0}),
        (Cosine(0.2, end=0.1), {0: 0.2, 0.5: 0.15, 1: 0.1}),
        (CosineRestarts(0.2), {0: 0.2, 0.5 / 7: 0.1, 1 / 7: 0.2, 2 / 7: 0.1, 3 / 7: 0.2, 5 / 7: 0.1, 1: 0}),
        (
            CosineRestarts(1.0, end=0.2, cycles=2, growth=1, factor=0.5),
            {0: 1.0, 0.25: 0.6, 0.5: 0.6, 0.75: 0.4, 1: 0.2},
        ),
        (CosineRestarts(0.2, cycles=1), {0: 0.2, 0.25: 0.1 * (1 + math.sqrt(0.5)), 0.5: 0.1, 1: 0}),
        (OneCycle(1.0), {0: 0.04, 0.15: 0.52, 0.3: 1.0, 0.65: 0.5, 1: 0}),
        (OneCycle(1.0, rise=0.5, start=0.5, end=0.2), {0: 0.5, 0.25: 0.75, 0.5: 1.0, 0.75: 0.6, 1: 0.2}),
    ],
)
def test_curves(schedule: Schedule, points: dict[float, float]) -> None:
    assert {p: schedule(p) for p in points} == pytest.approx(points, abs=1e-12)


MAKERS = {
    "constant": Constant,
    "cosine": Cosine,
    "cosine_restarts": CosineRestarts,
    "step": Step,
    "exponential": Exponential,
    "one_cycle": OneCycle,
    "warm_up": lambda peak, **options: WarmUp(Cosine(peak), **options),
}


@pytest.mark.parametrize("case", cases("schedules"))
def test_every_step_has_pytorchs_rate(case: dict) -> None:
    schedule, expected = MAKERS[case["function"]](**case["options"]), load("schedules")[case["name"]]
    found = [schedule(k / case["last"]) for k in range(case["steps"])]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_a_schedule_is_a_function_of_the_progress_alone() -> None:
    for schedule in (Step(0.1), Exponential(0.1, 0.01), WarmUp(OneCycle(0.1), 0.2)):
        forwards = [schedule(k / 7) for k in range(8)]
        assert [schedule(k / 7) for k in reversed(range(8))] == forwards[::-1]
        assert all(type(rate) is float for rate in forwards)


@pytest.mark.parametrize("steps", [10, 30, 1000, 4690])
def test_a_moment_is_met_at_its_step_however_it_was_rounded(steps: int) -> None:
    for at in (0.1, 0.3, 0.1 + 0.2, 1 - 0.9, 0.7, 1 / 3):
        if steps * at == pytest.approx(round(steps * at)):
            found = [Step(1.0, at=(at,))(k / steps) for k in range(steps)]
            assert found.index(0.1) == round(steps * at)


@pytest.mark.parametrize("steps", [10, 30, 1000, 4690])
def test_a_cycle_begins_at_its_step_however_it_was_rounded(steps: int) -> None:
    found = [CosineRestarts(1.0, cycles=10, growth=1)(k / steps) for k in range(steps)]
    assert [k for k, rate in enumerate(found) if rate == 1] == [steps // 10 * number for number in range(10)]


def test_one_cycle_rises_once_and_falls_once() -> None:
    rates = np.array([OneCycle(0.01)(p) for p in np.linspace(0, 1, 1001)])
    turns = np.flatnonzero(np.diff(np.sign(np.diff(rates))))
    assert len(turns) == 1
    assert rates.argmax() == 300


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Constant(0), "rate must be "),
        (lambda: Cosine(-1), "peak must be "),
        (lambda: Cosine(1, end=-1), "end must be "),
        (lambda: CosineRestarts(0), "peak must be "),
        (lambda: CosineRestarts(1, end=-1), "end must be "),
        (lambda: CosineRestarts(1, cycles=0), "cycles must be an integer of at least 1, got 0"),
        (lambda: CosineRestarts(1, growth=0), "growth must be a number above 0, got 0"),
        (lambda: CosineRestarts(1, factor=0), "factor must be "),
        (
            lambda: CosineRestarts(1, cycles=10**30),
            "millionth of the training, got cycles=10{30} and growth=2",
        ),
        (lambda: CosineRestarts(1, cycles=10**30, growth=1), "millionth of the training, got cycles=10{30}"),
        (lambda: CosineRestarts(1, cycles=2000, growth=0.5), "cycles=2000 and growth=0.5"),
        (lambda: CosineRestarts(1, growth=10**30), r"cycles=3 and growth=1e\+30"),
        (lambda: CosineRestarts(1, factor=1e60), r"beyond 1e100 times its start, got 1e\+60 for 3 cycles"),
        (lambda: OneCycle(0), "peak must be "),
        (lambda: OneCycle(1, rise=1), "rise must be "),
        (lambda: OneCycle(1, start=0), "start must be "),
        (lambda: OneCycle(1, end=-1), "end must be "),
        (lambda: Step(0), "peak must be "),
        (lambda: Step(1, factor=1), "factor must be "),
        (lambda: Step(1, at=(0.5, 1)), "at must be a number above 0 and below 1, got 1"),
        (lambda: Exponential(0, 1), "peak must be "),
        (lambda: Exponential(1, 0), "end must be "),
        (lambda: WarmUp(Cosine(1), 0), "share must be "),
        (lambda: WarmUp(Cosine(1), start=1), "start must be "),
    ],
)
def test_refusals(make: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()  # type: ignore[operator]


def test_what_is_no_schedule_and_no_moments() -> None:
    with pytest.raises(TypeError, match=r"at must be a tuple of shares of the training, got 0\.5"):
        Step(1, at=0.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"schedule must be a function from the progress to a rate, got 0\.1"):
        WarmUp(0.1)  # type: ignore[arg-type]


class Recorder(SGD):
    """Plain descent that notes the rate of each step."""

    def __init__(self) -> None:
        super().__init__(1.0)
        self.rates: list[float] = []

    def advance(self) -> None:
        super().advance()
        self.rates.append(self.learning_rate)


def test_the_rate_is_set_before_each_step() -> None:
    optimizer = Recorder()
    network = Network([Dense(1, 1)])
    x = np.zeros((5, 1))
    callback = LearningRate(optimizer, lambda progress: 1 + progress)
    network.fit(x, x, epochs=2, batch_size=2, loss="mse", optimizer=optimizer, callbacks=[callback])
    assert optimizer.rates == pytest.approx([1 + k / 6 for k in range(6)])
    # what is left is the last step's rate, never one that would stand still
    assert optimizer.learning_rate == pytest.approx(1 + 5 / 6)
