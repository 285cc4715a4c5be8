"""What a file is, by its first bytes: the usual formats, and who reads each.

A file of another program is named in place of what its bytes would mean in the format that was wanted.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass

#: Bytes of a file that are looked at.
START = 512


# Who reads a format, for a sentence.
RUNS = "pickles are never read, since that runs what they say"
WEIGHTS = "load_state_dict reads its tensors into a network that you build, and runs nothing that it says"
PICKLES = f"{RUNS}: save arrays by numpy.savez, for example"
KERAS = "load_keras reads a model of Keras's, load_keras_weights weights alone"
TENSORS = "load reads a model that purecnn saved, load_state_dict weights of PyTorch's"
ARRAY = "numpy.load reads it, and numpy.savez(FILE, x=..., y=...) makes a file that --data reads"
ARRAYS = "--data of the command line and npz.read_npz read data sets from such files"
IDX = "idx.read_idx and idx.load_folder read it"
PICTURES = "`purecnn predict` and ImageFolder read pictures"
PACKED = "unpack it first"
PHOTO = "save it as JPEG or PNG"
ELSEWHERE = "export the model as ONNX, for load_onnx"


@dataclass(frozen=True)
class Kind:
    """A format.

    Attributes
    ----------
    name : str
        By which readers ask for it.
    words : str
        What it is, for a sentence.
    advice : str
        Who reads it; empty where nobody does.
    begins : callable
        Says of a file's first bytes whether it is one.
    sure : bool
        Whether files of other formats hardly ever begin so.
    """

    name: str
    words: str
    advice: str
    begins: Callable[[bytes], bool]
    sure: bool = True


def _with(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda start: start.startswith(starts)


def _zip_with(*names: bytes) -> Callable[[bytes], bool]:
    """Return whether the first member of a zip archive has such a name, or one that ends so."""

    def begins(start: bytes) -> bool:
        if not start.startswith(b"PK\x03\x04") or len(start) < 30:
            return False
        (length,) = struct.unpack_from("<H", start, 26)
        return start[30 : 30 + length].endswith(names)

    return begins


def _is_safetensors(start: bytes) -> bool:
    return len(start) > 8 and int.from_bytes(start[:8], "little") <= 100_000_000 and start[8:9] == b"{"


def _is_idx(start: bytes) -> bool:
    return (
        len(start) >= 8
        and start[:2] == b"\0\0"
        and start[2] in (0x08, 0x09, 0x0B, 0x0C, 0x0D, 0x0E)
        and 1 <= start[3] <= 8
    )


def _is_photo(start: bytes) -> bool:
    return start[4:8] == b"ftyp" and start[8:12] in (
        b"heic",
        b"heix",
        b"heim",
        b"mif1",
        b"msf1",
        b"avif",
        b"avis",
    )


def _is_onnx(start: bytes) -> bool:
    # ir_version, and a field that follows it: a name, a graph, operator sets
    return (
        len(start) > 4
        and start[0] == 0x08
        and 1 <= start[1] <= 30
        and start[2] in b"\x12\x1a\x22\x32\x3a\x42"
    )


def _text(start: bytes) -> str:
    """Return the text that a file begins with; nothing where it is none."""
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:  # a character may be cut off at the end
        if not start or error.start < START - 4:
            return ""
        text = start[: error.start].decode("utf-8")
    return (
        ""
        if any(not sign.isprintable() and not sign.isspace() for sign in text)
        else text.lstrip("\ufeff \t\r\n")
    )


def _text_with(*starts: str) -> Callable[[bytes], bool]:
    return lambda start: _text(start).lower().startswith(starts)


#: All that are known, the surest first.
KINDS = (
    Kind("safetensors", "a safetensors file", TENSORS, _is_safetensors),
    Kind("hdf5", "an HDF5 file, as Keras writes it", KERAS, _with(b"\x89HDF\r\n\x1a\n")),
    Kind("picture", "a PNG picture", PICTURES, _with(b"\x89PNG\r\n\x1a\n")),
    Kind("picture", "a JPEG picture", PICTURES, _with(b"\xff\xd8\xff")),
    Kind("picture", "a GIF picture", PICTURES, _with(b"GIF87a", b"GIF89a")),
    Kind("picture", "a WebP picture", PICTURES, lambda s: s[:4] == b"RIFF" and s[8:12] == b"WEBP"),
    Kind("picture", "a TIFF picture", PICTURES, _with(b"II*\0", b"MM\0*")),
    Kind("picture", "a BMP picture", PICTURES, lambda s: s[:2] == b"BM" and s[6:10] == bytes(4)),
    Kind("npy", "one array of NumPy's, a .npy file", ARRAY, _with(b"\x93NUMPY")),
    Kind(
        "keras",
        "a model of Keras 3's, a .keras file",
        "load_keras reads it",
        _zip_with(b"metadata.json", b"config.json", b"model.weights.h5"),
    ),
    Kind("pytorch", "a PyTorch checkpoint, a zip of pickles", WEIGHTS, _zip_with(b"/data.pkl", b"/version")),
    Kind("npz", "an .npz file of NumPy's arrays", ARRAYS, _zip_with(b".npy")),
    Kind("zip", "a zip archive", PACKED, _with(b"PK\x03\x04", b"PK\x05\x06")),
    Kind(
        "pytorch",
        "a PyTorch checkpoint of the old kind, pickles",
        WEIGHTS,
        lambda s: s[:1] == b"\x80" and b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19" in s[:20],
    ),
    Kind(
        "pickle",
        "a pickle of Python's",
        PICKLES,
        lambda s: s[:1] == b"\x80" and s[1:2] in b"\2\3\4\5" and s[2:3] not in b"\0",
    ),
    Kind("gzip", "a file packed by gzip", PACKED, _with(b"\x1f\x8b\x08")),
    Kind("tar", "a tar archive", PACKED, lambda s: s[257:262] == b"ustar"),
    Kind(
        "packed",
        "a file packed by bzip2, xz, zstd, 7-Zip or RAR",
        PACKED,
        _with(b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\7"),
    ),
    Kind("photo", "a HEIC or AVIF photograph", PHOTO, _is_photo),
    Kind("video", "a video", "", lambda s: s[4:8] == b"ftyp" and not _is_photo(s)),
    Kind("tflite", "a TensorFlow Lite model", ELSEWHERE, lambda s: s[4:8] == b"TFL3"),
    Kind("gguf", "a GGUF model", "", _with(b"GGUF")),
    Kind("pdf", "a PDF document", "", _with(b"%PDF-")),
    Kind("matlab", "a MATLAB file", "save the arrays as an .npz file", _with(b"MATLAB 5.0")),
    Kind("parquet", "a Parquet table", "save its columns as the arrays of an .npz file", _with(b"PAR1")),
    Kind(
        "lfs",
        "a pointer of Git LFS, not the file itself",
        "`git lfs pull` fetches that",
        _with(b"version https://git-lfs"),
    ),
    Kind("html", "a page of HTML, as servers send for a file", "", _text_with("<!doctype", "<html")),
    Kind("xml", "an XML document", "", _text_with("<?xml", "<svg")),
    Kind("json", "a JSON text", "", _text_with('{"', "[{", "{\n")),
    Kind("onnx", "an ONNX model", "load_onnx reads it, `purecnn run` runs it", _is_onnx, sure=False),
    Kind("idx", "an IDX file of images or labels, as of MNIST", IDX, _is_idx, sure=False),
    Kind(
        "picture",
        "a PBM, PGM or PPM picture",
        PICTURES,
        lambda s: s[:1] == b"P" and s[1:2] in b"123456" and s[2:3].isspace(),
    ),
    Kind("text", "a text", "", lambda s: len(_text(s)) > 3),
)


def kind_of(start: bytes, wanted: Collection[str] = ()) -> Kind | None:
    """Return the format of a file that begins so; None where it is not known.

    Parameters
    ----------
    start : bytes
        The first `START` bytes, or all that there are.
    wanted : collection of str
        Names of formats that are looked for before others, where they are known by few bytes.

    Examples
    --------
    >>> kind_of(b"GIF89a").words
    'a GIF picture'
    """
    found = [kind for kind in KINDS if kind.begins(start)]
    found.sort(key=lambda kind: kind.sure or kind.name not in wanted)
    return found[0] if found else None


def mismatch(start: bytes, wanted: Collection[str], words: str) -> str:
    """Return what is to be said of a file of another format than those wanted; empty if nothing is.

    Examples
    --------
    >>> mismatch(b"GIF89a", ["onnx"], "an ONNX model")
    'looks like a GIF picture, wanted an ONNX model: `purecnn predict` and ImageFolder read pictures'
    """
    kind = kind_of(start, wanted)
    if kind is None or kind.name in wanted:
        return ""
    return f"looks like {kind.words}, wanted {words}{f': {kind.advice}' if kind.advice else ''}"
