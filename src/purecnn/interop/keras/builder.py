"""Networks built from the opened config of a Keras model: each entry as the layers that do the same."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from purecnn.backend.types import Shape
from purecnn.errors import FileFormatError
from purecnn.interop.keras.config import Config, channels_last, integers, is_old, number, sample_shape
from purecnn.interop.keras.graph import Entry, Joint, Step, every
from purecnn.interop.keras.layers import in_new_words, translate
from purecnn.interop.keras.signals import KINDS
from purecnn.interop.keras.translated import Translated
from purecnn.interop.keras.weights import MAX_DEPTH
from purecnn.layers.base import Layer
from purecnn.layers.composites.nesting import composite
from purecnn.layers.file_checks import check_shape
from purecnn.layers.preprocessing import Preprocessing
from purecnn.layers.reshape import Flatten, Reshape


@dataclass
class Built:
    """What a config was turned into.

    Attributes
    ----------
    layers : list of Layer
        Bound, without arrays.
    input_shape : tuple of int
        Of one sample, channels first.
    preprocessing : Preprocessing
        Of ``Rescaling`` at the beginning.
    sources : list
        The entries that hold arrays, each with what it became.
    is_first : bool
        Whether Keras's images have their channels first too.
    plain : set of int
        The ids of layers that name axes anew in the order in which Keras has the values.
    """

    layers: list[Layer] = field(default_factory=list)
    input_shape: Shape = ()
    preprocessing: Preprocessing = field(default_factory=lambda: Preprocessing(kind="numbers"))
    sources: list[tuple[Entry, Translated]] = field(default_factory=list)
    is_first: bool = False
    plain: set[int] = field(default_factory=set)


class Builder:
    """Makes layers of the steps that a config was opened up to.

    Parameters
    ----------
    version : str
        Of the Keras that wrote the file.
    is_first : bool
        Whether images have their channels first.
    are_signals : bool
        Whether samples of two axes are signals.

    Attributes
    ----------
    built : Built
        What was made so far.
    """

    def __init__(self, version: str, is_first: bool, are_signals: bool = False) -> None:
        self.is_old, self.is_first, self.are_signals = is_old(version), is_first, are_signals
        self.built = Built(is_first=is_first)

    def layers(self, steps: list[Step], shape: Shape, depth: int = 0) -> tuple[list[Layer], Shape]:
        """Return the layers of some steps, bound one after the other, and the shape that the last one gives.

        Parameters
        ----------
        steps : list of Step
            In order.
        shape : tuple of int
            Of the first one's input, channels first; empty where it is yet to be known.
        depth : int
            How many branches they lie in.
        """
        layers: list[Layer] = []
        for step in steps:
            if isinstance(step, Joint) and shape:
                paths = [self.layers(path, shape, depth + 1) for path in step.paths]
                with told_of(step.entry):
                    if depth == MAX_DEPTH:
                        raise FileFormatError(
                            f"lies in more than {MAX_DEPTH} branches, wanted at most as many"
                        )
                    layers.append(self.merged(step, paths))
                    shape = check_shape("its output", layers[-1].bind(shape))
                continue
            entry = step.entry if isinstance(step, Joint) else step
            with told_of(entry):
                if entry.kind == "InputLayer" or not shape:
                    shape = self.begin(entry, shape)
                if entry.kind == "InputLayer":
                    continue
                if entry.kind == "Rescaling":
                    if layers or depth:
                        raise FileFormatError(
                            "stands behind other layers, wanted at the beginning, where it is preprocessing"
                        )
                    rescale(entry.config, self.built)
                    continue
                for layer in self.translated(entry, shape):
                    shape = check_shape("its output", layer.bind(shape))
                    layers.append(layer)
        return layers, shape

    def begin(self, entry: Entry, shape: Shape) -> Shape:
        """Return the shape of the samples that a layer says it gets; the first one must say it."""
        found = sample_shape(entry.config, self.is_first, self.are_signals)
        if shape and found not in (None, shape):
            raise FileFormatError(f"takes samples of shape {found}, and gets {shape}")
        if shape:
            return shape
        if found is None:
            raise FileFormatError("comes first and has no batch_shape, wanted the input's shape")
        self.built.input_shape = check_shape("its input", found)
        return self.built.input_shape

    def translated(self, entry: Entry, shape: Shape) -> list[Layer]:
        """Return what one layer is here."""
        config = in_new_words(entry.config) if self.is_old else entry.config
        if self.is_first:
            config = channels_last(entry.kind, config, shape)
        elif self.are_signals and entry.kind == "Reshape":
            target = integers(config, "target_shape")
            config = {**config, "target_shape": list(target[::-1] if len(target) == 2 else target)}
        found = translate(entry.kind, config, shape)
        for layer in found.layers:
            if entry.config.get("trainable") is False:
                layer.trainable = False
        turns = entry.kind == "Flatten" and entry.config.get("data_format") == "channels_first"
        if self.is_first and entry.kind in ("Flatten", "Reshape") and not turns:
            self.built.plain.update(map(id, found.layers))
        if found.variables:
            self.built.sources.append((entry, found))
        return found.layers

    def merged(self, joint: Joint, built: list[tuple[list[Layer], Shape]]) -> Layer:
        """Return the layer that merges some paths; of each its layers and the shape that it ends in."""
        paths, shapes = [path for path, _ in built], [end for _, end in built]
        whole = max(shapes, key=math.prod)
        if joint.merge == "concatenate":
            config = joint.entry.config
            config = channels_last("Concatenate", config, whole) if self.is_first else config
            if integers(config, "axis", -1) not in ((-1,), (len(whole),)):
                axis = joint.entry.config.get("axis")
                raise FileFormatError(f"has axis {axis!r:.60} of samples of {whole}, wanted the channels")
        if self.is_first and len({len(end) for end in shapes}) > 1:
            raise FileFormatError(f"merges shapes {', '.join(map(str, shapes))}, wanted as many axes in each")
        for path, end in zip(paths, shapes, strict=True):
            if joint.merge == "multiply" and end != whole and len(end) == 3 and end[1:] == (1, 1):
                if path and type(path[-1]) is Reshape and path[-1].input_shape == end[:1]:
                    path.pop()
                else:
                    path.append(Flatten())
                    path[-1].bind(end)
        return composite(joint.merge, paths)


@contextmanager
def told_of(entry: Entry) -> Iterator[None]:
    """Name the layer in front of whatever is wrong with it."""
    try:
        yield
    except (ArithmeticError, TypeError, ValueError) as error:
        raise FileFormatError(f"{entry.label} {error!s:.500}") from None


def build(steps: list[Step], version: str) -> Built:
    """Return the layers here of a config's."""
    stated = (entry.config.get("data_format") for entry in every(steps) if entry.kind != "Flatten")
    formats = {given for given in stated if given in ("channels_first", "channels_last")}
    if len(formats) > 1:
        raise FileFormatError(
            "its layers have data_format 'channels_first' and 'channels_last', wanted one for all"
        )
    are_signals = any(entry.kind in KINDS for entry in every(steps))
    builder = Builder(version, formats == {"channels_first"}, are_signals)
    built = builder.built
    built.layers, _ = builder.layers(steps, ())
    if not built.layers:
        raise FileFormatError("its model has no layers that compute, wanted at least 1")
    return built


def rescale(config: Config, built: Built) -> None:
    """Take a ``Rescaling`` into the preprocessing."""
    scale, offset = number(config, "scale"), number(config, "offset", 0.0)
    before = built.preprocessing
    built.preprocessing = Preprocessing(before.scale * scale, before.shift * scale + offset, "any")
