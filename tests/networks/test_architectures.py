"""Architectures of the literature: their papers' counts, PyTorch's numbers, and what every network can."""

import copy
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from helpers import numbered
from helpers.torch_numbers import cases, close, part
from purecnn import SGD, Network, ShapeError, load, load_state_dict, networks, save, save_state_dict
from purecnn.networks import ARCHITECTURES, NETWORKS
from purecnn.onnx import export_onnx, load_onnx

#: Parameters as the papers count them, to their last digit where another program's count is known to it.
COUNTS = {
    # He et al. 2016, table 6: 0.27, 0.46, 0.66 and 0.85 million
    "resnet-20": (10, 269_722),
    "resnet-32": (10, 464_154),
    "resnet-44": (10, 658_586),
    "resnet-56": (10, 853_018),
    # Huang et al. 2017, table 2: 1.0 million
    "densenet-40-12": (10, 1_019_722),
    # 2.7 million in the literature on distillation; 36,479,194 for WRN-28-10 below
    "wide-resnet-16-4": (10, 2_748_890),
    # Zhang et al. 2017, table 1: 1,649,402, of which the normalization counts once here twice
    "inception-small": (10, 1_649_402 + 1712),
    # torchvision's
    "squeezenet": (1000, 1_235_496),
    "mobilenet-v2": (1000, 3_504_872),
    # 1.87 million in collections of models, with three groups
    "shufflenet": (1000, 1_865_728),
    "mobilenet-v3-small": (1000, 2_542_856),
    "efficientnet-b0": (1000, 5_288_548),
    # Keras's, without running statistics
    "mobilenet-v1": (1000, 4_231_976),
    # weights of six convolutions, 4,574,592, and of the dense layer; scales, shifts and biases
    "vgg-small": (10, 4_574_592 + 81_920 + 2 * 2 * (128 + 256 + 512) + 10),
}
#: Multiply-adds of convolutions and dense layers at 224 x 224, in millions, as the papers tell them.
WORK = {
    "mobilenet-v1": 569,
    "mobilenet-v2": 300,
    "mobilenet-v3-small": 56,
    "efficientnet-b0": 390,
    "shufflenet": 137,
}


def made(case, **options):
    function = getattr(networks, case["function"])
    return function(tuple(case["shape"]), 4, 0, **case["options"], **options)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_they_have_the_parameters_of_their_papers(name):
    classes, parameters = COUNTS[name]
    network = ARCHITECTURES[name]((3, 32, 32), classes, 0)
    assert network.parameters.size == parameters
    assert network.output_shape == (classes,)
    assert NETWORKS[name] is ARCHITECTURES[name]


@pytest.mark.parametrize(
    ("make", "millions"),
    [
        (partial(networks.wide_resnet, depth=40, width=4), 8.9),
        (partial(networks.resnet, depth=110), 1.7),
        (partial(networks.resnet, depth=20, shortcut="convolution"), 0.27),
        (partial(networks.densenet, depth=100, growth=12), 7.0),
    ],
)
def test_other_depths_and_widths_too(make, millions):
    assert round(make().parameters.size / 1e6, 2 if millions < 1 else 1) == millions


@pytest.mark.parametrize("name", WORK)
def test_they_cost_what_their_papers_say(name):
    rows = ARCHITECTURES[name]((3, 224, 224), 1000, 0).summary().rows
    kinds = ("Convolutional", "Dense")
    found = sum(row.multiply_adds for row in rows if row.layer.split()[-1] in kinds)
    assert found / 1e6 == pytest.approx(WORK[name], rel=0.02)


def test_small_images_are_not_made_smaller_at_once():
    for name in ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "squeezenet"):
        make = partial(getattr(networks, name), width=0.25)
        assert [make((3, side, side))[0].stride for side in (95, 96)] == [(1, 1), (2, 2)]
        assert make((3, 96, 120), stem_stride=1)[0].stride == (1, 1)


