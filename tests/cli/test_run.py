"""`purecnn run`: models of every kind on pictures and arrays, what is printed and written of answers."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import TensorProto

from helpers.onnx_models import model, node, value
from purecnn import Dense, Flatten, Network, Preprocessing, Softmax, export_onnx, load_onnx, save
from purecnn.cli.app import purecnn
from purecnn.cli.models import parsed

pillow = pytest.importorskip("PIL.Image")
FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*arguments, code=0):
    result = CliRunner().invoke(purecnn, ["run", *map(str, arguments)], prog_name="purecnn")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


def printed(*arguments):
    return run(*arguments).stdout.splitlines()


def picture(name, colour, size=(4, 4)):
    pillow.new("RGB" if isinstance(colour, tuple) else "L", size, colour).save(name)
    return name


def brightness(*classes):
    """Return a network whose second output says how bright a picture is, and whose first how dark."""
    network = Network([Flatten(), Dense(output_size=2), Softmax()], input_shape=(1, 4, 4))
    network.parameters[:] = [-1] * 16 + [1] * 16 + [8, -8]
    network.preprocessing = Preprocessing(kind="bytes", scale=1 / 255, classes=classes, preparation="crop")
    return network


def graph(name, nodes, arrays=None, inputs=None, outputs=None, metadata=None):
    made = model(nodes, arrays, inputs, outputs)
    for key, text in (metadata or {}).items():
        made.metadata_props.add(key=key, value=text)
    Path(name).write_bytes(made.SerializeToString())
    return name


def means(name, shape=("N", 3, 4, 4), metadata=None):
    """Write a graph whose answers are the means of a picture's colours."""
    axes = [1, 2] if shape[3] == 3 else [2, 3]
    nodes = [node("ReduceMean", ["x"], ["y"], axes=axes, keepdims=0)]
    return graph(name, nodes, inputs=[value("x", list(shape))], metadata=metadata)


def numbers(lines):
    return [float(line.split()[-1]) for line in lines]


@pytest.mark.parametrize("form", ["ours", "raw", "floats", "scaled"])
def test_pictures_are_answered_with_the_names_of_classes_however_the_model_is_saved(form):
    network = brightness("dark", "bright")
    name = "a.safetensors" if form == "ours" else "a.onnx"
    save(network, name) if form == "ours" else export_onnx(network, name, input=form)
    picture("white.png", 255), picture("black.png", 0)
    result = run(name, "white.png", "black.png")
    assert result.stderr == ""
    white, black = result.stdout.split("black.png\n")
    assert white == "white.png\n  bright  100.00 %\n  dark      0.00 %\n"
    assert black == "  dark    100.00 %\n  bright    0.00 %\n"
    assert printed(name, "white.png", "--top", "1") == ["white.png", "  bright  100.00 %"]


def test_a_folder_is_all_pictures_in_it_and_damaged_ones_are_named():
    save(brightness("dark", "bright"), "a.safetensors")
    Path("folder").mkdir()
    picture("folder/b.png", 255), picture("folder/a.png", 0)
    Path("folder/c.png").write_bytes(b"no picture")
    result = run("a.safetensors", "folder", "--top", 1, code=2)
    assert [line for line in result.stdout.splitlines() if ".png" in line] == ["folder/a.png", "folder/b.png"]
    assert "Error: folder/c.png: " in result.stderr


