"""Data sets by name: from a folder, a cache, a server on this machine; and archives that attack."""

import errno
import functools
import gzip
import hashlib
import io
import sys
import tarfile
import threading
import tracemalloc
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from rich.console import Console

from purecnn.datasets import NAMES, cache_folder, catalog, fetch, load, mnist
from purecnn.datasets.sources import SOURCES, Remote, Source
from purecnn.errors import DownloadError, FileFormatError
from purecnn.formats import transfers, unpack

RNG = np.random.default_rng(0)
PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def idx(values: np.ndarray) -> bytes:
    shape = b"".join(n.to_bytes(4, "big") for n in values.shape)
    return bytes([0, 0, 8, values.ndim]) + shape + values.tobytes()


def pack(values: np.ndarray) -> bytes:
    return gzip.compress(idx(values), mtime=0)


def images(count: int) -> np.ndarray:
    return RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8)


def remote(name: str, data: bytes, members: tuple[str, ...] = ()) -> Remote:
    return Remote(name, len(data), hashlib.sha256(data).hexdigest(), members)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder that a server on this machine hands out, and its address; a cache of the test's own."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PURECNN_DATA", str(tmp_path / "cache"))
    folder = tmp_path / "served"
    folder.mkdir()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{httpd.server_address[1]}/"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


# --- the table ---------------------------------------------------------------------------------------------


def test_the_table_of_sources() -> None:
    assert set(NAMES) >= {"mnist", "fashion-mnist", "kmnist", "cifar-10", "emnist-letters", "emnist-balanced"}
    for name, source in SOURCES.items():
        assert len(source.classes) == len(set(source.classes)), name
        if name == "mnist":
            continue
        assert source.url.startswith("https://")
        assert source.url.endswith("/")
        assert all(
            len(file.sha256) == 64 and set(file.sha256) <= set("0123456789abcdef") for file in source.files
        )
        assert len(source.wanted()) == (6 if name == "cifar-10" else 4)
    counts = {"balanced": 47, "byclass": 62, "bymerge": 47, "digits": 10, "letters": 26, "mnist": 10}
    assert {split: len(SOURCES[f"emnist-{split}"].classes) for split in counts} == counts
    assert SOURCES["kmnist"].wanted() == [f"{part}-ubyte.gz" for part in PARTS]
    assert SOURCES["emnist-letters"].wanted()[2] == "emnist-letters-test-images-idx3-ubyte.gz"


# --- where from --------------------------------------------------------------------------------------------


def test_mnist_is_in_the_package_and_needs_no_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PURECNN_DATA", str(tmp_path / "absent"))
    sets = load("mnist", download=True)
    (x, y), (x_test, y_test) = sets
    wanted = mnist.load_data()
    for found, known in zip((x, y, x_test, y_test), (*wanted[0], *wanted[1]), strict=True):
        assert np.array_equal(found, known)
    assert sets.classes == tuple("0123456789")
    assert not (tmp_path / "absent").exists()
    with pytest.raises(ValueError, match=r"^name must be that of a set to fetch; mnist is part of the pack"):
        fetch("mnist")


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    for name in ("PURECNN_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder() == Path("/home/someone/.cache/purecnn")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/caches")
    assert cache_folder() == Path("/var/caches/purecnn")
    monkeypatch.setenv("PURECNN_DATA", "/data")
    assert cache_folder() == Path("/data")


