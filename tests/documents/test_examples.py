"""Every example runs as a reader would run it, and the original program's code runs word for word."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import purecnn
from helpers.waiting import PATIENCE
from purecnn import Dense, Network, Tanh, export_onnx, load, load_onnx, networks, train
from purecnn.datasets import mnist
from purecnn.losses import mse, mse_prime

EXAMPLES = Path(__file__).parents[2] / "examples"

# the original readme's program: fixed, to the letter
ORIGINAL = """\
# Neural Network Architecture
network = [
    Convolutional((1, 28, 28), 3, 5),
    Sigmoid(),
    Reshape((5, 26, 26), (5 * 26 * 26, 1)),
    Dense(5 * 26 * 26, 100),
    Sigmoid(),
    Dense(100, 2),
    Sigmoid()
]

# Training
train(
    network,
    binary_cross_entropy,
    binary_cross_entropy_prime,
    x_train,
    y_train,
    epochs=20,
    learning_rate=0.1
)

# Testing
for x, y in zip(x_test, y_test):
    output = predict(network, x)
    print(f"pred: {np.argmax(output)}, true: {np.argmax(y)}")
"""

IMPORTS = """\
import numpy as np
from purecnn import Convolutional, Dense, Reshape, Sigmoid, predict, train
from purecnn.losses import binary_cross_entropy, binary_cross_entropy_prime
"""


# scikit-learn's own network stands beside ours for comparison: fewer of its epochs are enough here
FEW_EPOCHS = "from sklearn.neural_network import MLPClassifier; "
FEW_EPOCHS += "MLPClassifier.__init__.__kwdefaults__['max_iter'] = 40; "
WITHOUT_PLOTLY = "sys.modules['plotly'] = None; "


def run(name, folder, *arguments, first=None):
    """Run an example in a folder of its own; return what it printed, its sentence at the end, its status.

    `first` is what its Python does before it.
    """
    # the package under test, installed or not, and nothing of the checkout's own folder
    source = str(Path(purecnn.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source, "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "utf-8"}
    environment["OMP_NUM_THREADS"] = (
        "1"  # scikit-learn's own network waits for the other workers of the tests
    )
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    if first is not None:
        begin = f"import runpy, sys; {first}sys.argv = sys.argv[1:]; "
        command[1:1] = ["-c", begin + "runpy.run_path(sys.argv[0], run_name='__main__')"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout, done.stderr, done.returncode


def test_the_original_program_runs_word_for_word(capsys):
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    x_train, y_train = mnist.preprocess_data(x_train, y_train, limit=10)
    x_test, y_test = mnist.preprocess_data(x_test, y_test, limit=10)
    names = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    exec(IMPORTS + ORIGINAL, names)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 20 + 20
    errors = [re.fullmatch(rf"{epoch}/20, error=(\S+)", line) for epoch, line in enumerate(lines[:20], 1)]
    assert all(errors)
    assert float(errors[-1][1]) < float(errors[0][1]) / 2
    answers = [re.fullmatch(r"pred: (\d), true: (\d)", line) for line in lines[20:]]
    assert [int(answer[2]) for answer in answers] == y_test[:, :, 0].argmax(axis=1).tolist()
    assert sum(answer[1] == answer[2] for answer in answers) >= 18
    assert names["output"].shape == (2, 1)


def test_the_example_is_the_original_program():
    wanted = ast.parse(ORIGINAL).body
    found = ast.parse((EXAMPLES / "mnist_conv.py").read_text(encoding="utf-8")).body
    first = next(i for i, line in enumerate(found) if ast.dump(line) == ast.dump(wanted[0]))
    taken = found[first : first + len(wanted)]
    assert [ast.dump(line) for line in taken] == [ast.dump(line) for line in wanted]


def test_mnist_conv(tmp_path):
    printed, sentence, status = run("mnist_conv.py", tmp_path)
    assert (sentence, status) == ("", 0)
    lines = printed.splitlines()
    assert len(lines) == 20 + 200 + 1
    assert lines[0].startswith("1/20, error=")
    right = sum(line in ("pred: 0, true: 0", "pred: 1, true: 1") for line in lines)
    assert right >= 197
    assert lines[-1] == f"accuracy: {right / 200:.1%} of 200 test images"


def test_mnist_dense(tmp_path):
    printed, sentence, status = run("mnist_dense.py", tmp_path, "--epochs", "2")
    assert (sentence, status) == ("", 0)
    lines = printed.splitlines()
    assert len(lines) == 2 + 20 + 1
    assert lines[2].startswith("pred: ")
    assert float(re.match(r"accuracy: ([\d.]+)%", lines[-1])[1]) > 60


def test_mnist_checks_its_own_accuracy(tmp_path):
    printed, sentence, status = run("mnist.py", tmp_path, "--epochs", "1", "--images", "2000")
    found = re.search(r"accuracy: ([\d.]+)% of 10,000 test images", printed)[1]
    assert "trained in" in printed
    assert float(found) > 60
    assert status == 1
    assert sentence == f"the accuracy is {found}%; at least 98.90% is wanted\n"
    assert len((EXAMPLES / "mnist.py").read_text(encoding="utf-8").splitlines()) <= 60


def test_segmentation(tmp_path):
    printed, sentence, status = run("segmentation.py", tmp_path, "--epochs", "2", "--images", "160")
    overlap, right = re.search(r"mean overlap: ([\d.]+)%, right pixels: ([\d.]+)%", printed).groups()
    assert float(right) > 50  # most are ground, and batch normalization has seen ten batches
    assert status == 1
    assert sentence == f"the mean overlap is {overlap}%; at least 60.0% is wanted\n"


def test_autoencoder(tmp_path):
    printed, sentence, status = run("autoencoder.py", tmp_path, "--epochs", "1", "--images", "2000")
    noise, drawn = re.search(
        r"off by ([\d.]+) under the noise, by ([\d.]+) as it was drawn", printed
    ).groups()
    assert float(noise) == pytest.approx(0.170, abs=0.002)
    assert float(drawn) < 0.27  # an empty picture is off by 0.32
    assert status == 1
    assert sentence == f"a pixel is off by {drawn}; at most 0.14 is wanted\n"


def test_signals(tmp_path):
    printed, sentence, status = run("signals.py", tmp_path, "--epochs", "4", "--signals", "500")
    found = re.search(r"accuracy: ([\d.]+)% of 100 other signals", printed)[1]
    assert float(found) > 35  # one of five is a guess
    assert (sentence, status) == (f"the accuracy is {found}%; at least 93.0% is wanted\n", 1)


def resnet(path, size):
    """Write a residual network as torchvision's, of few channels, for pictures of a size."""
    network = networks.resnet((3, size, size), classes=7, depth=8, width=4, shortcut="convolution")
    export_onnx(network, path, input="scaled")


