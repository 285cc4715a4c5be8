"""A run that ends before its time goes on to the same bits; no damaged file is read; faults lose nothing."""

import copy
import errno
import functools
import json
import os
import re
import signal
import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.interruptions import Kill, Killed
from purecnn import (
    SGD,
    Activation,
    Adam,
    Callback,
    Checkpoint,
    Convolutional,
    Dense,
    Dropout,
    EarlyStopping,
    Flatten,
    History,
    LearningRate,
    MaxPooling,
    Network,
    Optimizer,
    ReLU,
    Softmax,
    Tanh,
    load,
)
from purecnn.backend import files
from purecnn.backend.files import remove_leftovers, write_whole
from purecnn.callbacks.evaluations import Evaluations
from purecnn.callbacks.resume import SavedRun, said
from purecnn.callbacks.state import pack, unpack
from purecnn.errors import CheckpointError, CheckpointWarning, DivergedError, FileFormatError
from purecnn.formats import read_safetensors, write_safetensors
from purecnn.optimizers.schedules import OneCycle

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (150, 6, 6), dtype=np.uint8)
LABELS = RANDOM.integers(0, 3, 150)
ROWS = RANDOM.standard_normal((50, 4))


def convolutional(seed: int = 3, dtype: type = np.float32) -> Network:
    return Network(
        [
            Convolutional(kernel_size=3, depth=2),
            ReLU(),
            MaxPooling(2),
            Flatten(),
            Dropout(0.3),
            Dense(output_size=3),
            Softmax(),
        ],
        seed=seed,
        dtype=dtype,
    )


def dense(seed: int = 3) -> Network:
    return Network([Dense(4, 5), Tanh(), Dropout(0.5), Dense(5, 3), Softmax()], seed=seed)


def bits(network: Network, history: History) -> dict[str, Any]:
    """Return all that an interruption may not change."""
    assert network.optimizer is not None
    return {
        "parameters": network.parameters.tobytes(),
        "optimizer": {name: array.tobytes() for name, array in network.optimizer.state.items()},
        "settings": (network.optimizer.configuration(), network.optimizer.steps),
        "losses": (history.loss, history.validation_loss, history.validation_accuracy),
        "counts": (network.seed, network.epochs, network.updates),
    }


def fit(network: Network, *callbacks: Any, optimizer: Optimizer | str = "adam", **options: Any) -> History:
    x, y = (IMAGES, LABELS) if len(network) == 7 else (ROWS, LABELS[:50])
    return network.fit(
        x, y, **{"epochs": 3, "batch_size": 64} | options, optimizer=optimizer, callbacks=callbacks
    )


# --- the same bits ------------------------------------------------------------------------------------------


@functools.cache
def undisturbed(threads: int) -> tuple[dict[str, Any], bytes]:
    """Return the bits, and the parameters alone, of the run that the next test kills and resumes."""
    whole = convolutional()
    history = fit(whole, threads=threads, validation_data=(IMAGES[:20], LABELS[:20]))
    return bits(whole, history), whole.parameters.tobytes()


PLACES = [(1, 1), (1, 5), (2, 4), (3, 3), (3, 8), (None, 5), (None, 2)]


@pytest.mark.parametrize(
    ("every", "at", "threads", "later"),
    [
        *((every, at, 1, 1) for every, at in PLACES),
        # other threads, where the killed run was within an epoch, and where it was behind one
        *((every, at, *ways) for every, at in [(1, 5), (None, 5)] for ways in [(2, 2), (1, 4), (2, 1)]),
    ],
)
def test_a_run_that_is_resumed_ends_in_the_same_bits(
    tmp_path: Path, every: int | None, at: int, threads: int, later: int
) -> None:
    wanted, parameters = undisturbed(threads)
    path, options = tmp_path / "c", {"validation_data": (IMAGES[:20], LABELS[:20])}
    with pytest.raises(Killed):
        fit(convolutional(), Checkpoint(path, every=every), Kill(at), threads=threads, **options)
    # the second network has a seed and parameters of its own until it takes those of the file
    for second in (convolutional(seed=9), load(path)):
        found = fit(second, Checkpoint(tmp_path / "d"), threads=later, resume=path, **options)
        assert bits(second, found) == wanted
        assert len(found.seconds) == 3
    assert load(tmp_path / "d").parameters.tobytes() == parameters


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(0.1),
        lambda: SGD(0.1, momentum=0.9),
        lambda: Adam(0.01, beta1=0.8),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 7, 50])