@pytest.mark.parametrize("case", cases("architectures"))
def test_steps_and_answers_are_pytorchs(case):
    data = part("architectures", case["name"])
    network = Network(copy.deepcopy(made(case).layers), input_shape=case["shape"], dtype=np.float64)
    arrays = [(name, array) for layer in network for name, array in layer.parameters.items()]
    assert len(arrays) == len(data["gradients"])
    for number, (name, array) in enumerate(arrays):
        array[...] = numbered.parameter(number, array.shape, name)
    x, options = numbered.uniform((6, *case["shape"])), {}
    y = np.arange(6) % 4
    if case["function"] == "unet":
        y = (np.arange(6 * math.prod(case["shape"][1:])) % 4).reshape(6, *case["shape"][1:])
    elif case["function"] == "autoencoder":
        y, options = (x + 1) / 2, {"loss": "mse"}
    losses, before = [], [array.copy() for _, array in arrays]
    for step in range(3):
        history = network.fit(
            x, y, batch_size=6, optimizer=SGD(0.05), shuffle=False, threads=1, shards=2, **options
        )
        losses += history.loss
        if step == 0:
            changes = [(old - new) / 0.05 for old, (_, new) in zip(before, arrays, strict=True)]
            found = [numbered.projection(number, change) for number, change in enumerate(changes)]
            close(found, data["gradients"], 1e-8, 1e-10 * np.abs(data["gradients"]).max())
    close(losses, data["losses"], 1e-9)
    found = [numbered.projection(number, array) for number, (_, array) in enumerate(arrays)]
    close(found, data["parameters"], 1e-8, 1e-9)
    close(network.predict(x), data["answers"], 1e-7, 1e-9)


