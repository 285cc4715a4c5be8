"""Valid pairs of loss and last layer.

Which loss goes with which last layer: a wrong pair trains, silently, to something worse.

Probabilities are wanted by some losses and scores by others, and the difference is what the last layer does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.layers.activations.basic import Sigmoid, Softmax
from purecnn.layers.base import Layer
from purecnn.layers.noise import TrainingNoise
from purecnn.layers.ranges import output_range
from purecnn.layers.registry import is_own
from purecnn.losses.base import Loss, unwrapped
from purecnn.losses.tasks import Task, form_of

#: The right pairs, by what a loss's targets are: one for each kind of last layer.
RIGHT = {
    "classes": ("Softmax", "categorical_cross_entropy", "softmax_cross_entropy"),
    "shares": ("Sigmoid", "binary_cross_entropy", "sigmoid_binary_cross_entropy"),
    "values": ("Sigmoid", "binary_cross_entropy", "hinge"),
}


def check_pair(loss: Loss, layers: Sequence[Layer]) -> None:
    """Refuse a loss of probabilities behind other numbers, and a loss of scores behind probabilities.

    Layers of one's own can give anything, and so go with every loss.

    Raises
    ------
    ValueError
        If the two do not go together; it names the pairs that do.

    Examples
    --------
    >>> from purecnn import Dense
    >>> from purecnn.losses import LOSSES
    >>> check_pair(LOSSES["softmax_cross_entropy"], [Dense(2, 2), Softmax()])
    Traceback (most recent call last):
    ValueError: softmax_cross_entropy wants scores, got probabilities that sum to 1, which Softmax gives: \
end the network in Softmax with "categorical_cross_entropy", or in no activation with "softmax_cross_entropy"
    """
    outputs = None if loss.predictions == "values" else output_range(layers)
    if outputs is None:
        return
    if loss.predictions == "probabilities":
        sums = loss.targets == "classes"
        wanted = "probabilities that sum to 1" if sums else "numbers from 0 to 1"
        right = outputs.is_distribution if sums else outputs.is_probability
    else:
        # Only differences between scores matter to a softmax; what is never negative is never a no elsewhere.
        wanted = "scores" if loss.activation is Softmax else "scores on both sides of 0"
        # Noise and scaling are of training alone: probabilities behind them are such again when asked for.
        asked = output_range([layer for layer in layers if not isinstance(layer, TrainingNoise)])
        outputs = asked if asked is not None and asked.is_probability else outputs
        right = outputs.low < 0 or (loss.activation is Softmax and not outputs.is_probability)
    if not right:
        activation, joined, alone = RIGHT[loss.targets]
        name, source = getattr(loss.function, "__name__", "this loss"), type(outputs.source).__name__
        joined = name if loss.predictions == "probabilities" else joined
        raise ValueError(
            f"{name} wants {wanted}, got {outputs}, which {source} gives: "
            f'end the network in {activation} with "{joined}", or in no activation with "{alone}"'
        )


def check_targets(loss: Loss, y: Array, layers: Sequence[Layer], output_shape: Shape) -> None:
    """Refuse targets and outputs from which a loss would learn nothing, or nonsense.

    Parameters
    ----------
    loss : Loss
        What is to be lowered.
    y : ndarray
        Labels ``(n,)``, maps of labels ``(n, H, W)`` or values, the samples first.
    layers : sequence of Layer
        The network's.
    output_shape : tuple of int
        Of one sample.

    Raises
    ------
    ValueError
        If a loss of shares gets a target outside 0 to 1, or bytes as targets are more than the last
        layer can give, or a Softmax has a single output.
    ShapeError
        If a cross-entropy over classes gets outputs that are no vectors.
    """
    outputs = output_range(layers)
    if outputs is not None and outputs.is_distribution and output_shape[:1] == (1,):
        raise ValueError(
            f"a Softmax over 1 {'output' if len(output_shape) == 1 else 'channel'} is always 1 and learns "
            f"nothing: wanted one a class, or Sigmoid in its place"
        )
    if loss.targets == "classes" and len(output_shape) != 1 and y.ndim != 3:
        raise ShapeError(
            f"a cross-entropy over classes wants a vector of outputs a sample, got {output_shape}: "
            f"put Flatten() before the last layers, or give label maps (n, height, width) as y"
        )
    if loss.targets == "classes" and y.ndim == 3 and output_shape[0] == 1:
        raise ShapeError(
            "a cross-entropy over classes wants a channel for each class, got 1: of two classes one channel "
            'goes with "binary_cross_entropy" behind Sigmoid, or with "sigmoid_binary_cross_entropy"'
        )
    if loss.targets == "shares" and y.ndim == 2:
        least, most = y.min(), y.max()
        if least < 0 or most > 1:
            raise ValueError(
                f"targets of {unwrapped(loss).__name__} must be from 0 to 1, "
                f"got {least if least < 0 else most}"
                f"{': pixels of images want y / 255' if y.dtype == np.uint8 else ''}"
            )
    if outputs is not None and y.ndim == 2 and y.dtype == np.uint8 and y.max() > max(1, outputs.high):
        raise ValueError(
            f"the targets are pixels up to {y.max()}, and the outputs are {outputs}, which "
            f"{type(outputs.source).__name__} gives: y / 255 is wanted in place of y"
        )


def kind_of(y: Array, output_shape: Shape, task: Task | None) -> str:
    """Return what targets are to a loss, as `Loss.targets` says it.

    Parameters
    ----------
    y : ndarray
        Labels ``(n,)``, maps of labels ``(n, H, W)`` or values, the samples first.
    output_shape : tuple of int
        Of one sample.
    task : str or None
        The network's, where it is known.

    Examples
    --------
    >>> kind_of(np.zeros((2, 8, 8), int), (3, 8, 8), None), kind_of(np.zeros((2, 8, 8), int), (1, 8, 8), None)
    ('classes', 'shares')
    """
    if y.ndim == 3:
        return "shares" if output_shape[0] == 1 else "classes"
    if y.ndim == 1:
        return "classes"
    several = task == "multilabel" or (task is None and form_of(y) == "multi-hot")
    return "shares" if several else "values"


def suitable_loss(layers: Sequence[Layer], kind: str) -> str:
    """Return the name of the loss that suits a network's last layers and the kind of its targets.

    Parameters
    ----------
    layers : sequence of Layer
        The network's.
    kind : {"classes", "shares", "values"}
        What the targets are: labels, several of them a sample, or numbers.

    Raises
    ------
    ValueError
        If the targets are classes, and it is layers of the user's own that decide what the outputs are.

    Examples
    --------
    >>> from purecnn import Dense, Tanh
    >>> suitable_loss([Dense(2, 2), Softmax()], "classes"), suitable_loss([Tanh()], "values")
    ('categorical_cross_entropy', 'mse')
    """
    outputs, last = output_range(layers), layers[-1]
    if isinstance(last, Softmax) or (outputs is not None and outputs.is_distribution):
        return "categorical_cross_entropy"
    if isinstance(last, Sigmoid) or (outputs is not None and outputs.is_probability):
        return "binary_cross_entropy"
    parts = (part for layer in layers for part in (layer, *layer.parts()))
    if outputs is None and kind != "values" and not all(map(is_own, parts)):
        _, joined, alone = RIGHT[kind]
        raise ValueError(
            f"loss must be given, since what the last layers give, {last} at the end, is known to you alone: "
            f'"{joined}" for probabilities, "{alone}" for scores, got none'
        )
    return {"classes": "softmax_cross_entropy", "shares": "sigmoid_binary_cross_entropy", "values": "mse"}[
        kind
    ]