@pytest.mark.parametrize("shuffle", [True, False])
def test_whatever_the_optimizer_and_the_batch(
    tmp_path: Path, make: Any, batch_size: int, shuffle: bool
) -> None:
    def run(network: Network, *callbacks: Callback, **more: Any) -> History:
        optimizer = make()
        schedule = LearningRate(optimizer, OneCycle(0.1))
        options = {"batch_size": batch_size, "shuffle": shuffle, "epochs": 4, "threads": 2}
        return fit(network, schedule, *callbacks, optimizer=optimizer, **options, **more)

    whole, second = dense(), dense()
    history = run(whole)
    with pytest.raises(Killed):
        run(dense(), Checkpoint(tmp_path / "c", every=2), Kill(3))
    assert bits(second, run(second, resume=tmp_path / "c")) == bits(whole, history)


def test_in_float64_and_after_many_interruptions(tmp_path: Path) -> None:
    whole, path = convolutional(dtype=np.float64), tmp_path / "c"
    history = fit(whole)
    resume = None
    for at in range(2, 9, 2):
        with pytest.raises(Killed):
            fit(
                convolutional(dtype=np.float64),
                Checkpoint(path, every=1),
                Kill(at),
                threads=1 + at % 3,
                resume=resume,
            )
        resume = path
    last = convolutional(dtype=np.float64)
    assert bits(last, fit(last, resume=path)) == bits(whole, history)


def test_a_second_fit_goes_on_too(tmp_path: Path) -> None:
    whole, half = dense(), dense()
    for network in (whole, half):
        fit(network)
    history = fit(whole)
    with pytest.raises(Killed):
        fit(half, Checkpoint(tmp_path / "c"), Kill(2))
    second = dense()
    assert bits(second, fit(second, resume=tmp_path / "c")) == bits(whole, history)
    assert second.epochs == 6


def test_in_the_process_that_was_interrupted(tmp_path: Path) -> None:
    """As in a notebook: the same network, optimizer and callbacks, which have moved on meanwhile."""
    whole, optimizer = dense(), Adam(0.1)
    history = fit(whole, LearningRate(optimizer, OneCycle(0.1)), optimizer=optimizer, batch_size=10)
    second, optimizer = dense(), Adam(0.1)
    callbacks = LearningRate(optimizer, OneCycle(0.1)), Checkpoint(tmp_path / "c", every=2)
    with pytest.raises(Killed):
        fit(second, *callbacks, Kill(11), optimizer=optimizer, batch_size=10)
    found = fit(second, *callbacks, optimizer=optimizer, batch_size=10, resume=tmp_path / "c")
    assert bits(second, found) == bits(whole, history)


def test_a_run_that_is_complete_has_nothing_to_do_and_may_be_given_more_epochs(tmp_path: Path) -> None:
    whole, longer, again = dense(), dense(), dense()
    history = fit(whole, Checkpoint(tmp_path / "c"))
    assert bits(again, fit(again, resume=tmp_path / "c")) == bits(whole, history)
    history = fit(longer, epochs=5)
    assert bits(again, fit(again, epochs=5, resume=tmp_path / "c")) == bits(longer, history)


@pytest.mark.parametrize("kill", [Kill(epoch=1), Kill(epoch=3), Kill(7), Kill(epoch=5), Kill(epoch=9)])
@pytest.mark.parametrize("before", [False, True])
def test_early_stopping_stops_and_restores_as_if_nothing_had_been(
    tmp_path: Path, kill: Kill, before: bool
) -> None:
    def run(network: Network, *callbacks: Callback, resume: Path | None = None) -> tuple[Any, ...]:
        stopping = EarlyStopping(patience=3)
        around = [*callbacks, stopping] if before else [stopping, *callbacks]
        data = (ROWS[40:], LABELS[40:50])
        options = {"epochs": 12, "batch_size": 25, "validation_data": data, "optimizer": Adam(0.3)}
        history = fit(network, *around, resume=resume, **options)
        return bits(network, history), stopping.best, stopping.best_epoch, stopping.waited

    whole, second, path = dense(), dense(), tmp_path / "c"
    wanted = run(whole)
    assert (wanted[2], whole.epochs) == (2, 5)
    try:
        run(dense(), Checkpoint(path), kill)
    except Killed:
        pass
    else:
        assert kill.epochs == 9  # by then it had stopped: the checkpoint is of the end
    assert run(second, resume=path) == wanted


