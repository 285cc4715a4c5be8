"""The range of a network's outputs: from which to which number each layer can give.

A loss of probabilities makes nonsense of other numbers, and a loss of scores of probabilities: who pairs them
asks here. What a layer of one's own gives can't be known.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from purecnn.layers.activations.basic import (
    HardSigmoid,
    Identity,
    LogSoftmax,
    Sigmoid,
    Softmax,
    Softsign,
    Tanh,
)
from purecnn.layers.activations.gated import GELU, HardSwish, Mish, SiLU
from purecnn.layers.activations.rectified import ELU, SELU, LeakyReLU, PReLU, ReLU, ReLU6, Softplus
from purecnn.layers.base import Layer, rule_for
from purecnn.layers.composites.base import Composite
from purecnn.layers.composites.branches import Branches
from purecnn.layers.composites.residual import Residual
from purecnn.layers.composites.separable import SeparableConvolutional
from purecnn.layers.dense import Dense
from purecnn.layers.dropout import Dropout
from purecnn.layers.noise import GaussianNoise
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.normalization.group import SampleNormalization
from purecnn.layers.reshape import ChannelShuffle, Flatten, Reshape
from purecnn.layers.signals.convolution import Convolutional1D
from purecnn.layers.signals.padding import ZeroPadding1D
from purecnn.layers.signals.pooling import (
    AveragePooling1D,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    MaxPooling1D,
)
from purecnn.layers.spatial.adaptive_pooling import AdaptiveAveragePooling, AdaptiveMaxPooling
from purecnn.layers.spatial.convolution import Convolutional
from purecnn.layers.spatial.global_pooling import GlobalAveragePooling, GlobalMaxPooling
from purecnn.layers.spatial.padding import Cropping, ReflectionPadding, ReplicationPadding, ZeroPadding
from purecnn.layers.spatial.pooling import AveragePooling, MaxPooling
from purecnn.layers.spatial.resampling import DepthToSpace, UpSampling
from purecnn.layers.spatial.transposed import TransposedConvolutional


@dataclass(frozen=True)
class Range:
    """The numbers that some layers can give.

    Attributes
    ----------
    low, high : float
        The least and the largest.
    is_distribution : bool
        Whether those of a sample sum to 1.
    source : Layer or None
        The layer that the range is due to.
    """

    low: float
    high: float
    is_distribution: bool = False
    source: Layer | None = None

    @property
    def is_probability(self) -> bool:
        """Whether no number lies outside of 0 to 1."""
        return self.low >= 0 and self.high <= 1

    def __str__(self) -> str:
        if self.is_distribution:
            return "probabilities that sum to 1"
        if self.is_probability:
            return f"numbers from {self.low:g} to {self.high:g} that need not sum to 1"
        if math.isinf(self.low) and math.isinf(self.high):
            return "any numbers"
        if math.isinf(self.high):
            return f"numbers from {self.low:.3g} up"
        return (
            f"numbers up to {self.high:.3g}"
            if math.isinf(self.low)
            else f"numbers from {self.low:.3g} to {self.high:.3g}"
        )


#: What stands for infinity where a layer is asked.
FAR = 1e300
#: Any numbers.
REAL = Range(-math.inf, math.inf)
Rule = Callable[[Layer, Range | None], Range | None]


def output_range(layers: Sequence[Layer], given: Range | None = None) -> Range | None:
    """Return the range of what layers give, None where it can't be known.

    Parameters
    ----------
    layers : sequence of Layer
        From input to output.
    given : Range, optional
        Of what the first one is given.

    Examples
    --------
    >>> from purecnn import Dense, Flatten, Tanh
    >>> found = output_range([Dense(2, 3), Tanh(), Flatten()])
    >>> found.low, found.high, found.source
    (-1.0, 1.0, Tanh())
    """
    for layer in layers:
        rule = rule_for(RULES, layer)
        given = rule and rule(layer, given)
    return given


def deciding_layer(layers: Sequence[Layer]) -> Layer:
    """Return the layer that decides what layers give: the last one that does not pass on what it is given.

    Examples
    --------
    >>> from purecnn import Dense, Flatten, Softmax
    >>> deciding_layer([Dense(2, 3), Softmax(), Flatten()])
    Softmax()
    """
    found = output_range(layers)
    return layers[-1] if found is None or found.source is None else found.source


def keeps_scale(layer: Layer) -> bool:
    """Return whether a layer gives numbers in the scale in which it gets them, as its rule below says.

    Examples
    --------
    >>> from purecnn import MaxPooling, ReLU
    >>> keeps_scale(MaxPooling(2)), keeps_scale(ReLU())
    (True, False)
    """
    return rule_for(RULES, layer) in (moved, averaged, largest, with_zeros, dropped)


def ends_in_probabilities(layers: Sequence[Layer]) -> bool:
    """Return whether layers are known to give probabilities, or are of a class derived from one that does."""
    found = output_range(layers)
    return isinstance(layers[-1], Softmax | Sigmoid) if found is None else found.is_probability


def anything(layer: Layer, given: Range | None) -> Range | None:
    """Return the range of weighted sums."""
    return replace(REAL, source=layer)


def rising(layer: Layer, given: Range | None) -> Range | None:
    """Return the range of a non-decreasing function: from its value at the one end to that at the other."""
    ends = given or REAL
    asked = np.clip([[ends.low, ends.high]], -FAR, FAR)
    low, high = (
        math.copysign(math.inf, value) if abs(value) > math.sqrt(FAR) else float(value)
        for value in copy.deepcopy(layer).forward(asked)[0]
    )
    unchanged = given is not None and (low, high) == (ends.low, ends.high) and math.isfinite(low + high)
    return given if unchanged else Range(low, high, source=layer)


def gated(layer: Layer, given: Range | None) -> Range | None:
    """Return the range of a gate, which dips to somewhere above -0.31 for what is negative."""
    ends = given or REAL
    return Range(-0.31 if ends.low < 0 else 0.0, max(ends.high, 0.0), source=layer)


def learnt_slope(layer: Layer, given: Range | None) -> Range | None:
    """Return the range of a PReLU, whose slope may have any sign."""
    return given if given and given.low >= 0 else replace(REAL, source=layer)


def distribution(layer: Layer, given: Range | None) -> Range | None:
    """Return the range of a Softmax."""
    return Range(0.0, 1.0, True, layer)


def logarithms(layer: Layer, given: Range | None) -> Range | None:
    """Return the range of a LogSoftmax: logarithms of probabilities are not above 0."""
    return Range(-math.inf, 0.0, source=layer)


def moved(layer: Layer, given: Range | None) -> Range | None:
    """Return the range of values that are only moved: they sum to 1 as before where the classes stay."""
    if given is None or not given.is_distribution:
        return given
    before, after = layer.input_shape, layer.output_shape
    return replace(given, is_distribution=not before or not after or before[0] == after[0])


def averaged(layer: Layer, given: Range | None) -> Range | None:
    """Return the range of means: what sums to 1 does so in the mean, but for zeros around it."""
    counts = isinstance(layer, AveragePooling) and layer.count_padding and layer.is_padded
    return with_zeros(layer, given) if counts else given


def largest(layer: Layer, given: Range | None) -> Range | None:
    """Return the range of maxima."""
    return given and replace(given, is_distribution=False)


def with_zeros(layer: Layer, given: Range | None) -> Range | None:
    """Return the range of values with zeros among them."""
    return given and replace(given, low=min(given.low, 0), high=max(given.high, 0), is_distribution=False)


def dropped(layer: Layer, given: Range | None) -> Range | None:
    """Return the range in training, where what is kept is scaled up."""
    rate = getattr(layer, "rate", 0.0)
    if given is None or not rate:
        return given
    return Range(min(given.low, 0) / (1 - rate), max(given.high, 0) / (1 - rate), source=layer)


def blurred(layer: Layer, given: Range | None) -> Range | None:
    """Return the range in training, where noise knows no bounds."""
    return replace(REAL, source=layer) if getattr(layer, "stddev", 0.0) else given


def merged(layer: Layer, given: Range | None) -> Range | None:
    """Return the range of what a composite makes of the ends of its branches."""
    assert isinstance(layer, Composite)
    lows, highs = [], []
    for branch in layer.branches.values():
        found = output_range(branch, given)
        if found is None:
            return None
        lows.append(found.low)
        highs.append(found.high)
    if layer.merge == "add":
        return Range(sum(lows), sum(highs), source=layer)
    if layer.merge == "mean":
        return Range(sum(lows) / len(lows), sum(highs) / len(highs), source=layer)
    if layer.merge == "maximum":
        return Range(max(lows), max(highs), source=layer)
    if layer.merge == "concatenate":
        return Range(min(lows), max(highs), source=layer)
    low, high = lows[0], highs[0]
    for other in zip(lows[1:], highs[1:], strict=True):
        ends = [a * b if a and b else 0.0 for a in (low, high) for b in other]  # none of 0 times infinity
        low, high = min(ends), max(ends)
    return Range(low, high, source=layer)


#: Of each class with a `forward` of its own. A new layer is added here.
RULES: dict[type[Layer], Rule] = {
    **dict.fromkeys(
        (BatchNormalization, Convolutional, Convolutional1D, Dense, SampleNormalization), anything
    ),
    TransposedConvolutional: anything,
    **dict.fromkeys((ELU, HardSigmoid, LeakyReLU, ReLU, ReLU6, SELU, Sigmoid, Softplus), rising),
    **dict.fromkeys((Identity, Softsign, Tanh), rising),
    **dict.fromkeys((GELU, HardSwish, Mish, SiLU), gated),
    **dict.fromkeys((Cropping, DepthToSpace, Flatten, Reshape), moved),
    **dict.fromkeys((ChannelShuffle, ReflectionPadding, ReplicationPadding), moved),
    **dict.fromkeys((Branches, Residual, SeparableConvolutional), merged),
    **dict.fromkeys((AdaptiveMaxPooling, GlobalMaxPooling, MaxPooling), largest),
    **dict.fromkeys((GlobalMaxPooling1D, MaxPooling1D), largest),
    **dict.fromkeys((AdaptiveAveragePooling, AveragePooling, GlobalAveragePooling, UpSampling), averaged),
    **dict.fromkeys((AveragePooling1D, GlobalAveragePooling1D), averaged),
    Dropout: dropped,
    GaussianNoise: blurred,
    LogSoftmax: logarithms,
    PReLU: learnt_slope,
    Softmax: distribution,
    **dict.fromkeys((ZeroPadding, ZeroPadding1D), with_zeros),
}