@pytest.mark.parametrize(
    ("pixels", "wanted"),
    [
        ("bytes", (255, 51, 0)),
        ("unit", (1, 0.2, 0)),
        ("signed", (1, -0.6, -1)),
        ("imagenet", ((1 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, -0.406 / 0.225)),
    ],
)
@pytest.mark.parametrize("shape", [("N", 3, 4, 4), (1, 4, 4, 3), ("N", 3, "H", "W")])
def test_pixels_become_numbers_in_the_way_that_is_asked_for(pixels, wanted, shape):
    means("a.onnx", shape), picture("a.png", (255, 51, 0))
    result = run("a.onnx", "a.png", "--pixels", pixels)
    assert result.stderr == ""
    assert numbers(result.stdout.splitlines()[1:]) == pytest.approx(sorted(wanted, reverse=True), abs=1e-4)


def test_many_pictures_go_in_a_few_at_a_time_where_the_file_says_one_or_any():
    for name, size in (("any.onnx", "N"), ("one.onnx", 1)):
        means(name, (size, 3, 4, 4))
        names = [picture(f"{level:03}.png", (level, level, level)) for level in range(0, 200, 10)]
        lines = printed(name, *names, "--pixels", "bytes", "--top", 1)
        assert lines[::2] == names
        assert numbers(lines[1::2]) == pytest.approx(range(0, 200, 10))
    told = run("any.onnx", *names, "--pixels", "bytes", "--max-bytes", 9, code=2).stderr
    assert "9" in told


def test_what_nothing_says_is_decided_and_told():
    means("a.onnx"), picture("a.png", (255, 51, 0)), picture("b.png", (0, 0, 0))
    result = run("a.onnx", "a.png", "b.png")
    assert result.stderr == (
        "a.onnx: the file does not say how pixels become numbers: they are taken from 0 to 1\n"
    )
    assert numbers(result.stdout.splitlines()[1:4]) == [1, 0.2, 0]


def test_an_open_size_is_the_pictures_own_or_the_one_that_is_asked_for():
    nodes = [node("Shape", ["x"], ["s"]), node("Slice", ["s", "a", "b"], ["y"])]
    arrays = {"a": np.array([2]), "b": np.array([4])}
    outputs = [value("y", [2], TensorProto.INT64)]
    graph("a.onnx", nodes, arrays, [value("x", [1, 1, "H", "W"])], outputs)
    picture("a.png", 0, (6, 5))
    run("a.onnx", "a.png", "--output", "a.npy")
    assert np.load("a.npy").tolist() == [5, 6]
    run("a.onnx", "a.png", "--output", "a.npy", "--size", "3,4")
    assert np.load("a.npy").tolist() == [3, 4]
    means("b.onnx")
    assert (
        "takes pictures of 4 x 4, --size is another" in run("b.onnx", "a.png", "--size", "3,4", code=2).stderr
    )
    assert "--size must be height and width" in run("b.onnx", "a.png", "--size", "3", code=2).stderr


def test_arrays_go_in_as_they_are_and_come_out_as_files():
    network = brightness("dark", "bright")
    export_onnx(network, "a.onnx")
    save(network, "a.safetensors")
    x = np.arange(25 * 16, dtype=np.uint8).reshape(25, 1, 4, 4)
    np.save("x.npy", x)
    np.savez("x.npz", x)
    lines = printed("a.onnx", "x.npy", "--top", 1)
    assert lines[:2] == ["output: float32 (25, 2)", "sample 0"]
    assert lines[-1] == "... 5 more samples; --output writes them all"
    assert len(lines) == 2 + 2 * 20
    wanted = network.predict(x)
    for name, given in (("a.onnx", "x.npy"), ("a.safetensors", "x.npz"), ("a.onnx", "input=x.npy")):
        assert run(name, given, "--output", "y.npz").stdout == "y.npz: output float32 (25, 2)\n"
        with np.load("y.npz") as held:
            np.testing.assert_allclose(held["output"], wanted, atol=1e-6)
    run("a.onnx", "x.npy", "x.npz", "--output", "y.npy", "--batch-size", 7)
    assert np.load("y.npy").shape == (50, 2)


def test_several_inputs_are_given_by_name():
    inputs = [value("a", ["N", 2]), value("b", ["N", 2])]
    outputs = [value("y", ["N", 2]), value("file", ["N", 2])]
    graph(
        "a.onnx", [node("Add", ["a", "b"], ["y"]), node("Sub", ["a", "b"], ["file"])], None, inputs, outputs
    )
    a, b = np.array([[1, 2]], np.float32), np.array([[10, 40]], np.float32)
    np.save("a.npy", a), np.save("b.npy", b), np.savez("both.npz", a=a, b=b)
    wanted = ["y: float32 (1, 2)", "sample 0", "  1  42", "  0  11"]
    wanted += ["file: float32 (1, 2)", "sample 0", "  0  -9", "  1  -38"]
    assert printed("a.onnx", "a=a.npy", "b=b.npy") == wanted
    assert printed("a.onnx", "both.npz") == wanted
    run("a.onnx", "both.npz", "--output", "y.npz")
    with np.load("y.npz") as held:
        assert held["file"].tolist() == [[-9, -38]]
    for arguments, words in (
        (["a=a.npy"], "the model's inputs are a, b, each given as NAME=INPUT; b is missing"),
        (["a=a.npy", "b.npy"], "each given as NAME=INPUT; b.npy has no name"),
        (["a=a.npy", "c=b.npy"], "c=b.npy: the model's inputs are a, b, each of them once"),
        (["both.npz", "--output", "y.npy"], "has the outputs y, file: the file must end in .npz"),
    ):
        assert words in run("a.onnx", *arguments, code=2).stderr
    np.savez("one.npz", a=a)
    assert "one.npz: holds a, wanted an array 'b', too" in run("a.onnx", "one.npz", code=2).stderr


def test_labels_come_from_the_file_or_from_a_text():
    means("a.onnx", metadata={"names": "{0: 'red', 1: \"green\", 2: 'blue'}"})
    picture("a.png", (255, 51, 0))
    assert printed("a.onnx", "a.png", "--top", 1)[1] == "  red  1"
    Path("labels.txt").write_text("\ufeffrouge\nvert\nbleu\n\n", encoding="utf-8")
    assert printed("a.onnx", "a.png", "--top", 2, "--labels", "labels.txt")[1:] == [
        "  rouge  1",
        "  vert   0.2",
    ]
    Path("labels.txt").write_text("one\ntwo\n", encoding="utf-8")
    told = run("a.onnx", "a.png", "--labels", "labels.txt", code=2).stderr
    assert "labels.txt has 2 labels, and the model's answers 3 numbers" in told
    Path("labels.txt").write_bytes(b"\xff\xfe")
    assert (
        "labels.txt: is no text in UTF-8" in run("a.onnx", "a.png", "--labels", "labels.txt", code=2).stderr
    )
    Path("labels.txt").write_bytes(b"\n\n")
    assert "labels.txt: is empty" in run("a.onnx", "a.png", "--labels", "labels.txt", code=2).stderr


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('["a", "b"]', ("a", "b")),
        ('{"0": "a", "1": "b"}', ("a", "b")),
        ("{0: 'a', 1: \"it's\"}", ("a", "it's")),
        ('{"1": "a"}', ()),
        ("{", ()),
        ("3", ()),
        ("[[[", ()),
        ("[" * 100_000, ()),
        ("[[], {}]", ()),
    ],
)
def test_names_are_read_as_data(text, names):
    assert parsed(text) == names


