"""Layers with a learning rate of their own: a factor of the optimizer's."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.workers import PROCESSES, use
from purecnn import (
    SGD,
    Adam,
    AdamW,
    BatchNormalization,
    Checkpoint,
    Dense,
    Layer,
    Network,
    Optimizer,
    Residual,
    RMSprop,
    Tanh,
    load,
    save,
)
from purecnn.errors import CheckpointError, FileFormatError
from purecnn.formats import read_safetensors, write_safetensors
from purecnn.layers.stack import rated_spans
from purecnn.training import host

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((40, 3))
Y = np.tanh(X[:, :2])


def network(factors: dict[int, float] | None = None) -> Network:
    inside = [Dense(4, 4), Tanh(), Dense(4, 4)]
    made = Network([Dense(3, 4), BatchNormalization(), Residual(inside), Dense(4, 2)], dtype=np.float64)
    for place, factor in (factors or {}).items():
        made[place].learning_rate_factor = factor
    return made


def trained(made: Network, optimizer: Optimizer, **options: Any) -> Network:
    made.fit(X, Y, **{"loss": "mse", "optimizer": optimizer, "batch_size": 20, "shards": 2} | options)
    return made


OPTIMIZERS = [
    SGD(0.1),
    SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    Adam(0.01, clip_norm=0.1),
    AdamW(0.01, weight_decay=0.1, decay_biases=False),
    RMSprop(0.01),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_is_the_factor_times_as_long(optimizer: Optimizer) -> None:
    start, factors = network().parameters.copy(), {0: 0.1, 2: 3.0}
    plain, rated = (
        trained(made, copy.deepcopy(optimizer), batch_size=40).parameters - start
        for made in (network(), network(factors))
    )
    ends = np.cumsum([0, 16, 8, 40, 10])
    for place, factor in enumerate((0.1, 1.0, 3.0, 1.0)):
        own = slice(ends[place], ends[place + 1])
        np.testing.assert_allclose(rated[own], factor * plain[own], rtol=1e-9, atol=1e-15)
        assert abs(plain[own]).max() > 1e-4


def test_factors_of_layers_within_layers_multiply() -> None:
    made = network({2: 0.5})
    inner = made[2].parts()
    inner[0].learning_rate_factor, inner[2].trainable = 0.1, False
    assert rated_spans(made) == [(0, 24, 1.0), (24, 44, 0.05), (64, 74, 1.0)]
    inner[2].trainable = True
    assert rated_spans(made) == [(0, 24, 1.0), (24, 44, 0.05), (44, 64, 0.5), (64, 74, 1.0)]


@pytest.mark.parametrize("optimizer", [SGD(0.1), Adam(0.01, clip_norm=0.5)])
def test_bits_do_not_depend_on_the_workers(monkeypatch: pytest.MonkeyPatch, optimizer: Optimizer) -> None:
    monkeypatch.setattr(host, "LONG", 10)

    def run(threads: int) -> bytes:
        made = network({0: 0.1, 3: 0.25})
        trained(made, copy.deepcopy(optimizer), epochs=3, threads=threads, l2=1e-3)
        return made.parameters.tobytes()

    wanted = run(1)
    assert run(2) == wanted
    for kind in PROCESSES:
        if kind == "spawn":  # whose workers import the module anew
            monkeypatch.undo()
        use(monkeypatch, kind)
        assert run(2) == wanted


def test_single_samples_too() -> None:
    start = network().parameters.copy()
    changes = []
    for factors in ({}, {0: 0.5}):
        made = Network([Dense(3, 4), Tanh(), Dense(4, 2)], dtype=np.float64)
        start = made.parameters.copy()
        for place, factor in factors.items():
            made[place].learning_rate_factor = factor
        made.fit(X[:1], Y[:1], loss="mse", optimizer=SGD(0.1), batch_size=1)
        changes.append(made.parameters - start)
    np.testing.assert_allclose(changes[1][:16], 0.5 * changes[0][:16], rtol=1e-12)
    np.testing.assert_array_equal(changes[1][16:], changes[0][16:])


def test_a_file_keeps_them_and_a_resumed_run_must_have_them(tmp_path: Path) -> None:
    model, run = tmp_path / "model", tmp_path / "run"
    made = network({0: 0.1, 2: 0.5})
    made[2].parts()[0].learning_rate_factor = np.float32(0.25)
    save(made, model)
    loaded = load(model)
    assert [layer.learning_rate_factor for layer in loaded] == [0.1, 1.0, 0.5, 1.0]
    assert [part.learning_rate_factor for part in loaded[2].parts()] == [0.25, 1.0, 1.0]
    options: dict[str, Any] = {"epochs": 2}
    whole = trained(network({0: 0.1}), Adam(0.01), **options)
    trained(network({0: 0.1}), Adam(0.01), epochs=1, callbacks=[Checkpoint(run)])
    resumed = trained(network({0: 0.1}), Adam(0.01), **options, resume=run)
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)
    with pytest.raises(CheckpointError, match="architecture was"):
        trained(network(), Adam(0.01), **options, resume=run)


@pytest.mark.parametrize("factor", ["0", "-1", "true", '"x"', "null", "1e999"])
def test_a_file_with_another_factor_is_refused(tmp_path: Path, factor: str) -> None:
    path = tmp_path / "model"
    save(network({0: 0.125}), path)
    tensors, texts = read_safetensors(path)
    texts["architecture"] = texts["architecture"].replace("0.125", factor)
    write_safetensors(path, tensors, texts)
    with pytest.raises(
        FileFormatError, match=r"layer 0 has learning_rate_factor .*, wanted a number above 0"
    ):
        load(path)


@pytest.mark.parametrize("factor", [0, -0.1, float("nan"), float("inf"), "x", None, True])
def test_what_is_no_factor_is_refused_before_training(factor: Any) -> None:
    made = network({0: factor})
    words = r"learning_rate_factor of Dense\(.*\) must be a finite number above 0, got .*; trainable = False"
    with pytest.raises(ValueError, match=words):
        trained(made, SGD(0.1))
    assert made.updates == 0


def test_every_layer_has_one() -> None:
    assert Layer.learning_rate_factor == 1.0
