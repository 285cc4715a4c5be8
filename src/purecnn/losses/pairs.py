"""Valid pairs of loss and last layer.

Which loss goes with which last layer: a wrong pair trains, silently, to something worse.

Probabilities are wanted by some losses and scores by others, and the difference is what the last layer does.
"""

from __future__ import annotations

from collections.abc import Sequence

from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.layers.activations.basic import Sigmoid, Softmax
from purecnn.layers.base import Layer
from purecnn.layers.dropout import Dropout
from purecnn.layers.ranges import output_range
from purecnn.layers.registry import is_own
from purecnn.losses.base import Loss

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
        # Dropout scales up in training alone: probabilities behind it are such again when they are asked for.
        asked = output_range([layer for layer in layers if not isinstance(layer, Dropout)])
        outputs = asked if asked is not None and asked.is_probability else outputs
        right = outputs.low < 0 or (loss.activation is Softmax and not outputs.is_probability)
    if not right:
        activation, joined, alone = RIGHT[loss.targets]
        name, source = getattr(loss.function, "__name__", "this loss"), type(outputs.source).__name__
        joined = name if loss.joint is not None and loss.targets == "classes" else joined
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
        Labels ``(n,)`` or values, the samples first.
    layers : sequence of Layer
        The network's.
    output_shape : tuple of int
        Of one sample.

    Raises
    ------
    ValueError
        If a binary cross-entropy gets a target outside 0 to 1, or a Softmax has a single output.
    ShapeError
        If a cross-entropy over classes gets outputs that are no vectors.
    """
    outputs = output_range(layers)
    if outputs is not None and outputs.is_distribution and output_shape == (1,):
        raise ValueError(
            "a Softmax over 1 output is always 1 and learns nothing: "
            "wanted one output a class, or Sigmoid in its place"
        )
    if loss.targets == "classes" and len(output_shape) != 1:
        raise ShapeError(
            f"a cross-entropy over classes wants a vector of outputs a sample, got {output_shape}: "
            f"put Flatten() before the last layers"
        )
    if loss.targets == "shares" and y.ndim > 1:
        least, most = y.min(), y.max()
        if least < 0 or most > 1:
            raise ValueError(
                f"targets of a binary cross-entropy must be from 0 to 1, got {least if least < 0 else most}"
            )


def suitable_loss(layers: Sequence[Layer], labels: bool, several: bool = False) -> str:
    """Return the name of the loss that suits a network's last layers and the kind of its targets.

    Parameters
    ----------
    layers : sequence of Layer
        The network's.
    labels : bool
        Whether the targets are integer labels.
    several : bool
        Whether a sample may have several labels.

    Raises
    ------
    ValueError
        If the targets are classes, and it is layers of the user's own that decide what the outputs are.

    Examples
    --------
    >>> from purecnn import Dense, Tanh
    >>> suitable_loss([Dense(2, 2), Softmax()], labels=True), suitable_loss([Tanh()], labels=False)
    ('categorical_cross_entropy', 'mse')
    """
    outputs, last = output_range(layers), layers[-1]
    if isinstance(last, Softmax) or (outputs is not None and outputs.is_distribution):
        return "categorical_cross_entropy"
    if isinstance(last, Sigmoid) or (outputs is not None and outputs.is_probability):
        return "binary_cross_entropy"
    parts = (part for layer in layers for part in (layer, *layer.parts()))
    if outputs is None and (labels or several) and not all(map(is_own, parts)):
        _, joined, alone = RIGHT["classes" if labels else "shares"]
        raise ValueError(
            f"loss must be given, since what the last layers give, {last} at the end, is known to you alone: "
            f'"{joined}" for probabilities, "{alone}" for scores, got none'
        )
    if several:
        return "sigmoid_binary_cross_entropy"
    return "softmax_cross_entropy" if labels else "mse"
