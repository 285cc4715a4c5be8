"""Data sets: where samples come from, by name, from files and folders, split and augmented.

`catalog` loads the usual ones by name, `mnist` lies in the package, `folders` reads sorted pictures, `masks`
pictures with their masks, `dataset` is what reads samples from outside of memory, `framing` puts a picture
into its frame, `augmentation` changes images in training, `synthetic` makes sets for other tasks.

Imports `backend`, `formats` and what samples are in `layers`. Begin with `catalog`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.datasets import mnist as mnist
    from purecnn.datasets.augmentation import Augmentation as Augmentation
    from purecnn.datasets.catalog import NAMES as NAMES
    from purecnn.datasets.catalog import cache_folder as cache_folder
    from purecnn.datasets.catalog import fetch as fetch
    from purecnn.datasets.catalog import load as load
    from purecnn.datasets.dataset import Dataset as Dataset
    from purecnn.datasets.dataset import Subset as Subset
    from purecnn.datasets.folders import ImageFolder as ImageFolder
    from purecnn.datasets.framing import prepare_digit as prepare_digit
    from purecnn.datasets.framing import prepare_object as prepare_object
    from purecnn.datasets.masks import MaskFolder as MaskFolder
    from purecnn.datasets.splits import stratified_split as stratified_split
    from purecnn.datasets.synthetic import cluttered_digits as cluttered_digits
    from purecnn.datasets.synthetic import signals as signals
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "": "mnist",
            "augmentation": "Augmentation",
            "catalog": "cache_folder fetch load NAMES",
            "dataset": "Dataset Subset",
            "folders": "ImageFolder",
            "framing": "prepare_digit prepare_object",
            "masks": "MaskFolder",
            "splits": "stratified_split",
            "synthetic": "cluttered_digits signals",
        },
    )
