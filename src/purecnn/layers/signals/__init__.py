"""Layers of signals: convolution, pooling and padding along one axis.

Their arrays are `(channels, length, batch)`. Each is a layer of `spatial` whose images have one row, and the
engine runs that one.

Imports `base`, `shapes`, `reshape`, `normalization` and `spatial`. Begin with `base`.
"""
