"""Layers of images: convolution, pooling, padding, resampling.

Their arrays are `(channels, height, width, batch)`; a window slides over height and width, or these change.

Imports `base`, `shapes`, `initializers` and the `kernels`. Begin with `convolution`.
"""
