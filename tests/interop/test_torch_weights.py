"""PyTorch wrote the fixtures and ran the program: `fixtures/make_weights.py`."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from helpers.exchange import exchange_network
from purecnn import (
    Activation,
    BatchNormalization,
    Convolutional,
    Dense,
    Flatten,
    MaxPooling,
    Network,
    PReLU,
    ReLU,
    ShapeError,
    load,
    load_state_dict,
    save_state_dict,
    torch_code,
)
from purecnn.errors import FileFormatError
from purecnn.formats import read_safetensors, read_torch, write_safetensors
from purecnn.interop.torch.weights import state_dict
from purecnn.layers.registry import LAYERS

HERE = Path(__file__).parents[1] / "fixtures" / "weights"


def torch_net(outputs=12):
    layers = [
        Convolutional(kernel_size=3, depth=6),
        ReLU(),
        Convolutional(kernel_size=3, depth=6, groups=2),
        BatchNormalization(epsilon=1e-3),
        PReLU(per_channel=True),
        MaxPooling(2),
        Flatten(),
        Dense(output_size=outputs),
        ReLU(),
        Dense(output_size=3),
    ]
    return Network(layers, input_shape=(1, 12, 12))


def two():
    return Network([Dense(4, 4), Dense(4, 4)])


def pairs(first="a", second="b"):
    return {f"{first}.weight": np.ones((4, 4)), f"{second}.weight": np.full((4, 4), 2.0)}


def test_a_state_dict_of_pytorch_gives_its_outputs():
    network = torch_net()
    load_state_dict(network, HERE / "torch.safetensors")
    with np.load(HERE / "outputs.npz") as told:
        np.testing.assert_allclose(
            network.predict(told["torch/input"]), told["torch/output"], rtol=1e-5, atol=1e-6
        )
    assert not network[2].parameters["biases"].any()


def test_the_program_is_the_one_that_pytorch_ran():
    network, _ = exchange_network()
    assert torch_code(network, "weights.safetensors") == (HERE / "torch_code.py.txt").read_text(
        encoding="utf-8"
    )
    kinds = {type(part).__name__ for layer in network for part in (layer, *layer.parts())}
    assert kinds == LAYERS.keys()


def test_weights_come_back_from_a_file(tmp_path):
    network, x = exchange_network()
    save_state_dict(network, tmp_path / "w.safetensors")
    other, _ = exchange_network()
    other.parameters = np.zeros_like(other.parameters)
    load_state_dict(other, tmp_path / "w.safetensors")
    assert np.array_equal(other.parameters, network.parameters)
    np.testing.assert_allclose(other.predict(x), network.predict(x), rtol=1e-5)
    found = load_file(tmp_path / "w.safetensors")
    assert found.keys() == state_dict(network).keys()
    assert found["3.num_batches_tracked"].dtype == np.int64
    assert read_safetensors(tmp_path / "w.safetensors")[1] == {"format": "pt"}


def test_numbers_in_names_tell_the_order_and_an_ordered_dict_has_its_own():
    for source in (pairs("x.2", "x.10"), OrderedDict(pairs("b", "a"))):
        network = two()
        load_state_dict(network, source)
        assert network.parameters[0] == 1
        assert network.parameters[20] == 2


def test_an_open_order_is_refused_and_can_be_named():
    network = two()
    before = network.parameters.copy()
    with pytest.raises(ValueError, match=r"'a' and 'b' both fit layer|'b' and 'a' both fit layer"):
        load_state_dict(network, pairs())
    assert np.array_equal(network.parameters, before)
    load_state_dict(network, pairs(), modules=["b", "a"])
    assert network.parameters[0] == 2
    with pytest.raises(ValueError, match="'c' is not there"):
        load_state_dict(network, pairs(), modules=["b", "c"])


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (
            {"a.weight": np.ones((4, 5))},
            ShapeError,
            "bias (4,); the state dict has weight (4, 5)",
        ),
        ({"c.weight": np.ones((4, 4))}, ShapeError, "3 groups of arrays, the network 2"),
        ({"c.weight": np.ones((9, 9))}, ShapeError, "weight (9, 9) in 'c', which no layer"),
        ({"a.weight": np.full((4, 4), np.nan)}, FileFormatError, "a.weight holds nan"),
        ({"a.weight": np.full((4, 4), 1e200)}, FileFormatError, "a.weight holds inf"),
        ({"a.weight": np.ones((4, 4), int)}, TypeError, "a.weight must hold floats, got dtype int64"),
        ({"a.weight": None}, TypeError, "a.weight must hold floats"),
        ({1: np.ones(2)}, TypeError, "strings as names, got 1"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(change, error, words):
    network = two()
    before = network.parameters.copy()
    with pytest.raises(error) as caught:
        load_state_dict(network, pairs() | change, modules=["a", "b"] if "a.weight" in change else None)
    assert words in str(caught.value)
    assert np.array_equal(network.parameters, before)


def test_both_tensors_of_a_misfit_are_named_with_their_file(tmp_path):
    with pytest.raises(ShapeError, match=r"torch.safetensors: layer 7 \(Dense\) .* \(11, 96\).*\(12, 96\)"):
        load_state_dict(torch_net(11), HERE / "torch.safetensors")
    write_safetensors(tmp_path / "a", {"a.weight": np.ones((4, 4))})
    with pytest.raises(ShapeError, match="state dict lacks: it has 1 groups of arrays, the network 2"):
        load_state_dict(two(), tmp_path / "a")


def test_a_negative_variance_is_refused():
    network = Network([BatchNormalization(affine=False)], input_shape=2)
    with pytest.raises(FileFormatError, match=r"a.running_var holds -1, wanted at least 0"):
        load_state_dict(network, {"a.running_mean": np.zeros(2), "a.running_var": -np.ones(2)})


def test_what_pytorch_lacks_is_one_sentence():
    with pytest.raises(TypeError, match="layer 1, Activation can't be written as a module of PyTorch"):
        torch_code([Dense(2, 2), Activation(np.sin, np.cos)])
    with pytest.raises(ValueError, match="no input shape yet"):
        torch_code([Dense(output_size=2)])
    with pytest.raises(ValueError, match="name must be a name of Python, got '1'"):
        torch_code([Dense(2, 2)], name="1")
    assert ".double()" in torch_code(Network([Dense(2, 2)], dtype="float64"))


def test_the_command_turns_files(tmp_path):
    testing = pytest.importorskip("click.testing")
    pytest.importorskip("h5py")
    from purecnn.cli.app import purecnn

    ours, theirs = str(tmp_path / "a.safetensors"), str(tmp_path / "b.safetensors")
    run = testing.CliRunner().invoke
    found = run(purecnn, ["convert", str(HERE / "nested.keras"), ours])
    assert found.exit_code == 0
    assert f"saved to {ours}" in found.output
    found = run(purecnn, ["convert", ours, theirs])
    assert found.exit_code == 0
    assert found.output == torch_code(load(ours), theirs)
    found = run(purecnn, ["convert", ours, ours])
    assert found.exit_code == 2
    assert "another file" in found.output
    for name in ("c.keras", "c.pt", "c"):
        found = run(purecnn, ["convert", ours, str(tmp_path / name)])
        assert found.exit_code == 2
        assert f"{name}: OUT is written as a safetensors file" in found.output
        assert not (tmp_path / name).exists()


def test_the_command_makes_safetensors_of_pytorchs_own_files(tmp_path):
    testing = pytest.importorskip("click.testing")
    from purecnn.cli.app import purecnn

    run, out = testing.CliRunner().invoke, tmp_path / "a.safetensors"
    checkpoint = HERE.parent / "torch" / "checkpoint.pth"
    found = run(purecnn, ["convert", str(checkpoint), str(out)])
    assert (found.exit_code, found.output) == (0, f"{out}: 4 tensors, 26 numbers\n")
    kept = load_file(out)
    assert all(np.array_equal(kept[name], array) for name, array in read_torch(checkpoint).items())
    found = run(
        purecnn, ["convert", str(HERE.parent / "torch" / "module.pt"), str(tmp_path / "b.safetensors")]
    )
    assert found.exit_code == 2
    assert "the pickle names 'torch.nn.modules.container.Sequential'" in found.output
    assert not (tmp_path / "b.safetensors").exists()


def test_a_file_that_holds_integers_is_refused_as_a_file(tmp_path):
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"a.weight": np.ones((1, 2), np.float32), "a.bias": np.ones(1, np.int64)})
    with pytest.raises(FileFormatError, match=r"a\.safetensors: 'a\.bias' holds int64, wanted floats"):
        load_state_dict(Network([Dense(2, 1)]), path)
