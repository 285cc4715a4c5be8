"""Exceptions and warnings of the package.

Whoever uses this package must be able to tell its refusals from other errors, hence these exceptions.
"""

from __future__ import annotations

from purecnn.escapes import visible

__all__ = [
    "CheckpointError",
    "CheckpointWarning",
    "DeviceError",
    "DivergedError",
    "DownloadError",
    "FileFormatError",
    "GradientError",
    "LogWarning",
    "MissingExtraError",
    "PreprocessingWarning",
    "PureCNNError",
    "RankError",
    "ShapeError",
    "WorkerError",
]


class PureCNNError(Exception):
    """The base of every exception that this package defines.

    Each one also derives from the builtin exception that it is a case of, so a handler for
    ``ValueError`` goes on catching what it always caught.

    Examples
    --------
    >>> issubclass(ShapeError, PureCNNError), issubclass(ShapeError, ValueError)
    (True, True)
    """

    def __str__(self) -> str:
        """Return the sentence, which may quote a stranger's file: made visible."""
        return visible(super().__str__(), lines=True)


class ShapeError(PureCNNError, ValueError):
    """An array or a layer has another shape than the one wanted; the message names both.

    Examples
    --------
    >>> raise ShapeError("x has shape (3, 28); (3, 28, 28) is wanted")
    Traceback (most recent call last):
        ...
    purecnn.errors.ShapeError: x has shape (3, 28); (3, 28, 28) is wanted
    """


class FileFormatError(PureCNNError, ValueError):
    """A file is damaged, truncated, oversized or of a foreign format; the message says which.

    Examples
    --------
    >>> raise FileFormatError("digits.gz: holds 3 bytes; an IDX header takes at least 4")
    Traceback (most recent call last):
        ...
    purecnn.errors.FileFormatError: digits.gz: holds 3 bytes; an IDX header takes at least 4
    """


class CheckpointError(PureCNNError, ValueError):
    """A checkpoint does not belong to the run that it is to resume, or the last one could not be written.

    Examples
    --------
    >>> raise CheckpointError("run.safetensors: its run's batch_size was 32, this one's is 64")
    Traceback (most recent call last):
        ...
    purecnn.errors.CheckpointError: run.safetensors: its run's batch_size was 32, this one's is 64
    """


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written, or a resumed run may not end in the same bits; the message says why.

    Examples
    --------
    >>> issubclass(CheckpointWarning, UserWarning)
    True
    """


class LogWarning(UserWarning):
    """What was measured could not be written into a log yet, on a full disk say; the message says where.

    Examples
    --------
    >>> issubclass(LogWarning, UserWarning)
    True
    """


class PreprocessingWarning(UserWarning):
    """What a network is to be trained on looks as if it was to be prepared first; the message says how.

    Examples
    --------
    >>> issubclass(PreprocessingWarning, UserWarning)
    True
    """


class DeviceError(PureCNNError, RuntimeError):
    """A device can't be used, or its memory is full; the message says what is missing and what to do.

    Examples
    --------
    >>> raise DeviceError("device='cuda': no NVIDIA driver was found")
    Traceback (most recent call last):
        ...
    purecnn.errors.DeviceError: device='cuda': no NVIDIA driver was found
    """


class DownloadError(PureCNNError, OSError):
    """A file could not be fetched; the message names its address and what the last try met.

    Examples
    --------
    >>> raise DownloadError("https://example.org/a.gz: the server answers 404 Not Found")
    Traceback (most recent call last):
        ...
    purecnn.errors.DownloadError: https://example.org/a.gz: the server answers 404 Not Found
    """


class DivergedError(PureCNNError, ArithmeticError):
    """Training stopped because its loss was no longer a finite number; the message names the step.

    Examples
    --------
    >>> raise DivergedError("the loss is nan at step 12; a finite number is wanted")
    Traceback (most recent call last):
        ...
    purecnn.errors.DivergedError: the loss is nan at step 12; a finite number is wanted
    """


class GradientError(PureCNNError, AssertionError):
    """A derivative disagrees with finite differences; the message says which, and by how much.

    Examples
    --------
    >>> raise GradientError("the derivative by biases is off by 1.0e-03, at most 1e-06 is wanted")
    Traceback (most recent call last):
        ...
    purecnn.errors.GradientError: the derivative by biases is off by 1.0e-03, at most 1e-06 is wanted
    """


class WorkerError(PureCNNError, RuntimeError):
    """A worker process was killed, or failed where its caller does not.

    Examples
    --------
    >>> raise WorkerError("worker process 4711 ended with status -9 in the middle of its work")
    Traceback (most recent call last):
        ...
    purecnn.errors.WorkerError: worker process 4711 ended with status -9 in the middle of its work
    """


class RankError(PureCNNError, RuntimeError):
    """A process of an MPI job can't train with the others, or ended; the message names it by its rank.

    Examples
    --------
    >>> raise RankError("rank 2 on node7 differs from rank 0 on node1: numpy is 2.3.5, not 2.4.1")
    Traceback (most recent call last):
        ...
    purecnn.errors.RankError: rank 2 on node7 differs from rank 0 on node1: numpy is 2.3.5, not 2.4.1
    """


class MissingExtraError(PureCNNError, ImportError):
    """A feature needs an optional package that is not installed; the message is the command that installs it.

    See Also
    --------
    require_extra : imports an optional module or raises this.

    Examples
    --------
    >>> raise MissingExtraError("drawing charts needs plotly: python -m pip install plotly")
    Traceback (most recent call last):
        ...
    purecnn.errors.MissingExtraError: drawing charts needs plotly: python -m pip install plotly
    """
