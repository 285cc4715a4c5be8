"""Values that a rule makes of numbers, the same on every machine, so that no fixture needs to store them."""

import numpy as np


def uniform(shape, start=0):
    """Return numbers from -1 to 1, mixed from start, start + 1, ... by the finalizer of MurmurHash3."""
    count = int(np.prod(shape))
    bits = np.arange(start + 1, start + 1 + count, dtype=np.uint64)
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53)):
        bits ^= bits >> np.uint64(shift)
        bits *= np.uint64(factor)
    bits ^= bits >> np.uint64(33)
    return ((bits >> np.uint64(11)) / 2.0**52 - 1).reshape(shape)


def parameter(number, shape, name):
    """Return the values of a network's parameter of that number: He's variance for weights, scales near 1."""
    found = uniform(shape, number << 32)
    if name.endswith(("kernels", "weights")):
        return found * np.sqrt(6 / np.prod(shape[1:]))
    return 1 + found / 4 if name.endswith("gamma") else found / 4


def projection(number, array):
    """Return one number that tells such an array from others: its mean, weighed by the rule."""
    return float(np.mean(array * (2 + uniform(array.shape, number << 32))))


def tensors(groups):
    """Return a state dict as PyTorch names it, of each module's tensors by name and shape."""
    kinds = {"bias": "biases", "running_mean": "biases", "running_var": "gamma"}
    found = {}
    for module, shapes in groups:
        for end, shape in shapes.items():
            kind = kinds.get(end, "weights" if len(shape) > 1 else "gamma")
            found[f"{module}.{end}"] = parameter(len(found), tuple(shape), kind)
    return found
