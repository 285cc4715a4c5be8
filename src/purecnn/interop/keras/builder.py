"""Networks built from the opened config of a Keras model: each entry as the layers that do the same."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from purecnn.backend.types import Shape
from purecnn.errors import FileFormatError
from purecnn.interop.keras.axes import reshape, to_first, to_last
from purecnn.interop.keras.config import (
    MAX_DEPTH,
    Config,
    channels_last,
    integers,
    is_old,
    number,
    sample_shape,
)
from purecnn.interop.keras.fixed import MAX_FIXED, broadcast, scaled
from purecnn.interop.keras.graph import Entry, Joint, Step, Woven, every
from purecnn.interop.keras.held import Held
from purecnn.interop.keras.layers import in_new_words, translate
from purecnn.interop.keras.layouts import Part
from purecnn.interop.keras.signals import KINDS, OF_CHANNELS
from purecnn.interop.keras.translated import Translated
from purecnn.layers.base import Layer
from purecnn.layers.composites.nesting import composite
from purecnn.layers.file_checks import check_shape
from purecnn.layers.preprocessing import Preprocessing
from purecnn.layers.reshape import Flatten, Reshape

#: Layers that give the same whether their input is scaled and shifted before them or behind.
COMMUTING = frozenset({"CenterCrop", "Cropping2D", "InputLayer", "Resizing"})
#: Layers that are others here between which axes are named anew, in no order but this package's.
MOVING = frozenset({"CenterCrop", "Permute", "Resizing"})


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
    plain : dict of int to Layer
        By their ids, which no other layer can have then, those that name axes anew in the order in which
        Keras has the values.
    fixed : dict of int to Layer
        Likewise those whose arrays follow from the config.
    parts : list of Part
        The layers that hold arrays, and how Keras orders these.
    """

    layers: list[Layer] = field(default_factory=list)
    input_shape: Shape = ()
    preprocessing: Preprocessing = field(default_factory=lambda: Preprocessing(kind="numbers"))
    sources: list[tuple[Entry, Translated]] = field(default_factory=list)
    is_first: bool = False
    plain: dict[int, Layer] = field(default_factory=dict)
    fixed: dict[int, Layer] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)


