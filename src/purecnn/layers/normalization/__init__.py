"""Normalizations: layers that bring their inputs to mean 0 and variance 1, over one set of axes or another.

Imports `base`, `batchwise` and the `kernels`. Begin with `batch`; `group` has those of each sample.
"""