def test_a_stop_in_the_middle_of_an_epoch_is_kept_before_the_best_is_restored(tmp_path: Path) -> None:
    class Stop(Callback):
        def step(self, epoch: int, step: int, loss: float) -> None:
            if (epoch, step) == (3, 1):
                self.fit.stop("time is up")

    options = {"epochs": 4, "batch_size": 25, "validation_data": (ROWS, LABELS[:50])}
    path = tmp_path / "c"
    whole, half, second = dense(), dense(), dense()
    history = fit(whole, EarlyStopping(patience=9), **options)
    fit(half, EarlyStopping(patience=9), Checkpoint(path), Stop(), **options)
    assert load(path).updates == 5
    found = fit(second, EarlyStopping(patience=9), resume=path, **options)
    assert bits(second, found) == bits(whole, history)


def test_a_rate_that_a_function_set_is_kept(tmp_path: Path) -> None:
    def drop(fit: Any) -> None:
        if fit.epoch == 1:
            fit.optimizer.learning_rate /= 8

    whole, second = dense(), dense()
    history = fit(whole, drop, optimizer=Adam(0.1))
    with pytest.raises(Killed):
        fit(dense(), drop, Checkpoint(tmp_path / "c"), Kill(epoch=2), optimizer=Adam(0.1))
    assert bits(second, fit(second, drop, optimizer=Adam(0.1), resume=tmp_path / "c")) == bits(whole, history)


def test_buffers_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting(Dense):
        """Has a buffer, as a layer with running statistics does."""

        def bind(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
            self.buffers.setdefault("count", np.zeros(2))
            return super().bind(input_shape)

    def count(fit: Any) -> None:
        fit.network[0].buffers["count"] += [1, fit.epoch]

    monkeypatch.setattr("purecnn.layers.serialization.LAYERS", {"Counting": Counting})
    network, second = (Network([Counting(4, 3)]) for _ in range(2))
    with pytest.raises(Killed):
        network.fit(ROWS, LABELS[:50], epochs=3, callbacks=[count, Checkpoint(tmp_path / "c"), Kill(epoch=2)])
    second.fit(ROWS, LABELS[:50], epochs=3, callbacks=[count], resume=tmp_path / "c")
    assert second[0].buffers["count"].tolist() == [3, 6]


def test_a_checkpoint_is_a_model_and_says_what_is_in_it(tmp_path: Path) -> None:
    network, path = dense(), tmp_path / "c"
    fit(network, Checkpoint(path))
    again = load(path)
    assert again.parameters.tobytes() == network.parameters.tobytes()
    assert (again.seed, again.epochs, again.updates) == (3, 3, 3)
    tensors, texts = read_safetensors(path)
    state = unpack(texts["checkpoint"], tensors)
    assert {"batch_size", "shuffle", "loss", "optimizer", "data", "shards"} <= state["arguments"].keys()
    assert {"numpy", "blas", "features"} <= state["machine"].keys()
    assert (state["epochs"], state["epoch"], state["step"]) == (3, 3, 0)


def test_when_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[str] = []
    plain = Checkpoint.write

    def watched(self: Checkpoint) -> None:
        before = self.written
        plain(self)
        places.extend([said(self.written)] if self.written != before else [])

    monkeypatch.setattr(Checkpoint, "write", watched)
    for every, wanted in (
        (None, ["epoch 0", "epoch 1", "epoch 2"]),
        (2, ["epoch 0", "step 2 of epoch 1", "step 1 of epoch 2", "step 3 of epoch 2", "epoch 2"]),
        (99, ["epoch 0", "epoch 2"]),
    ):
        fit(dense(), Checkpoint(tmp_path / "c", every=every), epochs=2, batch_size=20)
        assert places == wanted
        places.clear()


# --- another run --------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A checkpoint of a small run, in the middle of its second epoch."""
    with pytest.raises(Killed):
        fit(dense(), Checkpoint(tmp_path / "c", every=3), Kill(3), batch_size=25)
    return tmp_path / "c"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 10}, "its run's batch_size was 25, this one's is 10"),
        ({"shuffle": False}, "its run's shuffle was True, this one's is False"),
        ({"loss": "mse"}, "its run's loss was .*categorical.*, this one's is .*mse"),
        ({"optimizer": SGD(0.1)}, "its run's optimizer was .*'Adam'.*, this one's is .*'SGD'"),
        ({"optimizer": Adam(beta1=0.8)}, "its run's optimizer was .*0.9.*, this one's is .*0.8"),
        ({"validation_data": (ROWS, LABELS[:50])}, "its run's validation_data was None, this one's is "),
        ({"epochs": 1}, "holds step 1 of epoch 2, got epochs=1"),
    ],
)
def test_other_arguments_are_refused(path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckpointError, match=f"{re.escape(str(path))}: {words}"):
        fit(dense(), resume=path, **{"batch_size": 25} | options)


