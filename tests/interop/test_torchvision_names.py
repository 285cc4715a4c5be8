"""State dicts of torchvision's networks find their layers by the names: `fixtures/make_torch_files.py`."""

import functools
import gzip
import json
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from helpers import numbered
from purecnn import (
    BatchNormalization,
    Branches,
    Convolutional,
    Dense,
    GlobalAveragePooling,
    MaxPooling,
    Network,
    ReLU,
    Residual,
    ShapeError,
    load_state_dict,
    networks,
)
from purecnn.formats import read_torch, write_safetensors
from purecnn.interop.matching import Place, match
from purecnn.interop.torch.pairs import pairs, together

HERE = Path(__file__).parents[1] / "fixtures" / "torch"


@functools.cache
def networks_of_torchvision():
    held = json.loads(gzip.decompress((HERE / "torchvision.json.gz").read_bytes()))
    return {
        name: {module: {end: tuple(shape) for end, shape in shapes.items()} for module, shapes in found}
        for name, found in held.items()
    }


def shortcuts_first(order):
    """Return an order in which the shortcut of each block stands in front of the rest."""
    found = []
    for name in order:
        front, shortcut, _ = name.partition("downsample.")
        at = len(found)
        if shortcut:
            at = next(k for k, one in enumerate(found) if one.startswith(front) and shortcut not in one)
        found.insert(at, name)
    return found


@pytest.mark.parametrize("name", networks_of_torchvision())
def test_modules_are_found_in_the_order_in_which_they_run(name):
    groups = networks_of_torchvision()[name]
    by_name = dict(sorted(groups.items()))
    for order in (list(groups), shortcuts_first(groups)):
        places = [Place(f"layer {k}", "", groups[module]) for k, module in enumerate(order)]
        found = match(places, by_name, None, "the state dict", "modules", together(by_name))
        assert found == order


def test_each_normalization_is_beside_its_convolution():
    found = pairs(networks_of_torchvision()["densenet121"])
    assert found["features.norm0"] == "features.conv0"
    assert found["features.denseblock1.denselayer2.norm2"] == "features.denseblock1.denselayer2.conv2"
    assert found["features.transition1.norm"] == "features.transition1.conv"
    assert "features.norm5" not in found
    found = pairs(networks_of_torchvision()["resnet18"])
    assert found["layer2.0.downsample.1"] == "layer2.0.downsample.0"
    assert len(found) == 20


def test_a_pair_is_the_convolution_among_others_and_one_of_one():
    weights, vector = {"weight": (4, 4)}, {"weight": (4,), "bias": (4,)}
    assert pairs({"conv1": weights, "fc1": weights, "bn1": vector}) == {"bn1": "conv1"}
    assert pairs({"fc1": weights, "bn1": vector}) == {"bn1": "fc1"}
    assert pairs({"one1": weights, "fc1": weights, "bn1": vector}) == {}
    assert pairs({"conv1": weights, "bn1": vector, "norm1": vector}) == {}


def test_the_slopes_of_a_prelu_may_stand_within_a_pair():
    order = ["conv1", "bn1", "layer1.0.bn1", "layer1.0.conv1", "layer1.0.bn2", "layer1.0.prelu"]
    order += ["layer1.0.conv2", "layer1.0.bn3"]
    of = {"conv": {"weight": (4, 4, 3, 3)}, "bn": {"weight": (4,), "bias": (4,)}, "prelu": {"weight": (4,)}}
    groups = {name: of[name.rpartition(".")[2].rstrip("123")] for name in sorted(order)}
    groups["conv1"] = {"weight": (4, 3, 3, 3)}
    places = [Place("", "", groups[name]) for name in order]
    assert match(places, groups, None, "it", "modules", together(groups)) == order


def test_letters_behind_numbers_and_parts_of_one_letter_count():
    for order in (["inception3a.x", "inception3b.x", "inception4a.x"], ["b1.f.a.0", "b1.f.b.0", "b1.f.c.0"]):
        groups = {name: {"weight": (4, 4)} for name in reversed(order)}
        places = [Place("", "", shapes) for shapes in groups.values()]
        assert match(places, groups, None, "it", "modules") == order
    for names in (["a", "b"], ["x.e", "x.f"], ["5x5", "3x3"]):
        with pytest.raises(ValueError, match="does not say which comes first"):
            match(places[:2], {name: {"weight": (4, 4)} for name in names}, None, "it", "modules")


def block(maps, stride, first):
    """Return a block of ResNet-18, its shortcut as the first or as the second branch."""
    inner = [
        Convolutional(kernel_size=3, depth=maps, stride=stride, padding=1, bias=False),
        BatchNormalization(),
        ReLU(),
        Convolutional(kernel_size=3, depth=maps, padding=1, bias=False),
        BatchNormalization(),
    ]
    shortcut = [Convolutional(kernel_size=1, depth=maps, stride=stride, bias=False), BatchNormalization()]
    shortcut = shortcut if stride > 1 else []
    return [Branches(shortcut, inner, merge="add") if first else Residual(inner, shortcut or None), ReLU()]


def resnet18(maps, classes, shape, first=False):
    layers = [
        Convolutional(kernel_size=7, depth=maps[0], stride=2, padding=3, bias=False),
        BatchNormalization(),
        ReLU(),
        MaxPooling(3, stride=2, padding=1),
    ]
    for stage, wide in enumerate(maps):
        layers += [*block(wide, 2 if stage else 1, first), *block(wide, 1, first)]
    return Network([*layers, GlobalAveragePooling(), Dense(output_size=classes)], input_shape=shape)


