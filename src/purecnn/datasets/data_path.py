"""Data by path or name, as a command line has it.

Whoever names data at a command line gives a name, a folder or a file; what it is shows itself.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.datasets import catalog
from purecnn.datasets.catalog import Sets
from purecnn.datasets.folders import ImageFolder, train_and_test
from purecnn.datasets.sources import SOURCES
from purecnn.datasets.splits import stratified_split
from purecnn.errors import FileFormatError
from purecnn.formats.idx import Samples, load_folder
from purecnn.formats.npz import read_npz
from purecnn.formats.regular_files import open_regular
from purecnn.losses.tasks import FORMS, TAKES, Task, form_of

#: The share that becomes the test set where there is none, by a seed of its own, so that it never changes.
TEST_SHARE, TEST_SEED = 0.2, 0
#: Of MNIST's 60,000 training labels, as bytes: what names a folder of its files.
MNIST_LABELS = "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13"
#: The longer side, in pixels, of large pictures where nobody says how large they are to be.
LONGEST = 64
#: So many classes may have fewer samples than classes; more outputs than samples are no classes but numbers.
FEW_CLASSES = 1000


def read_data(source: str | os.PathLike[str], *, shape: Shape | None = None, on_error: str = "raise") -> Sets:
    """Read a training and a test set from wherever they are.

    ==============================================  =====================================================
    `source`                                        read by
    ==============================================  =====================================================
    a name of `datasets.NAMES`                      `datasets.load`
    a folder with IDX files                         `idx.load_folder`
    a folder of class folders                       `datasets.ImageFolder`
    a folder of two such folders, train and test    the same, each for itself; also validation, or val
    an ``.npz`` file                                `read_npz`
    ==============================================  =====================================================

    Where there is no test set, a fifth of each class is set aside for it, always the same.

    Parameters
    ----------
    source : str or os.PathLike
        A name, or a path; ``./mnist`` is a path.
    shape : (int, int) or (int, int, int), optional
        ``(height, width)`` or ``(channels, height, width)`` to bring pictures to; the medians of the training
        set's if left out, at most 64 pixels on the longer side.
    on_error : {"raise", "skip"}
        What to do about damaged pictures, as `ImageFolder` takes it.

    Returns
    -------
    Sets
        To unpack into two pairs; its notes say what was set aside and skipped.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder, or the set of this name is not here.
    FileFormatError
        If it is none of these, or damaged.

    Examples
    --------
    >>> (x, y), (x_test, y_test) = read_data("mnist")
    >>> x.shape
    (60000, 28, 28)
    """
    if source in catalog.NAMES:
        return catalog.load(str(source))
    path = Path(source)
    if path.suffix == ".npz" and not path.is_dir():
        train, test = read_npz(path)
        return divided(path, train) if test is None else Sets(train, test)
    if not path.is_dir():
        if path.exists():
            with open_regular(path, "a folder or an .npz file", "npz"):
                pass  # what it looks like is refused by its name
            raise FileFormatError(f"{path}: is neither a folder nor an .npz file; one of these is wanted")
        raise FileNotFoundError(
            f"{path}: there is no such file or folder, and the names known are {', '.join(catalog.NAMES)}"
        )
    if not holds_pictures(source):
        return named(Sets(*load_folder(path)))
    return read_pictures(path, shape, on_error)


def named(sets: Sets) -> Sets:
    """Return sets as those of MNIST, classes and all, if their training labels are MNIST's."""
    if hashlib.sha256(sets.train[1].tobytes()).hexdigest() != MNIST_LABELS:
        return sets
    return replace(sets, classes=SOURCES["mnist"].classes, preparation=SOURCES["mnist"].preparation)


def holds_pictures(source: str | os.PathLike[str]) -> bool:
    """Return whether this is a folder that is read as one of class folders."""
    path = Path(source)
    return source not in catalog.NAMES and path.is_dir() and not any(path.glob("*idx[13]*"))


