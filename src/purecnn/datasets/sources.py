"""Where the usual data sets come from, and the size and checksum of each of their files.

Sizes and SHA-256 are those that TensorFlow Datasets lists (``tensorflow_datasets/url_checksums``). Those of
Fashion-MNIST are also what Debian's package ``dataset-fashion-mnist`` gives, packed as its authors did; the
page of CIFAR-10's authors lists the MD5 c32a1d4ab5d03f1284b67883e8d87530 of the same file.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Remote:
    """A file on a server, and what is taken out of it if it is an archive."""

    name: str
    size: int
    sha256: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """Where a data set comes from, and what its labels mean."""

    folder: str
    classes: tuple[str, ...]
    url: str = ""
    files: tuple[Remote, ...] = field(default=(), repr=False)
    prefix: str = ""
    #: How its authors prepared the pictures, as `Preprocessing` names it.
    preparation: str = "character"

    def wanted(self) -> list[str]:
        """Return the names of the files that the set is read from."""
        held = [name for file in self.files for name in file.members or (file.name,)]
        return [Path(name).name for name in held if Path(name).name.startswith(self.prefix)]


def _four(**known: tuple[int, str]) -> tuple[Remote, ...]:
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return tuple(
        Remote(f"{name}-ubyte.gz", *known[name.rpartition("-")[0].replace("-", "_")]) for name in names
    )


_DIGITS, _UPPER = tuple(string.digits), tuple(string.ascii_uppercase)
# 47 classes: the lower case letters that look like their upper case are one with it
_MERGED = (*_DIGITS, *_UPPER, *"abdefghnqrt")
_SPLITS = {
    "balanced": _MERGED,
    "byclass": (*_DIGITS, *_UPPER, *string.ascii_lowercase),
    "bymerge": _MERGED,
    "digits": _DIGITS,
    "letters": _UPPER,
    "mnist": _DIGITS,
}
_EMNIST = Remote(
    "gzip.zip",
    561_753_746,
    "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
    tuple(
        f"gzip/emnist-{split}-{part}-{kind}-ubyte.gz"
        for split in _SPLITS
        for part in ("train", "test")
        for kind in ("images-idx3", "labels-idx1")
    ),
)
_BATCHES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")


#: Every data set by its name.
SOURCES = {
    "mnist": Source("mnist", _DIGITS),
    "fashion-mnist": Source(
        "fashion-mnist",
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        _four(
            train_images=(26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            train_labels=(29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            t10k_images=(4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            t10k_labels=(5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
        preparation="object",
    ),
    "kmnist": Source(
        "kmnist",
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        _four(
            train_images=(18165135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
            train_labels=(29497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
            t10k_images=(3041136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
            t10k_labels=(5120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
        ),
        preparation="object",  # its characters fill the frame
    ),
    **{
        f"emnist-{split}": Source(
            "emnist",
            classes,
            "https://biometrics.nist.gov/cs_links/EMNIST/",
            (_EMNIST,),
            f"emnist-{split}-",
        )
        for split, classes in _SPLITS.items()
    },
    "cifar-10": Source(
        "cifar-10",
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        "https://www.cs.toronto.edu/~kriz/",
        (
            Remote(
                "cifar-10-binary.tar.gz",
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                tuple(f"cifar-10-batches-bin/{name}" for name in _BATCHES),
            ),
        ),
        preparation="crop",
    ),
}