def test_fine_tuning_from_a_file_for_pictures_of_another_size(tmp_path):
    resnet(tmp_path / "small.onnx", 40)
    few = ("--images", "1000", "--head-epochs", "1", "--epochs", "4", "--rate", "0.01", "--body", "0.5")
    printed, sentence, status = run("fine_tuning.py", tmp_path, "small.onnx", "mnist", *few)
    assert (sentence, status) == ("", 0)
    assert "1,000 pictures, 1 x 28 x 28, of 0, 1, 2" in printed
    first = float(re.search(r"accuracy of the new layer alone: ([\d.]+)%", printed)[1])
    found = float(re.search(r"^accuracy: ([\d.]+)% of 10,000 test pictures", printed, re.M)[1])
    assert first < found > 25  # one of ten is a guess
    network = load(tmp_path / "fine-tuned.safetensors")
    (_, _), (x, y) = mnist.load_data()
    assert network.preprocessing.classes == tuple("0123456789")
    assert network.evaluate(x, y)["accuracy"] == pytest.approx(found / 100, abs=0.001)
    # torchvision's normalization of a grey picture: white, and black
    white, black = network[0].forward(np.ones((1, 28, 28, 1))), network[0].forward(np.zeros((1, 28, 28, 1)))
    np.testing.assert_allclose(white[:, 5, 5, 0], [2.2489, 2.4286, 2.64], atol=1e-4)
    np.testing.assert_allclose(black[:, 5, 5, 0], [-2.1179, -2.0357, -1.8044], atol=1e-4)
    exported = load_onnx(tmp_path / "fine-tuned.onnx").predict(x[:20, np.newaxis])
    np.testing.assert_allclose(exported, network.predict(x[:20]), atol=1e-5)


def test_fine_tuning_on_pictures_with_colours(tmp_path):
    image = pytest.importorskip("PIL.Image")
    resnet(tmp_path / "small.onnx", 24)
    for number in range(40):
        for label, name in enumerate(("day", "night")):
            place = tmp_path / "pictures" / name
            place.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 100, (20, 30, 3)) + 120 * (1 - label)
            image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")
    few = ("--size", "24", "--epochs", "1", "--rate", "0.01", "--output", "sky")
    printed, sentence, status = run("fine_tuning.py", tmp_path, "small.onnx", "pictures", *few)
    assert (sentence, status) == ("", 0)
    assert "64 pictures, 3 x 24 x 24, of day, night" in printed
    assert re.search(r"^accuracy: 100.0% of 16 test pictures", printed, re.M)
    seen = load(tmp_path / "sky.safetensors")[0].forward(np.ones((3, 24, 24, 1)))
    np.testing.assert_allclose(seen[:, 5, 5, 0], [2.2489, 2.4286, 2.64], atol=1e-4)


