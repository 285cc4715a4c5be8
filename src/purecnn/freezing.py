"""What training leaves alone: the parameters of layers whose `trainable` is off, also inside of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from purecnn.layer import Layer


def leaves(layer: Layer, trained: bool = True) -> Iterator[tuple[int, bool]]:
    """Yield how many parameters a layer, or each one inside it, has, and whether training changes them."""
    trained, inside = trained and layer.trainable, layer.inside()
    if not inside:
        yield sum(parameter.size for parameter in layer.parameters.values()), trained
    for part in inside.values():
        yield from leaves(part, trained)


def trained_spans(layers: Iterable[Layer]) -> list[tuple[int, int]]:
    """Return where the flat vector holds parameters that training changes: first and last of each stretch.

    Examples
    --------
    >>> from purecnn import Dense
    >>> layers = [Dense(2, 3, rng=0), Dense(3, 1, rng=0), Dense(1, 1, rng=0)]
    >>> trained_spans(layers)
    [(0, 15)]
    >>> layers[1].trainable = False
    >>> trained_spans(layers)
    [(0, 9), (13, 15)]
    """
    found: list[tuple[int, int]] = []
    stop = 0
    for size, trained in (leaf for layer in layers for leaf in leaves(layer)):
        start, stop = stop, stop + size
        if not trained or not size:
            continue
        if found and found[-1][1] == start:
            start = found.pop()[0]
        found.append((start, stop))
    return found


def check_trainable(network: Iterable[Layer]) -> None:
    """Raise `ValueError` if training would change nothing."""
    if not any(layer.parameters and layer.trainable for layer in network):
        frozen = any(layer.parameters for layer in network)
        raise ValueError(
            f"this network has no parameters to train{': its layers are all frozen' if frozen else ''}"
        )
