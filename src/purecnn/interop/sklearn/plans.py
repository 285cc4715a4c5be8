"""The network of an estimator: by name, layers or a function.

An estimator's network is asked for by a name, layers or a function: here each becomes a network.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy.typing as npt

from purecnn.backend.types import Shape
from purecnn.errors import ShapeError
from purecnn.layers.activations.basic import Sigmoid, Softmax
from purecnn.layers.base import Layer
from purecnn.layers.preprocessing import Preprocessing
from purecnn.layers.stack import as_layers
from purecnn.networks.functional import host_copy
from purecnn.networks.network import Network
from purecnn.networks.zoo import NETWORKS, suited

#: Where nobody says how many epochs, they are as many as take about so many steps, within these bounds.
STEPS, FEWEST, MOST = 2000, 10, 200
#: A name, layers, a network, or a function of a sample's shape, the number of outputs and a seed.
Plan = str | Sequence[Layer] | Callable[[Shape, int, int], Sequence[Layer]]


def usual_epochs(samples: int, batch_size: int, fewest: int = FEWEST, steps: int = STEPS) -> int:
    """Return how many epochs take about `STEPS` steps, or as many as wanted, if they are fewer.

    Examples
    --------
    >>> [usual_epochs(samples, 128) for samples in (150, 6_000, 60_000)]
    [200, 42, 10]
    """
    return max(fewest, min(MOST, min(steps, STEPS) // -(-samples // batch_size)))


def planned(
    plan: Plan, shape: Shape, outputs: int, head: Sequence[Layer], seed: int, dtype: npt.DTypeLike
) -> Network:
    """Return the network that a plan says, bound, with parameters of its own.

    Parameters
    ----------
    plan : str, sequence of Layer or callable
        "auto", for `networks.suited`; a name in `networks.NETWORKS`; layers, or a network, whose copy keeps
        the parameters that they have; or a function ``(shape, outputs, seed)`` that returns one of these.
    shape : tuple of int
        Of one sample.
    outputs : int
        How many numbers the last layer must give.
    head : sequence of Layer
        What takes the place of the Softmax or Sigmoid that a named network ends in.
    seed : int
        Decides the first parameters.
    dtype : dtype
        Of the parameters.

    Raises
    ------
    ValueError, TypeError
        If the plan is none of these.
    ShapeError
        If the network can't take such samples, or gives another number of outputs.

    Examples
    --------
    >>> network = planned("auto", (4,), 3, [], 0, "float64")
    >>> [type(layer).__name__ for layer in network], network.output_shape
    (['Dense', 'ReLU', 'Dense'], (3,))
    """
    if isinstance(plan, str):
        if plan not in ("auto", *NETWORKS):
            raise ValueError(
                f"network must be one of auto, {', '.join(NETWORKS)}, a list of layers or a function, "
                f"got {plan!r}"
            )
        if len(shape) != 3 and plan not in ("auto", "dense"):
            raise ShapeError(
                f"the network {plan} wants images, got samples of shape {shape}: give input_shape, "
                f"such as (1, 28, 28)"
            )
        layers = copy.deepcopy(list((suited if plan == "auto" else NETWORKS[plan])(shape, outputs, seed)))
        if isinstance(layers[-1], Softmax | Sigmoid):
            layers[-1:] = head
    else:
        given = plan(shape, outputs, seed) if callable(plan) else plan
        layers = copy.deepcopy(as_layers(host_copy(given) if isinstance(given, Network) else given))
    known = copy.deepcopy(plan.preprocessing) if isinstance(plan, Network) else Preprocessing()
    network = Network(layers, input_shape=shape, seed=seed, dtype=dtype, preprocessing=known)
    lone = outputs == 2 and isinstance(
        network[-1], Sigmoid
    )  # of two classes the second's probability will do
    if network.output_shape not in [(outputs,), (1,) if lone else ()]:
        raise ShapeError(
            f"the network must give {outputs} outputs a sample, its last layer gives {network.output_shape}"
        )
    return network
