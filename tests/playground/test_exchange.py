"""Networks that a page opens, keeps and saves: within bounds, and never as anything but numbers."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from purecnn import Convolutional, Dense, Flatten, Network, Residual, Softmax, Tanh
from purecnn.datasets import mnist
from purecnn.errors import FileFormatError
from purecnn.networks.architectures.residual import resnet
from purecnn.networks.files import load, to_bytes
from purecnn.onnx import export_onnx
from purecnn.playground import exchange
from purecnn.playground.exchange import opened
from purecnn.playground.replies import Replies
from purecnn.playground.sessions import LessonError, Lessons, Networks
from purecnn.runs.model_path import DIGITS

PLAN = {
    "data": "digits",
    "layers": [{"kind": "MaxPooling", "pool_size": 2}],
    "optimizer": "Adam",
    "learning_rate": 0.03,
    "batch_size": 32,
}


@pytest.fixture(scope="module")
def replies():
    return Replies(load(DIGITS), least=0.9)


def ask(replies, path, **asked):
    status, told = replies(path, json.dumps(asked))
    return status, json.loads(told)


def sent(raw, name="mine.safetensors"):
    return {"file": base64.b64encode(raw).decode(), "name": name}


def drawing(digit):
    pixels = np.kron(digit, np.ones((4, 4), np.uint8)).astype(np.uint8)
    return {"side": 112, "pixels": base64.b64encode(pixels.tobytes()).decode()}


def test_the_network_of_a_training_is_drawn_for_saved_and_opened_again(replies):
    lesson = ask(replies, "lessons/begin", **PLAN)[1]["lesson"]
    while ask(replies, "lessons/advance", lesson=lesson, steps=100)[1]["step"] < 100:
        pass
    status, told = ask(replies, "networks/keep", lesson=lesson)
    assert (status, told["title"], told["examples"]) == (200, "Draw a digit", 10_000)
    assert told["name"].startswith("digits, ")
    assert [layer["kind"] for layer in told["layers"]] == ["MaxPooling", "Flatten", "Dense", "Softmax"]
    assert {**ask(replies, "network", network=told["network"])[1], "network": told["network"]} == told
    digit = mnist.load_data()[1][0][0]
    answer = ask(replies, "draw", network=told["network"], **drawing(digit))[1]
    trained = replies.lessons.find(lesson)[0].network
    sample = np.frombuffer(base64.b64decode(answer["sample"]), np.uint8).reshape(1, 1, 28, 28)
    np.testing.assert_allclose(answer["probabilities"], trained.predict(sample)[0], atol=1e-6)
    # what is learnt since changes nothing of what is drawn for
    ask(replies, "lessons/advance", lesson=lesson, steps=5)
    assert ask(replies, "draw", network=told["network"], **drawing(digit))[1] == answer
    assert ask(replies, "example", network=told["network"], number=3)[0] == 200
    cell = {"sample": answer["sample"], "layer": 2, "place": [7]}
    assert ask(replies, "cell", network=told["network"], **cell)[1]["size"] == 196
    assert ask(replies, "cell", **cell)[0] == 422  # the page's own network has another layer there
    file = base64.b64decode(ask(replies, "networks/save", network=told["network"])[1]["file"])
    again = ask(replies, "networks/open", **sent(file))[1]
    assert ask(replies, "draw", network=again["network"], **drawing(digit))[1] == answer
    live = base64.b64decode(ask(replies, "networks/save", lesson=lesson)[1]["file"])
    np.testing.assert_array_equal(opened(live, "live").parameters, trained.parameters)
    assert ask(replies, "networks/end", network=told["network"]) == (200, {})
    status, told = ask(replies, "draw", network=told["network"], **drawing(digit))
    assert (status, told["error"]) == (404, replies.networks.ended)


def test_a_training_on_points_takes_numbers_of_the_square(replies):
    plan = {**PLAN, "data": "xor", "layers": [{"kind": "Dense", "output_size": 4}, {"kind": "Tanh"}]}
    lesson = ask(replies, "lessons/begin", **plan)[1]["lesson"]
    told = ask(replies, "networks/keep", lesson=lesson)[1]
    assert (told["span"], told["given"]["words"]) == ([-1, 1], "each value from −1 to 1, as it is")
    answer = ask(replies, "draw", network=told["network"], values=[0, 190])[1]
    trained = replies.lessons.find(lesson)[0].network
    wanted = trained.predict(np.array([[-1, 190 / 127 - 1]]))[0, 0]
    assert answer["probabilities"][1] == pytest.approx(wanted, abs=1e-6)


def test_no_file_of_a_strangers_bytes_is_written(replies, monkeypatch):
    content = to_bytes(Network([Dense(2, 3)]))
    monkeypatch.setattr("builtins.open", None)
    monkeypatch.setattr("os.open", None)
    token = ask(replies, "networks/open", **sent(content))[1]["network"]
    assert base64.b64decode(ask(replies, "networks/save", network=token)[1]["file"]) == content


def test_an_onnx_model_opens(replies, tmp_path):
    network = load(DIGITS)
    export_onnx(network, tmp_path / "m.onnx")
    status, told = ask(replies, "networks/open", **sent((tmp_path / "m.onnx").read_bytes(), "m.onnx"))
    assert (status, told["name"]) == (200, "m.onnx")
    digit = mnist.load_data()[1][0][0]
    answers = [
        ask(replies, "draw", **which, **drawing(digit))[1]["layers"][-1]["values"]
        for which in ({}, {"network": told["network"]})
    ]
    np.testing.assert_allclose(*answers, atol=1e-5)


def of_one_file(tmp_path):
    """An ONNX model whose array lies in another file, such as one of this machine's."""
    helper = pytest.importorskip("onnx.helper")
    onnx = pytest.importorskip("onnx")
    tensor = onnx.TensorProto(name="w", dims=[2, 2], data_type=1, data_location=1)
    tensor.external_data.add(key="location", value="/etc/passwd")
    x, y = (helper.make_tensor_value_info(name, 1, ["N", 2]) for name in "xy")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [tensor])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