class SignalsMetError(Exception):
    """Samples of two axes, taken for images of one channel so far, have the channels last."""


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
    is_turned : bool
        Whether axes are named anew in Keras's order of the values, between layers that turn them: where not,
        the arrays around are reordered, which costs nothing and is not always possible.
    input_shape : tuple of int, optional
        Of one sample, where the config leaves sizes open.

    Attributes
    ----------
    built : Built
        What was made so far.
    """

    def __init__(
        self,
        version: str,
        is_first: bool,
        are_signals: bool = False,
        is_turned: bool = False,
        input_shape: Shape | None = None,
    ) -> None:
        self.is_old, self.is_first, self.are_signals = is_old(version), is_first, are_signals
        self.is_turned, self.input_shape = is_turned, input_shape
        self.built = Built(is_first=is_first)
        #: Values that follow from the config so far; and whether a scale may still go before all layers.
        self.values, self.is_front = 0, True

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
                    self.is_front = False
                    for layer in self.merged(step, paths):
                        layers.append(layer)
                        shape = check_shape("its output", layer.bind(shape))
                continue
            if isinstance(step, Woven):
                if not shape:
                    raise FileFormatError("its model has no input of a known shape before its branches")
                self.is_front = False
                more, shape = self.woven(step, shape, depth)
                layers += more
                continue
            entry = step.entry if isinstance(step, Joint) else step
            with told_of(entry):
                if entry.kind == "InputLayer" or not shape:
                    shape = self.begin(entry, shape)
                if entry.kind == "InputLayer":
                    continue
                if entry.kind == "Rescaling" and self.is_front and not depth and is_scalar(entry.config):
                    rescale(entry.config, self.built)
                    continue
                found = self.translated(entry, shape)
                self.is_front &= not found or entry.kind in COMMUTING
                for layer in found:
                    shape = check_shape("its output", layer.bind(shape))
                    layers.append(layer)
        return layers, shape

    def begin(self, entry: Entry, shape: Shape) -> Shape:
        """Return the shape of the samples that a layer says it gets; the first one must say it."""
        found = sample_shape(entry.config, self.is_first, self.are_signals)
        if shape and found is not None and not fits(shape, found):
            raise FileFormatError(f"takes samples of shape {found}, and gets {shape}")
        if shape:
            return shape
        if found is None:
            raise FileFormatError("comes first and has no batch_shape, wanted the input's shape")
        given = self.input_shape
        if given is not None and not fits(given, found):
            raise FileFormatError(f"takes samples of shape {found}, and input_shape is {given}")
        if given is None and None in found:
            example = tuple(64 if size is None else size for size in found)
            raise FileFormatError(
                f"leaves sizes open, {found}, wanted known ones: give load_keras an input_shape, such as "
                f"{example}"
            )
        self.built.input_shape = check_shape("its input", given or tuple(size or 0 for size in found))
        return self.built.input_shape

    def translated(self, entry: Entry, shape: Shape) -> list[Layer]:
        """Return what one layer is here."""
        kind, config = in_new_words(entry.kind, entry.config) if self.is_old else (entry.kind, entry.config)
        if len(shape) == 2 and entry.kind in OF_CHANNELS and not self.are_signals and not self.is_first:
            raise SignalsMetError
        # Keras's channels come last, and here first: a permutation is told where both are in one order
        same = self.is_first or not self.is_of_channels(shape)
        if self.is_first:
            config = channels_last(kind, config, shape)
        elif self.are_signals and kind == "Reshape":
            target = integers(config, "target_shape")
            config = {**config, "target_shape": list(target[::-1] if len(target) == 2 else target)}
        if kind == "Permute" and same:
            config = {**config, "data_format": "channels_first"}
        found = translate(kind, config, shape)
        for layer in found.layers:
            if entry.config.get("trainable") is False:
                layer.trainable = False
        layers = found.layers
        turns = kind == "Flatten" and entry.config.get("data_format") == "channels_first"
        if self.is_turned and kind in ("Flatten", "Reshape") and not self.is_first and not turns:
            layers = [part for layer in layers for part in self.turned(layer, shape)]
        if kind in MOVING or (self.is_first and not turns) or layers is not found.layers:
            self.keep_plain(layers)
        self.keep_fixed(found.plain)
        if found.variables:
            self.built.sources.append((entry, found))
        return layers

    def turned(self, layer: Layer, shape: Shape) -> list[Layer]:
        """Return layers that name axes anew as Keras does: turned before, and back behind."""
        after = layer.bind(shape)
        before = (*shape[1:], shape[0])
        theirs = (*after[1:], after[0])
        if shape == after:
            return []
        return [
            *(to_last(shape) if self.is_of_channels(shape) else []),
            reshape(
                before if self.is_of_channels(shape) else shape,
                theirs if self.is_of_channels(after) else after,
            ),
            *(to_first(theirs) if self.is_of_channels(after) else []),
        ]

    def is_of_channels(self, shape: Shape) -> bool:
        """Return whether samples of a shape have channels, which Keras has last."""
        return len(shape) == 3 or (len(shape) == 2 and self.are_signals)

    def keep_plain(self, layers: list[Layer]) -> None:
        """Remember which layers name axes anew in Keras's order of the values."""
        self.built.plain |= {id(layer): layer for layer in layers if isinstance(layer, Flatten | Reshape)}

    def keep_fixed(self, layers: list[Layer]) -> None:
        """Remember which layers have their arrays already, unless they are too large in all."""
        for layer in layers:
            if layer.parameters:
                self.built.fixed[id(layer)] = layer
                self.values += sum(math.prod(size) for size in layer.parameter_shapes().values())
        if self.values > 4 * MAX_FIXED:
            raise FileFormatError(
                f"and layers before it become {self.values} fixed numbers here, wanted at most "
                f"{4 * MAX_FIXED}"
            )

    def merged(self, joint: Joint, built: list[tuple[list[Layer], Shape]]) -> list[Layer]:
        """Return the layers that merge some paths; of each its layers and the shape that it ends in."""
        paths, shapes = [path for path, _ in built], [end for _, end in built]
        rank = max(map(len, shapes))
        if self.is_first and len({len(end) for end in shapes}) > 1:
            raise FileFormatError(f"merges shapes {', '.join(map(str, shapes))}, wanted as many axes in each")
        if joint.merge == "concatenate":
            whole = max(shapes, key=math.prod)
            config = joint.entry.config
            config = channels_last("Concatenate", config, whole) if self.is_first else config
            if rank == 2 and not self.are_signals and not self.is_first:
                raise SignalsMetError
            if integers(config, "axis", -1) not in ((-1,), (len(whole),)):
                axis = joint.entry.config.get("axis")
                raise FileFormatError(f"has axis {axis!r:.60} of samples of {whole}, wanted the channels")
            return [composite("concatenate", paths)]
        whole = tuple(max(sizes) for sizes in zip(*(end for end in shapes if len(end) == rank), strict=True))
        for path, end in zip(paths, shapes, strict=True):
            if joint.merge == "multiply" and len(whole) == 3 and end == (whole[0], 1, 1) != whole:
                if path and type(path[-1]) is Reshape and path[-1].input_shape == end[:1]:
                    path.pop()
                else:
                    path.append(Flatten())
                    path[-1].bind(end)
            elif end != whole and len(end) == rank:
                self.extend(path, broadcast(end, whole), end)
        if joint.merge == "subtract":
            if len(paths) != 2:
                raise FileFormatError(f"has {len(paths)} inputs, wanted 2")
            self.extend(paths[1], [scaled(whole, -1.0)], whole)
        if joint.merge != "minimum":
            return [composite("add" if joint.merge == "subtract" else joint.merge, paths)]
        for path in paths:
            self.extend(path, [scaled(whole, -1.0)], whole)
        found: list[Layer] = []
        self.extend(found, [scaled(whole, -1.0)], whole)
        return [composite("maximum", paths), *found]

    def woven(self, woven: Woven, shape: Shape, depth: int) -> tuple[list[Layer], Shape]:
        """Return the layers of paths that cross: each makes a vector of the values held and the next one."""
        held = Held([(woven.start, shape)])
        last = {source: place for place, strand in enumerate(woven.strands) for source in strand.sources}
        layers: list[Layer] = []
        for place, strand in enumerate(woven.strands):
            built: list[tuple[list[Layer], Shape]] = []
            for source in strand.sources:
                path: list[Layer] = []
                self.extend(path, held.take(source), held.shape)
                built.append((path, held.shapes[source]))
            path, after = built[0]
            if isinstance(strand.steps[0], Joint) and not strand.steps[0].paths:
                with told_of(strand.steps[0].entry):
                    path, after = self.merged(strand.steps[0], built), held.shape
                    for layer in path:
                        after = check_shape("its output", layer.bind(after))
            else:
                more, after = self.layers(strand.steps, after, depth + 1)
                path += more
            kept = [value for value in held.shapes if last[value] > place]
            if kept:
                paths: list[list[Layer]] = [[] for _ in kept]
                for value, one in zip(kept, paths, strict=True):
                    self.extend(one, held.take(value, flat=True), held.shape)
                self.extend(path, [Flatten()] if len(after) > 1 else [], after)
                path = [composite("concatenate", [*paths, path])]
                check_shape("the values between its branches", path[0].bind(held.shape))
            layers += path
            held = Held([*((value, held.shapes[value]) for value in kept), (strand.value, after)])
        return layers, held.shape

    def extend(self, path: list[Layer], layers: list[Layer], shape: Shape) -> None:
        """Put layers whose arrays are known behind a path that ends in a shape."""
        for layer in layers:
            shape = check_shape("its output", layer.bind(shape))
        self.keep_plain(layers)
        self.keep_fixed(layers)
        path += layers