@pytest.mark.parametrize(
    ("network", "x", "y", "words"),
    [
        (dense(), ROWS[:40], LABELS[:40], "its run's samples was 50, this one's is 40"),
        (dense(), ROWS * 2, LABELS[:50], "its run's data was [0-9a-f]{64}, this one's is [0-9a-f]{64}"),
        (dense(), ROWS, (LABELS[:50] + 1) % 3, "its run's data was "),
        (
            Network([Dense(4, 3), Softmax()]),
            ROWS,
            LABELS[:50],
            "its run's architecture was .*Dropout.*, this",
        ),
        (
            Network(copy.deepcopy([*dense()]), dtype=np.float64),
            ROWS,
            LABELS[:50],
            "its run's dtype was float32, this one's is",
        ),
    ],
)
def test_another_network_and_other_data_are_refused(
    path: Path, network: Network, x: Any, y: Any, words: str
) -> None:
    with pytest.raises(CheckpointError, match=words):
        network.fit(x, y, batch_size=25, epochs=3, resume=path)


def test_callbacks_whose_state_belongs_to_another_run_are_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"callbacks with a state was , this one's is EarlyStopping\.0;"
    ):
        fit(dense(), EarlyStopping("loss"), batch_size=25, resume=path)
    fit(dense(), EarlyStopping("loss"), Checkpoint(tmp_path / "d"))
    with pytest.raises(CheckpointError, match=r"was EarlyStopping\.0, this one's is ;"):
        fit(dense(), resume=tmp_path / "d")

    class Picky(EarlyStopping):
        def restore(self, state: dict[str, Any]) -> None:
            raise ValueError("not mine")

    Picky.__name__ = "EarlyStopping"
    with pytest.raises(CheckpointError, match=r"EarlyStopping\.0 can't take its state back: .*not mine"):
        fit(dense(), Picky("loss"), resume=tmp_path / "d")


def test_the_best_of_another_network_is_refused() -> None:
    stopping = EarlyStopping("loss")
    fit(dense(), stopping)
    state = {**stopping.state(), "kept": {"parameters": np.zeros(3)}}
    with pytest.raises(ValueError, match="the best epoch's arrays are not those of this network"):
        stopping.restore(state)