def residuals(depth):
    """A network in which layers lie within layers, many of them."""
    return Network([Residual([Tanh(), Tanh()]) for _ in range(depth)], input_shape=(4,))


def test_what_asks_for_too_much_is_refused_before_it_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(Network, "predict", None)  # nothing is computed
    monkeypatch.setattr("purecnn.playground.reader.trace", None)
    wide = Network([Convolutional(kernel_size=3, depth=8, padding="same")], input_shape=(3, 900, 900))
    layers = [Convolutional(kernel_size=5, depth=64, padding="same") for _ in range(4)]
    deep = Network(layers, input_shape=(3, 40, 40))
    for raw, words in (
        (bytes(exchange.MOST_FILE + 1), "mine: 4,000,001 bytes, wanted a model of at most 4,000,000 here"),
        (
            to_bytes(wide),
            "mine: one sample takes .* bytes on its way through the layers, wanted at most 33554432",
        ),
        (to_bytes(deep), "mine: .* bytes to go over for one sample, wanted at most 100,000,000 here"),
        (to_bytes(residuals(70)), "mine: 210 layers, wanted at most 200 here"),
        (of_one_file(tmp_path), "mine: neither a model's file of purecnn nor an ONNX model of one file: it "),
        (b"import os; os.system('ls')", "mine: neither a model's file of purecnn nor an ONNX model of one"),
        (b"", "mine: neither a model's file"),
        (b"PK\x03\x04" + bytes(60), "mine: neither a model's file"),
        (b"\x08\0\0\0\0\0\0\0{}      ", "mine: "),
    ):
        with pytest.raises(FileFormatError, match=f"^{words}"):
            opened(raw, "mine")


def test_the_networks_of_the_literature_open():
    network = resnet(depth=20)
    assert opened(to_bytes(network), "resnet").output_shape == (10,)


def test_what_no_page_can_show_is_not_kept(replies):
    layers = [Convolutional(kernel_size=3, depth=2, padding="same"), Softmax()]
    kept = len(replies.networks.kept)
    for network, words in (
        (
            Network(layers, input_shape=(1, 8, 8), task="segmentation"),
            "a network with one answer for each pic",
        ),
        (
            Network([Dense(201, 2)]),
            "pictures of 1 or 3 channels or at most 200 numbers are wanted, got (201,)",
        ),
        (
            Network([Flatten(), Dense(output_size=2)], input_shape=(2, 30)),
            "pictures of 1 or 3 channels or a vector",
        ),
        (Network([Flatten(), Dense(output_size=2)], input_shape=(5, 8, 8)), "pictures of 1 or 3 channels or"),
        (Network([Dense(2, 1001)]), "at most 1000 answers are wanted, got 1001"),
    ):
        status, told = ask(replies, "networks/open", **sent(to_bytes(network)))
        assert (status, told["error"].startswith(words)) == (422, True), told
    for name in (None, "", "n" * 101, 5):
        status, told = ask(replies, "networks/open", **sent(b"", name))
        assert (status, told["error"][:36]) == (422, "name must be a text of 1 to 100 lett")
    assert ask(replies, "networks/open", file="ä", name="mine")[0] == 422
    assert ask(replies, "networks/keep", lesson="?")[0] == ask(replies, "networks/save", lesson=3)[0] == 404
    for path in ("network", "draw", "picture", "example", "cell", "networks/save"):
        assert ask(replies, path, network=["?"])[0] == 404
    assert len(replies.networks.kept) == kept


def test_networks_are_as_many_as_there_is_room_for_and_end():
    now = [0.0]
    networks = Networks(most=2, seconds=60, clock=lambda: now[0])
    one, _ = networks.add(("one", None)), networks.add(("two", None))
    with pytest.raises(LessonError, match="2 networks are open already"):
        networks.add(("three", None))
    now[0] = 50
    networks.find(one)
    now[0] = 70
    three = networks.add(("three", None))
    assert set(networks.kept) == {one, three}


def test_damaged_files_are_refused_or_opened_in_a_sentence(tmp_path):
    """Some bytes changed, cut or doubled, of files that can be opened: nothing but a refusal may come out."""
    network = Network(
        [Convolutional(kernel_size=3, depth=2), Tanh(), Flatten(), Dense(output_size=3), Softmax()],
        input_shape=(1, 8, 8),
    )
    export_onnx(network, tmp_path / "m.onnx")
    rng = np.random.default_rng(0)
    replies = Replies(Network([Dense(2, 3)]), lessons=Lessons(), networks=Networks(most=1000))
    seen = set()
    for raw in (to_bytes(network), (tmp_path / "m.onnx").read_bytes()):
        for _ in range(150):
            damaged = bytearray(raw)
            for _ in range(rng.integers(1, 5)):
                damaged[rng.integers(min(len(damaged), 1500))] = rng.integers(256)
            if rng.random() < 0.2:
                damaged = damaged[: rng.integers(len(damaged))]
            status, told = ask(replies, "networks/open", **sent(bytes(damaged)))
            seen.add(status)
            if status == 422:
                assert "\n" not in told["error"]
                assert "/tmp" not in told["error"]
    assert seen <= {200, 422}
    assert 422 in seen
