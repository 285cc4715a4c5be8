"""Convolution with max pooling in one.

A convolution whose output is pooled at once: each cell of all pooling windows lies in long runs of memory.

A window's largest cell is found by a tournament: neighbours in row order play, then the winners. The later
one wins only if it is strictly larger, so a tie stays with the first in row order, as in PyTorch. Who won is
kept, and sends the gradient the same way back.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from purecnn.backend import blas
from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array
from purecnn.kernels.calls import Activation, Call
from purecnn.kernels.geometry import Pair, Window
from purecnn.kernels.im2col import Im2colConvolution
from purecnn.kernels.rows import RowConvolution, finish

#: Values that some rows of a pooling may have: half a megabyte of float32.
BLOCK = 1 << 17


class Game(NamedTuple):
    """Two cells of all windows, and which of them is larger.

    Attributes
    ----------
    first, second : ndarray
        (R, M, L) each, the first earlier in row order.
    won : ndarray
        (R, M, L): whether the second one was larger.
    """

    first: Array
    second: Array
    won: Array


def tournament(cells: list[Array], won: Array) -> list[Game]:
    """Return the games, in order, that find the largest of `cells`, which ends in the first of them.

    Examples
    --------
    >>> cells = [np.array([x]) for x in (3, 1, 4)]
    >>> [(game.first[0], game.second[0]) for game in tournament(cells, np.zeros((2, 1), bool))]
    [(np.int64(3), np.int64(1)), (np.int64(3), np.int64(4))]
    """
    games: list[Game] = []
    while len(cells) > 1:
        pairs = list(zip(cells[::2], cells[1::2], strict=False))
        games += [Game(*pair, won[len(games) + i]) for i, pair in enumerate(pairs)]
        cells = cells[::2]
    return games


class Tournament:
    """The games of a block of windows.

    Parameters
    ----------
    cells : list of ndarray
        (R, M, L) each: one cell of all windows, in row order. They are overwritten.
    best : ndarray
        (R, M, L): where the largest goes.
    won : ndarray
        (cells - 1, R, M, L): memory for who won.
    """

    def __init__(self, cells: list[Array], best: Array, won: Array) -> None:
        self.only, self.best, self.games = cells[0], best, tournament(cells, won)

    def calls(self) -> list[Call]:
        """Return the calls that write the largest cells and keep nothing."""
        if not self.games:
            return [partial(np.copyto, self.best, self.only)]
        outs = [game.first for game in self.games[:-1]] + [self.best]
        return [
            partial(np.maximum, game.first, game.second, out=out)
            for game, out in zip(self.games, outs, strict=True)
        ]

    def pool(self, training: bool) -> Array:
        """Write and return the largest cells; in training keep who won."""
        best, games = self.best, self.games
        for game in games:
            if training:
                np.greater(game.second, game.first, out=game.won)
            np.maximum(game.first, game.second, out=best if game is games[-1] else game.first)
        if not games:
            np.copyto(best, self.only)
        return best

    def unpool(self, g: Array) -> None:
        """Put each gradient (R, M, L) into the cell that won its window, else zero."""
        games = self.games
        if not games:
            np.copyto(self.only, g)
        for game in reversed(games):
            # Cast, then multiply: 14 us where floats times booleans take 23. On WebAssembly as bytes, which
            # are cast by an instruction, and booleans by a branch: 0.25 ns in place of 2.3.
            np.copyto(game.second, game.won.view(np.uint8) if blas.ABSENT else game.won)
            np.multiply(game.second, g if game is games[-1] else game.first, out=game.second)
            np.subtract(g if game is games[-1] else game.first, game.second, out=game.first)


class PooledConvolution:
    """The pooling windows over a convolution's output, a block of rows at a time.

    Parameters
    ----------
    convolution : RowConvolution
        Laid out for this pooling.
    pool : (int, int)
        Pooling window, which steps by its own size.

    Attributes
    ----------
    pooled : ndarray
        (M, PH, PW, N): the result, a view.
    tournaments : list of Tournament
        One for the rows that each of the convolution's blocks gives.
    """

    def __init__(self, convolution: RowConvolution, pool: Pair) -> None:
        self.convolution = convolution
        kind, workspace, high = convolution.x.dtype, convolution.workspace, convolution.rows // pool[0]
        self.rows = workspace.array("output", (high, convolution.maps, convolution.line), kind)
        won = workspace.array("won", (max(1, pool[0] * pool[1] - 1), *self.rows.shape), np.bool_)
        split = (high, convolution.maps, convolution.columns, convolution.batch)
        self.pooled = self.rows.reshape(split).transpose(1, 0, 2, 3)
        self.places = [slice(a // pool[0], b // pool[0]) for a, b in convolution.row_blocks]
        self.tournaments = [
            Tournament(cells_of(output, pool[0]), self.rows[place], won[:, place])
            for output, place in zip(convolution.outputs, self.places, strict=True)
        ]

    def forward(self, kernels: Array, biases: Array | None, training: bool) -> Array:
        """Return y (M, PH, PW, N) for biases (M,), or none; in training keep who won.

        The largest of a window's sums is the same before and after a bias that all of them share.
        """
        flat = self.convolution.flat(kernels)
        for number, windows in enumerate(self.tournaments):
            self.convolution.multiply(flat, number, None)
            best = windows.pool(training)
            if biases is not None:
                np.add(best, biases[:, None], out=best)
        return self.pooled

    def inference(
        self, kernels: Array, biases: Array | None, addend: Array | None, activation: Activation | None
    ) -> tuple[list[Call], Array]:
        """Return the calls that compute ``y + addend``, with `activation` applied, and y (M, PH, PW, N)."""
        flat, calls = self.convolution.flat(kernels), list[Call]()
        for number, windows in enumerate(self.tournaments):
            calls += self.convolution.calls(flat, number, None)
            calls += windows.calls()
            calls += finish(self.pooled, biases, addend, activation, self.places[number])
        return calls, self.pooled

    def backward(
        self,
        g: Array,
        kernels: Array,
        kernels_gradient: Array,
        biases_gradient: Array | None,
        propagate: bool,
    ) -> Array | None:
        """Write both gradients and return dx."""
        rows = self.as_rows(g)
        if biases_gradient is not None:
            np.sum(rows @ self.convolution.ones, axis=0, out=biases_gradient)

        def place(number: int) -> None:
            self.tournaments[number].unpool(rows[self.places[number]])

        return self.convolution.blocks_backward(kernels, kernels_gradient, None, propagate, place)

    def as_rows(self, g: Array) -> Array:
        """(M, PH, PW, N) -> (PH, M, L): a view where `g` lies row by row in memory, else a copy."""
        return g.transpose(1, 0, 2, 3).reshape(self.rows.shape)


def largest(parts: Sequence[Array], out: Array) -> list[Call]:
    """Return the calls that write the largest value of all parts, each of the shape of `out`."""
    first, *rest = parts
    if not rest:
        return [partial(np.copyto, out, first)]
    firsts = [first, *[out] * (len(rest) - 1)]
    return [partial(np.maximum, one, other, out=out) for one, other in zip(firsts, rest, strict=True)]


class PooledIm2col:
    """An `Im2colConvolution` in inference, and the max pooling of its output.

    Parameters
    ----------
    x, maps, window, workspace
        Those of the convolution.
    pool : (int, int)
        Window of the pooling, which steps by its own size.
    """

    def __init__(self, x: Array, maps: int, window: Window, pool: Pair, workspace: Workspace) -> None:
        self.convolution = Im2colConvolution(x, maps, window, workspace)
        images = self.convolution.images
        rows, columns = images.shape[1] // pool[0], images.shape[2] // pool[1]
        self.down = workspace.array("down", (maps, rows, *images.shape[2:]), x.dtype)
        self.pooled = workspace.array("output", (maps, rows, columns, x.shape[3]), x.dtype)
        self.lines = [images[:, row : rows * pool[0] : pool[0]] for row in range(pool[0])]
        self.cells = [self.down[:, :, cell : columns * pool[1] : pool[1]] for cell in range(pool[1])]

    def inference(
        self, kernels: Array, biases: Array | None, addend: Array | None, activation: Activation | None
    ) -> tuple[list[Call], Array]:
        """Return the calls that compute ``y + addend``, with `activation` applied, and y (M, PH, PW, N).

        The largest of a window's sums is the same before and after a bias that all of them share.
        """
        found = self.convolution.calls(kernels)
        found += [*largest(self.lines, self.down), *largest(self.cells, self.pooled)]
        return [*found, *finish(self.pooled, biases, addend, activation)], self.pooled


class PhasedPooling:
    """Max pooling of what lies as a convolution in phases gives it, some rows at a time.

    Parameters
    ----------
    x : ndarray
        (M, P, OH, A, N), the very array that every forward pass will read.
    height : int
        Rows of a window.
    workspace : Workspace
        Where memory comes from.
    overwrites : bool
        Whether `x` may be overwritten, which is done if it lies as (P, OH, M, A, N); else it is copied first.
    """

    def __init__(self, x: Array, height: int, workspace: Workspace, overwrites: bool) -> None:
        self.x, (maps, phases, rows, columns, batch) = x, x.shape
        ordered = x.transpose(1, 2, 0, 3, 4)
        self.copies = not (overwrites and ordered.flags.c_contiguous)
        if self.copies:
            ordered = workspace.array("cells", ordered.shape, x.dtype)
        self.held = ordered.transpose(2, 0, 1, 3, 4)
        lines = ordered.reshape(phases, rows, maps, columns * batch)
        self.pooled = workspace.array("output", (maps, rows // height, columns, batch), x.dtype)
        pooled = by_rows(self.pooled)
        won = workspace.array("won", (max(1, height * phases - 1), *pooled.shape), np.bool_)
        some = max(1, BLOCK // (phases * maps * columns * batch * height))
        self.places = [slice(first, first + some) for first in range(0, rows // height, some)]
        self.tournaments = [
            Tournament(
                cells_of(lines[:, place.start * height : place.stop * height], height),
                pooled[place],
                won[:, place],
            )
            for place in self.places
        ]

    def forward(self, training: bool) -> Array:
        """Return y (M, PH, A, N); in training keep who won."""
        if self.copies:
            np.copyto(self.held, self.x)
        for windows in self.tournaments:
            windows.pool(training)
        return self.pooled

    def backward(self, g: Array) -> Array:
        """g (M, PH, A, N) -> dx like `x`."""
        rows = by_rows(g)
        for windows, place in zip(self.tournaments, self.places, strict=True):
            windows.unpool(rows[place])
        return self.held


def by_rows(x: Array) -> Array:
    """(M, PH, A, N) -> (PH, M, A N): a view where the last two axes lie in order, else a copy."""
    return x.reshape(*x.shape[:2], -1).transpose(1, 0, 2)


def cells_of(output: Array, height: int) -> list[Array]:
    """(P, R, M, L) -> the cells of windows of so many rows, in row order: (R / height, M, L) each, views."""
    return [output[p, i::height] for i in range(height) for p in range(len(output))]