def test_another_machine_is_a_warning(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = {"numpy": "1.0", "blas": "none", "features": ["MMX"], "cores": 64}
    monkeypatch.setattr("purecnn.backend.environment.machine", lambda *_: machine)
    with pytest.warns(
        CheckpointWarning, match=r"may not end in the bits .* since numpy is 1\.0, was "
    ) as caught:
        fit(dense(), resume=path, batch_size=25)
    assert "features is MMX, was " in str(caught[0].message)
    assert "cores" not in str(caught[0].message)


def test_a_model_is_no_checkpoint(tmp_path: Path) -> None:
    from purecnn import save

    save(dense(), tmp_path / "m")
    with pytest.raises(FileFormatError, match="a model, not a checkpoint"):
        fit(dense(), resume=tmp_path / "m")
    with pytest.raises(FileNotFoundError):
        fit(dense(), resume=tmp_path / "none")


# --- damage -------------------------------------------------------------------------------------------------


def test_no_damaged_file_is_read_as_good(path: Path) -> None:
    """Every byte, changed in one way of 255; lengths below the whole; and bytes behind the end.

    The two readers take turns: both ask the same function for the seal.
    """
    good = path.read_bytes()
    assert len(good) < 20_000
    random = np.random.default_rng(1)
    for place in range(len(good)):
        damaged = bytearray(good)
        damaged[place] ^= int(random.integers(1, 256))
        path.write_bytes(damaged)
        with pytest.raises(FileFormatError):
            (SavedRun, load)[place % 2](path)
    for number, length in enumerate(random.permutation(len(good))[:200]):
        path.write_bytes(good[:length])
        with pytest.raises(FileFormatError):
            (SavedRun, load)[number % 2](path)
    path.write_bytes(good + b"\0")
    with pytest.raises(FileFormatError):
        SavedRun(path)
    path.write_bytes(good)
    assert SavedRun(path).step == 1


def test_the_seal_is_the_sha256_of_the_file_with_zeros_in_its_place(path: Path) -> None:
    import hashlib

    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    stated = json.loads(whole[8 : 8 + length])["__metadata__"]["file_sha256"]
    assert whole.count(stated.encode()) == 1
    assert hashlib.sha256(whole.replace(stated.encode(), b"0" * 64)).hexdigest() == stated


def rewrite(path: Path, change: Any, **arrays: Any) -> None:
    """Write a checkpoint anew, its state changed and its seal good."""
    tensors, texts = read_safetensors(path)
    state = unpack(texts["checkpoint"], tensors)
    change(state)
    others = {name: array for name, array in tensors.items() if not name.startswith("checkpoint.")}
    text, packed = pack(state, "checkpoint")
    texts = {name: text for name, text in texts.items() if name != "file_sha256"} | {"checkpoint": text}
    write_safetensors(path, others | packed | arrays, texts, sealed=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.update(version=2), "version 2, wanted 1"),
        (lambda state: state.pop("losses"), "losses"),
        (lambda state: state.update(more=1), "more"),
        (lambda state: state.update(step=7), "step 7 of epoch 1 of 3"),
        (lambda state: state.update(epoch=-1), "its counts are -1, wanted from 0 to below"),
        (lambda state: state.update(losses=["x"]), "step 1 of epoch 1 of 3"),
        (lambda state: state.update(losses=[1.0] * 20), "step 1 of epoch 1 of 3"),
        (lambda state: state.update(epochs="3"), "a count is '3', wanted an integer"),
        (lambda state: state.update(epoch=1.0), "a count is 1.0, wanted an integer"),
        (lambda state: state["optimizer"].update(steps=None), "a count is None, wanted an integer"),
        (lambda state: state["optimizer"]["state"].update(mean="x"), "mean is 'x', wanted an array"),
        (lambda state: state.update({"m" * 9999: 1}), "its state is not what Checkpoint writes: .{,500}$"),
        (lambda state: state["arguments"].update(loss=np.zeros(3)), r"an array of shape \(3,\) stands where"),
        (lambda state: state["arguments"]["optimizer"].update(beta1=np.zeros(3)), "an array of shape"),
        (lambda state: state["machine"].update(features=["AVX", np.zeros(3)]), "an array of shape"),
        (lambda state: state["history"].update(samples=[1.0]), r"a History has no samples=\[1.0\]"),
        (lambda state: state["history"].update(line=[1.0]), r"a History has no line=\[1.0\]"),
        (lambda state: state["optimizer"]["state"].pop("mean"), "optimizer's state is not one for these"),
        (lambda state: state["optimizer"]["state"].update(mean=np.zeros(2)), "optimizer's state is not one"),
        (lambda state: state["optimizer"]["configuration"].update(learning_rate="x"), "no learning_rate='x'"),
        (lambda state: state["optimizer"]["configuration"].update(steps=3), "no steps=3"),
        (lambda state: state["optimizer"]["configuration"].update(clip_norm=[1]), r"no clip_norm=\[1\]"),
        (lambda state: state["optimizer"]["configuration"].pop("beta2"), "no beta2=nothing"),
        (lambda state: state["optimizer"]["configuration"].update(beta2=7), "beta2 must be .*, got 7"),
        (lambda state: state["optimizer"]["configuration"].update(epsilon=10**400), "no epsilon=1000"),
        (lambda state: state["optimizer"]["configuration"].update(learning_rate=10**400), "learning_rate=10"),
        (lambda state: state.update(spent="1"), "seconds of an epoch are '1', wanted a number"),
        (lambda state: state.update(spent=float("nan")), "seconds of an epoch are nan"),
        (
            lambda state: state.update(losses=[float("nan")]),
            r"losses of the epoch are \[nan\], wanted finite",
        ),
        (lambda state: state.update(losses=[1e308] * 9, step=9), "intermediate overflow"),
        (lambda state: state.update(losses=[0.5] * 9, step=9), "holds step 9 of epoch 2, wanted at most 2"),
        (lambda state: state["history"].update(samples=49), "samples of its history are 49, wanted 50"),
        (lambda state: state["history"].update(__dict__={}), "a History has no __dict__={}"),
        (lambda state: state["history"].update(images_per_second=[]), "has no images_per_second="),
        (lambda state: state["history"].update(loss=[10**400]), "1 epochs has no loss="),
        (lambda state: state["history"].update(seconds=[]), r"1 epochs has no seconds=\[\]"),
        (lambda state: state["history"].update(validation_loss=[0.5]), "losses on other data .* 1, wanted 0"),
        (lambda state: state["history"].update(metrics={"f1": np.ones(1)}), "metrics of its history are "),
    ],
)
def test_a_state_that_makes_no_sense_is_refused(path: Path, change: Any, words: str) -> None:
    rewrite(path, change)
    with pytest.raises(FileFormatError, match=words):
        fit(dense(), resume=path, batch_size=25)


