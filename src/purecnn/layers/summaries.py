"""Model summary: output shapes, parameters and multiply-adds.

Before a network is trained one wants to know its size: what leaves each layer, and what that costs.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

from purecnn.backend.html import html_table
from purecnn.backend.types import Shape
from purecnn.escapes import visible
from purecnn.layers.base import Layer
from purecnn.layers.composites.base import Composite
from purecnn.layers.composites.branches import Branches
from purecnn.layers.shapes import ShapeLike
from purecnn.layers.stack import LayerStack, as_layers, network_of
from purecnn.messages.signatures import explained


@dataclass(frozen=True)
class Row:
    """One layer of a summary.

    Attributes
    ----------
    layer : str
        The name of its class, indented where it is part of the layer above; behind lines where it lies on a
        branch, which begins at ``+-`` and leads down to the next.
    output_shape : tuple of int
        Of one sample.
    parameters : int
        How many numbers it has learnt, or will.
    multiply_adds : int
        Multiplications with an addition, in one sample's forward pass.
    trainable : bool
        Whether training changes the parameters.
    """

    layer: str
    output_shape: Shape
    parameters: int
    multiply_adds: int
    trainable: bool = True


@dataclass(frozen=True, repr=False)
class Summary:
    """A network's size, layer by layer; prints as a table.

    Attributes
    ----------
    input_shape : tuple of int
        Of one sample.
    rows : tuple of Row
        One a layer.
    """

    input_shape: Shape
    rows: tuple[Row, ...]

    @property
    def parameters(self) -> int:
        """Parameters of all layers."""
        return sum(row.parameters for row in self.rows)

    @property
    def frozen(self) -> int:
        """Parameters of the layers that are frozen."""
        return sum(row.parameters for row in self.rows if not row.trainable)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of all layers, a sample."""
        return sum(row.multiply_adds for row in self.rows)

    def lines(self) -> list[tuple[str, str, str, str]]:
        """Return the table's lines: heads, layers, and behind `bottom` of them the totals."""
        found = [
            ("layer", "output shape", "parameters", "multiply-adds"),
            ("input", written(self.input_shape), "", ""),
        ]
        for row in self.rows:
            name = row.layer if row.trainable else f"{row.layer}, frozen"
            found.append((name, written(row.output_shape), f"{row.parameters:,}", f"{row.multiply_adds:,}"))
        found.append(("total", "", f"{self.parameters:,}", f"{self.multiply_adds:,}"))
        if self.frozen:
            found.append(("trainable", "", f"{self.parameters - self.frozen:,}", ""))
            found.append(("frozen", "", f"{self.frozen:,}", ""))
        return found

    @property
    def bottom(self) -> int:
        """Of how many lines of the table the totals come."""
        return 2 + len(self.rows)

    def __str__(self) -> str:
        cells, bottom = self.lines(), self.bottom
        widths = [max(len(line[column]) for line in cells) for column in range(4)]
        # names to the left, numbers to the right
        rows = [
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip()
            for a, b, c, d in cells
        ]
        rule = "-" * (sum(widths) + 6)
        return "\n".join(map(visible, [rows[0], rule, *rows[1:bottom], rule, *rows[bottom:]]))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the table as Jupyter shows it."""
        head, *rest = self.lines()
        return html_table(head, rest, left=2, totals=len(self.lines()) - self.bottom)


def written(shape: Shape) -> str:
    """Return a shape as people write it.

    Examples
    --------
    >>> written((8, 24, 24))
    '8 x 24 x 24'
    """
    return " x ".join(map(str, shape))


@explained
def summary(network: LayerStack | Sequence[Layer], input_shape: ShapeLike | None = None) -> Summary:
    """Return output shape, parameters and multiply-adds of each layer, and their totals.

    Parameters
    ----------
    network : Network or list of Layer
        What to measure.
    input_shape : tuple of int, optional
        Shape of one sample, for a network that does not know it yet; it is bound to it. Of a plain list the
        layers stay as they are.

    Returns
    -------
    Summary
        Print it, or read its `rows`, `parameters` and `multiply_adds`.

    Raises
    ------
    ValueError
        If the network has no input shape yet and none is given.
    ShapeError
        If the network was bound to another shape.

    Examples
    --------
    >>> from purecnn import Dense, Tanh
    >>> summary([Dense(2, 3), Tanh(), Dense(3, 1)])
    layer  output shape  parameters  multiply-adds
    ----------------------------------------------
    input  2
    Dense  3                      9              6
    Tanh   3                      0              0
    Dense  1                      4              3
    ----------------------------------------------
    total                        13              9
    """
    if not isinstance(network, LayerStack):
        # Of layers of no network a copy is measured: a network that they come into draws by its own seed.
        layers = as_layers(network)
        network = network_of(layers) or LayerStack(copy.deepcopy(layers))
    if input_shape is not None:
        network.bind(input_shape)
    else:
        network.sync()
    if network.input_shape is None:
        raise ValueError(
            "this network has no input shape yet, and no input_shape was given: a shape of one sample, "
            "such as (1, 28, 28), is wanted"
        )
    rows = tuple(row for layer in network for row in rows_of(layer, type(layer).__name__))
    return Summary(network.input_shape, rows)


def rows_of(layer: Layer, name: str, indent: str = "") -> list[Row]:
    """Return a layer's row; where it is made of others, with nothing of its own, theirs behind it."""
    inside = layer.inside()
    size = 0 if inside else sum(parameter.size for parameter in layer.parameters.values())
    work = 0 if inside else layer.multiply_adds()
    if isinstance(layer, Branches):
        name = f"{name} ({layer.merge})"
    rows = [Row(indent + name, layer.output_shape or (), size, work, layer.trainable)]
    if isinstance(layer, Composite):
        return rows + branch_rows(layer, " " * len(indent))
    for front, part in inside.items():
        way = front.rpartition(".")[0]
        rows += rows_of(part, f"{way} {type(part).__name__}".lstrip(), f"{indent}  ")
    return rows


def branch_rows(layer: Composite, indent: str) -> list[Row]:
    """Return the rows of the branches of a layer, each behind a line that leads down from the layer's name.

    Examples
    --------
    >>> from purecnn import Branches, Dense, Tanh
    >>> layer = Branches([Dense(4, 4), Tanh()], [])
    >>> for row in branch_rows(layer, ""):
    ...     print(row.layer)
    +- Dense
    |  Tanh
    +- (input)
    """
    rows: list[Row] = []
    last = next(reversed(layer.branches))
    for front, branch in layer.branches.items():
        line = "   " if front == last else "|  "
        found = [row for part in branch for row in rows_of(part, type(part).__name__)]
        found = found or [Row("(input)", layer.input_shape or (), 0, 0, layer.trainable)]
        for place, row in enumerate(found):
            rows.append(replace(row, layer=f"{indent}{line if place else '+- '}{row.layer}"))
    return rows