def test_fine_tuning_wants_a_dense_layer(tmp_path):
    export_onnx(Network([Tanh()], input_shape=(3, 8, 8)), tmp_path / "none.onnx")
    _, sentence, status = run("fine_tuning.py", tmp_path, "none.onnx", "mnist")
    assert (sentence, status) == ("none.onnx has no dense layer that could be replaced\n", 1)


def test_by_hand(tmp_path):
    printed, sentence, status = run("by_hand.py", tmp_path)
    assert (sentence, status) == ("", 0)
    losses = [float(found) for found in re.findall(r"epoch \d: loss ([\d.]+), test accuracy", printed)]
    assert len(losses) == 2
    assert losses[1] < losses[0] / 2
    assert float(re.findall(r"accuracy ([\d.]+) %", printed)[-1]) > 80


def test_xor(tmp_path):
    pytest.importorskip("plotly")
    printed, sentence, status = run("xor.py", tmp_path, "--epochs", "2000")
    assert (sentence, status) == ("", 0)
    lines = printed.splitlines()
    answers = [re.fullmatch(r"([01]) xor ([01]): (\S+), true: ([01])", line) for line in lines[-5:-1]]
    for a, b, answer, true in (found.groups() for found in answers):
        assert int(a) ^ int(b) == int(true) == round(float(answer))
    assert lines[-1] == f"the decision boundary is drawn in {tmp_path / 'xor.html'}"
    assert "epochs trained" in (tmp_path / "xor.html").read_text(encoding="utf-8")


def test_moons(tmp_path):
    pytest.importorskip("plotly")
    printed, sentence, status = run("moons.py", tmp_path, "--epochs", "60", "--share")
    assert (sentence, status) == ("", 0)
    assert float(re.match(r"accuracy: ([\d.]+)% of 1,000 other points", printed)[1]) > 97
    page = (tmp_path / "moons.html").read_text(encoding="utf-8")
    assert page.count('"type":"surface"') >= 10
    assert '<script src="plotly.min.js"></script>' in page
    assert len(page) < 1_000_000
    assert (tmp_path / "plotly.min.js").stat().st_size > 1_000_000


def test_xor_without_plotly_says_what_to_install(tmp_path):
    printed, sentence, status = run("xor.py", tmp_path, "--epochs", "500", first=WITHOUT_PLOTLY)
    assert (sentence, status) == ("", 0)
    assert "1 xor 1: " in printed
    assert re.search(r'needs plotly: .*pip install "plotly>=[\d.]+"$', printed.splitlines()[-1])
    assert not (tmp_path / "xor.html").exists()


@pytest.mark.parametrize("seed", range(3))
def test_xor_is_learnt_from_every_seed(seed):
    x = np.reshape([[0, 0], [0, 1], [1, 0], [1, 1]], (4, 2, 1))
    y = np.reshape([[0], [1], [1], [0]], (4, 1, 1))
    network = Network([Dense(2, 3), Tanh(), Dense(3, 1), Tanh()], seed=seed)
    errors = train(network, mse, mse_prime, x, y, epochs=1000, learning_rate=0.1, verbose=False)
    assert errors[-1] < 0.01
    assert network.predict(x)[:, 0].round().tolist() == [0, 1, 1, 0]


def test_every_example_is_run_here():
    tested = set(re.findall(r'run\("(\w+\.py)"', Path(__file__).read_text(encoding="utf-8")))
    assert tested == {path.name for path in EXAMPLES.glob("*.py")}


def test_sklearn_digits(tmp_path):
    pytest.importorskip("sklearn")
    printed, sentence, status = run("sklearn_digits.py", tmp_path, "--seeds", "1", first=FEW_EPOCHS)
    assert (sentence, status) == ("", 0)
    rows = [line.strip("| ").split(" | ") for line in printed.splitlines() if line.startswith("| `")]
    found = {name.strip("`"): float(accuracy.split()[0]) for name, accuracy, _ in rows}
    assert next(iter(found)) == "MLPClassifier()"
    assert len(found) == 4
    assert min(found.values()) > 90
    assert found["CNNClassifier, 12 epochs"] > 97