def test_a_seed_that_no_network_has_is_refused(path: Path) -> None:
    tensors, texts = read_safetensors(path)
    del texts["file_sha256"]
    write_safetensors(path, tensors, texts | {"seed": str(2**64)}, sealed=True)
    with pytest.raises(FileFormatError, match=r"seed must be from 0 to 2\*\*64 - 1, got 1844"):
        fit(dense(), resume=path, batch_size=25)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"done": 10**400}, "done is 1000"),
        ({"done": np.ones(1)}, "done is array"),
        ({"done": -1}, "done is -1, wanted a number of steps up to 3"),
        ({"best": "x"}, "best is 'x', wanted a number"),
        ({"best_epoch": 2}, "best_epoch is 2, wanted a number of epochs up to this one"),
        ({"waited": 0.5}, r"waited is 0\.5, wanted"),
        ({"kept": ["x"]}, "'list' object has no attribute 'items'"),
        ({"kept": {"parameters": np.full(43, np.nan, np.float32)}}, "hold numbers that are not finite"),
        ({"found": {"t": {"loss": [0.5, 0.5]}}}, "loss has 2 values, wanted 1"),
    ],
)
def test_a_callback_s_state_that_makes_no_sense_is_refused(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    def looking_on(optimizer: Optimizer) -> list[Callback]:
        return [
            LearningRate(optimizer, OneCycle(0.1)),
            EarlyStopping("loss"),
            Evaluations({"t": (ROWS, LABELS[:50])}),
        ]

    path, optimizer = tmp_path / "c", Adam()
    fit(dense(), *looking_on(optimizer), Checkpoint(path), epochs=1, optimizer=optimizer)

    def spoil(state: dict[str, Any]) -> None:
        for held in state["callbacks"].values():
            held.update({name: value for name, value in change.items() if name in held})

    rewrite(path, spoil)
    optimizer = Adam()
    with pytest.raises(CheckpointError, match=f"can't take its state back: .*{words}"):
        fit(dense(), *looking_on(optimizer), resume=path, optimizer=optimizer)


def test_parts_of_a_checkpoint_alone_are_refused(path: Path) -> None:
    tensors, texts = read_safetensors(path)
    for drop in ("checkpoint", "file_sha256"):
        write_safetensors(path, tensors, {k: v for k, v in texts.items() if k not in (drop, "file_sha256")})
        with pytest.raises(FileFormatError, match="a checkpoint, yet its state or its SHA-256 is missing"):
            load(path)
    write_safetensors(path, tensors, texts | {"checkpoint": "[" * 100_000}, sealed=True)
    with pytest.raises(FileFormatError, match="its state is not what Checkpoint writes"):
        SavedRun(path)


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, True, "x", float("inf"), float("-inf")], "b": {"c": []}},
        [0.1 + 0.2, 5e-324, -0.0, 1.7976931348623157e308],
        {
            "long": [0.1 * n for n in range(20)] + [float("nan")],
            "mixed": [1, *[0.5] * 20],
            "of lists": [[0.5] * 20],
        },
    ],
)
def test_packed_values_come_back(value: Any) -> None:
    text, arrays = pack(value, "s")
    assert set(arrays) <= {"s.long", "s.of lists.0"}
    assert repr(unpack(text, arrays)) == repr(value)


