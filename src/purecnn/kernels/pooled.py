"""Convolution with max pooling in one.

A convolution whose output is pooled at once: each cell of all pooling windows lies in long runs of memory.

A window's largest cell is found by a tournament: neighbours in row order play, then the winners. The later
one wins only if it is strictly larger, so a tie stays with the first in row order, as in PyTorch. Who won is
kept, and sends the gradient the same way back.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from purecnn.backend.types import Array
from purecnn.kernels.calls import Call
from purecnn.kernels.geometry import Pair
from purecnn.kernels.rows import RowConvolution, finish


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
    best : list of ndarray
        (R, M, L) each: the rows of it that each of the convolution's blocks gives.
    """

    def __init__(self, convolution: RowConvolution, pool: Pair) -> None:
        self.convolution = convolution
        kind, workspace, high = convolution.x.dtype, convolution.workspace, convolution.rows // pool[0]
        self.rows = workspace.array("output", (high, convolution.maps, convolution.line), kind)
        won = workspace.array("won", (max(1, pool[0] * pool[1] - 1), *self.rows.shape), np.bool_)
        split = (high, convolution.maps, convolution.columns, convolution.batch)
        self.pooled = self.rows.reshape(split).transpose(1, 0, 2, 3)
        self.places = [slice(a // pool[0], b // pool[0]) for a, b in convolution.row_blocks]
        self.best = [self.rows[place] for place in self.places]
        self.cells = [
            [output[p, i :: pool[0]] for i in range(pool[0]) for p in range(pool[1])]
            for output in convolution.outputs
        ]
        self.games = [
            tournament(cells, won[:, place]) for cells, place in zip(self.cells, self.places, strict=True)
        ]

    def forward(self, kernels: Array, biases: Array, training: bool) -> Array:
        """Return y (M, PH, PW, N) for biases (M,); in training keep who won.

        The largest of a window's sums is the same before and after a bias that all of them share.
        """
        flat = self.convolution.flat(kernels)
        for number in range(len(self.best)):
            self.convolution.multiply(flat, number, None)
            best = self.pool(number, training)
            np.add(best, biases[:, None], out=best)
        return self.pooled

    def inference(
        self, kernels: Array, biases: Array, addend: Array | None, rectifies: bool
    ) -> tuple[list[Call], Array]:
        """Return the calls that compute ``y + addend``, rectified if asked for, and y (M, PH, PW, N)."""
        flat, calls = self.convolution.flat(kernels), list[Call]()
        for number, (best, games) in enumerate(zip(self.best, self.games, strict=True)):
            calls += self.convolution.calls(flat, number, None)
            for game in games:
                out = best if game is games[-1] else game.first
                calls.append(partial(np.maximum, game.first, game.second, out=out))
            if not games:
                calls.append(partial(np.copyto, best, self.cells[number][0]))
            calls += finish(self.pooled, biases, addend, rectifies, self.places[number])
        return calls, self.pooled

    def backward(
        self, g: Array, kernels: Array, kernels_gradient: Array, biases_gradient: Array, propagate: bool
    ) -> Array | None:
        """Write both gradients and return dx."""
        rows = self.as_rows(g)
        np.sum(rows @ self.convolution.ones, axis=0, out=biases_gradient)

        def place(number: int) -> None:
            self.unpool(number, rows[self.places[number]])

        return self.convolution.blocks_backward(kernels, kernels_gradient, None, propagate, place)

    def pool(self, number: int, training: bool) -> Array:
        """Write and return the largest cell of a block's windows; in training keep who won."""
        best, games = self.best[number], self.games[number]
        for game in games:
            if training:
                np.greater(game.second, game.first, out=game.won)
            np.maximum(game.first, game.second, out=best if game is games[-1] else game.first)
        if not games:
            np.copyto(best, self.cells[number][0])
        return best

    def as_rows(self, g: Array) -> Array:
        """(M, PH, PW, N) -> (PH, M, L): a view where `g` lies row by row in memory, else a copy."""
        return g.transpose(1, 0, 2, 3).reshape(self.rows.shape)

    def unpool(self, number: int, g: Array) -> None:
        """Put each gradient (R, M, L) into the output's place at the cell that won its window, else zero."""
        games = self.games[number]
        if not games:
            np.copyto(self.cells[number][0], g)
        for game in reversed(games):
            np.copyto(game.second, game.won)  # cast, then multiply: 14 us where floats times booleans take 23
            np.multiply(game.second, g if game is games[-1] else game.first, out=game.second)
            np.subtract(g if game is games[-1] else game.first, game.second, out=game.first)