def test_a_class_is_named_by_its_number():
    options = {"coefficients": [1.0, -1.0], "classlabels_ints": [0, 1], "domain": "ai.onnx.ml"}
    nodes = [node("LinearClassifier", ["x"], ["label", "p"], **options)]
    made = model(
        nodes,
        inputs=[value("x", ["N", 1])],
        outputs=[value("label", ["N"], TensorProto.INT64), value("p", ["N", 2])],
        domains={"ai.onnx.ml": 1},
    )
    made.metadata_props.add(key="classes", value='["up", "down"]')
    Path("a.onnx").write_bytes(made.SerializeToString())
    np.save("x.npy", np.array([[2], [-3]], np.float32))
    lines = printed("a.onnx", "x.npy", "--top", 1)
    assert lines == [
        *("label: int64 (2,)", "sample 0", "  up", "sample 1", "  down"),
        *("p: float32 (2, 2)", "sample 0", "  up  2", "sample 1", "  down  3"),
    ]


def test_maps_of_numbers_are_told_by_their_range():
    np.save("x.npy", np.zeros((2, 3, 8, 8), np.float32))
    lines = printed(FIXTURES / "onnx" / "unet.onnx", "x.npy")
    wanted = load_onnx(FIXTURES / "onnx" / "unet.onnx").predict(np.load("x.npy"))
    assert lines[0] == "y: float32 (2, 2, 8, 8)"
    assert lines[2] == f"  (2, 8, 8) from {wanted[0].min():.6g} to {wanted[0].max():.6g}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["flat.onnx", "a.png"],
            "the input 'x' has shape (N, 5); for pictures (N, 1 or 3, height, width) or",
        ),
        (
            ["means.onnx", "a.png", "--output", "a.txt"],
            "the file to write must end in .npz or .npy, got a.txt",
        ),
        (["means.onnx", "nowhere.png"], "nowhere.png: No such file"),
        (["means.onnx", "x.npz"], "x.npz: holds a, b, wanted one array or 'x'"),
        (["means.onnx", "bad.npy"], "bad.npy: looks like a text, wanted arrays in an .npy or .npz file"),
        (["means.onnx", "objects.npy"], "objects.npy is of dtype object; an array of real numbers is wanted"),
        (["means.onnx", "x.npy"], "the input 'x' has shape (N, 3, 4, 4); got (2, 2)"),
        (["grey.onnx", "a.png", "--pixels", "imagenet"], "--pixels imagenet is for colours"),
        (
            ["bytes.onnx", "a.png", "--pixels", "unit"],
            "--pixels unit makes floats, and the input 'x' is uint8",
        ),
        (["a.safetensors", "a.png", "--pixels", "unit"], "--pixels and --size are for ONNX files"),
        (["text.txt", "a.png"], "text.txt: looks like a text, wanted a safetensors file"),
        (["text.onnx", "a.png"], "text.onnx: looks like a text, wanted an ONNX model"),
    ],
)
def test_what_does_not_fit_is_one_sentence(arguments, words):
    means("means.onnx"), means("grey.onnx", ("N", 1, 4, 4)), picture("a.png", 0)
    graph("flat.onnx", [node("Relu", ["x"], ["y"])], inputs=[value("x", ["N", 5])])
    nodes = [node("Identity", ["x"], ["y"])]
    shape = ["N", 1, 4, 4]
    graph(
        "bytes.onnx",
        nodes,
        inputs=[value("x", shape, TensorProto.UINT8)],
        outputs=[value("y", shape, TensorProto.UINT8)],
    )
    save(brightness(), "a.safetensors")
    np.save("x.npy", np.zeros((2, 2), np.float32)), np.savez("x.npz", a=np.ones(2), b=np.ones(2))
    np.save("objects.npy", np.array([None]))
    for name in ("bad.npy", "text.txt", "text.onnx"):
        Path(name).write_text("A text and nothing else.")
    assert words in run(*arguments, code=2).stderr


def test_a_network_that_knows_no_preparation_says_how_pictures_are_made():
    network = brightness()
    network.preprocessing.preparation = "unknown"
    save(network, "a.safetensors")
    result = run("a.safetensors", picture("a.png", 255))
    assert (
        result.stderr
        == "a.safetensors: arrays do not tell how their pictures were prepared: each is cut and scaled\n"
    )
    assert result.stdout.splitlines()[1] == "  1  100.00 %"
    assert run("a.safetensors", "a.png", "--prepare", "stretch").stderr == ""
