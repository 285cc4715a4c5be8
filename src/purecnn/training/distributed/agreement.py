"""Agreement of ranks before they train together.

What ranks compare before they train together: what decides the bits, and what must be alike anyway.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from purecnn.backend import digests, environment
from purecnn.training.rows import Rows

if TYPE_CHECKING:
    from purecnn.training.fit import Fit


#: How to go on in spite of differences that change bits alone.
HINT = (
    "Ranks(allow_differences=True), at the command line --allow-differences, trains all the same, to other "
    "bits than those of one machine"
)


def facts(fit: Fit) -> dict[str, Any]:
    """Return what must be alike on all ranks, as JSON values.

    Of a data set outside of memory that is its shape, its labels and its first sample: no rank reads it all.
    """
    machine, network, rows = environment.machine(), fit.network, fit.rows
    seen = [rows.first, np.array(rows.shape)] if isinstance(rows, Rows) else [rows]
    weights = fit.targets.decisive()
    return {
        **{name: machine[name] for name in ("purecnn", *environment.DECIDES_BITS) if name in machine},
        "data": digests.digest(*seen, fit.targets.values, *weights),
        "network": [str(network.dtype), *(f"{type(layer).__name__} {size(layer)}" for layer in network)],
        "batch_size": fit.largest_batch,
        "accumulate": fit.settings.accumulate,
        "shards": fit.settings.shards,
        "loss": getattr(
            fit.settings.loss.function, "__qualname__", type(fit.settings.loss.function).__name__
        ),
        "optimizer": type(fit.optimizer).__name__,
    }


def size(layer: Any) -> int:
    """Return how many parameters a layer has."""
    return sum(array.size for array in layer.parameters.values())


def spoken(there: Any, wanted: Any) -> str:
    """Return two values that differ, of lists only what one has and the other has not.

    Examples
    --------
    >>> spoken("2.4.0", "2.3.0"), spoken(["SSE", "AVX2"], ["SSE"])
    ('2.4.0, not 2.3.0', 'with AVX2')
    """
    if not isinstance(there, list):
        return f"{there}, not {wanted}"
    more, less = ([str(v) for v in a if v not in b] for a, b in ((there, wanted), (wanted, there)))
    parts = [f"{word} {' '.join(values)}" for word, values in (("with", more), ("without", less)) if values]
    return " and ".join(parts) or "in another order"


def difference(found: Sequence[tuple[str, dict[str, Any]]], accepted: Collection[str]) -> str | None:
    """Return a sentence on the first rank whose facts are not rank 0's, None if there is none.

    Parameters
    ----------
    found : sequence of (str, dict)
        Each rank's machine and facts.
    accepted : collection of str
        Names of what may differ.

    Examples
    --------
    >>> difference([("a", {"numpy": "2.4.0"}), ("b", {"numpy": "2.3.0"})], ["numpy"])
    >>> difference([("a", {"batch_size": 2}), ("b", {"batch_size": 3})], [])
    'rank 1 on b differs from rank 0 on a: batch_size is 3, not 2'
    """
    (host, wanted), *others = found
    for rank, (where, there) in enumerate(others, 1):
        differs = [name for name in wanted if name not in accepted and there[name] != wanted[name]]
        if differs:
            said = "; ".join(f"{name} is {spoken(there[name], wanted[name])}" for name in differs)
            hint = "" if set(differs) - set(environment.DECIDES_BITS) else f" ({HINT})"
            return f"rank {rank} on {where} differs from rank 0 on {host}: {said}{hint}"
    return None