def read_pictures(path: Path, shape: Shape | None, on_error: str) -> Sets:
    """Read folders of class folders: one, or a training and a test set beside each other."""
    size = None if shape is None else (shape[-2], shape[-1])
    channels = None if shape is None or len(shape) == 2 else shape[0]
    apart = train_and_test(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what was skipped stands in the notes
        first = ImageFolder(apart[0] if apart else path, size, channels, on_error=on_error)
        sets = [first]
        if apart:
            sets.append(ImageFolder(apart[1], size, channels, on_error=on_error, classes=first.classes))
    channels, height, width = max(one.shape[0] for one in sets), *first.shape[1:]
    notes = [f"skipped {words}" for one in sets for words in one.skipped]
    if size is None:
        small, several = scaled_down(height, width), len(set().union(*(one.sizes for one in sets))) > 1
        which = "several sizes" if several else f"{height} x {width}"
        how = ", their median" if small == (height, width) else "; --image-size takes another size"
        if several or small != (height, width):
            notes.append(f"{path} holds pictures of {which}: all are brought to {small[0]} x {small[1]}{how}")
        height, width = small
    for one in sets:  # as the training set is, and in colour if either is
        one.shape = (channels, height, width)
    if not apart:
        return divided(path, first.load(), first.classes, notes, first.preparation)
    return Sets(sets[0].load(), sets[1].load(), first.classes, tuple(notes), first.preparation)


def scaled_down(height: int, width: int) -> tuple[int, int]:
    """Return the size, in the same proportions, at which a small network learns from pictures in minutes.

    Examples
    --------
    >>> scaled_down(480, 640), scaled_down(28, 28)
    ((48, 64), (28, 28))
    """
    share = min(1.0, LONGEST / max(height, width))
    return max(1, round(height * share)), max(1, round(width * share))


def divided(
    path: Path,
    all_of_it: Samples,
    classes: tuple[str, ...] = (),
    notes: Iterable[str] = (),
    preparation: str = "unknown",
) -> Sets:
    """Set a share aside for a test set that is missing."""
    x, y = all_of_it
    if len(y) < 3:
        raise FileFormatError(f"{path}: holds {len(y)} samples and no test set; at least 3 are wanted")
    are_labels = y[0].size == 1 and y.dtype.kind in "iu"  # (n,), or a column
    classes_of = y.reshape(len(y)) if are_labels else np.zeros(len(y), np.int64)
    kept, aside = stratified_split(classes_of, TEST_SHARE, TEST_SEED)
    note = f"{path} has no test set: {len(aside):,} of its {len(y):,} images are set aside for it"
    return Sets((x[kept], y[kept]), (x[aside], y[aside]), classes, (*notes, note), preparation)


def task_of_answers(y: Array) -> Task:
    """Return the task that answers say which are not told what they are for.

    ==================================================  ==========================
    answers                                             task
    ==================================================  ==========================
    integers or truth values ``(n,)``, ``(n, 1)``       classification
    floats ``(n,)``, ``(n, 1)``                         regression
    one-hot rows ``(n, classes)``                       classification
    other rows of zeros and ones ``(n, labels)``        multilabel
    integers or truth values ``(n, height, width)``     segmentation
    all others                                          regression
    ==================================================  ==========================

    Examples
    --------
    >>> [task_of_answers(np.array(y)) for y in ([0, 2], [0.0, 2.0], [[0, 1], [1, 1]])]
    ['classification', 'regression', 'multilabel']
    """
    if y[0].size == 1:
        return "regression" if y.dtype.kind == "f" else "classification"
    if y.ndim > 2:
        return "segmentation" if y.ndim == 3 and y.dtype.kind in "iub" else "regression"
    form = form_of(y.reshape(len(y), -1))
    return "classification" if form == "one-hot" else "multilabel" if form == "multi-hot" else "regression"


def for_task(data: str, sets: Sets, task: Task | None = None) -> tuple[Sets, Task]:
    """Return sets whose answers a task can learn, and the task: the one given, or what the answers say.

    Raises
    ------
    FileFormatError
        If the answers are none of the task.
    """
    task = task or task_of_answers(sets.train[1])
    pairs = [(x, as_answers(data, y, task)) for x, y in sets]
    return replace(sets, train=pairs[0], test=pairs[1]), task


def as_answers(data: str, y: Array, task: Task) -> Array:
    """Return answers as a task takes them: labels as integers, values as floats."""
    if task == "regression":
        if y.ndim > 2:
            raise FileFormatError(
                f"{data}: values of shape (n,) or (n, outputs) are wanted, got answers of shape {y.shape}"
            )
        return y if y.dtype.kind == "f" else y.astype(np.float64)
    if task == "classification" and (y.ndim == 1 or y[0].size == 1):
        labels = y.reshape(len(y))
        if not np.isfinite(labels).all() or not (labels == np.floor(labels)).all():
            raise FileFormatError(
                f"{data}: labels are {y.dtype} with fractions; integers from 0 are wanted, or the task "
                f"regression"
            )
        return labels if labels.dtype.kind in "iu" else labels.astype(np.int64)
    if task == "segmentation":
        raise FileFormatError(
            f"{data}: commands learn and measure a class or values for a picture; for label maps, classes of "
            f"pixels, call Network.fit and Network.evaluate"
        )
    form = form_of(y.reshape(len(y), -1)) if y.ndim == 2 else "labels"
    if form not in TAKES[task] or y.ndim != 2:
        wanted = "labels (n,) or one-hot rows" if task == "classification" else "rows of zeros and ones"
        raise FileFormatError(
            f"{data}: the task {task} wants {wanted}, got {y.dtype} of shape {y.shape}, {FORMS[form]}"
        )
    return y


def check_alike(data: str, sets: Sets, task: Task = "classification") -> None:
    """Refuse a test set that is none for its training set: better before the training than behind it.

    Raises
    ------
    FileFormatError
        If one is empty, their samples or answers differ in shape or in kind, or their labels number no
        classes.
    """
    for place, what in enumerate(("samples", "answers")):
        here, there = sets.train[place], sets.test[place]
        if not len(here) or not len(there):
            raise FileFormatError(
                f"{data}: {len(here)} {what} to train on and {len(there)} to test on; some of both are wanted"
            )
        kinds = {array.dtype == np.uint8 for array in (here, there)}
        if here.shape[1:] != there.shape[1:] or (what == "samples" and len(kinds) > 1):
            raise FileFormatError(
                f"{data}: the {what} to test on must be like those to train on, {here.dtype} of shape "
                f"{here.shape[1:]}; got {there.dtype} of shape {there.shape[1:]}"
            )
    labels = [y for _, y in sets if y.ndim == 1 and task == "classification"]
    highest = max((int(y.max()) for y in labels), default=0)
    most = max(FEW_CLASSES, sum(map(len, labels)))
    if highest >= most:
        raise FileFormatError(
            f"{data}: labels go up to {highest:,}; classes numbered from 0 are wanted, each of which becomes "
            f"an output, and here at most {most:,}; or the task regression, where they are values"
        )
