"""The number of shards: by default by the cores; the bits depend on it, and on neither threads nor cores."""

import numpy as np
import pytest
from click.testing import CliRunner

from helpers.command_line import write_data
from purecnn import (
    BatchNormalization,
    Checkpoint,
    CNNClassifier,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    MaxPooling,
    Network,
    ReLU,
    Softmax,
)
from purecnn.backend.cores import Workers
from purecnn.backend.sharding import shard_count
from purecnn.callbacks.resume import SavedRun
from purecnn.cli.app import purecnn
from purecnn.errors import CheckpointError
from purecnn.runs import reproduce
from purecnn.runs.record import read_record

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 256, (256, 12, 12)).astype(np.uint8), RNG.integers(0, 4, 256)


def trained(*, epochs=2, normalize=False, **options):
    """Return the parameters of a small network after some epochs, and the network."""
    layers = [Convolutional(kernel_size=3, depth=4), *([BatchNormalization()] if normalize else [])]
    layers += [ReLU(), MaxPooling(2), Flatten(), Dropout(0.2), Dense(output_size=4), Softmax()]
    network = Network(layers)
    network.fit(X, Y, epochs=epochs, batch_size=128, **options)
    return network.parameters.copy(), network


@pytest.fixture
def machine(monkeypatch):
    """Let this machine have another number of cores."""

    def have(count):
        for module in ("purecnn.training.fit", "purecnn.runs.run"):
            monkeypatch.setattr(f"{module}.capacity", lambda: Workers(count, "made up"))

    return have


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("shards", [1, 2, 3, 8, 128, 1000])
def test_the_bits_depend_on_the_shards_and_not_on_the_threads(shards, normalize):
    first, _ = trained(shards=shards, threads=1, normalize=normalize)
    second, _ = trained(shards=shards, threads=3, normalize=normalize)
    np.testing.assert_array_equal(first, second)
    if shards > 1:
        other, _ = trained(shards=shards // 2 + 1 if shards < 100 else 4, threads=1, normalize=normalize)
        np.testing.assert_allclose(first, other, atol=0.05)


def test_shards_left_out_are_enough_for_the_cores(machine):
    for cores, shards in ((1, 2), (2, 2), (4, 4), (6, 8), (64, 16)):
        machine(cores)
        found, _ = trained()
        np.testing.assert_array_equal(found, trained(shards=shards)[0])
        assert shard_count(128, cores) == shards


@pytest.mark.parametrize("shards", [0, -2, 2.0, "2", True])
def test_no_number_of_shards(shards):
    with pytest.raises(
        (TypeError, ValueError), match=f"shards must be an integer of at least 1, got {shards!r}"
    ):
        trained(shards=shards)


def test_a_run_that_is_resumed_keeps_its_number_of_shards(machine, tmp_path):
    machine(8)
    whole, _ = trained()
    trained(epochs=1, callbacks=[Checkpoint(tmp_path / "run")])
    assert SavedRun(tmp_path / "run").arguments["shards"] == 8
    machine(2)  # a smaller machine
    np.testing.assert_array_equal(trained(resume=tmp_path / "run")[0], whole)
    np.testing.assert_array_equal(trained(resume=tmp_path / "run", shards=8)[0], whole)
    with pytest.raises(CheckpointError, match="its run's shards was 8, this one's is 4"):
        trained(resume=tmp_path / "run", shards=4)


def test_a_run_of_the_command_line_is_resumed_and_reproduced_with_its_shards(machine, monkeypatch, tmp_path):
    monkeypatch.setattr("purecnn.backend.sharding.LEAST", 4)  # since there are 60 samples
    data = write_data(tmp_path / "data")
    asked = ["train", "--data", str(data), "--network", "dense", "--epochs", "2", "--no-report"]

    def run(*options):
        done = CliRunner().invoke(purecnn, [*asked, *map(str, options)])
        assert done.exit_code == 0, done.output
        return done.output

    machine(16)
    assert "shards: 8" in run("--output", tmp_path / "cores")
    assert "shards: 2" in run("--output", tmp_path / "given", "--shards", 2)
    found = [read_record(tmp_path / name) for name in ("cores", "given")]
    assert [record["arguments"]["shards"] for record in found] == [8, 2]
    assert found[0]["result"]["parameters"] != found[1]["result"]["parameters"]
    machine(1)
    assert reproduce(tmp_path / "cores").exact
    asked = ["train", "--epochs", "3", "--no-report"]
    assert "shards: 8" in run("--resume", tmp_path / "cores")
    done = CliRunner().invoke(purecnn, ["train", "--resume", str(tmp_path / "cores"), "--shards", "8"])
    assert "--shards has no place beside it" in done.output
    done = CliRunner().invoke(purecnn, ["train", "--shards", "0"])
    assert "shards must be an integer of at least 1, got 0" in done.output


def test_an_estimator_takes_shards_too(machine):
    def fitted(**options):
        found = CNNClassifier("dense", epochs=2, random_state=0, **options).fit(X, Y)
        return found.network_.parameters

    machine(8)
    np.testing.assert_array_equal(fitted(), fitted(shards=8))
    assert (fitted() != fitted(shards=2)).any()