def test_packed_arrays_and_numpy_numbers_come_back() -> None:
    array = np.arange(3)
    text, arrays = pack({"a": [array, np.float32(0.5)], "b": (np.bool_(True),)}, "s")
    assert list(arrays) == ["s.a.0"]
    assert unpack(text, arrays) == {"a": [array, 0.5], "b": [True]}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": {1, 2}}, r"s\.a must be made of JSON values and arrays, got \{1, 2\}"),
        ({1: 2}, r"the keys of s must be strings without a \$ in front, got \[1\]"),
        ({"$array": "x"}, "the keys of s must be strings"),
    ],
)
def test_what_can_not_be_packed_is_refused(value: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        pack(value, "s")


def test_a_state_too_long_for_a_text_is_refused(tmp_path: Path) -> None:
    class Long(Callback):
        def state(self) -> dict[str, Any]:
            return {"numbers": list(range(200_000))}

    with pytest.raises(ValueError, match="should keep long lists as arrays"):
        fit(dense(), Long(), Checkpoint(tmp_path / "c"))


# --- faults -------------------------------------------------------------------------------------------------


def fail(monkeypatch: pytest.MonkeyPatch, call: str, code: int, times: list[int]) -> None:
    """Let one of the steps of writing a file fail at some of its calls, counted from 1."""
    plain, calls = getattr(files, call), []

    def failing(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) in times:
            raise OSError(code, os.strerror(code))
        return plain(*arguments)

    monkeypatch.setattr(files, call, failing)


@pytest.mark.parametrize(
    ("call", "code", "times", "words"),
    [
        ("to_disk", errno.ENOSPC, [2], "No space left on device"),
        ("take_name", errno.EACCES, [2], "Permission denied"),
        ("take_name", errno.EIO, [2], "Input/output error"),
    ],
)
def test_a_failed_write_leaves_the_last_one_good_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, times: list[int], words: str
) -> None:
    whole, half, path, seen = dense(), dense(), tmp_path / "c", []
    history = fit(whole)

    def look(fit: Any) -> None:
        seen.append(([p.name for p in tmp_path.iterdir()], SavedRun(path).epoch))

    fail(monkeypatch, call, code, times)
    with pytest.warns(
        CheckpointWarning,
        match=rf"\[Errno {code}\] {words}: {re.escape(repr(str(path)))}: the checkpoint of epoch 1 could not "
        "be written; the last good one is of epoch 0, and the training goes on",
    ) as caught:
        assert bits(half, fit(half, look, Checkpoint(path))) == bits(whole, history)
    assert len(caught) == 1
    # what each epoch finds: the first checkpoint, twice, then that of the second epoch
    assert seen == [(["c"], 0), (["c"], 0), (["c"], 2)]
    assert SavedRun(path).epoch == 3


def test_a_write_that_fails_in_the_end_is_an_error_behind_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, path = dense(), tmp_path / "c"
    fail(monkeypatch, "take_name", errno.ENOSPC, [3, 4, 5, 6])
    with (
        pytest.warns(CheckpointWarning, match="could not be written"),
        pytest.raises(
            CheckpointError,
            match="could not be written; the file holds epoch 1, the network is trained to epoch 3",
        ),
    ):
        fit(network, Checkpoint(path))
    assert network.epochs == 3
    assert SavedRun(path).epoch == 1
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files")
def test_a_disk_that_takes_no_more_bytes(tmp_path: Path) -> None:
    """The kernel's own refusal, in the middle of a write."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / "c"

    def limit(fit: Any) -> None:
        size = os.path.getsize(path) // 2 if fit.epoch == 1 else soft
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    try:
        with pytest.warns(CheckpointWarning, match="File too large") as caught:
            fit(dense(), limit, Checkpoint(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(caught) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["c"]
    assert SavedRun(path).epoch == 3


def test_what_can_not_be_written_at_all_is_told_before_the_training(tmp_path: Path) -> None:
    network = dense()
    with pytest.raises(FileNotFoundError):
        fit(network, Checkpoint(tmp_path / "missing" / "c"))
    with pytest.raises(ValueError, match="not a regular file"):
        fit(network, Checkpoint(tmp_path))
    assert network.updates == 0

    own = Activation(np.sin, np.cos)  # code, which no file holds
    with pytest.raises(TypeError, match="layer 1, Activation, can't be saved"):
        fit(Network([Dense(4, 3), own, Softmax()]), Checkpoint(tmp_path / "c"))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Checkpoint(3), TypeError, "path must be the name of a file, got 3"),
        (lambda: Checkpoint(""), TypeError, "path must be the name of a file, got ''"),
        (lambda: Checkpoint("c", every=0), ValueError, "every must be an integer of at least 1, got 0"),
    ],
)
def test_refusals(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_a_run_that_diverges_keeps_its_last_good_checkpoint_and_names_it(tmp_path: Path) -> None:
    network, path = dense(), tmp_path / "c"
    with (
        np.errstate(all="ignore"),
        pytest.raises(DivergedError, match="try a smaller learning rate") as caught,
    ):
        fit(network, Checkpoint(path, every=1), optimizer=SGD(1e30), epochs=9, batch_size=50)
    step = SavedRun(path).steps
    assert caught.value.__notes__ == [f"the last good checkpoint, step 1 of epoch {step}, is {path}"]
    assert np.isfinite(load(path).parameters).all()


def test_parameters_that_overflow_are_never_kept(tmp_path: Path) -> None:
    def overflow(fit: Any) -> None:
        if fit.epoch == 2:
            fit.network.parameters[3] = np.inf

    path = tmp_path / "c"
    with pytest.raises(DivergedError, match="a parameter is no longer finite at step 2: try a smaller"):
        fit(dense(), overflow, Checkpoint(path))
    assert SavedRun(path).epoch == 1


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    ours = tmp_path / ".c.0123456789abcdef.tmp"
    others = [tmp_path / name for name in (".d.0123456789abcdef.tmp", ".c.tmp", ".c.0123456789abcdeg.tmp")]
    for file in (ours, *others):
        file.write_text("half", encoding="utf-8")
    fit(dense(), Checkpoint(tmp_path / "c"))
    assert not ours.exists()
    assert all(file.exists() for file in others)


def test_long_names_are_written_too(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 127)
    write_whole(path, [b"x"])
    assert path.read_bytes() == b"x"
    remove_leftovers(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="no folder can be opened")
def test_a_folder_that_can_not_be_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(code: int) -> None:
        def refusing(_: int) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(files.os, "fsync", refusing)

    monkeypatch.setattr(files, "to_disk", lambda file: file.flush())
    refuse(errno.EINVAL)
    write_whole(tmp_path / "a", [b"1"])  # some file systems have no such call
    refuse(errno.EIO)
    with pytest.raises(OSError, match=r"Input/output error: .*a'"):
        write_whole(tmp_path / "a", [b"2"])
    monkeypatch.setattr(files, "WINDOWS", True)
    monkeypatch.setattr("purecnn.backend.files.os.open", None)
    write_whole(tmp_path / "a", [b"3"])
    assert (tmp_path / "a").read_bytes() == b"3"


# --- Ctrl-C -------------------------------------------------------------------------------------------------


class Press(Callback):
    """Press Ctrl-C so many times in one step."""

    def __init__(self, times: int) -> None:
        self.times = times

    def step(self, epoch: int, step: int, loss: float) -> None:
        if (epoch, step) == (2, 1):
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)


@pytest.fixture
def python_handles_interrupts() -> Any:
    """A shell's background jobs ignore the signal, and their children inherit that."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("python_handles_interrupts")
