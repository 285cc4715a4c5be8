"""Every reader reads regular files alone, and names a file of another program by what it seems to be."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import socket
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import purecnn as p
from purecnn import CSVLog, JSONLog
from purecnn.cli.app import purecnn
from purecnn.datasets.data_path import read_data
from purecnn.errors import FileFormatError
from purecnn.formats import archives, idx, kind_of, npz, read_picture, read_safetensors, read_torch
from purecnn.formats.file_kinds import KINDS
from purecnn.formats.regular_files import open_regular, read_regular
from purecnn.runs.record import read_record

FIXTURES = Path(__file__).parents[1] / "fixtures"


def small():
    return p.Network([p.Dense(1, 1)])


def logged(kind, path):
    return small().fit([[0.0]], [[0.0]], callbacks=[kind(path)])


#: Whoever is given the name of a file.
READERS = {
    "load": p.load,
    "read_safetensors": read_safetensors,
    "load_state_dict": lambda path: p.load_state_dict(small(), path),
    "resume": lambda path: small().fit([[0.0]], [[0.0]], resume=path),
    "load_onnx": p.load_onnx,
    "load_keras": p.load_keras,
    "load_keras_weights": lambda path: p.load_keras_weights(small(), path),
    "read_idx": idx.read_idx,
    "read_npz": npz.read_npz,
    "read_torch": read_torch,
    "read_picture": read_picture,
    "unpack": lambda path: archives.unpack(path, ("a",), path.parent),
    "CSVLog": lambda path: logged(CSVLog, path),
    "JSONLog": lambda path: logged(JSONLog, path),
}


def link(path, target):
    path.symlink_to(target)
    return path


def pipe(path):
    os.mkfifo(path)
    return path


def plug(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(path))
    return path


OTHERS = {
    "a folder": lambda path: path.parent,
    "a pipe": pipe,
    "a socket": plug,
    "a device": lambda path: link(path, "/dev/zero"),
}


@pytest.mark.skipif(os.name != "posix", reason="such files are others elsewhere")
@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_regular_file_is_refused_at_once(reader, other, tmp_path):
    path = OTHERS[other](tmp_path / "file")
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match=f"{path}: not a regular file but {other}, wanted "):
            READERS[reader](path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(os.name != "posix", reason="such files are others elsewhere")
def test_a_record_and_arrays_beside_a_model_are_regular_files(tmp_path):
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(FileFormatError, match="not a regular file but a pipe, wanted a run's record"):
        read_record(tmp_path)
    (tmp_path / "other").mkdir()
    with (tmp_path / "other" / "run.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(
        FileFormatError, match="1099511627776 bytes, wanted a run's record of at most 256000000"
    ):
        read_record(tmp_path / "other")


def test_no_model_is_larger_than_its_format_lets_it_be(tmp_path):
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.write(b"\x08\x08\x12\x00\x3a\x00")
        file.truncate(2**40)  # none of which is on the disk
    with pytest.raises(
        FileFormatError, match="1099511627776 bytes, wanted an ONNX model of at most 2147483648"
    ):
        p.load_onnx(path)


@pytest.mark.skipif(os.name != "posix", reason="links want a right of their own elsewhere")
def test_a_link_to_a_file_is_the_file(tmp_path):
    p.save(small(), tmp_path / "model")
    assert p.load(link(tmp_path / "link", tmp_path / "model")).input_shape == (1,)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        p.load(link(tmp_path / "broken", tmp_path / "nowhere") and tmp_path / "nowhere")


@pytest.mark.parametrize("path", ["", 3, None, b"bytes"])
def test_a_path_is_the_name_of_a_file(path):
    with (
        pytest.raises(TypeError, match="path must be the name of a file, got "),
        open_regular(path, "a file"),
    ):
        pass


def test_what_is_read_is_what_there_was_when_it_was_opened(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    assert read_regular(path, "ten bytes", most=10) == b"0123456789"
    with pytest.raises(FileFormatError, match="file: 10 bytes, wanted nine bytes of at most 9"):
        read_regular(path, "nine bytes", most=9)


# Logs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "opening"), [(CSVLog, b"epoch,loss\n"), (JSONLog, b'{"epoch": 1}\n')])
def test_a_log_is_read_a_line_at_a_time(kind, opening, tmp_path):
    path = tmp_path / "log"
    size = 2**26
    # a JSON line of an epoch that is trained again is the end of what is kept
    cases = ((b"", 1), (opening[:9], 1), *([(opening, 2)] if kind is CSVLog else []))
    for content, number in cases:
        with path.open("wb") as file:
            file.write(content)
            file.truncate(size)
        tracemalloc.start()
        try:
            with pytest.raises(FileFormatError, match=f"line {number} is none that a {kind.__name__} writes"):
                logged(kind, path)
            assert tracemalloc.get_traced_memory()[1] < size
        finally:
            tracemalloc.stop()
        assert path.stat().st_size == size  # left as it was


# Files of other programs --------------------------------------------------------------------------------


def zip_of(*members):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return held.getvalue()


def saved(function, *arguments, **more):
    held = io.BytesIO()
    function(held, *arguments, **more)
    return held.getvalue()


def tar_of():
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return held.getvalue()


def file_of(write, tmp_path):
    write(tmp_path / "made")
    return (tmp_path / "made").read_bytes()


OLD_PYTORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
FOREIGN = {
    "a PyTorch checkpoint, a zip of pickles": zip_of(
        ("archive/data.pkl", pickle.dumps({})), ("archive/version", "3")
    ),
    "a PyTorch checkpoint of the old kind": OLD_PYTORCH,
    "a pickle of Python's": pickle.dumps({"weights": [1, 2]}),
    "an ONNX model": (FIXTURES / "onnx" / "mobile.onnx").read_bytes()[:4000],
    "a model of Keras 3's, a .keras file": (FIXTURES / "weights" / "chain.keras").read_bytes(),
    "an HDF5 file, as Keras writes it": (FIXTURES / "weights" / "chain.h5").read_bytes(),
    "an .npz file of NumPy's arrays": saved(np.savez, a=np.ones(3)),
    "one array of NumPy's, a .npy file": saved(np.save, np.ones(3)),
    "a safetensors file": (FIXTURES / "weights" / "torch.safetensors").read_bytes(),
    "a zip archive": zip_of(("readme.txt", "")),
    "a tar archive": tar_of(),
    "a file packed by gzip": gzip.compress(bytes(100)),
    "a PNG picture": b"\x89PNG\r\n\x1a\n" + bytes(90),
    "a JPEG picture": b"\xff\xd8\xff\xe0" + bytes(90),
    "a GIF picture": b"GIF89a" + bytes(90),
    "a BMP picture": b"BM\x60\0\0\0" + bytes(90),
    "a WebP picture": b"RIFF\x60\0\0\0WEBPVP8 " + bytes(90),
    "a TIFF picture": b"II*\0\x08\0\0\0" + bytes(90),
    "a PBM, PGM or PPM picture": b"P6 1 1 255\n\0\0\0",
    "an IDX file of images or labels": bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]),
    "a TensorFlow Lite model": b"\x1c\0\0\0TFL3" + bytes(90),
    "a GGUF model": b"GGUF\3\0\0\0" + bytes(90),
    "a PDF document": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "a page of HTML": b"\n<!DOCTYPE html><title>404</title>",
    "a JSON text": b'{"error": "not found"}',
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
    "a text": "Gr\u00fc\u00dfe aus der Werkstatt\n".encode() * 40,
    "a file packed by bzip2, xz, zstd, 7-Zip or RAR": b"Rar!\x1a\7\1\0" + bytes(90),
    "a HEIC or AVIF photograph": b"\0\0\0\x18ftypheic" + bytes(90),
    "a video": b"\0\0\0\x18ftypisom" + bytes(90),
    "a MATLAB file": b"MATLAB 5.0 MAT-file" + bytes(90),
}
#: What each reader reads, and so takes at its word.
OWN = {
    "load": ("safetensors",),
    "load_onnx": ("ONNX",),
    "load_keras": ("a .keras", "HDF5", "a zip", "a JSON"),
    "read_idx": ("IDX", "gzip"),
    "read_npz": ("an .npz", "a zip"),
    "read_torch": ("a PyTorch", "a zip", "a pickle"),
    "read_picture": ("picture", "a text"),
}


@pytest.mark.parametrize("seems", FOREIGN)
@pytest.mark.parametrize("reader", OWN)
def test_a_file_of_another_program_is_named(reader, seems, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(FOREIGN[seems])
    if any(own in seems for own in OWN[reader]):
        return
    with pytest.raises(FileFormatError) as caught:
        READERS[reader](path)
    assert str(caught.value).startswith(f"{path}: looks like {seems}")
    assert ", wanted " in str(caught.value)


def test_the_sentence_names_the_reader_or_what_to_do(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(FOREIGN["a PyTorch checkpoint, a zip of pickles"])
    with pytest.raises(FileFormatError) as caught:
        p.load(path)
    assert str(caught.value) == (
        f"{path}: looks like a PyTorch checkpoint, a zip of pickles, wanted a safetensors file: "
        "load_state_dict reads its tensors into a network that you build, and runs nothing that it says"
    )
    for reader, seems in (
        ("load_onnx", "an ONNX model"),
        ("load_keras", "an HDF5 file, as Keras writes it"),
        ("load_state_dict", "a safetensors file"),
        ("read_idx", "an IDX file of images or labels"),
        ("npz.read_npz", "an .npz file of NumPy's arrays"),
    ):
        assert reader in kind_of(FOREIGN[seems]).advice
    for kind in KINDS:  # whoever is named is there
        for name in (
            "load_onnx",
            "load_keras",
            "load_keras_weights",
            "load_state_dict",
            "load",
            "ImageFolder",
        ):
            assert name not in kind.advice.split() or hasattr(p, name)


def test_at_the_command_line_too(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(FOREIGN["a PyTorch checkpoint, a zip of pickles"])
    found = CliRunner().invoke(purecnn, ["summary", str(path)])
    assert found.exit_code == 2
    assert "looks like a PyTorch checkpoint" in found.output
    (tmp_path / "digit.png").write_bytes(FOREIGN["a PNG picture"])
    with pytest.raises(FileFormatError, match=r"looks like a PNG picture, wanted a folder or an \.npz"):
        read_data(tmp_path / "digit.png")


def test_all_fixtures_of_this_package_are_what_they_are(tmp_path):
    for path in (FIXTURES / "onnx").glob("*.onnx"):
        assert kind_of(path.read_bytes()[:512]).name == "onnx"
    for path in (FIXTURES / "weights").glob("*.*"):
        wanted = {
            ".h5": "hdf5",
            ".keras": "keras",
            ".safetensors": "safetensors",
            ".npz": "npz",
            ".txt": "text",
            ".json": "json",
        }
        assert kind_of(path.read_bytes()[:512]).name == wanted[path.suffix]
    for path in (FIXTURES / "torch").glob("*.pt*"):
        wanted = "zip" if path.name == "script.pt" else "pytorch"
        assert kind_of(path.read_bytes()[:512]).name == wanted
    p.save(small(), tmp_path / "model")
    assert kind_of((tmp_path / "model").read_bytes()[:512]).name == "safetensors"
    p.export_onnx(small(), tmp_path / "model")
    assert kind_of((tmp_path / "model").read_bytes()[:512]).name == "onnx"


@pytest.mark.parametrize("size", [640, 896, 1152, 1408, 19778, 35615, 0x080012])
def test_a_header_of_any_length_is_one(size, tmp_path):
    """Lengths whose bytes are how pickles, bitmaps and packed files begin."""
    start = size.to_bytes(8, "little") + b'{"' + b" " * 500
    assert kind_of(start).name == "safetensors"


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux's /proc")
def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to("/proc/self/mem")
    with pytest.raises(OSError, match="Input/output error") as caught:
        p.load(tmp_path / "model")
    assert caught.value.filename == str(tmp_path / "model")