def small_fashion(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Put a small set of four IDX files into a folder, under the name of Fashion-MNIST."""
    arrays = [images(30), np.arange(30, dtype=np.uint8) % 10, images(10), np.arange(10, dtype=np.uint8)]
    files = {f"{part}-ubyte.gz": pack(array) for part, array in zip(PARTS, arrays, strict=True)}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    source = SOURCES["fashion-mnist"]
    listed = tuple(remote(name, data) for name, data in files.items())
    monkeypatch.setitem(SOURCES, "fashion-mnist", Source(source.folder, source.classes, "", listed))
    return arrays


def test_nothing_is_fetched_unless_it_is_asked_for(
    server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = server
    arrays = small_fashion(folder, monkeypatch)
    with pytest.raises(FileNotFoundError) as caught:
        load("fashion-mnist")
    assert str(caught.value) == (
        f"{cache_folder() / 'fashion-mnist'}: there is no such folder; one that holds four IDX files is "
        "wanted; `purecnn download fashion-mnist` fetches it (0 MB), or name the folder that holds it"
    )
    assert not cache_folder().exists()
    assert fetch("fashion-mnist", base_url=url) == cache_folder() / "fashion-mnist"
    sets = load("fashion-mnist")
    (x, y), (x_test, y_test) = sets
    for found, known in zip((x, y, x_test, y_test), arrays, strict=True):
        assert np.array_equal(found, known)
    assert sets.classes[9] == "Ankle boot"
    assert len(load("fashion-mnist", folder).train[0]) == 30


def test_only_what_is_missing_is_fetched(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, url = server
    small_fashion(folder, monkeypatch)
    place = fetch("fashion-mnist", base_url=url)
    kept = place / "train-images-idx3-ubyte.gz"
    plain = place / "train-labels-idx1-ubyte"
    plain.write_bytes(gzip.decompress(plain.with_suffix(".gz").read_bytes()))
    before = kept.stat().st_mtime_ns
    for name in ("t10k-labels-idx1-ubyte.gz", "train-labels-idx1-ubyte.gz"):
        (place / name).unlink()
    monkeypatch.setitem(
        SOURCES, "fashion-mnist", Source("fashion-mnist", ("a",) * 10, url, SOURCES["fashion-mnist"].files)
    )
    assert len(load("fashion-mnist", download=True).test[1]) == 10
    assert kept.stat().st_mtime_ns == before
    assert not plain.with_suffix(".gz").exists()
    # and nothing at all where all is there: no server is asked
    assert fetch("fashion-mnist", base_url="https://example.invalid/") == place


def test_a_server_that_lost_a_file(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, url = server
    small_fashion(folder, monkeypatch)
    (folder / PARTS[2]).with_suffix("").unlink(missing_ok=True)
    (folder / f"{PARTS[2]}-ubyte.gz").unlink()
    with pytest.raises(DownloadError, match=rf"{PARTS[2]}-ubyte.gz: the server answers 404"):
        fetch("fashion-mnist", base_url=url)
    assert sorted(path.name for path in (cache_folder() / "fashion-mnist").iterdir()) == [
        f"{PARTS[0]}-ubyte.gz",
        f"{PARTS[1]}-ubyte.gz",
    ]


def test_labels_beyond_the_classes_are_refused(tmp_path: Path) -> None:
    for part, array in zip(
        PARTS, (images(2), np.array([0, 10], np.uint8), images(1), np.zeros(1, np.uint8)), strict=True
    ):
        (tmp_path / f"{part}-ubyte").write_bytes(idx(array))
    with pytest.raises(FileFormatError) as caught:
        load("kmnist", tmp_path)
    assert str(caught.value) == f"{tmp_path}: its training labels go from 0 to 10; kmnist has 10 classes"


def test_an_unknown_name() -> None:
    with pytest.raises(ValueError, match=r"^name must be one of mnist, fashion-mnist, .*, got 'imagenet'"):
        load("imagenet")


def test_without_rich_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    with catalog.transfer("a.gz", 5) as report:
        report(3, 5)
    monkeypatch.setitem(sys.modules, "purecnn.formats.transfers", None)
    with catalog.transfer("a.gz", 5) as report:
        assert report is None


def test_the_bar_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(
        transfers, "Console", functools.partial(Console, file=shown, force_terminal=True, width=90)
    )
    with catalog.transfer("train-images.gz", 5_000_000) as report:
        report(2_000_000, 5_000_000)
    assert "train-images.gz" in shown.getvalue()
    assert "2.0/5.0 MB" in shown.getvalue()


# --- EMNIST ------------------------------------------------------------------------------------------------


def test_emnist_s_images_are_turned_and_its_letters_begin_with_0(
    server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = server
    x, y = images(52), (np.arange(52) % 26 + 1).astype(np.uint8)
    members = {}
    for split in ("letters", "digits"):
        for part in ("train", "test"):
            members[f"gzip/emnist-{split}-{part}-images-idx3-ubyte.gz"] = pack(x.swapaxes(1, 2))
            members[f"gzip/emnist-{split}-{part}-labels-idx1-ubyte.gz"] = pack(
                y if split == "letters" else y % 10
            )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as held:
        for name, data in {**members, "gzip/mapping.txt": b"1 65 97", "../escaped": b"!"}.items():
            held.writestr(name, data)
        held.mkdir("gzip/folder")
    (folder / "gzip.zip").write_bytes(archive.getvalue())
    for split in ("letters", "digits"):
        source = SOURCES[f"emnist-{split}"]
        file = remote("gzip.zip", archive.getvalue(), tuple(members))
        monkeypatch.setitem(
            SOURCES, f"emnist-{split}", Source("emnist", source.classes, url, (file,), source.prefix)
        )
    sets = load("emnist-letters", download=True)
    for found, labels in sets:
        assert np.array_equal(found, x)
        assert found.flags.c_contiguous
        assert np.array_equal(labels, y - 1)
    assert sets.classes[sets.test[1][0]] == "A"
    # one archive holds all splits, and is not kept beside them
    (_, digits), _ = load("emnist-digits")
    assert np.array_equal(digits, y % 10)
    assert sorted(path.name for path in (cache_folder() / "emnist").iterdir()) == sorted(
        Path(name).name for name in members
    )
    assert not (cache_folder() / "escaped").exists()


# --- CIFAR-10 ----------------------------------------------------------------------------------------------


def cifar(count: int) -> bytes:
    return b"".join(
        bytes([n % 10]) + bytes([n]) * 1024 + bytes([50 + n]) * 1024 + bytes([99]) * 1024
        for n in range(count)
    )


def tar_of(members: dict[str, bytes], *more: tarfile.TarInfo) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for info in more:
            tar.addfile(info)
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return archive.getvalue()


BATCHES = tuple(
    f"cifar-10-batches-bin/{name}.bin" for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch")
)


def test_a_cifar_file_that_another_program_writes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [Path(name).name for name in BATCHES]
    for name in names:
        (tmp_path / name).write_bytes(cifar(3))
    read = np.fromfile

    def shortened(file: BinaryIO, *how: Any) -> object:
        Path(file.name).write_bytes(cifar(1)[:-1])
        return read(file, *how)

    monkeypatch.setattr(np, "fromfile", shortened)
    with pytest.raises(FileFormatError, match="holds 3072 bytes; a multiple of 3073, an image each"):
        load("cifar-10", tmp_path)


def test_cifar_10_from_its_binary_form(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, url = server
    data = tar_of({"cifar-10-batches-bin/readme.html": b"hello", **{name: cifar(12) for name in BATCHES}})
    (folder / "cifar-10-binary.tar.gz").write_bytes(data)
    file = remote("cifar-10-binary.tar.gz", data, BATCHES)
    monkeypatch.setitem(SOURCES, "cifar-10", Source("cifar-10", SOURCES["cifar-10"].classes, url, (file,)))
    sets = load("cifar-10", download=True)
    (x, y), (x_test, y_test) = sets
    assert x.shape == (60, 3, 32, 32)
    assert x.dtype == y.dtype == np.uint8
    assert y[:12].tolist() == [*range(10), 0, 1]
    assert (x[13, 0] == 1).all()
    assert (x[13, 1] == 51).all()
    assert (x[13, 2] == 99).all()
    assert x_test.shape == (12, 3, 32, 32)
    assert sets.classes[y_test[3]] == "cat"
    place = cache_folder() / "cifar-10"
    assert sorted(path.name for path in place.iterdir()) == sorted(Path(name).name for name in BATCHES)
    # as the archive unpacks by hand
    (place / "by hand" / "cifar-10-batches-bin").mkdir(parents=True)
    for name in BATCHES:
        (place / "by hand" / name).write_bytes((place / Path(name).name).read_bytes())
    assert np.array_equal(load("cifar-10", place / "by hand").train[0], x)
    # an archive that somebody brought is unpacked without a network, and stays
    brought = place / "brought"
    brought.mkdir()
    (brought / "cifar-10-binary.tar.gz").write_bytes(data)
    fetch("cifar-10", brought, base_url="https://example.invalid/")
    assert np.array_equal(load("cifar-10", brought).train[0], x)
    assert (brought / "cifar-10-binary.tar.gz").exists()


def test_cifar_10_files_that_are_damaged_or_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        load("cifar-10", tmp_path)
    assert str(caught.value).startswith(
        f"{tmp_path / 'data_batch_1.bin'}: there is no such file; data_batch_1.bin, "
    )
    assert str(caught.value).endswith(
        "; `purecnn download cifar-10` fetches it (170 MB), or name the folder that holds it"
    )
    for name in BATCHES:
        (tmp_path / Path(name).name).write_bytes(cifar(2))
    (tmp_path / "data_batch_3.bin").write_bytes(cifar(2)[:-1])
    with pytest.raises(FileFormatError) as damaged:
        load("cifar-10", tmp_path)
    assert str(damaged.value) == (
        f"{tmp_path / 'data_batch_3.bin'}: holds 6145 bytes; a multiple of 3073, an image each, is wanted"
    )
    (tmp_path / "data_batch_3.bin").write_bytes(bytes([10]) + cifar(1)[1:])
    with pytest.raises(
        FileFormatError, match=r"its training labels go from 0 to 10; cifar-10 has 10 classes$"
    ):
        load("cifar-10", tmp_path)


# --- archives ----------------------------------------------------------------------------------------------


def test_members_that_would_escape_are_passed_over(tmp_path: Path) -> None:
    """Whatever a name, a link or a folder in an archive says, nothing is written but what was asked for."""
    (tmp_path / "home").mkdir()
    secret = tmp_path / "secret"
    secret.write_text("secret", encoding="utf-8")
    link = tarfile.TarInfo("inside/b.bin")
    link.type, link.linkname = tarfile.SYMTYPE, str(secret)
    hard = tarfile.TarInfo("inside/c.bin")
    hard.type, hard.linkname = tarfile.LNKTYPE, "../../secret"
    members = {
        "../escaped.bin": b"up",
        str(tmp_path / "absolute.bin"): b"away",
        "inside/../../a.bin": b"round",
        "elsewhere/a.bin": b"another",
        "inside/a.bin": b"right",
    }
    archive = tmp_path / "archive.tar.gz"
    archive.write_bytes(tar_of(members, link, hard))
    unpack(archive, ("inside/a.bin",), tmp_path / "home")
    assert (tmp_path / "home" / "a.bin").read_bytes() == b"right"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.bin", "archive.tar.gz", "home", "secret"]
    for name in ("inside/b.bin", "inside/c.bin"):
        with pytest.raises(
            FileFormatError, match=rf"archive.tar.gz: holds no file {name}; 1 such files are wa"
        ):
            unpack(archive, (name,), tmp_path / "home")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.bin", "archive.tar.gz", "home", "secret"]


def test_a_member_that_is_there_twice_is_taken_once(tmp_path: Path) -> None:
    first, second = (tar_of({"a.bin": data}) for data in (b"first", b"second"))
    body = gzip.decompress(first)[:1024] + gzip.decompress(second)
    (tmp_path / "archive.tar.gz").write_bytes(gzip.compress(body))
    unpack(tmp_path / "archive.tar.gz", ("a.bin",), tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == b"first"


@pytest.mark.parametrize("ending", ["tar.gz", "zip"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "empty"])
def test_damaged_archives_are_refused_and_leave_no_part(ending: str, damage: str, tmp_path: Path) -> None:
    body = RNG.bytes(50_000)
    if ending == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as held:
            held.writestr("a.bin", body)
        data = buffer.getvalue()
    else:
        data = tar_of({"a.bin": body})
    if damage == "cut":
        data = data[:30_000]
    elif damage == "flipped":
        data = data[:20_000] + bytes(b ^ 255 for b in data[20_000:20_100]) + data[20_100:]
    else:
        data = b"" if damage == "empty" else b"no archive at all" * 100
    archive = tmp_path / f"archive.{ending}"
    archive.write_bytes(data)
    with pytest.raises(FileFormatError) as caught:
        unpack(archive, ("a.bin",), tmp_path)
    assert str(caught.value).startswith(f"{archive}: ")
    assert [path.name for path in tmp_path.iterdir()] == [archive.name]


def changed_header(data: bytes, place: int, value: bytes) -> bytes:
    """Return a packed tar archive whose first header has other bytes, and the sum of these."""
    body = bytearray(gzip.decompress(data))
    body[place : place + len(value)] = value
    body[148:156] = b" " * 8
    body[148:156] = b"%06o\0 " % sum(body[:512])
    return gzip.compress(bytes(body))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (124, b"\x80" + (2**80).to_bytes(11, "big")),  # a file to be skipped for longer than anybody lives
        (124, b"\xff" * 12),  # a negative size: the next header is the one before
        (124, b"%011o\0" % (4 << 30)),
    ],
)
@pytest.mark.parametrize("kind", [b"0", b"L", b"x", b"g", b"S"])
def test_a_tar_archive_that_lies_about_its_sizes(
    kind: bytes, place: int, value: bytes, tmp_path: Path
) -> None:
    data = changed_header(tar_of({"other.bin": b"1" * 100, "a.bin": b"2"}), place, value)
    (tmp_path / "archive.tar.gz").write_bytes(changed_header(data, 156, kind))
    tracemalloc.start()
    with pytest.raises(FileFormatError, match=r"archive\.tar\.gz: "):
        unpack(tmp_path / "archive.tar.gz", ("a.bin",), tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert [path.name for path in tmp_path.iterdir()] == ["archive.tar.gz"]


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (8, b"\1", "is damaged .*password"),
        (42, b"\xff\xff\xff\xf0", "is damaged"),
        (10, b"\x5d", "is packed by way 93, wanted 8, deflate, or 0"),
    ],
)
def test_a_zip_archive_that_lies_in_its_directory(
    place: int, value: bytes, words: str, tmp_path: Path
) -> None:
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as held:
        held.writestr("a.bin", b"1" * 100)
    data = archive.read_bytes()
    at = data.rindex(b"PK\1\2") + place
    archive.write_bytes(data[:at] + value + data[at + len(value) :])
    with pytest.raises(FileFormatError, match=words):
        unpack(archive, ("a.bin",), tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_packs_zeros_without_end_is_refused(method: int, tmp_path: Path) -> None:
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w", method) as held:
        held.writestr("a.bin", bytes(10_000_000))
    with pytest.raises(FileFormatError, match=r"is damaged \('a\.bin' is packed by way 1[24], wanted 8"):
        unpack(archive, ("a.bin",), tmp_path)


def test_members_that_share_their_bytes_fill_no_disk(tmp_path: Path) -> None:
    """Two members of one deflate stream, each as large as a stream of that size can be, are a bomb."""
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as held:
        held.writestr("a.bin", bytes(3_000_000))
    data = archive.read_bytes()
    body, entry, end = data[: data.index(b"PK\1\2")], data[data.index(b"PK\1\2") : -22], data[-22:]
    many = b"".join(entry.replace(b"a.bin", b"%c.bin" % letter) for letter in range(97, 107))
    end = end[:8] + bytes([10, 0, 10, 0]) + len(many).to_bytes(4, "little") + end[16:]
    archive.write_bytes(body + many + end)
    with pytest.raises(FileFormatError):
        unpack(archive, tuple(f"{chr(letter)}.bin" for letter in range(97, 107)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["archive.zip"]


def test_a_disk_that_is_full_is_not_the_archive_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "archive.tar.gz").write_bytes(tar_of({"a.bin": b"1"}))

    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda path, mode: Full() if "w" in mode else opened(path, mode))
    with pytest.raises(OSError, match="No space left") as caught:
        unpack(tmp_path / "archive.tar.gz", ("a.bin",), tmp_path)
    assert not isinstance(caught.value, FileFormatError)