def counted(groups):
    """Return tensors each of whose elements is the tensor's number in its network's order."""
    return {
        f"{module}.{end}": np.full(shape, place + 1, np.float32)
        for place, (module, shapes) in enumerate(groups.items())
        for end, shape in shapes.items()
    }


@pytest.mark.parametrize("first", [False, True])
def test_a_resnet_18_takes_its_state_dict(first):
    def narrow(shape):  # an eighth of its channels, which changes no name
        return tuple(size // 8 if size in (64, 128, 256, 512) else size for size in shape)

    groups = networks_of_torchvision()["resnet18"]
    groups = {module: {end: narrow(shape) for end, shape in held.items()} for module, held in groups.items()}
    network, tensors = resnet18((8, 16, 32, 64), 1000, (3, 32, 32), first), counted(groups)
    load_state_dict(network, dict(sorted(tensors.items())))
    found = network.parameters.copy()
    numbers = found[np.flatnonzero(np.diff(found, prepend=0))]
    if first:
        assert numbers[:5].tolist() == [1, 2, 3, 4, 5]
        assert sorted(numbers.tolist()) == list(range(1, 42))
    else:
        assert numbers.tolist() == list(range(1, 42))
    # their own order, where it fits or not, leads to the same
    for order in (tensors, dict(reversed(tensors.items()))):
        load_state_dict(network, OrderedDict(order))
        assert np.array_equal(network.parameters, found)


def test_a_resnet_18_gives_pytorchs_answers_from_each_kind_of_file(tmp_path):
    tensors = read_torch(HERE / "resnet18.pt")
    write_safetensors(tmp_path / "a.safetensors", tensors)
    with np.load(HERE / "resnet18.npz") as told:
        x, y = told["input"], told["output"]
    for path in (HERE / "resnet18.pt", tmp_path / "a.safetensors"):
        network = resnet18((2, 4, 8, 16), 5, (3, 33, 40))
        load_state_dict(network, path)
        np.testing.assert_allclose(network.predict(x), y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("mobilenet_v2", networks.mobilenet_v2),
        ("squeezenet1_1", networks.squeezenet),
        ("mobilenet_v3_small", networks.mobilenet_v3_small),
    ],
)
def test_the_networks_of_this_package_take_those_of_torchvision(name, make):
    network = make((3, 32, 32), 1000)
    tensors = counted(networks_of_torchvision()[name])
    load_state_dict(network, dict(sorted(tensors.items())))
    found = network.parameters
    numbers = found[np.flatnonzero(np.diff(found, prepend=0))]
    assert numbers.tolist() == list(range(1, 1 + len(networks_of_torchvision()[name])))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("mobilenet_v2", networks.mobilenet_v2),
        ("squeezenet1_1", networks.squeezenet),
        ("mobilenet_v3_small", networks.mobilenet_v3_small),
        ("efficientnet_b0", functools.partial(networks.efficientnet_b0, epsilon=1e-5)),
    ],
)
def test_and_answer_as_they_do(name, make):
    network = make((3, 96, 96), 1000)
    groups = networks_of_torchvision()[name]
    load_state_dict(network, numbered.tensors(groups.items()))
    with np.load(HERE / "torchvision.npz") as answers:
        np.testing.assert_allclose(
            network.predict(numbered.uniform((1, 3, 96, 96)))[0], answers[name], rtol=1e-4
        )


def test_what_the_names_do_not_tell_is_refused():
    layers = [Dense(4, 4), BatchNormalization(), Dense(4, 4), BatchNormalization()]
    vector = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), np.ones(4))
    linear = {"weight": np.ones((4, 4)), "bias": np.ones(4)}

    def tensors(**modules):
        return {f"{name}.{end}": array for name, held in modules.items() for end, array in held.items()}

    network = Network(layers, input_shape=4)
    load_state_dict(network, tensors(n2=vector, n1=vector, fc2=linear, fc1=linear))
    with pytest.raises(ValueError, match="'two' and 'one' both fit layer 3"):
        load_state_dict(network, tensors(fc1=linear, fc2=linear, one=vector, two=vector))
    with pytest.raises(ShapeError, match=r"modules=.* names them in another order"):
        load_state_dict(network, OrderedDict(tensors(one=vector, fc1=linear, fc2=linear, two=vector)))


def test_names_that_lead_elsewhere_are_of_no_account_where_shapes_tell():
    network = Network(
        [Dense(4, 4), BatchNormalization(affine=False), Dense(4, 5), BatchNormalization(affine=False)],
        input_shape=4,
    )
    ends = ("running_mean", "running_var")
    tensors = {"fc1.weight": np.ones((4, 4)), "fc2.weight": np.ones((5, 4))}
    tensors |= {f"p2.{end}": np.full(4, 2) for end in ends} | {f"q1.{end}": np.full(5, 3) for end in ends}
    shapes = {"fc1": {"weight": (4, 4)}, "fc2": {"weight": (5, 4)}}
    shapes |= {"p2": dict.fromkeys(ends, (4,)), "q1": dict.fromkeys(ends, (5,))}
    assert pairs(shapes) == {"p2": "fc2", "q1": "fc1"}
    load_state_dict(network, {name: array.astype(float) for name, array in tensors.items()})
    assert network[1].buffers["running_mean"][0] == 2