@pytest.mark.parametrize("every", [None, 1])
def test_the_first_interrupt_lets_the_step_end_and_keeps_its_place(tmp_path: Path, every: int | None) -> None:
    whole, half, second, path = dense(), dense(), dense(), tmp_path / "c"
    history = fit(whole, batch_size=25)
    with pytest.raises(KeyboardInterrupt):
        fit(half, Press(1), Checkpoint(path, every=every), batch_size=25)
    assert (SavedRun(path).epoch, SavedRun(path).step) == (1, 1)
    assert bits(second, fit(second, resume=path, batch_size=25)) == bits(whole, history)


@pytest.mark.usefixtures("python_handles_interrupts")
def test_an_interrupt_behind_the_last_step_is_not_forgotten(tmp_path: Path) -> None:
    class Late(Callback):
        last = True

        def epoch(self, epoch: int, history: History) -> None:
            if epoch == 3:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(dense(), Checkpoint(tmp_path / "c"), Late())
    assert SavedRun(tmp_path / "c").epoch == 3


@pytest.mark.usefixtures("python_handles_interrupts")
def test_the_second_interrupt_is_obeyed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "c"
    with pytest.raises(KeyboardInterrupt):
        fit(dense(), Press(2), Checkpoint(path), batch_size=25)
    assert (SavedRun(path).epoch, SavedRun(path).step) == (1, 0)


@pytest.mark.usefixtures("python_handles_interrupts")
def test_an_interrupt_while_the_disk_is_full_warns_and_interrupts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, "take_name", errno.ENOSPC, [3])
    with (
        pytest.warns(CheckpointWarning, match="the last good one is of epoch 1"),
        pytest.raises(KeyboardInterrupt),
    ):
        fit(dense(), Press(1), Checkpoint(tmp_path / "c"), batch_size=25)


@pytest.mark.usefixtures("python_handles_interrupts")
def test_without_a_checkpoint_and_in_other_threads_the_signal_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(dense(), Press(1), batch_size=25)
    seen = []
    thread = threading.Thread(
        target=lambda: fit(
            dense(),
            lambda _: seen.append(signal.getsignal(signal.SIGINT)),
            Checkpoint(tmp_path / "c"),
            epochs=1,
        )
    )
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