@contextmanager
def told_of(entry: Entry) -> Iterator[None]:
    """Name the layer in front of whatever is wrong with it."""
    try:
        yield
    except (ArithmeticError, TypeError, ValueError) as error:
        raise FileFormatError(f"{entry.label} {error!s:.500}") from None


def build(
    steps: list[Step], version: str, input_shape: Shape | None = None, is_turned: bool = False
) -> Built:
    """Return the layers here of a config's; see `Builder` for the arguments."""
    stated = (entry.config.get("data_format") for entry in every(steps) if entry.kind != "Flatten")
    formats = {given for given in stated if given in ("channels_first", "channels_last")}
    if len(formats) > 1:
        raise FileFormatError(
            "its layers have data_format 'channels_first' and 'channels_last', wanted one for all"
        )
    is_first = formats == {"channels_first"}
    are_signals = any(entry.kind in KINDS for entry in every(steps))
    try:
        builder = Builder(version, is_first, are_signals, is_turned, input_shape)
        layers, _ = builder.layers(steps, ())
    except SignalsMetError:
        builder = Builder(version, is_first, True, is_turned, input_shape)
        layers, _ = builder.layers(steps, ())
    builder.built.layers = layers
    if not layers:
        raise FileFormatError("its model has no layers that compute, wanted at least 1")
    return builder.built


def fits(shape: Shape, stated: tuple[int | None, ...]) -> bool:
    """Return whether a shape is what a config states, where that leaves some sizes open."""
    return len(shape) == len(stated) and all(
        size in (None, given) for given, size in zip(shape, stated, strict=True)
    )


def is_scalar(config: Config) -> bool:
    """Return whether a ``Rescaling`` has one scale other than 0, and one offset, for all channels."""
    values = (config.get("scale"), config.get("offset", 0.0))
    return not any(isinstance(value, list) for value in values) and values[0] != 0


def rescale(config: Config, built: Built) -> None:
    """Take a ``Rescaling`` into the preprocessing."""
    scale, offset = number(config, "scale"), number(config, "offset", 0.0)
    before = built.preprocessing
    built.preprocessing = Preprocessing(before.scale * scale, before.shift * scale + offset, "any")