@pytest.mark.parametrize("case", cases("architectures"))
def test_they_learn_and_go_everywhere(case, tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(32) % 4
    levels = np.array([-1, -0.3, 0.3, 1])[y].reshape(32, *[1] * len(case["shape"]))
    x = (rng.normal(0, 0.3, (32, *case["shape"])) + levels).astype(np.float32)
    if case["function"] == "unet":
        y = np.where(x[:, 0] > 0, 2, 1)
    elif case["function"] == "autoencoder":
        y = np.clip(0.5 + x / 4, 0, 1)
    found = []
    for threads in (1, 2):
        network = made(case)
        history = network.fit(x, y, epochs=3, batch_size=16, learning_rate=0.003, threads=threads)
        assert np.isfinite(history.loss).all()
        assert history.loss[-1] < history.loss[0]
        found.append(network.parameters.tobytes())
    assert found[0] == found[1]
    answers = network.predict(x)
    save(network, tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").predict(x).tobytes() == answers.tobytes()
    export_onnx(network, tmp_path / "model.onnx")
    if len(case["shape"]) == 3:
        close(load_onnx(tmp_path / "model.onnx").network().predict(x), answers, 1e-4, 1e-5)
    code = save_state_dict(network, tmp_path / "weights.safetensors")
    rows = network.summary().rows
    assert code.count("nn.Conv") == sum("Convolutional" in row.layer for row in rows)
    twin = made(case)
    load_state_dict(twin, tmp_path / "weights.safetensors")
    close(twin.predict(x), answers, 1e-6, 1e-7)


def test_a_summary_draws_the_paths():
    lines = str(networks.resnet((3, 8, 8), 10, depth=8).summary()).splitlines()
    assert [line[:40].rstrip() for line in lines[13:23]] == [
        "ReLU                   16 x 8 x 8",
        "Residual               32 x 4 x 4",
        "+- Convolutional       32 x 4 x 4",
        "|  BatchNormalization  32 x 4 x 4",
        "|  ReLU                32 x 4 x 4",
        "|  Convolutional       32 x 4 x 4",
        "|  BatchNormalization  32 x 4 x 4",
        "+- MaxPooling          16 x 4 x 4",
        "   ZeroPadding         32 x 4 x 4",
        "ReLU                   32 x 4 x 4",
    ]


def test_wrong_arguments_are_told():
    for make, words in (
        (partial(networks.resnet, depth=18), r"depth of resnet must be 6 n \+ 2, such as 20, got 18"),
        (partial(networks.wide_resnet, depth=4), r"depth of wide_resnet must be 6 n \+ 4, such as 22, got 4"),
        (partial(networks.shufflenet, groups=5), "groups of shufflenet must be one of 1, 2, 3, 4, 8, got 5"),
        (partial(networks.densenet, depth=41), r"depth of densenet must be 3 n \+ 4, such as 40, got 41"),
        (partial(networks.resnet, shortcut="none"), "shortcut must be"),
        (partial(networks.resnet, width=0), "width must be an integer of at least 1, got 0"),
        (
            partial(networks.mobilenet_v1, stem_stride=0),
            "stem_stride must be an integer of at least 1, got 0",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            make()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_is_no_image_is_refused(name):
    with pytest.raises(
        ShapeError, match=r"wants images of shape \(channels, height, width\), got samples of \(30,\)"
    ):
        ARCHITECTURES[name]((30,), 10, 0)


def test_images_and_signals_have_their_sizes():
    # as https://github.com/mateuszbuda/brain-segmentation-pytorch counts, half as wide as the paper's
    assert networks.unet((3, 32, 32), 1, depth=4, width=32).parameters.size == 7_763_041
    assert networks.unet((3, 32, 32), 1).task == networks.unet((3, 32, 32), 4).task == "segmentation"
    assert networks.autoencoder((1, 28, 28), 10).task == "regression"
    assert networks.autoencoder((3, 20, 12), 10).output_shape == (3, 20, 12)
    assert networks.resnet_1d().parameters.size == 504_138
    for make, words in (
        (partial(networks.unet, (1, 20, 24)), r"unet wants .* multiples of 8, got \(20, 24\): pad or scale"),
        (partial(networks.autoencoder, (1, 28, 30)), r"autoencoder wants .* multiples of 4, got \(28, 30\)"),
        (
            partial(networks.resnet_1d, (1, 28, 28)),
            r"resnet_1d wants signals .* got samples of \(1, 28, 28\)",
        ),
        (partial(networks.unet, (28,)), "unet wants images of shape"),
    ):
        with pytest.raises(ShapeError, match=words):
            make()


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
def test_shufflenets_of_all_groups_cost_alike(groups):
    network = networks.shufflenet((3, 224, 224), 1000, groups=groups)
    kinds = ("Convolutional", "Dense")
    found = sum(r.multiply_adds for r in network.summary().rows if r.layer.split()[-1] in kinds)
    wanted = {1: 143, 2: 140, 3: 137, 4: 133, 8: 137}[groups]
    assert found / 1e6 == pytest.approx(wanted, rel=0.015)


def test_the_rule_of_numbers():
    found = numbered.uniform((1000,))
    assert abs(found.mean()) < 0.06
    assert abs(found.std() - math.sqrt(1 / 3)) < 0.03
    assert (np.abs(found) <= 1).all()
    assert len(set(found)) == 1000
    assert (numbered.uniform((3,), 2) == numbered.uniform((5,))[2:]).all()


def test_the_guide_tells_their_sizes():
    guide = Path(__file__).parents[2] / "docs" / "guides" / "architectures.md"
    if not guide.exists():
        pytest.skip("the documents are not here")
    rows = [
        line.split(" | ")
        for line in guide.read_text(encoding="utf-8").splitlines()
        if line[:3] == "| `" and len(line.split(" | ")) == 5
    ]
    assert [row[0].strip("| `") for row in rows] == list(ARCHITECTURES)
    for (name, make), row in zip(ARCHITECTURES.items(), rows, strict=True):
        found = make((3, 32, 32), 10, 0).summary()
        assert row[2:4] == [f"{found.parameters:,}", f"{found.multiply_adds:,}"], name
